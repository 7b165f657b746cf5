"""The bot that a learner keeps: the same code as the lesson's, and what it does when tools and servers misbehave."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import subprocess
import sys
from decimal import Decimal

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager
from isolation import PROJECT
from openai_server import Reply

from chatkit import notebooks, tokens

NOTEBOOKS = PROJECT / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
import my_bot  # noqa: E402

MODEL = "test-model"
tokens.count("")  # puts tiktoken's vocabulary where it is found without a download


def chunk(delta, finish=None, usage=None):
    choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}]
    common = {"id": "chatcmpl-loopback", "created": 1, "model": MODEL, "object": "chat.completion.chunk"}
    return {**common, "choices": choices, "usage": usage}


def said(*pieces, finish="stop", model=MODEL):
    """Return a streamed reply of text."""
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    events = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": piece}) for piece in pieces)]
    return Reply(events=[*events, chunk({}, finish), {**chunk({}, usage=usage), "model": model}, "[DONE]"])


def called(*calls):
    """Return a streamed reply that calls tools, `(name, arguments)` each, in small pieces that take turns."""
    events = [chunk({"role": "assistant", "content": None})]
    for n, (name, _) in enumerate(calls):
        call = {"index": n, "id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": ""}}
        events.append(chunk({"tool_calls": [call]}))
    for at in range(0, max(len(arguments) for _, arguments in calls), 3):
        for n, (_, arguments) in enumerate(calls):
            piece = {"index": n, "function": {"arguments": arguments[at : at + 3]}}
            events.append(chunk({"tool_calls": [piece]}))
    return Reply(events=[*events, chunk({}, "tool_calls"), "[DONE]"])


def once(first, then=None):
    """Answer a question by `first`, and what comes after a tool's result by text."""
    return lambda body: (then or said("알겠습니다.")) if body["messages"][-1]["role"] == "tool" else first


def ask(bot, text):
    async def everything():
        return [item async for item in bot.ask(text)]

    return asyncio.run(everything())


def results(bot):
    return [json.loads(message["content"]) for message in bot.history if message["role"] == "tool"]


@pytest.fixture
def bot():
    return my_bot.Bot(MODEL, "짧게 답하세요.")


@pytest.fixture
def service(monkeypatch):
    """The weather service; `answers(…)` sets what it says: a dict, a status, text, or an exception to raise."""

    class Service:
        def __init__(self):
            self.asked = []

        def answers(self, said):
            def get(url, params, timeout):
                self.asked.append({**params, "url": url, "timeout": timeout})
                if isinstance(said, Exception):
                    raise said
                kind = {int: "status_code", dict: "json", str: "text"}[type(said)]
                return httpx2.Response(**{"status_code": 200, kind: said, "request": httpx2.Request("GET", url)})

            monkeypatch.setattr(httpx2, "get", get)

    service = Service()
    service.answers({"current": {"time": "2026-11-22T15:00", "temperature_2m": 8.4, "weather_code": 3}})
    return service


# the lesson and the file


