"""What a learner has done: one small JSON file in their own folder, which never leaves the machine."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import itertools
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chatkit import exercises, session
from chatkit.errors import ChatkitError
from chatkit.messages import say
from chatkit.recordings import write_whole

FORMAT = 1
_NAME = ".chatkit-progress.json"
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def progress() -> Progress:
    """Return what is done of the exercises and questions of all lessons, as a table that a notebook shows."""
    return Progress(done())


def mark(name: str) -> None:
    """Note that an exercise or a question is done; the first day counts."""
    path = _file()
    if path is None:
        return
    try:
        with _alone(path):
            content = _read(path)
            if name not in content["done"]:
                done = {**content["done"], name: datetime.date.today().isoformat()}
                text = json.dumps({**content, "done": done}, ensure_ascii=True, indent=1, sort_keys=True)
                write_whole(path.resolve(), text + "\n")
    except OSError as error:
        print(say("progress_not_saved", file=path.name, reason=error.strerror or error))


def done() -> dict[str, str]:
    """Return the day on which each thing was done; a file that cannot be read is kept aside, with a note."""
    path = _file()
    try:
        known = _read(path)["done"] if path else {}
    except OSError as error:
        print(say("progress_not_read", file=path and path.name, reason=error.strerror or error))
        return {}
    # What is shown of it is a day and nothing else.
    return {name: day for name, day in known.items() if isinstance(day, str) and _DAY.fullmatch(day)}


def _read(path: Path) -> dict[str, Any]:
    new = {"chatkit_progress": FORMAT, "done": {}}
    if not path.exists():
        return new
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))  # an editor may have put its mark in front
        return {**content, "done": dict(content["done"])}
    except (ValueError, LookupError, TypeError, RecursionError):
        print(say("progress_broken", file=path.name, kept=_aside(path)))
        return new


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other kernels from writing meanwhile; where that cannot be, or takes long, go on."""
    from filelock import FileLock, Timeout

    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]
    lock = FileLock(Path(tempfile.gettempdir()) / f"chatkit-{name}.lock", timeout=2)
    try:
        lock.acquire()
    except (OSError, Timeout, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _file() -> Path | None:
    """Return where the marks are kept: CHATKIT_PROGRESS, then the home folder; None if it is set to nothing."""
    given = os.environ.get("CHATKIT_PROGRESS")
    if given is not None:
        return Path(given) if given else None
    try:
        return Path.home() / _NAME
    except RuntimeError:  # no home folder
        return None


def _aside(path: Path) -> str:
    names = (path.with_name(f"{path.name}.old{number or ''}") for number in itertools.count())
    kept = next(each for each in names if not each.exists())
    path.rename(kept)
    return kept.name


class Progress:
    """The lessons with what is done of each: Markdown in a notebook, lines of text elsewhere."""

    def __init__(self, known: dict[str, str]) -> None:
        self._rows = list(_rows(known))

    def _repr_markdown_(self) -> str:
        head = (
            f"| {say('progress_lesson')} | {say('progress_exercises')} | {say('progress_questions')} |\n|---|---|---|\n"
        )
        rows = (f"| {lesson} | {'<br>'.join(tasks)} | {' '.join(answers)} |\n" for lesson, tasks, answers in self._rows)
        return head + "".join(rows) + "\n" + self._total()

    def __repr__(self) -> str:
        rows = [f"{lesson}: {', '.join(tasks)} · {' '.join(answers)}" for lesson, tasks, answers in self._rows]
        return "\n".join([*rows, self._total()])

    def _total(self) -> str:
        every = [mark for _lesson, tasks, answers in self._rows for mark in (*tasks, *answers)]
        return say("progress_total", done=sum(mark.startswith("✓") for mark in every), n=len(every))


def _rows(known: dict[str, str]) -> Iterator[tuple[str, list[str], list[str]]]:
    for lesson in _lessons():
        try:
            bank, asked = exercises.every(lesson), exercises.questions(lesson)
        except ChatkitError as error:
            print(error)
            continue
        tasks = [f"{_sign(each.id, known)} {each.title}" for each in bank]
        yield lesson.name, tasks, [_sign(each.id, known) for each in asked]


def _lessons() -> list[Path]:
    """Return the folders of the lessons: beside the running one's, or else the package's own copy."""
    near = session.running().folder.path.parent if session.is_running() else Path(__file__).parent / "lessons"
    return sorted(path for path in near.glob("*") if exercises.files(path))


def _sign(name: str, known: dict[str, str]) -> str:
    return "✓" if name in known else "○"
