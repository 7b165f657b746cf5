"""An exercise's cell: what is judged, what is played, what the card says, in every mode and whatever goes wrong."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import openai
import pytest
from cells import Cells
from conftest import Lesson
from learner import LUNA, ask
from openai_server import OpenAIServer, Reply

import chatkit
from chatkit.errors import ChatkitError, ExerciseUnmet
from chatkit.messages import say

SOURCE = {"kind": "authored", "by": "the tests", "recorded": "2026-11-25", "why": "a test"}
PRELUDE = f"""
import json, openai
import chatkit
from openai import AsyncOpenAI, OpenAI
client, MODEL = OpenAI(max_retries=0), {LUNA!r}

def ask(text, **more):
    completion = client.chat.completions.create(model=MODEL, messages=[{{"role": "user", "content": text}}], **more)
    return completion.choices[0].message.content
"""
FIRST = 'chatkit.exercise("01-hello")\n'


def rule(goal: str, schema: dict[str, Any], *hints: str) -> dict[str, Any]:
    return {"goal": goal, "hints": list(hints or (f"{goal}: 힌트",)), "schema": schema}


def says(word: str) -> dict[str, Any]:
    return {"properties": {"last": {"properties": {"content": {"pattern": word}}, "required": ["content"]}}}


HELLO = rule("인사하기", says("안녕"), "무엇이라고 할까요?", "안녕이라고 하세요.", "그대로 쓰세요: 안녕하세요")
POLITE = rule("존댓말로", says("요$"))
NAME = rule("이름 묻기", says("이름"))
TEXT = rule("글로 끝내기", {"type": "string"})


@pytest.fixture
def written(lesson: Lesson, cells: Cells) -> Any:
    """Write an exercise of the lesson, start it, and return the lesson."""

    def write(name: str = "01-hello", start: bool = True, **fields: Any) -> Lesson:
        step = {"rules": [HELLO, POLITE], "reply": "반갑습니다."}
        content = {"chatkit_exercise": 1, "id": name, "level": "core", "title": "인사", "task": "인사해 보세요."}
        content |= {"source": SOURCE, "steps": [step], **fields}
        folder = lesson.folder / "exercises"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
        if start:
            lesson.start()
        cells.run(PRELUDE)
        return lesson

    return write


# a request is judged


def test_a_request_that_reaches_the_goals_gets_the_sample_reply(written: Any, cells: Cells) -> None:
    written()
    card = cells.attempt(FIRST + "ask('안녕하세요')")
    assert card.passed and cells.value == "반갑습니다."
    assert say("exercise_reply") in card.text and "> 반갑습니다." in card.text


def test_one_that_does_not_ends_the_cell_and_what_is_right_is_said_first(written: Any, cells: Cells) -> None:
    written()
    card = cells.attempt(FIRST + "ask('안녕!')\nraise ZeroDivisionError")
    assert isinstance(cells.error, ExerciseUnmet)
    assert card.goals == {"인사하기": "met", "존댓말로": "missed"}
    assert say("exercise_half", met=1, n=2) in card.head
    assert card.hint == "존댓말로: 힌트"


def test_an_except_for_the_sdks_errors_does_not_hide_it(written: Any, cells: Cells) -> None:
    written()
    cells.attempt(FIRST + "try:\n    ask('?')\nexcept openai.OpenAIError:\n    pass")
    assert isinstance(cells.error, ExerciseUnmet)


def test_hints_go_from_a_nudge_to_a_scaffold_and_stay_there(written: Any, cells: Cells) -> None:
    written(name="01-steps")
    hints = [cells.attempt('chatkit.exercise("01-steps")\nask("요")').hint for _ in range(4)]
    assert hints == [*HELLO["hints"], HELLO["hints"][-1]]


def test_the_reply_has_the_tokens_of_the_learners_own_words(written: Any, cells: Cells) -> None:
    written()
    code = (
        "client.chat.completions.create(model=MODEL, messages=[{'role': 'user', 'content': WORDS}]).usage.prompt_tokens"
    )
    sizes = []
    for words in ("안녕하세요", "아주 긴 말로 인사를 드립니다. 정말로 안녕하세요"):
        cells.attempt(FIRST + code.replace("WORDS", repr(words)))
        sizes.append(cells.value)
    assert sizes == [chatkit.tokens.count_messages([{"role": "user", "content": w}]) for w in ("안녕하세요", words)]


def test_a_stream_comes_in_pieces(written: Any, cells: Cells) -> None:
    written()
    code = """chunks = client.chat.completions.create(
    model=MODEL, messages=[{"role": "user", "content": "안녕하세요"}], stream=True)