def definitions(tree):
    """Return the functions, classes and named values at the top of a module, without their docstrings."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = ast.unparse(node)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = ast.unparse(node)
    return found


def test_the_bot_is_the_one_that_the_lesson_builds_up():
    lesson = notebooks.read(NOTEBOOKS / "06_chatbot_project.ipynb")
    cells = [cell.source for cell in lesson.cells if cell.cell_type == "code"]
    built = definitions(ast.parse("\n".join(map(TransformerManager().transform_cell, cells))))
    kept = definitions(ast.parse((NOTEBOOKS / "my_bot.py").read_text(encoding="utf-8")))
    parts = [
        *("SYSTEM", "CITIES", "SKY", "ROUNDS", "WEATHER_TOOL", "CLIMATE_TOOL", "TOOLS", "FUNCTIONS", "BotError"),
        *("weather", "climate_sql", "run_tool", "run_calls", "count_tokens", "turns_of", "fit", "Memory", "add_piece"),
        *("Reply", "message_of", "cost", "Talker", "Bot", "save", "check", "load"),
    ]
    for name in parts:
        assert built[name] == kept[name], f"{name} is not the same in the lesson and in my_bot.py"


def test_the_bot_stands_without_chatkit_and_names_no_model():
    for name in ("my_bot.py", "my_bot_web.py", "climate.py"):
        text = (NOTEBOOKS / name).read_text(encoding="utf-8")
        assert "chatkit" not in text and "gpt-" not in text


# talking


def test_a_reply_is_handed_on_piece_by_piece_and_remembered_whole(live, bot):
    live.answer = said("안녕", "하세요", ".")
    pieces = [item.choices[0].delta.content for item in ask(bot, "안녕?") if item.choices]
    assert [piece for piece in pieces if piece] == ["안녕", "하세요", "."]
    assert [message["content"] for message in bot.history] == ["안녕?", "안녕하세요."]


def test_each_request_carries_the_system_message_the_history_and_what_tools_need(live, bot):
    live.answer = said("네.")
    ask(bot, "하나")
    ask(bot, "둘")
    body = live.requests[-1].body
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "user"]
    assert body["reasoning_effort"] == "none" and body["stream_options"] == {"include_usage": True}
    assert [tool["function"]["name"] for tool in body["tools"]] == list(my_bot.FUNCTIONS)


def test_a_weather_question_is_answered_through_the_tool(live, bot, service):
    live.answer = once(called(("weather", '{"city": "서울"}')), said("8.4도입니다."))
    items = ask(bot, "서울 날씨는?")
    assert [item["role"] for item in items if isinstance(item, dict)] == ["tool"]
    assert results(bot) == [{"city": "서울", "time": "2026-11-22T15:00", "celsius": 8.4, "sky": "흐림"}]
    assert [message["role"] for message in bot.history] == ["user", "assistant", "tool", "assistant"]
    assert service.asked[0]["url"] == "https://api.open-meteo.com/v1/forecast" and service.asked[0]["timeout"] == 5


@pytest.mark.parametrize(
    ("code", "sky"),
    [(0, "맑음"), (1, "구름 조금"), (3, "흐림"), (45, "안개"), (53, "이슬비"), (65, "비"), (75, "눈"), (95, "뇌우")],
)
def test_weather_codes_become_words(service, code, sky):
    service.answers({"current": {"time": "2026-11-22T15:00", "temperature_2m": 1, "weather_code": code}})
    assert my_bot.weather("제주")["sky"] == sky


def test_a_question_on_the_climate_goes_to_the_database(live, bot):
    sql = "SELECT mean_temp_c FROM normals WHERE city = '서울' AND month = 1"
    live.answer = once(called(("climate_sql", json.dumps({"sql": sql}))))
    ask(bot, "서울의 1월은?")
    assert results(bot)[0]["rows"] == [[-1.9]]


def test_several_calls_in_one_reply_are_each_answered_in_order(live, bot, service):
    live.answer = once(called(("weather", '{"city": "서울"}'), ("weather", '{"city": "제주"}')))
    ask(bot, "서울과 제주는?")
    assert [result["city"] for result in results(bot)] == ["서울", "제주"]
    assert [message["tool_call_id"] for message in bot.history if message["role"] == "tool"] == ["call_0", "call_1"]


# tools that go wrong


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (("weather", '{"city": "서울"'), "실행하지 못했습니다"),
        (("weather", ""), "실행하지 못했습니다"),
        (("weather", "null"), "실행하지 못했습니다"),
        (("weather", '["서울"]'), "실행하지 못했습니다"),
        (("weather", "{}"), "missing 1 required positional argument: 'city'"),
        (("weather", '{"city": "서울", "day": "내일"}'), "unexpected keyword argument 'day'"),
        (("weather", '{"city": "파리"}'), "아는 도시: 서울"),
        (("weather", '{"city": 3}'), "아는 도시"),
        (("weather", '{"city": ["서울"]}'), "실행하지 못했습니다"),
        (("forecast", "{}"), "있는 도구: weather, climate_sql"),
        (("climate_sql", '{"sql": "DROP TABLE normals"}'), "SELECT"),
        (("climate_sql", '{"sql": null}'), "SELECT"),
        (("climate_sql", '{"sql": "SELECT 1", "seconds": 999}'), "unexpected keyword argument 'seconds'"),
        (("climate_sql", '{"sql": "SELECT 1", "database": "/etc/passwd"}'), "unexpected keyword argument"),
    ],
)
def test_a_bad_call_is_answered_with_what_is_wrong_and_the_talk_goes_on(live, bot, service, call, told):
    live.answer = once(called(call), said("죄송합니다."))
    ask(bot, "질문")
    assert told in results(bot)[0]["error"]
    assert bot.history[-1]["content"] == "죄송합니다."


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (httpx2.ReadTimeout("slow"), "제시간에"),
        (httpx2.ConnectError("[Errno 111] Connection refused"), "서비스에서 답을 얻지 못했습니다"),
        (503, "503"),
        (429, "429"),
        ({"error": True, "reason": "daily limit"}, "current"),
        ("<html>", "실행하지 못했습니다"),
    ],
)
def test_a_service_that_is_down_or_slow_is_told_to_the_model(live, bot, service, trouble, told):
    service.answers(trouble)
    live.answer = once(called(("weather", '{"city": "서울"}')))
    ask(bot, "서울 날씨는?")
    assert told in results(bot)[0]["error"]


def test_an_endless_loop_of_tool_calls_ends_with_an_error_and_leaves_no_trace(live, bot):
    live.answer = called(("climate_sql", '{"sql": "SELECT 1"}'))
    with pytest.raises(my_bot.BotError, match="5번"):
        ask(bot, "질문")
    assert len(live.requests) == my_bot.ROUNDS and bot.history == []


# replies that go wrong


def test_a_reply_that_ends_early_without_a_word_is_not_remembered(live, bot):
    live.answer = Reply(events=[chunk({"role": "assistant", "content": "안녕"}), "[DONE]"])
    with pytest.raises(my_bot.BotError, match="끊겼습니다"):
        ask(bot, "안녕?")
    assert bot.history == []


def test_a_refused_request_leaves_the_history_as_it_was(live, bot, monkeypatch):
    live.answer = said("네.")
    ask(bot, "하나")
    before = list(bot.history)
    live.answer = Reply(status=400, message="안 됩니다.")
    with pytest.raises(my_bot.openai.BadRequestError):
        ask(bot, "둘")
    assert bot.history == before


def test_a_reader_who_stops_leaves_no_half_turn(live, bot):
    live.answer = said("하나", "둘", "셋")

    async def leave():
        items = bot.ask("세어 줘")
        await anext(items)
        await items.aclose()

    asyncio.run(leave())
    assert bot.history == []


def test_a_refusal_is_kept_as_text(live, bot):
    events = [
        chunk({"role": "assistant", "refusal": ""}),
        chunk({"refusal": "안 됩니다."}),
        chunk({}, "stop"),
        "[DONE]",
    ]
    live.answer = Reply(events=events)
    ask(bot, "질문")
    assert bot.history[-1]["content"] == "안 됩니다."


# budget

words = st.text(max_size=40)
calls = st.lists(st.tuples(st.sampled_from(["weather", "climate_sql", "?"]), words), min_size=1, max_size=3)


@st.composite
def histories(draw):
    """Draw a conversation as the API allows it, tool calls with their results among it."""
    history, number = [], 0
    for _ in range(draw(st.integers(0, 6))):
        history.append({"role": "user", "content": draw(words)})
        for made in draw(st.lists(calls, max_size=2)):
            ids = [f"call_{number + n}" for n in range(len(made))]
            number += len(made)
            made = [
                {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}
                for identity, (name, arguments) in zip(ids, made, strict=True)
            ]
            history.append({"role": "assistant", "content": draw(words), "tool_calls": made})
            history += [{"role": "tool", "tool_call_id": identity, "content": draw(words)} for identity in ids]
        history.append({"role": "assistant", "content": draw(words)})
    return history


def assert_whole(messages):
    """Fail on a tool result without its call, or a call without its result."""
    waiting: set = set()
    for message in messages:
        if message["role"] == "tool":
            waiting.remove(message["tool_call_id"])
            continue
        assert not waiting
        waiting = {call["id"] for call in message.get("tool_calls", [])}
    assert not waiting


def test_200_turns_stay_within_the_budget_with_the_system_message_and_no_orphan_tool_message(live):
    bot = my_bot.Bot(MODEL, "짧게 답하세요.", budget=500)

    def answer(body):
        last = body["messages"][-1]
        if last["role"] == "user" and int(last["content"].split()[0]) % 3 == 0:
            return called(("climate_sql", '{"sql": "SELECT 1"}'), ("nothing", "{"))
        return said("그렇습니다. " * 6)

    live.answer = answer
    for number in range(200):
        ask(bot, f"{number} 번째 질문입니다.")
    assert len(bot.history) == 2 * 200 + 3 * 67
    assert len(live.requests) == 200 + 67
    longest = 0
    for request in live.requests:
        messages = request.body["messages"]
        assert messages[0] == bot.system and messages[1]["role"] == "user"
        assert my_bot.count_tokens(messages) <= bot.budget
        assert_whole(messages if messages[-1]["role"] == "user" else [*messages, {"role": "assistant"}])
        longest = max(longest, len(messages))
    assert 8 < longest < 40, "the budget is used, and history is dropped"


@settings(max_examples=60, deadline=None)
@given(histories(), words, st.integers(60, 600))
def test_what_is_sent_is_the_latest_whole_turns_that_fit(history, question, budget):
    system = {"role": "system", "content": "짧게 답하세요."}
    asked = [*history, {"role": "user", "content": question}]
    try:
        sent = my_bot.fit(system, asked, budget)
    except my_bot.BotError:
        assert my_bot.count_tokens([system, asked[-1]]) > budget
        return
    assert sent[0] == system and sent[1:] == asked[-len(sent) + 1 :] and sent[1]["role"] == "user"
    assert my_bot.count_tokens(sent) <= budget
    assert_whole(sent)


def test_a_question_longer_than_the_budget_is_refused_before_it_is_sent(live, bot):
    with pytest.raises(my_bot.BotError, match="예산"):
        ask(bot, "길다 " * 8_000)
    assert live.requests == [] and bot.history == []


def test_the_count_is_never_below_the_published_formula(bot):
    messages = [bot.system, {"role": "user", "content": "달은 왜 모양이 바뀌나요?"}]
    assert my_bot.count_tokens(messages) >= tokens.count_messages(messages)


# cost


def test_the_cost_adds_up_by_list_price(live, bot):
    live.answer = said("네.", model="gpt-6-luna")
    for _ in range(2):
        ask(bot, "질문")
    assert bot.spent == 2 * tokens.price("gpt-6-luna", 100, 20)
    assert "USD 0.0000" in my_bot.bill(bot)


def test_an_unknown_price_is_told_as_unknown_not_as_nothing(live, bot):
    live.answer = said("네.")
    ask(bot, "질문")
    assert bot.spent.is_nan() and "알 수 없음" in my_bot.bill(bot)


# files


@settings(max_examples=60, deadline=None)
@given(history=histories(), spent=st.decimals(min_value=0, max_value=9, allow_nan=False))
def test_a_saved_conversation_comes_back_as_it_was(tmp_path_factory, history, spent):
    path = tmp_path_factory.mktemp("대화") / "talk.json"
    bot, other = my_bot.Bot(MODEL, "가"), my_bot.Bot(MODEL, "나")
    bot.history, bot.spent = history, spent
    my_bot.save(bot, path)
    my_bot.load(other, path)
    assert (other.history, other.spent) == (history, spent)
    assert [file.name for file in path.parent.iterdir()] == ["talk.json"]


CORRUPT = {
    "empty": "",
    "cut": '{"history": [{"role": "us',
    "a list": "[]",
    "a number": "3",
    "no history": '{"spent": "0"}',
    "a history that is none": '{"history": 3, "spent": "0"}',
    "messages that are none": '{"history": [3], "spent": "0"}',
    "an unknown role": '{"history": [{"role": "king", "content": ""}], "spent": "0"}',
    "a first message by the assistant": '{"history": [{"role": "assistant", "content": ""}], "spent": "0"}',
    "no text": '{"history": [{"role": "user", "content": 3}], "spent": "0"}',
    "an orphan": json.dumps(
        {
            "history": [
                {"role": "user", "content": ""},
                {"role": "tool", "tool_call_id": "a", "content": ""},
            ],
            "spent": "0",
        }
    ),
    "a call without its result": json.dumps(
        {
            "history": [
                {"role": "user", "content": ""},
                {"role": "assistant", "content": "", "tool_calls": [{"id": "a"}]},
                {"role": "user", "content": ""},
            ],
            "spent": "0",
        }
    ),
    "money that is none": '{"history": [], "spent": "much"}',
    "money of another kind": '{"history": [], "spent": {}}',
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("text", CORRUPT.values(), ids=CORRUPT)
def test_a_corrupt_file_is_told_and_left_untouched(tmp_path, bot, text):
    path = tmp_path / "talk.json"
    path.write_text(text, encoding="utf-8")
    bot.history = [{"role": "user", "content": "남아 있어야 함"}]
    with pytest.raises(my_bot.BotError, match="파일은 그대로") as told:
        my_bot.load(bot, path)
    assert "talk.json" in str(told.value)
    assert path.read_text(encoding="utf-8") == text
    assert bot.history[0]["content"] == "남아 있어야 함"


def test_bytes_that_are_no_text_are_a_corrupt_file_too(tmp_path, bot):
    (tmp_path / "talk.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(my_bot.BotError, match="파일은 그대로"):
        my_bot.load(bot, tmp_path / "talk.json")


def test_a_save_that_fails_keeps_the_old_file(tmp_path, bot):
    my_bot.save(bot, tmp_path / "talk.json")
    before = (tmp_path / "talk.json").read_bytes()
    bot.history = [{"role": "user", "content": object()}]
    with pytest.raises(TypeError):
        my_bot.save(bot, tmp_path / "talk.json")
    assert (tmp_path / "talk.json").read_bytes() == before


# terminal


def run(*arguments, typed, **environment):
    command = [sys.executable, str(NOTEBOOKS / "my_bot.py"), *arguments]
    own = {**os.environ, "PYTHONUTF8": "1", **environment}
    return subprocess.run(command, input=typed, env=own, capture_output=True, text=True, encoding="utf-8", timeout=60)


def test_it_talks_in_a_terminal_saves_and_goes_on(live, tmp_path):
    live.answer = said("반갑", "습니다.")
    path = tmp_path / "이야기.json"
    first = run(str(path), typed="안녕?\n\n", OPENAI_MODEL=MODEL)
    assert first.returncode == 0 and "반갑습니다." in first.stdout, first.stderr
    assert "Open-Meteo.com" in first.stdout and "자료: 기상청" in first.stdout
    second = run(str(path), typed="또 왔어요\n", OPENAI_MODEL=MODEL)
    assert second.returncode == 0
    sent = [message["content"] for message in live.requests[-1].body["messages"]]
    assert sent[1:] == ["안녕?", "반갑습니다.", "또 왔어요"]


def typing(monkeypatch, *lines):
    waiting = iter([*lines, ""])
    monkeypatch.setattr("builtins.input", lambda _prompt: next(waiting))
    monkeypatch.setattr(my_bot, "load_dotenv", lambda: None)
    monkeypatch.setenv("OPENAI_MODEL", MODEL)


@pytest.mark.parametrize(
    ("reply", "advice"),
    [
        (Reply(status=401), "OPENAI_API_KEY"),
        (Reply(status=403), "허락된 모델"),
        (Reply(status=404), "OPENAI_MODEL"),
        (Reply(status=400, message="이유"), "거절했습니다"),
        (Reply(events=[chunk({"content": "안"})]), "끊겼습니다"),
        (Reply(events=[{**chunk({}), "choices": None}]), "예상하지 못한"),
        (Reply(events=["{"]), "예상하지 못한"),
        (Reply(events=[{"error": {"message": "busy", "type": "server_error"}}]), "잠시 뒤에"),
    ],
)
def test_an_error_is_told_in_korean_and_the_next_question_can_be_asked(live, monkeypatch, capsys, reply, advice):
    live.answer = lambda body: reply if body["messages"][-1]["content"] == "하나" else said("둘째 답")
    typing(monkeypatch, "하나", "둘")
    assert my_bot.main() == 0
    shown = capsys.readouterr().out
    assert advice in shown and "둘째 답" in shown


def test_no_credit_is_told_apart_from_haste():
    response = httpx2.Response(429, request=httpx2.Request("POST", "https://example.org"))
    for kind, advice in {"insufficient_quota": "크레딧", "tokens": "1분쯤"}.items():
        error = my_bot.openai.RateLimitError("no", response=response, body={"type": kind})
        assert advice in my_bot.explain(error)


def test_a_missing_key_and_a_korean_one_are_told(monkeypatch, capsys):
    typing(monkeypatch, "하나")
    my_bot.main()
    monkeypatch.setenv("OPENAI_API_KEY", "발급받은-키")
    typing(monkeypatch, "하나")
    my_bot.main()
    shown = capsys.readouterr().out
    assert "키가 없습니다" in shown and "진짜 키" in shown


def test_a_missing_model_and_a_corrupt_file_end_it_with_what_to_do(monkeypatch, capsys, tmp_path):
    typing(monkeypatch)
    (tmp_path / "talk.json").write_text("{", encoding="utf-8")
    assert my_bot.main(str(tmp_path / "talk.json")) == 1
    assert my_bot.main(str(tmp_path)) == 1
    monkeypatch.delenv("OPENAI_MODEL")
    assert my_bot.main() == 1
    told = capsys.readouterr().err
    assert "파일은 그대로" in told and "OPENAI_MODEL=" in told and "이름과 폴더를 확인하세요" in told


@pytest.mark.parametrize(("finish", "note"), [("length", "길이 제한"), ("content_filter", "필터"), ("stop", "")])
def test_an_answer_that_was_cut_says_so(live, monkeypatch, capsys, finish, note):
    live.answer = said("반쪽", finish=finish)
    typing(monkeypatch, "하나")
    assert my_bot.main() == 0
    shown = capsys.readouterr().out
    assert "반쪽" in shown and note in shown
    assert ("끊겼습니다" in shown) == bool(note)


def test_a_line_that_cannot_be_read_is_asked_for_again(live, monkeypatch, capsys):
    live.answer = said("네.")
    typing(monkeypatch)
    typed = iter([UnicodeDecodeError("utf-8", b"\xec", 0, 1, "half"), "안녕", ""])

    def line(_prompt):
        if isinstance(given := next(typed), Exception):
            raise given
        return given

    monkeypatch.setattr("builtins.input", line)
    assert my_bot.main() == 0
    shown = capsys.readouterr().out
    assert "읽을 수 없는 글자" in shown and "네." in shown


def test_stopping_an_answer_keeps_the_bot_running(live, monkeypatch, capsys):
    live.answer = said("둘째 답")
    typing(monkeypatch, "하나", "둘")
    real, stopped = my_bot.talk, []

    async def interrupted(bot, text):
        if not stopped:
            stopped.append(text)
            raise KeyboardInterrupt
        await real(bot, text)

    monkeypatch.setattr(my_bot, "talk", interrupted)
    assert my_bot.main() == 0
    shown = capsys.readouterr().out
    assert "멈췄습니다" in shown and "둘째 답" in shown
    assert [message["content"] for message in live.requests[-1].body["messages"]][1:] == ["둘"]


def test_a_tool_result_is_shown_short_in_the_terminal():
    assert len(my_bot.shown({"role": "tool", "content": "가" * 9_000})) < 400


def test_the_price_of_a_chunk_without_usage_is_unknown():
    assert my_bot.cost(None).is_nan() and isinstance(my_bot.cost(None), Decimal)
