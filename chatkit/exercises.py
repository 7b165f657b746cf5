"""The exercises of a lesson as files, and how a request, a value or a function is judged by them.

A rule is a JSON Schema (draft 7) on the request's body, to which `view` adds what a schema cannot ask for: `roles`,
the roles of the messages in order, as in "system user", and `last`, the last message. A content of text parts counts
as their text. No rule reads a reply.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import itertools
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pydantic

from chatkit import models
from chatkit.errors import ChatkitError
from chatkit.messages import say
from chatkit.recordings import Json, comparable

FORMAT = 1
_MOST_YIELDED, _LONGEST = 1_000, 300


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

    def accepts(self, value: Json, facts: Mapping[str, Json] | None = None) -> bool:
        """Say whether a value has the form that the rule asks for.

        `{"fact": NAME}` in the schema asks for that fact of the exchange itself: `reply`, `first_line` of it,
        `completion_tokens`, or `body`. One that is not known asks for its type alone.
        """
        return _accepts(json.dumps(_filled(self.schema, facts or {}), sort_keys=True), value)


FACTS: dict[str, Json] = {
    "reply": {"type": "string", "minLength": 1},
    "first_line": {"type": "string", "minLength": 1},
    "completion_tokens": {"type": "integer"},
    "body": {"type": "object"},
}


def _filled(schema: Json, facts: Mapping[str, Json]) -> Json:
    if isinstance(schema, list):
        return [_filled(item, facts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if set(schema) == {"fact"}:
        name = schema["fact"]
        return {"const": facts[name]} if name in facts else FACTS[name]
    return {key: _filled(item, facts) for key, item in schema.items()}


@dataclass(frozen=True)
class Case:
    """Arguments of a call, by position or by name, and what it is to return.

    `takes` is how many items of its first argument the function may take.
    """

    arguments: list[Json] | dict[str, Json]
    returns: Json
    takes: int | None = None

    def call(self, function: Callable[..., Any]) -> Any:
        """Call a function with copies of the arguments and return what it returns, or yields.

        Raises:
            Greedy: it took more than `takes` items of its first argument, which it then gets as an iterator.
        """
        given = copy.deepcopy(self.arguments)
        if isinstance(given, dict):
            return _returned(function(**given))
        if self.takes is None:
            return _returned(function(*given))
        items = Counted(given[0])
        came = _returned(function(items, *given[1:]))
        if items.taken > self.takes:
            raise Greedy(items.taken - self.takes)
        return came

    def shown(self, name: str) -> str:
        """Return the call as a learner would write it."""
        named = self.arguments.items() if isinstance(self.arguments, dict) else ()
        listed = () if named else self.arguments
        return f"{name}({', '.join([*map(repr, listed), *(f'{key}={value!r}' for key, value in named)])})"


class Greedy(Exception):
    """A function took more items than it may."""


class Counted:
    """An iterator that knows how many items were taken."""

    def __init__(self, items: list[Json]) -> None:
        self._items, self.taken = iter(items), 0

    def __iter__(self) -> Counted:
        return self

    def __next__(self) -> Json:
        item = next(self._items)
        self.taken += 1
        return item


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

    `stopped` is the hint for code that fails before it sends anything, where no goal tells what is wrong.
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
    stopped: str = ""

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
    return sorted((read(path, Exercise) for path in files(lesson)), key=lambda each: (each.level, each.id))


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
    known = comparable(body) if isinstance(body, dict) else {}
    listed = known.get("messages")
    messages = [_flat(message) for message in listed if isinstance(message, dict)] if isinstance(listed, list) else []
    roles = " ".join(str(message.get("role")) for message in messages)
    others = listed if isinstance(listed, list) else [listed] if listed else []
    strange = [type(other).__name__ for other in others if not isinstance(other, dict)]
    seen = {"messages": messages, "roles": roles, "last": messages[-1] if messages else {}}
    return {**known, **seen, "strange": strange}


def _flat(message: dict[str, Json]) -> dict[str, Json]:
    parts = message.get("content")
    if not isinstance(parts, list):
        return message
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return {**message, "content": "\n".join(text for text in texts if isinstance(text, str))}


_TEXT = {"type": ["string", "array"]}
# What every request needs, beside what models.toml says of the model; by the sentence that tells it.
_FORMS: dict[str, Json] = {
    "exercise_role": {
        "properties": {
            "messages": {
                "items": {
                    "properties": {"role": {"enum": ["system", "developer", "user", "assistant", "tool"]}},
                    "required": ["role"],
                }
            }
        }
    },
    "exercise_content": {
        "properties": {
            "messages": {
                "items": {
                    "anyOf": [
                        {"properties": {"content": _TEXT}, "required": ["content"]},
                        {"properties": {"role": {"const": "assistant"}}, "required": ["role"]},
                    ]
                }
            }
        }
    },
    "exercise_temperature": {"properties": {"temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2}}},
}


def refusal(body: Mapping[str, Json]) -> Goal | None:
    """Return what the API itself would refuse of a body in the form of `view`, as a goal not reached.

    One thing at a time, as the API does; whatever came is judged.
    """
    hint = next(_refused(body), None)
    return Goal(say("exercise_accepted"), (hint,)) if hint else None


def _refused(body: Mapping[str, Json]) -> Iterator[str]:
    model = body.get("model")
    if isinstance(model, str) and model in models.known():
        yield from (say("exercise_parameter", name=name) for name in models.find(model).refused(dict(body)))
    elif model != os.environ.get("OPENAI_MODEL"):
        yield say("exercise_model", got=model)
    if body["strange"]:
        yield say("exercise_strange_messages", got=body["strange"][0])
    elif not body["messages"]:
        yield say("exercise_no_messages")
    yield from (say(name) for name, schema in _FORMS.items() if not _accepts(json.dumps(schema), body))
    yield from (say("exercise_unpaired", id=name) for name in unpaired(body))
    if _asks_for_json(body) and "json" not in _texts(body).lower():
        yield say("exercise_says_json")


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


def prepare(exercise: Exercise) -> None:
    """Compile an exercise's rules, so that no request has to wait for it."""
    nothing = view({})
    refusal({**nothing, "model": models.default(), "messages": [{}]})
    for step in exercise.steps:
        marks(step, nothing)