[choice.delta.content for chunk in chunks for choice in chunk.choices]"""
    assert cells.attempt(FIRST + code).passed
    assert len(cells.value) > 3 and "".join(piece or "" for piece in cells.value) == "반갑습니다."


def test_asynchronous_requests_are_judged_the_same(written: Any, cells: Cells) -> None:
    written()
    code = """async with AsyncOpenAI(max_retries=0) as own:
    got = await own.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": WORDS}])
got.choices[0].message.content"""
    assert cells.attempt(FIRST + code.replace("WORDS", "'안녕하세요'")).passed
    assert cells.value == "반갑습니다."
    assert cells.attempt(FIRST + code.replace("WORDS", "'안녕'")).goals["존댓말로"] == "missed"


def test_content_parts_count_as_their_text(written: Any, cells: Cells) -> None:
    written()
    assert cells.attempt(FIRST + "ask([{'type': 'text', 'text': '안녕하세요'}])").passed


def test_the_requests_of_other_cells_are_answered_from_the_recordings(written: Any, cells: Cells) -> None:
    written(start=False).has("날씨", "맑습니다.")
    written()
    cells.attempt(FIRST + "ask('안녕하세요')")
    assert ask("날씨") == "맑습니다."


def test_what_goes_elsewhere_is_not_the_exercises_business(written: Any, cells: Cells) -> None:
    place = {"method": "GET", "url": "weather.example/now"}
    written(start=False).holds(place, {"status": 200, "json": {"celsius": 3}})
    written()
    code = "import httpx2\nhttpx2.get('https://weather.example/now').json()['celsius'], ask('안녕하세요')"
    assert cells.attempt(FIRST + code).passed
    assert cells.value == (3, "반갑습니다.")


def test_a_key_of_ones_own_is_still_refused_as_recorded(written: Any, cells: Cells) -> None:
    written()
    cells.attempt(FIRST + "client = OpenAI(api_key='sk-wrong')\nask('안녕하세요')")
    assert isinstance(cells.error, chatkit.MissingRecording)


# what the API would refuse


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("ask('안녕하세요', max_tokens=10)", say("exercise_parameter", name="max_tokens")),
        ("ask('안녕하세요', temperature=1)", say("exercise_parameter", name="temperature")),
        ("ask('안녕하세요', response_format={'type': 'json_object'})", say("exercise_says_json")),
        ("MODEL = 'gpt-x'\nask('안녕하세요')", say("exercise_model", got="gpt-x")),
        ("client.chat.completions.create(model=MODEL, messages=[])", say("exercise_no_messages")),
        (
            "client.chat.completions.create(model=MODEL, messages='안녕하세요')",
            say("exercise_strange_messages", got="str"),
        ),
        (
            "client.chat.completions.create(model=MODEL, messages=['안녕하세요'])",
            say("exercise_strange_messages", got="str"),
        ),
        (
            "client.chat.completions.create(model=MODEL, messages=[{'role': 'user', 'content': '안녕하세요'}, "
            "{'role': 'tool', 'tool_call_id': 'x', 'content': '요'}])",
            say("exercise_unpaired", id="x"),
        ),
    ],
)
def test_a_request_that_the_api_refuses_is_no_right_answer(code: str, hint: str, written: Any, cells: Cells) -> None:
    written()
    card = cells.attempt(FIRST + code)
    assert isinstance(cells.error, ExerciseUnmet)
    assert card.goals[say("exercise_accepted")] == "missed" and card.hint == hint


def test_what_is_right_of_a_refused_request_is_still_said(written: Any, cells: Cells) -> None:
    written()
    card = cells.attempt(FIRST + "ask('안녕하세요', stop=['.'])")
    assert (card.goals["인사하기"], card.goals["존댓말로"]) == ("met", "met")


# no request, errors


def test_an_untouched_cell_is_the_same_at_each_run(written: Any, cells: Cells) -> None:
    written()
    cards = [cells.attempt(FIRST + "# 여기에 이어서 씁니다").markdown for _ in range(3)]
    assert len(set(cards)) == 1 and say("exercise_untouched") in cards[0]


def test_a_cell_that_sends_nothing_is_told_so(written: Any, cells: Cells) -> None:
    written()
    card = cells.attempt(FIRST + "text = '안녕하세요'")
    assert say("exercise_no_request") in card.head and card.hint in HELLO["hints"]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("ask('안녕하세요', temperatur=1)", "temperatur"),
        ("OpenAI(api_key='')", "OpenAIError"),
        ("ask(words)", "NameError"),
        ("json.loads('{')", "JSONDecodeError"),
        ("ask('안녕하세요')\njson.loads('{')", "JSONDecodeError"),
    ],
)
def test_an_error_is_explained_and_stays_an_error(code: str, told: str, written: Any, cells: Cells) -> None:
    written()
    card = cells.attempt(FIRST + code)
    assert cells.error is not None and not isinstance(cells.error, ChatkitError)
    assert told in card.text and not card.passed


def test_the_line_that_failed_is_shown(written: Any, cells: Cells) -> None:
    written()
    cells.run("def helper(text):\n    return text.content")
    card = cells.attempt(FIRST + "text = '안녕'\nif text:\n    helper(text)\n")
    assert say("exercise_line", number=4, line="helper(text)") in card.text


def test_a_syntax_error_is_pythons_own(written: Any, cells: Cells) -> None:
    written()
    cells.run(FIRST + "ask('안녕하세요'")
    assert isinstance(cells.error, SyntaxError) and cells.shown == []


def test_after_an_error_the_next_cell_is_an_ordinary_one(written: Any, cells: Cells) -> None:
    written()
    cells.attempt(FIRST + "1 / 0")
    cells.run("ask('안녕하세요')")
    assert isinstance(cells.error, chatkit.MissingRecording) and cells.shown == []


def test_an_exercise_says_what_it_needs(written: Any, cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    written()
    cells.run("chatkit.exercise('01-helo')")
    assert str(cells.error) == say("exercise_unknown", got="01-helo", lesson="01_test", known="01-hello")
    cells.run(FIRST + "chatkit.exercise('01-hello')")
    assert str(cells.error) == say("exercise_twice", name="01-hello")
    chatkit.stop()
    cells.run(FIRST)
    assert str(cells.error) == say("no_session")


def test_outside_a_notebook_there_is_no_card(lesson: Lesson) -> None:
    lesson.start()
    with pytest.raises(ChatkitError) as raised:
        chatkit.exercise("01-hello")
    assert str(raised.value) == say("exercise_no_notebook")


@pytest.mark.parametrize("content", ["{", "[]", '{"chatkit_exercise": 1}', '{"chatkit_exercise": 2}'])
def test_a_broken_file_is_named(content: str, written: Any, cells: Cells) -> None:
    lesson = written()
    (lesson.folder / "exercises" / "01-hello.json").write_text(content, encoding="utf-8")
    cells.run(FIRST)
    assert isinstance(cells.error, ChatkitError) and "01-hello.json" in str(cells.error)


# several requests


MEMORY = [
    {"rules": [HELLO], "reply": "반갑습니다."},
    {
        "rules": [NAME, rule("답을 싣기", {"properties": {"roles": {"const": "user assistant user"}}})],
        "reply": "없습니다.",
    },
]
TALK = """first = {"role": "user", "content": "안녕"}
said = {"role": "assistant", "content": ask("안녕")}
last = {"role": "user", "content": "이름은?"}
client.chat.completions.create(model=MODEL, messages=[first, said, last]).choices[0].message.content"""


def test_requests_are_judged_in_their_order(written: Any, cells: Cells) -> None:
    written(steps=MEMORY)
    assert cells.attempt(FIRST + TALK).passed and cells.value == "없습니다."
    assert cells.attempt(FIRST + "ask('이름은?')").states == ["missed", "waiting", "waiting"]


def test_a_step_not_begun_is_the_next_hint(written: Any, cells: Cells) -> None:
    written(steps=MEMORY)
    card = cells.attempt(FIRST + "ask('안녕')")
    assert card.states == ["met", "waiting", "waiting"] and card.hint in NAME["hints"]


def test_an_earlier_request_may_be_sent_again(written: Any, cells: Cells) -> None:
    written(steps=MEMORY)
    assert cells.attempt(FIRST + "ask('안녕')\nask('안녕')\n" + TALK).passed


def test_a_request_too_many_is_seen(written: Any, cells: Cells) -> None:
    written(nothing_more={"goal": "한 번만", "hints": ["그만 보내세요."]})
    assert cells.attempt(FIRST + "ask('안녕하세요')").passed
    card = cells.attempt(FIRST + "ask('안녕하세요')\nask('안녕하세요')")
    assert card.goals["한 번만"] == "missed" and card.hint == "그만 보내세요."


def test_the_sdks_retries_are_the_same_request(written: Any, cells: Cells) -> None:
    error = {"message": "no", "type": "server_error", "param": None, "code": None}
    busy = {"status": 503, "json": {"error": error}, "headers": {"retry-after-ms": "1"}}
    written(steps=[{"rules": [HELLO], "reply": busy}, {"rules": [NAME], "reply": "없습니다."}])
    code = (
        "client = OpenAI(max_retries=2)\ntry:\n    ask('안녕')\nexcept openai.InternalServerError:\n    ask('이름은?')"
    )
    assert cells.attempt(FIRST + code).passed


def test_tool_calls_are_played_and_their_results_judged(written: Any, cells: Cells) -> None:
    function = {"name": "now", "arguments": "{}"}
    call = {"message": {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}}
    paired = rule("결과 돌려주기", {"properties": {"roles": {"pattern": "assistant tool$"}}})
    written(steps=[{"rules": [HELLO], "reply": call}, {"rules": [paired], "reply": "3시입니다."}])
    code = """messages = [{"role": "user", "content": "안녕, 몇 시야?"}]
