"""What `chatkit verify` looks for in recordings and notebooks; each finding says what and where."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from chatkit import authored, exercises, models
from chatkit.errors import ChatkitError
from chatkit.recordings import (
    KINDS,
    Json,
    Record,
    Unreadable,
    dump,
    file_name,
    find_secrets,
    key_of,
    load,
    seal,
    text_of,
)


def check_recordings(root: Path, used: set[str] | None = None) -> list[str]:
    """Return what is wrong with the recordings below a root of lesson folders.

    `used` holds `lesson/key` of every recording that was asked for; without it nothing counts as stale.
    """
    found = []
    for path in sorted(root.glob("*/*")):
        if path.name == "exercises":
            continue
        if path.suffix != ".json":
            found.append(f"{path}: not a recording (*.json expected)")
            continue
        found += [f"{path}: {problem}" for problem in _problems(path)]
        if used is not None and f"{path.parent.name}/{path.stem[-12:]}" not in used:
            found.append(f"{path}: never asked for by any lesson cell, variant or solution; delete it")
    return found


def check_exercises(root: Path, books: Iterable[Path]) -> list[str]:
    """Return what is wrong with the exercises and questions below a root of lesson folders, and which no cell asks."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in books)
    found = []
    for lesson in sorted(root.glob("*/")):
        for path in sorted((lesson / "exercises").glob("*")):
            problems = _exercise_problems(lesson, path, sources)
            found += [f"{path}: {problem}" for problem in problems]
    return found


def _exercise_problems(lesson: Path, path: Path, sources: str) -> Iterator[str]:
    try:
        yield from (f"holds a secret: {what}" for what in find_secrets(path.read_text(encoding="utf-8")))
        if path.stem == "quiz":
            names = [question.id for question in exercises.questions(lesson)]
            yield from (f"no cell asks {name}" for name in names if f'chatkit.quiz(\\"{name}\\")' not in sources)
            return
        exercise = exercises.load(lesson, path.stem)
    except (ChatkitError, UnicodeDecodeError) as error:
        yield str(error)
        return
    if exercise.id != path.stem:
        yield f"its id is {exercise.id!r}"
    if sources.count(f'chatkit.exercise(\\"{exercise.id}\\")') != 2:
        yield "expected in one cell of the lesson and one of its solutions"
    yield from _provenance_problems({"source": exercise.source})
    for number, step in enumerate(exercise.steps, 1):
        yield from (f"step {number}: {problem}" for problem in _sample_problems(exercise, step))


def _sample_problems(exercise: exercises.Exercise, step: exercises.Step) -> Iterator[str]:
    body = {"model": models.default(), "messages": [], "reasoning_effort": "none"}
    request = {"method": "POST", "path": "/chat/completions", "json": body}
    try:
        day = datetime.date.fromisoformat(exercise.source.get("recorded", ""))
        response = authored.response(request, step.reply, exercise.id, day)
    except (ChatkitError, LookupError, TypeError, ValueError, AttributeError) as error:
        yield f"its reply cannot be played ({error})"
        return
    yield from _chat_problems({"request": request, "source": exercise.source}, response)


def check_notebook(path: Path) -> list[str]:
    """Return the secrets and local paths in a notebook's sources and outputs."""
    found = []
    for index, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        text = json.dumps(cell, ensure_ascii=False)
        found += [f"{path}: cell {index}: holds {what}" for what in [*find_secrets(text), *_local_paths(text)]]
    return found


def read_usage(log: Path) -> set[str]:
    """Return the `lesson/key` lines that replays wrote into a folder of usage logs."""
    return {line for file in log.glob("*.txt") for line in file.read_text(encoding="utf-8").splitlines()}


def _local_paths(text: str) -> list[str]:
    markers = ("/home/", "/Users/", "/root/", "/work/", "/private/var/", "\\\\Users\\\\", "site-packages")
    return [f"a path of one machine ({marker})" for marker in markers if marker in text]


def _problems(path: Path) -> list[str]:
    found = []
    try:
        for problem in _recording_problems(path):
            found.append(problem)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        found.append(f"holds a value of another kind than chatkit writes ({error})")
    return found