def marks(step: Step, body: Mapping[str, Json], facts: Mapping[str, Json] | None = None) -> list[bool]:
    """Return for each rule of a step whether a body in the form of `view` reaches it."""
    return [rule.accepts(body, facts) for rule in step.rules]


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
    """Return a cell's value as JSON has it: tuples as lists, a Decimal as a number."""
    if isinstance(value, Decimal):
        return float(value)
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
            with contextlib.redirect_stdout(io.StringIO()):
                came = plain(case.call(call))
            if not _equal(came, case.returns):
                expected, got = _brief(case.returns), _brief(came)
                return say("exercise_call_differs", call=shown, expected=expected, got=got)
        except Greedy as error:
            return say("exercise_call_greedy", call=shown, n=error)
        except BaseException as error:  # a learner's function may fail in any way, and may have to be interrupted
            return say("exercise_call_failed", call=shown, error=f"{type(error).__name__}: {error}")
    return None


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _equal(came: Any, expected: Json) -> bool:
    if isinstance(expected, list) and isinstance(came, list):
        return len(came) == len(expected) and all(map(_equal, came, expected))
    if isinstance(expected, int | float) and isinstance(came, int | float):
        return isinstance(came, bool) == isinstance(expected, bool) and math.isclose(came, expected)
    return bool(came == expected)


def _returned(value: Any) -> Any:
    """Return a value, or what a generator yields, as far as anybody would wait for it."""
    return list(itertools.islice(value, _MOST_YIELDED)) if hasattr(value, "__next__") else value
