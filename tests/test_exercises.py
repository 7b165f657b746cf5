"""Judging is pure and takes whatever comes; a file says what is wrong with it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isolation import PROJECT

from chatkit import exercises, notebooks
from chatkit.errors import ChatkitError
from chatkit.exercises import Case, Function, Rule, Step

RECORDINGS = PROJECT / "notebooks" / "recordings"
BANK = [each for lesson in notebooks.lessons(PROJECT) for each in exercises.every(RECORDINGS / lesson.stem)]
LUNA = "gpt-6-luna"

keys = st.sampled_from(["role", "content", "tool_calls", "tool_call_id", "id", "text", "type", "json_schema"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
names = ["model", "messages", "response_format", "tools", "stream", "stream_options", "temperature", "max_tokens"]
bodies = st.dictionaries(st.sampled_from(names), anything, max_size=5) | anything
well_formed = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": st.text(max_size=10)},
    optional={
        "tool_call_id": st.sampled_from("ab"),
        "tool_calls": st.lists(st.fixed_dictionaries({"id": st.sampled_from("ab")})),
    },
)


@given(bodies)
def test_whatever_came_is_judged_and_left_as_it_was(body: Any) -> None:
    before = copy.deepcopy(body)
    seen = exercises.view(body)
    first = exercises.refusal(seen)
    judged = [exercises.marks(step, seen) for exercise in BANK for step in exercise.steps]
    assert body == before
    assert first == exercises.refusal(seen)
    assert judged == [exercises.marks(step, seen) for exercise in BANK for step in exercise.steps]


@given(anything)
def test_any_value_of_a_cell_is_judged(value: Any) -> None:
    for exercise in BANK:
        if exercise.value:
            assert exercise.value.accepts(exercises.plain(value)) in (True, False)


@pytest.mark.parametrize("value", [object(), {1, 2}, print, b"x", ..., {"a": object()}])
def test_a_value_that_is_no_json_reaches_no_goal(value: Any) -> None:
    facts = {"reply": "가", "first_line": "가", "completion_tokens": 1, "body": {"model": LUNA}}
    assert not any(each.value.accepts(exercises.plain(value), facts) for each in BANK if each.value)


@given(st.lists(well_formed, max_size=6))
def test_a_result_is_paired_exactly_with_an_open_call_before_it(messages: list[dict[str, Any]]) -> None:
    lost = exercises.unpaired({"messages": messages})
    calls = [call["id"] for message in messages if message["role"] != "tool" for call in message.get("tool_calls", [])]
    results = [message.get("tool_call_id") for message in messages if message["role"] == "tool"]
    assert (len(calls) + len(results) - len(lost)) % 2 == 0  # what is paired comes in twos
    if not results:
        assert lost == calls


def test_roles_and_the_last_message_are_what_a_schema_cannot_ask_for() -> None:
    seen = exercises.view({"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]})
    assert seen["roles"] == "system user" and seen["last"] == {"role": "user", "content": "b"}
    assert exercises.view({})["roles"] == "" and exercises.view(None)["last"] == {}


def test_parts_count_as_their_text() -> None:
    parts = [{"type": "text", "text": "가"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "나"}]
    assert exercises.view({"messages": [{"role": "user", "content": parts}]})["last"]["content"] == "가\n나"


def test_a_plain_request_to_the_courses_model_is_accepted() -> None:
    body = {"model": LUNA, "messages": [{"role": "user", "content": "안녕"}], "reasoning_effort": "none"}
    assert exercises.refusal(exercises.view({**body, "temperature": 1, "tools": []})) is None


def test_no_rule_of_the_lessons_reads_a_reply() -> None:
    def patterns(schema: Any) -> list[str]:
        inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else []
        own = [schema["pattern"]] if isinstance(schema, dict) and isinstance(schema.get("pattern"), str) else []
        return own + [found for each in inner for found in patterns(each)]

    assert not [each.id for each in BANK if each.value and patterns(each.value.schema)]


# functions


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        (lambda x: x * 2, None),
        (lambda x: x * 2, None),
        (lambda x: x, "f(2)"),
        (lambda: 1, "TypeError"),
        (lambda x: x.nothing, "AttributeError"),
    ],
)
def test_a_function_is_told_the_first_call_that_went_wrong(call: Any, wrong: str | None) -> None:
    function = Function("두 배", ("힌트",), "f", (Case([2], 4), Case([3], 6)))
    told = exercises.shortcoming(function, call)
    assert told is None if wrong is None else wrong in str(told)


def test_tuples_are_lists_to_a_case() -> None:
    function = Function("짝", ("힌트",), "f", (Case([1], [1, [2]]),))
    assert exercises.shortcoming(function, lambda x: (x, (2,))) is None


# files


def written(folder: Path, content: Any, name: str = "01-a") -> Path:
    lesson = folder / "01_test"
    (lesson / "exercises").mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (lesson / "exercises" / f"{name}.json").write_text(text, encoding="utf-8")
    return lesson


VALID: dict[str, Any] = {
    "chatkit_exercise": 1,
    "id": "01-a",
    "level": "core",
    "title": "가",
    "task": "나",
    "source": {"kind": "authored"},
    "steps": [{"rules": [{"goal": "다", "hints": ["라"], "schema": {}}], "reply": "마"}],
}


def test_a_file_becomes_an_exercise(tmp_path: Path) -> None:
    exercise = exercises.load(written(tmp_path, VALID), "01-a")
    assert exercise.steps == (Step((Rule("다", ("라",), {}),), "마"),)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"level": "easy"}, "level"),
        ({"steps": []}, "neither steps nor functions"),
        ({"steps": [{"rules": [{"goal": "다", "hints": [], "schema": {}}], "reply": "마"}]}, "at least one hint"),
        ({"steps": [{"rules": [{"goal": "다", "schema": {}}], "reply": "마"}]}, "hints"),
        ({"chatkit_exercise": 2}, "format 2"),
        ({"title": None}, "title"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_why(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(ChatkitError) as raised:
        exercises.load(written(tmp_path, {**VALID, **change}), "01-a")
    assert "01-a.json" in str(raised.value) and told in str(raised.value)


@pytest.mark.parametrize("rights", [0, 2])
def test_a_question_has_one_right_choice(rights: int, tmp_path: Path) -> None:
    choices = [{"text": str(n), "reason": "왜냐하면", "right": n < rights} for n in range(3)]
    lesson = written(tmp_path, [{"id": "01-q", "question": "?", "choices": choices}], "quiz")
    with pytest.raises(ChatkitError, match="one right choice"):
        exercises.questions(lesson)


def test_a_lesson_without_a_folder_of_exercises_has_the_packages_own(tmp_path: Path) -> None:
    assert [each.id for each in exercises.every(tmp_path / "01_setup")] == ["01-ask", "01-body"]
    assert exercises.every(tmp_path / "07_nothing") == exercises.questions(tmp_path / "07_nothing") == []
