"""What `chatkit doctor` looks at on a learner's machine: what is so, and what to do where something is wrong."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import metadata
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

from chatkit import models, notebooks
from chatkit.errors import ChatkitError
from chatkit.messages import say
from chatkit.session import MODES, PLACEHOLDER_KEY

GOOD, CAUTION, TROUBLE = "doctor_good", "doctor_caution", "doctor_trouble"
KERNEL_SECONDS = 30
# What no key looks like; the first that fits is told.
_MALFORMED = {
    "doctor_key_curly": r"[“”‘’]",
    "doctor_key_quoted": r"^\s*[\"']|[\"']\s*$",
    "doctor_key_foreign": r"[^\x00-\x7f]",
    "doctor_key_spaces": r"[\x00-\x20\x7f]",
}
# A mark, and a sentence that says on a second line what to do, unless the mark is good.
Finding = tuple[str, str]


class Settings:
    """What the environment and the nearest `.env` say, the environment first, as `start()` reads them."""

    def __init__(self) -> None:
        from dotenv import dotenv_values, find_dotenv

        logging.getLogger("dotenv").addHandler(logging.NullHandler())  # `dotenv_file` tells it in Korean
        self.found = find_dotenv(usecwd=True)
        self.path = Path(self.found or ".env").absolute()
        self.text, self.reading = _read(self.path) if self.found else ("", "doctor_dotenv_none")
        self.dotenv = {name: value for name, value in dotenv_values(stream=StringIO(self.text)).items() if value}
        self.mode = self.get("CHATKIT_MODE") or MODES[0]
        # Replay sends nothing, so what would make a sent request fail is no trouble there.
        self.when_sent = TROUBLE if self.mode in MODES[1:] else CAUTION

    def get(self, name: str) -> str:
        return (os.environ.get(name) or self.dotenv.get(name) or "").strip()


def _read(path: Path) -> tuple[str, str]:
    """Return the text of a `.env`, and the name of the sentence that says how reading it went."""
    try:
        if not path.is_file():  # python-dotenv would wait for what a named pipe brings
            return "", "doctor_dotenv_no_file"
        text = path.read_bytes().decode("utf-8")
    except OSError:
        return "", "doctor_dotenv_closed"
    except UnicodeDecodeError:
        return "", "doctor_dotenv_no_text"
    return ("", "doctor_dotenv_no_text") if "\0" in text else (text, "doctor_dotenv")


def examine() -> int:
    """Print the findings as they come and return 1 if one of them is trouble, else 0."""
    if isinstance(sys.stdout, TextIOWrapper):  # a console may lack a sign, a path may hold bytes that are no text
        sys.stdout.reconfigure(errors="backslashreplace")
    marks: Counter[str] = Counter()
    with contextlib.chdir(_lessons_folder()):
        settings = Settings()
        for check in CHECKS:
            for mark, text in _attempt(check, settings):
                marks[mark] += 1
                print(f"{say(mark)}  " + text.replace("\n", "\n      "), flush=True)
    print(say("doctor_result", troubles=marks[TROUBLE], cautions=marks[CAUTION]))
    return int(marks[TROUBLE] > 0)


def _lessons_folder() -> Path:
    here = Path.cwd()
    with contextlib.suppress(ChatkitError):
        # `chatkit lab` runs the lessons in the work copy: a `.env` there is the nearest to them.
        if notebooks.originals() == here.resolve() and (here / "work").is_dir():
            return here / "work"
    return here


def _attempt(check: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    try:
        yield from check(settings)
    except Exception as error:  # an odd machine must not keep the other checks from speaking
        yield CAUTION, say("doctor_failed", check=check.__name__, error=type(error).__name__)


def versions(_settings: Settings) -> Iterator[Finding]:
    """Compare what is installed with what chatkit declares to need."""
    yield GOOD, say("doctor_python", version=platform.python_version(), system=platform.system())
    try:
        unmet = _unmet(metadata.requires("chat-completions-lessons") or [])
    except metadata.PackageNotFoundError:
        yield CAUTION, say("doctor_not_installed")
        return
    if unmet:
        yield TROUBLE, say("doctor_unmet", unmet=", ".join(unmet))
    else:
        shown = [f"{name} {_version(name)}" for name in ("openai", "jupyterlab", "ipykernel")]
        yield GOOD, say("doctor_packages", versions=", ".join(shown))


def _unmet(lines: list[str]) -> list[str]:
    from packaging.requirements import Requirement

    needs = [need for need in map(Requirement, lines) if not need.marker or need.marker.evaluate({"extra": ""})]
    found = [(need, _version(need.name)) for need in needs]
    return [f"{need} ({version})" for need, version in found if not need.specifier.contains(version, True)]


def _version(name: str) -> str:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    return "0"


def dotenv_file(settings: Settings) -> Iterator[Finding]:
    """Tell which `.env` the lessons read, and which of its lines set nothing."""
    from dotenv.parser import parse_stream

    mark = GOOD if settings.reading in ("doctor_dotenv", "doctor_dotenv_none") else TROUBLE
    yield mark, say(settings.reading, path=settings.path, n=len(settings.dotenv))
    # A word alone is no error to python-dotenv: a key pasted without its name, for one.
    parsed = parse_stream(StringIO(settings.text))
    if unset := [part.original for part in parsed if part.error or (part.key and part.value is None)]:
        # The empty lines before a statement count as its own.
        lines = [each.line + each.string[: -len(each.string.lstrip())].count("\n") for each in unset]
        yield CAUTION, say("doctor_dotenv_lines", path=settings.path, lines=", ".join(map(str, lines)))


def overlooked(settings: Settings) -> Iterator[Finding]:
    """Find what was meant to be the `.env` in the folders that were searched for it."""
    mark = CAUTION if settings.found else TROUBLE
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / ".env.txt").is_file():
            yield mark, say("doctor_dotenv_name", path=folder / ".env.txt")
        if (folder / ".env").is_dir():
            yield mark, say("doctor_dotenv_no_file", path=folder / ".env")
        if settings.found and folder == settings.path.parent:
            return


def ignored_by_git(settings: Settings) -> Iterator[Finding]:
    """Ask git, in a checkout, whether `.env` would be committed."""
    folder = settings.path.parent
    if not any((above / ".git").exists() for above in (folder, *folder.parents)):
        return
    command = ["git", "check-ignore", "--quiet", ".env"]
    code = subprocess.run(command, cwd=folder, capture_output=True, timeout=5).returncode if shutil.which("git") else -1
    answers = {0: (GOOD, "doctor_ignored"), 1: (TROUBLE, "doctor_not_ignored")}
    mark, name = answers.get(code, (CAUTION, "doctor_git_failed"))
    yield mark, say(name, path=settings.path)


def mode(settings: Settings) -> Iterator[Finding]:
    """Tell whether requests are played or sent."""
    if settings.mode in MODES:
        yield GOOD, say("doctor_mode", mode=settings.mode)
    else:
        yield TROUBLE, say("doctor_mode_unknown", got=_shown(settings.mode), known=", ".join(MODES))


def key(settings: Settings) -> Iterator[Finding]:
    """Tell where the key comes from, and what in its form keeps it from being accepted."""
    places = {say("doctor_environment"): os.environ, str(settings.path): settings.dotenv}
    found = {place: values.get("OPENAI_API_KEY", "") for place, values in places.items()}
    keys = {place: value for place, value in found.items() if value.strip() not in ("", PLACEHOLDER_KEY)}
    if not keys:
        sends = (TROUBLE, "doctor_no_key_live")
        nothing = {"auto": (CAUTION, "doctor_no_key_auto"), "live": sends, "record": sends}
        mark, name = nothing.get(settings.mode, (GOOD, "doctor_no_key"))
        yield mark, say(name, mode=settings.mode)
        return
    place, value = next(iter(keys.items()))
    wrong = next((name for name, pattern in _MALFORMED.items() if re.search(pattern, value)), "")
    if not wrong and not value.startswith("sk-") and not settings.get("OPENAI_BASE_URL"):
        wrong = "doctor_key_unusual"
    yield settings.when_sent if wrong else GOOD, say(wrong or "doctor_key", place=place, key=masked(value))
    if len(set(keys.values())) > 1:
        yield CAUTION, say("doctor_key_hidden", path=settings.path)


def masked(key: str) -> str:
    """Return the end of a key, by which its owner knows it, and nothing of what is too short to spare it."""
    bare = key.strip(" \n\"'“”‘’")
    end = bare[-4:] if len(bare) >= 20 and bare.isascii() and bare.isprintable() else ""
    return ("sk-…" if bare.startswith("sk-") else "…") + end


def _shown(value: str) -> str:
    # A key pasted behind the name of another setting must not be shown either.
    return masked(value) if "sk-" in value or len(value) > 40 else repr(value)[1:-1]


def model(settings: Settings) -> Iterator[Finding]:
    """Tell how long the chosen model, or else the course's, is in service."""
    name = settings.get("OPENAI_MODEL") or models.default()
    found = models.known().get(name)
    date, left = (found.shutdown, found.days_left(datetime.date.today())) if found else (None, None)
    life = say("model_dying", date=date) if date else say("model_active")
    words = {"model": _shown(name), "course": models.default(), "date": date, "life": life, "as_of": models.checked()}
    if not found and not settings.get("OPENAI_BASE_URL"):
        yield CAUTION, say("doctor_model_unknown", **words)
    elif left is None or left > models.WARN_DAYS:
        yield GOOD, say("doctor_model", **words)
    elif left > 0:
        yield CAUTION, say("doctor_model_dying", **words)
    else:
        yield settings.when_sent, say("doctor_model_dead", **words)


