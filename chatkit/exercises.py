"""The exercises of a lesson as files, and how a request, a value or a function is judged by them.

A rule is a JSON Schema (draft 7) on the request's body, to which `view` adds what a schema cannot ask for: `roles`,
the roles of the messages in order, as in "system user", and `last`, the last message. A content of text parts counts
as their text. No rule reads a reply.
"""

from __future__ import annotations

import copy
import functools
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pydantic

from chatkit import models
from chatkit.errors import ChatkitError
from chatkit.messages import say
from chatkit.recordings import Json

FORMAT = 1
_MOST_YIELDED = 1_000


@dataclass(frozen=True)
class Goal:
    """Something an attempt has to reach; `hints` go from a nudge to a scaffold."""

    goal: str
    hints: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.goal or not self.hints or not all(self.hints):
            raise ValueError("a goal needs its text and at least one hint")


@dataclass(frozen=True)
class Rule(Goal):
    """A goal that a JSON value reaches if its schema accepts it."""

    schema: dict[str, Json]

    def accepts(self, value: Json) -> bool:
        """Say whether a value has the form that the rule asks for."""
        return _accepts(json.dumps(self.schema, sort_keys=True), value)


@dataclass(frozen=True)
class Case:
    """Arguments of a call, by position or by name, and what it is to return."""

    arguments: list[Json] | dict[str, Json]
    returns: Json

    def call(self, function: Callable[..., Any]) -> Any:
        """Call a function with copies of the arguments."""
        given = copy.deepcopy(self.arguments)
        return function(**given) if isinstance(given, dict) else function(*given)

    def shown(self, name: str) -> str:
        """Return the call as a learner would write it."""
        named = self.arguments.items() if isinstance(self.arguments, dict) else ()
        listed = () if named else self.arguments
        return f"{name}({', '.join([*map(repr, listed), *(f'{key}={value!r}' for key, value in named)])})"


@dataclass(frozen=True)
class Function(Goal):
    """A goal that a learner's own pure function reaches if it returns what its cases say."""

    name: str
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Step:
    """One request of an exercise: its rules, and the sample reply in the form that `chatkit author` takes."""

    rules: tuple[Rule, ...]
    reply: Json


@dataclass(frozen=True)
class Exercise:
    """An exercise: the learner's functions, requests in their order, and the value of the cell.

    `nothing_more` is the goal to send no further request. The replies of a `scripted` one are played in every mode,
    because a live API cannot be made to give them.
    """

    chatkit_exercise: int
    id: str
    level: Literal["core", "stretch"]
    title: str
    task: str
    source: dict[str, str]
    steps: tuple[Step, ...] = ()
    value: Rule | None = None
    functions: tuple[Function, ...] = ()
    nothing_more: Goal | None = None
    scripted: bool = False

    def __post_init__(self) -> None:
        if self.chatkit_exercise != FORMAT:
            raise ValueError(f"format {self.chatkit_exercise}, readable: {FORMAT}")
        if not self.steps and not self.functions:
            raise ValueError("neither steps nor functions: nothing to grade")


@dataclass(frozen=True)
class Choice:
    """One answer to a question, and why it is right or wrong."""

    text: str
    reason: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """A question with one right choice."""

    id: str
    question: str
    choices: tuple[Choice, ...]

    def __post_init__(self) -> None:
        if sum(choice.right for choice in self.choices) != 1 or not all(choice.reason for choice in self.choices):
            raise ValueError(f"{self.id}: one right choice and a reason for every choice expected")


@functools.cache
def _shape(kind: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(kind)


def folder_of(lesson: Path) -> Path:
    """Return the folder of a lesson's exercises, beside its recordings or else in the package's own copy."""
    near = lesson / "exercises"
    return near if near.is_dir() else Path(__file__).parent / "lessons" / lesson.name / "exercises"


def load(lesson: Path, name: str) -> Exercise:
    """Return an exercise of the lesson whose folder of recordings this is.

    Raises:
        ChatkitError: there is none of that name, or its file cannot be used.
    """
    known = [path.stem for path in files(lesson)]
    if name not in known:
        raise ChatkitError(say("exercise_unknown", got=name, lesson=lesson.name, known=", ".join(known) or "-"))
    found: Exercise = read(folder_of(lesson) / f"{name}.json", Exercise)
    return found


def files(lesson: Path) -> list[Path]:
    """Return the files of a lesson's exercises by name."""
    return [path for path in sorted(folder_of(lesson).glob("*.json")) if path.stem != "quiz"]


def every(lesson: Path) -> list[Exercise]:
    """Return a lesson's exercises in their order: the core ones come first.

    Raises:
        ChatkitError: a file cannot be used.
    """
    return sorted((load(lesson, path.stem) for path in files(lesson)), key=lambda each: (each.level, each.id))


def questions(lesson: Path) -> list[Question]:
    """Return the questions of a lesson's quiz in their order; none if it has no quiz.

    Raises:
        ChatkitError: the file cannot be used.
    """
    path = folder_of(lesson) / "quiz.json"
    found: list[Question] = read(path, list[Question]) if path.exists() else []
    return found


def read(path: Path, kind: Any) -> Any:
    """Return what a file holds, in the shape of `kind`.

    Raises:
        ChatkitError: not JSON, or not of that shape.
    """
    try:
        return _shape(kind).validate_json(path.read_bytes(), strict=False)
    except (OSError, ValueError) as error:
        reasons = error.errors() if isinstance(error, pydantic.ValidationError) else []
        why = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in reasons[:3])
        raise ChatkitError(say("exercise_broken", file=path.name, reason=why or error)) from None


