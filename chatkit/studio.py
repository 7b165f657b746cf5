"""Make a lesson's recordings: from a live API, or reply by reply by hand."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from chatkit import authored, models, notebooks, tokens
from chatkit.errors import ChatkitError
from chatkit.recordings import Folder, Request, load_folder, save, with_model, write_whole

Report = Callable[[str, int, int], None]
WHY = "no API key was available"


@dataclass
class Changes:
    """What a recording run changed: files by what happened to them, cells with the prose that reads them."""

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    cells: list[tuple[str, str, str]] = field(default_factory=list)


def expected_cost(folder: Folder) -> tuple[int, Decimal | None]:
    """Return how many calls a lesson makes and their list price in USD, judged by its recordings."""
    total: Decimal | None = Decimal(0)
    for record in folder.records.values():
        for response in record["responses"]:
            body = response.get("json")
            usage = body.get("usage") if isinstance(body, dict) else None
            sent = record["request"].get("json") or {}
            spent = (usage or {}).get("prompt_tokens", 0), (usage or {}).get("completion_tokens", 0)
            if not usage and isinstance(sent, dict) and "messages" in sent:
                spent = tokens.count_messages(sent["messages"]), tokens.count(response.get("text", ""))
            price = tokens.price(os.environ.get("OPENAI_MODEL") or models.default(), *spent)
            total = None if total is None or price is None else total + price
    return sum(len(record["responses"]) for record in folder.records.values()), total


def record(project: Path, lesson: Path, report: Report, *, only_missing: bool = False) -> Changes:
    """Record a lesson, its variants and its solutions from the live API, then save all of it together.

    Nothing of the project changes until every cell has run, live and once more on what was recorded: the
    outputs saved are those of the replay.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails that should not.
        ChatkitError: no key, or a reply that may not be saved.
    """
    home = lesson.parent / "recordings" / lesson.stem
    old = load_folder(home)
    with _alone(home), _staging(old, lesson.stem, only_missing) as root:
        live = {"CHATKIT_MODE": "record", "CHATKIT_RECORDINGS": str(root)}
        fill = {**live, "CHATKIT_RECORD_MISSING": "1"}
        paths = _books(project, lesson)
        for path in paths:
            first = fill if only_missing or path != lesson else live
            progress = functools.partial(report, path.stem)
            notebooks.executed(path, first, progress, variant_environment=fill)
        replay = _replay(root)
        done = {path: notebooks.executed(path, replay, with_variants=False) for path in paths}
        return _save(old, load_folder(root / lesson.stem), done)


def _books(project: Path, lesson: Path) -> list[Path]:
    return [lesson, *notebooks.solutions(project, lesson.stem)]


def _replay(recordings: Path) -> dict[str, str]:
    at_once = {"CHATKIT_SPEED": "0", "CHATKIT_FPS": "0"}
    return {"CHATKIT_MODE": "replay", **at_once, "CHATKIT_RECORDINGS": str(recordings)}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lesson's recordings for this process; the system lets go of them when it ends, however it ends.

    Raises:
        ChatkitError: another process holds them.
    """
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    lock = FileLock(Path(tempfile.gettempdir()) / f"chatkit-{name}.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise ChatkitError(f"{folder.name} is being recorded by another process; wait until it is done") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _staging(old: Folder, lesson: str, only_missing: bool) -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="chatkit-record-"))
    (root / lesson).mkdir()
    _copy_exercises(old.path.parent, root)
    model = os.environ.get("OPENAI_MODEL")
    for kept in old.records.values():
        if only_missing or kept.get("constructed"):
            in_use = model and (kept["request"].get("json") or {}).get("model") == old.model()
            save(root / lesson, with_model(kept, str(model)) if in_use else kept)
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _copy_exercises(root: Path, staged: Path) -> None:
    """Copy the exercises of every lesson: a lesson may show the progress in all of them."""
    for exercises in root.glob("*/exercises"):
        shutil.copytree(exercises, staged / exercises.parent.name / "exercises")


def _save(old: Folder, new: Folder, done: dict[Path, Any]) -> Changes:
    if new.broken:
        raise ChatkitError(f"unreadable recordings in the run: {sorted(path.name for path in new.broken)}")
    changes = Changes()
    for key, record in new.records.items():
        before = old.records.get(key)
        if before is None or before["responses"] != record["responses"]:
            (changes.changed if before else changes.added).append(new.files[key].name)
        save(old.path, record)
    for key, file in old.files.items():
        if key not in new.records:
            changes.removed.append(file.name)
            file.unlink()
    for path, notebook in done.items():
        changes.cells += _changed_cells(path.stem, notebooks.read(path), notebook)
        write_whole(path, notebooks.text_of(notebook))
    return changes


def _changed_cells(name: str, before: Any, after: Any) -> Iterator[tuple[str, str, str]]:
    """Yield (notebook, source, prose) of each cell whose output changed; prose is what surrounds it."""
    for index, (old, new) in enumerate(zip(before.cells, after.cells, strict=True)):
        if new.cell_type == "code" and _shown(old) != _shown(new):
            around = [after.cells[i] for i in (index - 1, index + 1) if 0 <= i < len(after.cells)]
            prose = "\n\n".join(cell.source for cell in around if cell.cell_type == "markdown")
            yield f"{name} [{new.execution_count}]", new.source, prose


def _shown(cell: Any) -> str:
    return json.dumps([{k: v for k, v in o.items() if k != "execution_count"} for o in cell.outputs], sort_keys=True)


def use_model(project: Path, model: str, report: Report) -> dict[str, Changes]:
    """Move the series to another model without a key: rename it in the recordings, run all lessons, save all.

    Nothing of the project changes until every lesson has run. Returns what changed, by lesson.

    Raises:
        ChatkitError: models.toml does not have the model, or a recording comes from a real one and must be made again.
        nbclient.exceptions.CellExecutionError: a cell fails that should not.
    """
    models.find(model)
    root = project / "notebooks" / "recordings"
    with tempfile.TemporaryDirectory(prefix="chatkit-model-") as name, ExitStack() as locks:
        staged = Path(name)
        _copy_exercises(root, staged)
        done: dict[str, dict[Path, Any]] = {}
        for lesson in notebooks.lessons(project):
            locks.enter_context(_alone(root / lesson.stem))
            _rename(root / lesson.stem, staged / lesson.stem, model)
            replay = _replay(staged)
            for path in _books(project, lesson):
                progress = functools.partial(report, path.stem)
                done.setdefault(lesson.stem, {})[path] = notebooks.executed(path, replay, progress)
        changes = {
            lesson: _save(load_folder(root / lesson), load_folder(staged / lesson), books)
            for lesson, books in done.items()
        }
    _set_course(project, model)
    return changes


def passages_on(project: Path, model: models.Model) -> Iterator[tuple[str, str]]:
    """Yield where lessons, solutions and exercises name a model or its prices: the place, then the whole text there."""
    words = "|".join(re.escape(str(word)) for word in (model.id, model.input, model.cached_input, model.output))
    named = re.compile(rf"(?<![\w.])(?:{words})(?!\w|\.\d)", re.ASCII)  # a Korean particle follows at once
    for lesson in notebooks.lessons(project):
        for path in _books(project, lesson):
            for index, cell in enumerate(notebooks.read(path).cells):
                if named.search(cell.source):
                    yield f"{path.stem} [{index}]", cell.source
        for path in sorted((project / "notebooks" / "recordings" / lesson.stem / "exercises").glob("*.json")):
            for text in _texts(json.loads(path.read_text(encoding="utf-8"))):
                if named.search(text):
                    yield path.name, text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _rename(home: Path, staged: Path, model: str) -> None:
    folder = load_folder(home)
    course = folder.model()
    for key, record in folder.records.items():
        body = record["request"].get("json")
        in_use = isinstance(body, dict) and body.get("model") == course
        if in_use and record["source"]["kind"] != "authored":
            name = folder.files[key].name
            raise ChatkitError(f"{home.name}/{name} was recorded from a real model; run: chatkit record {home.name}")
        save(staged, with_model(record, model) if in_use else record)


def _set_course(project: Path, model: str) -> None:
    for name, pattern, line in (
        ("chatkit/models.toml", r'^course = ".*"$', f'course = "{model}"'),
        (".env.example", r"^OPENAI_MODEL=.*$", f"OPENAI_MODEL={model}"),
    ):
        path = project / name
        if path.exists():
            write_whole(path, re.sub(pattern, line, path.read_text(encoding="utf-8"), flags=re.M))


def author(
    project: Path, lesson: Path, ask: Callable[[Request], str], *, by: str, why: str = WHY, constructed: bool = False
) -> list[Path]:
    """Run a lesson, its variants and its solutions on recordings and ask for a reply at each miss.

    Returns the recordings written; the notebooks are saved with their outputs once all of them run.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails for another reason than a missing recording.
    """
    home = lesson.parent / "recordings" / lesson.stem
    home.mkdir(parents=True, exist_ok=True)
    with _alone(home):
        return _author(project, lesson, home, ask, {"by": by, "why": why, "constructed": constructed})


def _author(
    project: Path, lesson: Path, home: Path, ask: Callable[[Request], str], marks: dict[str, Any]
) -> list[Path]:
    written: list[Path] = []
    replay = _replay(home.parent)
    paths = _books(project, lesson)
    for path in paths:
        while (request := _first_miss(path, replay)) is not None:
            reply = authored.parse(ask(request))
            written.append(save(home, authored.record(request, reply, **marks)))
    for path in paths:  # only now, because each reply changed the number that the banners print
        write_whole(path, notebooks.text_of(notebooks.executed(path, replay, with_variants=False)))
    return written


def _first_miss(path: Path, replay: dict[str, str]) -> Request | None:
    """Run a notebook with its variants and return the request it failed at, if that is why it failed."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "miss.json"
        try:
            notebooks.executed(path, {**replay, "CHATKIT_MISS_LOG": str(log)})
        except Exception as error:
            if "MissingRecording" not in str(error) or not log.exists():
                raise
            request: Request = json.loads(log.read_text(encoding="utf-8"))  # the last miss is the one it stopped at
            return request
        return None