tools = [{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}]
settings = dict(model=MODEL, reasoning_effort="none", messages=messages, tools=tools)
messages.append(client.chat.completions.create(**settings).choices[0].message)
messages.append({"role": "tool", "tool_call_id": messages[-1].tool_calls[0].id, "content": "15:00"})
client.chat.completions.create(**settings).choices[0].message.content"""
    assert cells.attempt(FIRST + code).passed and cells.value == "3시입니다."
    card = cells.attempt(FIRST + code.replace("messages[-1].tool_calls[0].id", "'other'"))
    assert card.goals[say("exercise_accepted")] == "missed"


def test_a_fault_of_the_learners_own_stands_in_front_of_the_exercise(written: Any, cells: Cells) -> None:
    written()
    code = """with chatkit.faults.then_fine(503):
    try:
        ask("안녕하세요")
    except openai.InternalServerError:
        ask("안녕하세요")"""
    assert cells.attempt(FIRST + code).passed


def test_a_loop_of_requests_too_many_is_ended_before_it_costs_money(
    written: Any, cells: Cells, live: OpenAIServer
) -> None:
    lesson = written(start=False, nothing_more={"goal": "한 번만", "hints": ["그만 보내세요."]})
    lesson.start(mode="live")
    cells.run(PRELUDE)
    card = cells.attempt(FIRST + "for _ in range(1_000):\n    ask('안녕하세요')")
    assert isinstance(cells.error, ExerciseUnmet)
    assert card.goals["한 번만"] == "missed" and len(live.requests) == 10


# values and functions


def test_the_cells_value_is_judged_once_the_requests_are_right(written: Any, cells: Cells) -> None:
    written(value=TEXT)
    assert cells.attempt(FIRST + "ask('안녕하세요')").passed
    card = cells.attempt(FIRST + "[ask('안녕하세요')]")
    assert card.goals["글로 끝내기"] == "missed"
    assert say("exercise_value", kind="list", value="['반갑습니다.']") in card.text
    assert say("exercise_no_value") in cells.attempt(FIRST + "print(ask('안녕하세요'))").text
    assert cells.attempt(FIRST + "ask('?')").goals["글로 끝내기"] == "waiting"


DOUBLE = {
    "goal": "두 배로",
    "name": "double",
    "hints": ["곱하세요."],
    "cases": [{"arguments": [2], "returns": 4}, {"arguments": [[1, 2]], "returns": [1, 2, 1, 2]}],
}


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def double(x): return x + 2", "double([1, 2])"),
        (
            "def double(x): return x ** 2 if x == 2 else None",
            say("exercise_call_differs", call="double([1, 2])", expected="[1, 2, 1, 2]", got="None"),
        ),
        ("def double(): pass", "TypeError"),
        ("def double(x): raise SystemExit", "SystemExit"),
    ],
)
def test_a_function_is_judged_by_what_it_returns(code: str, told: str, written: Any, cells: Cells) -> None:
    written(steps=[], functions=[DOUBLE])
    assert cells.attempt(FIRST + "def double(x): return x * 2").passed
    card = cells.attempt(FIRST + code)
    assert not card.passed and told in card.text and card.hint == "곱하세요."


@pytest.mark.parametrize(("named", "passes"), [("usd", True), ("dollar", False)])
def test_a_function_may_be_called_by_name(named: str, passes: bool, written: Any, cells: Cells) -> None:
    case = {"arguments": {"usd": 2}, "returns": 2800}
    written(steps=[], functions=[{**DOUBLE, "cases": [case]}])
    card = cells.attempt(FIRST + f"def double({named}): return {named} * 1400")
    assert card.passed is passes and ("double(usd=2)" in card.text) is not passes


@pytest.mark.parametrize(
    ("returned", "passes"),
    [("0.3", True), ("0.1 + 0.2", True), ("Decimal('0.30')", True), ("True", False), ("0.31", False)],
)
def test_numbers_are_compared_by_their_value(returned: str, passes: bool, written: Any, cells: Cells) -> None:
    written(steps=[], functions=[{**DOUBLE, "cases": [{"arguments": [], "returns": 0.3}]}])
    code = f"from decimal import Decimal\ndef double(): return {returned}"
    assert cells.attempt(FIRST + code).passed is passes


def test_a_function_may_yield_and_may_not_change_the_cases(written: Any, cells: Cells) -> None:
    case = {"arguments": [[1, 2]], "returns": [1, 2, 3]}
    written(steps=[], functions=[{**DOUBLE, "cases": [case, case]}])
    assert cells.attempt(FIRST + "def double(x):\n    x.append(3)\n    yield from x").passed


def test_a_generator_without_end_is_no_answer(written: Any, cells: Cells) -> None:
    written(steps=[], functions=[DOUBLE])
    assert not cells.attempt(FIRST + "import itertools\ndef double(x):\n    return itertools.count()").passed


def test_what_a_card_quotes_cannot_run(written: Any, cells: Cells) -> None:
    written(steps=[], functions=[DOUBLE])
    card = cells.attempt(FIRST + "def double(x): return '<img src=x onerror=alert(1)>'")
    assert "<img" not in card.markdown


def test_interrupting_a_function_without_end_still_shows_a_card(written: Any, cells: Cells) -> None:
    written(steps=[], functions=[DOUBLE])
    card = cells.attempt(FIRST + "def double(x): raise KeyboardInterrupt")
    assert "KeyboardInterrupt" in card.text
    assert cells.attempt(FIRST).states == ["waiting"]


@pytest.mark.parametrize("end", ["x = []\nx.append(x)\nx", "class X:\n    __eq__ = __repr__ = None\nX()"])
def test_a_value_that_cannot_be_looked_at_is_no_answer(end: str, written: Any, cells: Cells) -> None:
    written(value=TEXT)
    assert cells.attempt(FIRST + "ask('안녕하세요')\n" + end).goals["글로 끝내기"] == "missed"


def test_a_function_that_reads_too_far_is_told_so(written: Any, cells: Cells) -> None:
    first = {"goal": "하나만", "name": "first", "hints": ["멈추세요."]}
    case = {"arguments": [[1, 2, 3]], "returns": 1, "takes": 1}
    written(steps=[], functions=[{**first, "cases": [case]}])
    assert cells.attempt(FIRST + "def first(items): return next(iter(items))").passed
    card = cells.attempt(FIRST + "def first(items): return list(items)[0]")
    assert not card.passed and say("exercise_call_greedy", call="first([1, 2, 3])", n=2) in card.text


def test_what_a_function_prints_while_it_is_tried_is_not_shown(
    written: Any, cells: Cells, capsys: pytest.CaptureFixture[str]
) -> None:
    written(steps=[], functions=[DOUBLE])
    cells.attempt(FIRST + "def double(x):\n    print('여러 번')\n    return x * 2")
    assert "여러 번" not in capsys.readouterr().out


def test_trying_a_function_sends_nothing(written: Any, cells: Cells, live: OpenAIServer) -> None:
    lesson = written(start=False, steps=[], functions=[DOUBLE])
    lesson.start(mode="live")
    cells.run(PRELUDE)
    card = cells.attempt(FIRST + "def double(x): return ask(str(x))")
    assert live.requests == [] and say("exercise_pure") in card.text


@pytest.mark.parametrize(
    "more",
    ["stream=True, stream_options=True", "temperature='높게'", "temperature=9, reasoning_effort='none'"],
)
def test_a_parameter_of_another_kind_is_no_exception_of_ours(more: str, written: Any, cells: Cells) -> None:
    written()
    card = cells.attempt(FIRST + f"ask('안녕하세요', {more})")
    assert isinstance(cells.error, ExerciseUnmet) and card.goals[say("exercise_accepted")] == "missed"
    assert say("exercise_met_but_refused") in card.head


def test_one_line_is_a_cell_too(written: Any, cells: Cells) -> None:
    written(value=TEXT)
    assert cells.attempt('chatkit.exercise("01-hello"); ask("안녕하세요")').passed


def test_text_in_another_unicode_form_is_the_same_text(written: Any, cells: Cells) -> None:
    written()
    assert cells.attempt(FIRST + f"ask({unicodedata.normalize('NFD', '안녕하세요')!r})").passed


FACT = rule("답으로 끝내기", {"fact": "reply"})


@pytest.mark.parametrize(
    ("end", "state"), [("said", "met"), ("said + '!'", "missed"), ("'반갑습니다'", "missed"), ("None", "missed")]
)
def test_the_value_is_compared_with_the_reply_itself(end: str, state: str, written: Any, cells: Cells) -> None:
    written(value=FACT)
    assert cells.attempt(FIRST + f"said = ask('안녕하세요')\n{end}").goals["답으로 끝내기"] == state


def test_where_the_reply_is_not_known_its_type_is_enough(written: Any, cells: Cells, live: OpenAIServer) -> None:
    lesson = written(start=False, value=FACT)
    live.answer = lambda _body: "서버의 답"
    lesson.start(mode="live")
    cells.run(PRELUDE)
    assert cells.attempt(FIRST + "ask('안녕하세요')").passed
    assert not cells.attempt(FIRST + "[ask('안녕하세요')]").passed


# modes


def test_in_auto_mode_without_a_key_the_sample_is_played(written: Any, cells: Cells) -> None:
    written(start=False).start(mode="auto")
    cells.run(PRELUDE)
    assert cells.attempt(FIRST + "ask('안녕하세요')").passed and cells.value == "반갑습니다."


def test_a_live_model_of_ones_own_is_not_judged(
    written: Any, cells: Cells, live: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_MODEL", "llama3.2")
    written(start=False).start(mode="live")
    cells.run(PRELUDE)
    assert cells.attempt(FIRST + "MODEL = 'llama3.2'\nask('안녕하세요')").passed


def test_in_live_mode_the_request_goes_out_and_is_judged_the_same(
    written: Any, cells: Cells, live: OpenAIServer
) -> None:
    lesson = written(start=False, value=TEXT)
    live.answer = lambda _body: "서버의 답"
    lesson.start(mode="live")
    cells.run(PRELUDE)
    card = cells.attempt(FIRST + "ask('안녕하세요')")
    assert card.passed and cells.value == "서버의 답" and len(live.requests) == 1
    assert "반갑습니다." not in card.text
    card = cells.attempt(FIRST + "ask('안녕')")
    assert card.goals["존댓말로"] == "missed" and cells.error is None and len(live.requests) == 2


def test_in_auto_mode_an_exercise_is_not_answered_by_a_recording(
    written: Any, cells: Cells, live: OpenAIServer
) -> None:
    written(start=False)
    live.answer = lambda _body: "서버의 답"
    written(start=False).start(mode="auto")
    cells.attempt(FIRST + "ask('안녕하세요')")
    assert cells.value == "서버의 답"


def test_scripted_trouble_is_played_in_live_mode_too(written: Any, cells: Cells, live: OpenAIServer) -> None:
    error = {"message": "no", "type": "insufficient_quota", "param": None, "code": "credit_balance_exhausted"}
    step = {"rules": [HELLO], "reply": {"status": 429, "json": {"error": error}}}
    lesson = written(start=False, steps=[step], scripted=True)
    lesson.start(mode="live")
    cells.run(PRELUDE)
    code = "try:\n    ask('안녕')\nexcept openai.RateLimitError as error:\n    kept = error.type\nkept"
    assert cells.attempt(FIRST + code).passed
    assert cells.value == "insufficient_quota" and live.requests == []


def test_in_record_mode_the_sample_is_played_and_nothing_is_recorded(
    written: Any, cells: Cells, live: OpenAIServer
) -> None:
    lesson = written(start=False)
    lesson.start(mode="record")
    cells.run(PRELUDE)
    cells.attempt(FIRST + "ask('안녕하세요')")
    chatkit.stop()
    assert cells.value == "반갑습니다." and live.requests == []
    assert list(lesson.folder.glob("*.json")) == []


def test_an_error_of_the_live_api_is_explained(written: Any, cells: Cells, live: OpenAIServer) -> None:
    lesson = written(start=False)
    error = {"message": "no", "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}
    live.answer = lambda _body: Reply(status=401, body=json.dumps({"error": error}).encode())
    lesson.start(mode="live")
    cells.run(PRELUDE)
    card = cells.attempt(FIRST + "ask('안녕하세요')")
    assert isinstance(cells.error, openai.AuthenticationError)
    assert not card.passed and say("chat_key") in card.text


# progress


def test_a_solved_exercise_is_remembered_in_the_untouched_cell(written: Any, cells: Cells) -> None:
    written()
    cells.attempt(FIRST + "ask('안녕하세요')")
    [day] = json.loads(Path("progress.json").read_text(encoding="utf-8"))["done"].values()
    assert say("exercise_done_before", day=day) in cells.attempt(FIRST).head