# requests


def view(body: Json) -> dict[str, Json]:
    """Return a request's body as rules see it; `strange` holds what stands where messages should."""
    known = dict(body) if isinstance(body, Mapping) else {}
    listed = known.get("messages")
    messages = [_flat(message) for message in listed if isinstance(message, dict)] if isinstance(listed, list) else []
    roles = " ".join(str(message.get("role")) for message in messages)
    # A list of anything but messages is told apart from an empty one.
    strange = [] if messages or not listed else [type(listed[0] if isinstance(listed, list) else listed).__name__]
    seen = {"messages": messages, "roles": roles, "last": messages[-1] if messages else {}}
    return {**known, **seen, "strange": strange}


def _flat(message: dict[str, Json]) -> dict[str, Json]:
    parts = message.get("content")
    if not isinstance(parts, list):
        return message
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return {**message, "content": "\n".join(text for text in texts if isinstance(text, str))}


def refusals(body: Mapping[str, Json]) -> list[Goal]:
    """Return what the API itself would refuse of a body in the form of `view`, as goals that are not reached.

    Raises nothing: whatever came is judged.
    """
    return [Goal(say("exercise_accepted"), (hint,)) for hint in _refused(body)]


def _refused(body: Mapping[str, Json]) -> Iterator[str]:
    model = body.get("model")
    if not isinstance(model, str) or model not in models.known():
        yield say("exercise_model", got=model)
    else:
        yield from (say("exercise_parameter", name=name) for name in models.find(model).refused(dict(body)))
    if body["strange"]:
        yield say("exercise_strange_messages", got=body["strange"][0])
    elif not body["messages"]:
        yield say("exercise_no_messages")
    yield from map(_misplaced, unpaired(body))
    if _asks_for_json(body) and "json" not in _texts(body).lower():
        yield say("exercise_says_json")


def _misplaced(name: str) -> str:
    return say("exercise_unpaired", id=name)


def unpaired(body: Mapping[str, Json]) -> list[str]:
    """Return the ids of tool results without a call before them, and of calls without a result after them."""
    open_calls: list[str] = []
    lost: list[str] = []
    for message in body.get("messages") or []:
        if message.get("role") != "tool":
            lost += open_calls
            calls = message.get("tool_calls")
            listed = calls if isinstance(calls, list) else []
            open_calls = [str(call.get("id")) for call in listed if isinstance(call, dict)]
        elif (name := str(message.get("tool_call_id"))) in open_calls:
            open_calls.remove(name)
        else:
            lost.append(name)
    return lost + open_calls


def _asks_for_json(body: Mapping[str, Json]) -> bool:
    wanted = body.get("response_format")
    return isinstance(wanted, dict) and wanted.get("type") == "json_object"


def _texts(body: Mapping[str, Json]) -> str:
    return "\n".join(str(message.get("content") or "") for message in body["messages"])


def marks(step: Step, body: Mapping[str, Json]) -> list[bool]:
    """Return for each rule of a step whether a body in the form of `view` reaches it."""
    return [rule.accepts(body) for rule in step.rules]


@functools.lru_cache(maxsize=512)
def _compiled(schema: str) -> Callable[[Json], Json]:
    import fastjsonschema

    check: Callable[[Json], Json] = fastjsonschema.compile(
        {"$schema": "http://json-schema.org/draft-07/schema#", **json.loads(schema)}, use_default=False
    )
    return check


def _accepts(schema: str, value: Json) -> bool:
    import fastjsonschema

    try:
        _compiled(schema)(value)
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True


# values and functions


def plain(value: Any) -> Any:
    """Return a cell's value with its tuples as lists, the one thing in which Python and JSON differ here."""
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def shortcoming(function: Function, call: Callable[..., Any]) -> str | None:
    """Call a learner's function with each of its cases; return what went wrong first, None if nothing did."""
    for case in function.cases:
        shown = case.shown(function.name)
        try:
            came = _returned(case.call(call))
        except (Exception, SystemExit) as error:  # a learner's function may fail in any way
            return say("exercise_call_failed", call=shown, error=f"{type(error).__name__}: {error}")
        if not _equal(plain(came), case.returns):
            return say("exercise_call_differs", call=shown, expected=repr(case.returns), got=repr(came))
    return None


def _equal(came: Any, expected: Json) -> bool:
    if isinstance(expected, list) and isinstance(came, list):
        return len(came) == len(expected) and all(map(_equal, came, expected))
    if isinstance(expected, int | float) and isinstance(came, int | float | Decimal):
        return isinstance(came, bool) == isinstance(expected, bool) and math.isclose(came, expected)
    return bool(came == expected)


def _returned(value: Any) -> Any:
    """Return a value, or what a generator yields, as far as anybody would wait for it."""
    return list(itertools.islice(value, _MOST_YIELDED)) if hasattr(value, "__next__") else value