def font(_settings: Settings) -> Iterator[Finding]:
    """Look for a font with Hangul: only Linux may come without one."""
    if platform.system() != "Linux":
        yield GOOD, say("doctor_font")
    elif tool := shutil.which("fc-list"):
        listed = subprocess.run([tool, ":lang=ko"], capture_output=True, timeout=5).stdout.strip()
        yield (GOOD, say("doctor_font")) if listed else (CAUTION, say("doctor_font_missing"))


def kernel(_settings: Settings) -> Iterator[Finding]:
    """Start a Jupyter kernel as JupyterLab does and let it compute."""
    try:
        yield GOOD, say("doctor_kernel", answer=_one_plus_one())
    except Exception as error:  # there are as many ways to fail as machines
        yield TROUBLE, say("doctor_kernel_failed", error=type(error).__name__)


def _one_plus_one() -> str:
    from jupyter_client.manager import run_kernel

    limit, quiet = KERNEL_SECONDS, subprocess.DEVNULL
    client: Any  # `run_kernel` declares less than the blocking client it gives, whose `execute` can wait
    with run_kernel(kernel_name="python3", startup_timeout=limit, stdout=quiet, stderr=quiet) as client:
        reply = client.execute("", user_expressions={"sum": "1+1"}, reply=True, timeout=limit)
    return str(reply["content"]["user_expressions"]["sum"]["data"]["text/plain"])


CHECKS = (versions, dotenv_file, overlooked, ignored_by_git, mode, key, model, font, kernel)