def _recording_problems(path: Path) -> Iterator[str]:
    try:
        text = path.read_bytes().decode("utf-8")  # as it is: read_text would mend line ends
        record = load(path)
    except (UnicodeDecodeError, Unreadable) as error:
        yield f"cannot be read ({error})"
        return
    yield from (f"holds a secret: {what}" for what in find_secrets(text))
    yield from _provenance_problems(record)
    if record["key"] != key_of(record["request"]):
        yield f"its request was changed: key is {record['key']}, the request's is {key_of(record['request'])}"
    if record.get("sha256") != seal(record)["sha256"]:
        yield "its content was changed after it was sealed"
    elif text != dump(record):
        yield "its text is not in the form that chatkit writes"
    if path.name != file_name(record):
        yield f"its name should be {file_name(record)}"
    for number, response in enumerate(record["responses"], 1):
        yield from (f"response {number}: {problem}" for problem in _response_problems(record, response))


def _provenance_problems(record: Record) -> Iterator[str]:
    source = record["source"]
    if source["kind"] not in KINDS:
        yield f"unknown source kind {source['kind']!r}; expected one of {', '.join(KINDS)}"
    expected = ["by", "recorded", *(["why"] if source["kind"] == "authored" else [])]
    yield from (f'its source does not say "{name}"' for name in expected if not source.get(name))
    if record.get("constructed") and source["kind"] != "authored":
        yield "constructed, but not authored"


def _response_problems(record: Record, response: Json) -> Iterator[str]:
    if "fault" in response:
        return
    if "events" in response:
        if response.get("text") != text_of(response["events"]):
            yield "its text differs from its events"
        times = [event[0] for event in response["events"]]
        if times != sorted(times):
            yield "its events are not in the order of their times"
    if record["request"].get("path") == "/chat/completions":
        yield from _chat_problems(record, response)


def _chat_problems(record: Record, response: Json) -> Iterator[str]:
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    strict = record["source"]["kind"] == "authored"
    if response["status"] >= 400:
        yield from _error_problems(response)
        return
    yield from _accepted_problems(record)
    if "events" not in response:
        yield from _schema_problems(ChatCompletion, response.get("json"), strict)
        return
    for number, (_ms, data, *_name) in enumerate(response["events"], 1):
        if isinstance(data, dict) and "error" not in data:
            problems = _schema_problems(ChatCompletionChunk, data, strict)
            yield from (f"event {number}: {problem}" for problem in problems)


def _accepted_problems(record: Record) -> Iterator[str]:
    body = record["request"].get("json")
    if not isinstance(body, dict) or record["source"]["kind"] != "authored":
        return
    if body.get("model") in models.known():
        refused = models.find(body["model"]).refused(body)
        yield from (f"{body['model']} answers {name!r} with 400 (models.toml), not with a reply" for name in refused)


def _error_problems(response: Json) -> Iterator[str]:
    body = response.get("json")
    error = body.get("error") if isinstance(body, dict) else None
    if "json" in response and not (isinstance(error, dict) and {"message", "type", "param", "code"} <= set(error)):
        yield "an error body needs error.message, type, param and code"


def _schema_problems(kind: Any, body: Json, strict: bool) -> Iterator[str]:
    from pydantic import ValidationError

    try:
        parsed = kind.model_validate(body)
    except ValidationError as error:
        yield from (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return
    if strict:
        yield from (f"unknown field {name!r}" for name in sorted(_unknown(parsed)))


def _unknown(parsed: Any, prefix: str = "") -> set[str]:
    """Return the dotted names of fields that the SDK's types do not have."""
    from pydantic import BaseModel

    if isinstance(parsed, list):
        return set().union(*(_unknown(item, prefix) for item in parsed))
    if not isinstance(parsed, BaseModel):
        return set()
    names = {prefix + name for name in parsed.model_extra or {} if name not in type(parsed).model_fields}
    children = (_unknown(getattr(parsed, name), f"{prefix}{name}.") for name in type(parsed).model_fields)
    return names.union(*children)
