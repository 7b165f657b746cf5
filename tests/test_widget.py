"""The chat window without a browser: `send`, and what a browser's messages make it do."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import html
import itertools
import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import ipywidgets
import nbformat
import openai
import pytest
from conftest import Lesson
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from learner import LUNA, chat
from openai.types.chat import ChatCompletionChunk
from openai_server import OpenAIServer, Reply

from chatkit import faults, figures, notebooks, widget
from chatkit.errors import BudgetExceeded, ChatkitError
from chatkit.messages import say
from chatkit.widget import ChatWindow

PATIENCE = 10  # seconds until a broken test ends
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
USAGE = {"prompt_tokens": 18, "completion_tokens": 53, "total_tokens": 71}

# a bot, and what it streams


def chunk(delta: Any = None, finish: str | None = None, **more: Any) -> ChatCompletionChunk:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    common = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": LUNA, "choices": choices}
    return ChatCompletionChunk.model_validate({**common, **more})


def saying(*pieces: str, usage: Any = USAGE, **more: Any) -> list[ChatCompletionChunk]:
    """Return the chunks of a whole reply."""
    deltas = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in pieces)]
    told = [chunk(delta, **more) for delta in deltas]
    return [*told, chunk({}, "stop", **more), *([chunk(usage=usage, **more)] if usage else [])]


def calling(name: str, arguments: str, call: str = "call_1") -> list[ChatCompletionChunk]:
    """Return the chunks of a reply that calls a tool, its arguments in two pieces."""
    head = {"index": 0, "id": call, "type": "function", "function": {"name": name, "arguments": arguments[:3]}}
    rest = {"index": 0, "function": {"arguments": arguments[3:]}}
    deltas = [{"role": "assistant", "tool_calls": [head]}, {"tool_calls": [rest]}]
    return [*map(chunk, deltas), chunk({}, "tool_calls"), chunk(usage=USAGE)]


def result(content: str, call: str = "call_1") -> dict[str, str]:
    return {"role": "tool", "tool_call_id": call, "content": content}


def bot(*items: Any) -> Callable[[str], AsyncIterator[Any]]:
    """Return an `ask` that yields these, and raises those that are exceptions."""

    async def ask(text: str) -> AsyncIterator[Any]:
        for item in items:
            if isinstance(item, BaseException):
                raise item
            yield item

    return ask


class Chatbot:
    """The bot of a lesson: plain SDK, and a history that grows when a turn is over."""

    def __init__(self) -> None:
        self.client, self.messages = openai.AsyncOpenAI(max_retries=0), []
        self.streams: list[Any] = []

    async def ask(self, text: str) -> AsyncIterator[Any]:
        turn, answer = [{"role": "user", "content": text}], ""
        async with await self.client.chat.completions.create(
            model=LUNA, messages=self.messages + turn, stream=True, stream_options={"include_usage": True}
        ) as chunks:
            self.streams.append(chunks)
            async for piece in chunks:
                yield piece
                answer += piece.choices[0].delta.content or "" if piece.choices else ""
        self.messages += [*turn, {"role": "assistant", "content": answer}]


class Endless:
    """An `ask` that says "하나 " and waits; `closed` is set when it is ended there."""

    def __init__(self) -> None:
        self.waiting, self.closed = asyncio.Event(), asyncio.Event()

    async def ask(self, _text: str) -> AsyncIterator[Any]:
        yield chunk({"role": "assistant", "content": "하나 "})
        try:
            self.waiting.set()
            await asyncio.Event().wait()
        finally:
            self.closed.set()


# a notebook, and a browser


class Notebook(CapturingDisplayPublisher):
    """Keeps outputs as a front end saves them, and lets a test wait for one."""

    watchers: list[Callable[[], None]]

    def publish(self, data: Any, *_: Any, transient: Any = None, update: bool = False, **_more: Any) -> None:
        name = (transient or {}).get("display_id")
        kept = [output for output in self.outputs if update and output["name"] == name]
        if not kept:
            kept = [{"name": name}]
            self.outputs += kept
        kept[0]["data"] = data
        for watcher in self.watchers:
            watcher()

    def shown(self) -> list[str]:
        """Return each output's Markdown, or else the kind of its richest form."""
        return [output["data"].get("text/markdown", min(output["data"])) for output in self.outputs]

    async def until(self, holds: Callable[[], Any]) -> None:
        """Wait for something to hold that an output or a widget will tell."""
        loop, change = asyncio.get_running_loop(), asyncio.Event()
        self.watchers.append(lambda: loop.call_soon_threadsafe(change.set))
        while not holds():
            await change.wait()
            change.clear()


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.setenv("CHATKIT_FPS", "0")
    shell = InteractiveShell.instance()
    shell.kernel, shell.display_pub = SimpleNamespace(raw_input=input), Notebook()
    shell.display_pub.watchers = []
    yield shell.display_pub
    InteractiveShell.clear_instance()


class Browser:
    """Shows a window as a cell that ends on it does, and sends the messages that JupyterLab sends."""

    def __init__(self, window: ChatWindow, notebook: Notebook) -> None:
        self.notebook, self.first = notebook, len(notebook.outputs)
        InteractiveShell.instance().displayhook(window)
        view = notebook.outputs[-1]["data"]["application/vnd.jupyter.widget-view+json"]
        line, self.state, self.cost = ipywidgets.widgets.widget._instances[view["model_id"]].children
        self.box, self.send, self.stop = line.children
        for each in (self.state, self.cost, self.box, self.stop):
            each.observe(lambda _change: [watcher() for watcher in notebook.watchers])

    @property
    def talk(self) -> str:
        return self.notebook.shown()[self.first]

    @property
    def now(self) -> str:
        return self.notebook.shown()[self.first + 1]

    def type(self, text: str) -> None:
        _deliver(self.box, method="update", state={"value": text}, buffer_paths=[])

    def press_enter(self, text: str | None = None) -> None:
        """Press Enter after typing: the browser tells of the key first, and of a text only if it changed."""
        _deliver(self.box, method="custom", content={"event": "submit"})
        if text is not None:
            self.type(text)

    def click(self, button: Any) -> None:
        _deliver(button, method="custom", content={"event": "click"})

    async def until(self, holds: Callable[[], Any]) -> None:
        await self.notebook.until(holds)

    async def ask(self, text: str) -> None:
        """Send a question and wait until its turn is over."""
        self.press_enter(text)
        await self.until(lambda: self.state.value == say("chat_receiving"))
        await self.until(lambda: self.stop.disabled and self.now == "")


def _deliver(target: Any, **data: Any) -> None:
    target._handle_msg({"content": {"data": data}, "buffers": []})


async def rounds_of_the_loop() -> None:
    """Let everything happen that waits for nothing but its turn."""
    for _ in range(10):
        await asyncio.sleep(0)


def run(test: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(test, PATIENCE))


# a turn that is sent


def test_a_turn_is_one_output_with_the_question_and_the_reply(notebook: Notebook) -> None:
    reply = run(ChatWindow(bot(*saying("반갑", "습니다."))).send("안녕?"))
    assert notebook.shown() == [f"**{say('chat_you')}**\n\n안녕?\n\n**{say('chat_bot')}**\n\n반갑습니다."]
    assert notebook.outputs[0]["name"] is None, "an output that may change is compared by its first form"
    assert (reply.text, reply.finish_reason, reply.usage.total_tokens) == ("반갑습니다.", "stop", 71)


def test_what_the_model_and_the_question_hold_is_harmless(notebook: Notebook) -> None:
    run(ChatWindow(bot(*saying("<script>a()</script> USD 5는 $5"))).send("<img src=x>"))
    (shown,) = notebook.shown()
    assert "&lt;script>" in shown and "&lt;img" in shown
    assert "$" not in shown


def test_tool_calls_are_folded_with_their_results_between_the_requests(notebook: Notebook) -> None:
    first = calling("get_weather", '{"city": "\\uc11c\\uc6b8"}')
    reply = run(ChatWindow(bot(*first, result('{"temp": 3.5}'), *saying("3.5도입니다."))).send("날씨는?"))
    asked, fold, answer = notebook.shown()[0].rsplit("\n\n", 2)
    assert fold.startswith(f"<details><summary>{say('chat_tool')} <code>get&#95;weather</code></summary>")
    assert "서울" in fold and "temp&#34;: 3.5" in fold
    assert answer == reply.text == "3.5도입니다."
    assert say("stream_unfinished") not in asked


def test_results_find_their_calls_though_an_id_comes_again(notebook: Notebook) -> None:
    again = calling("later", "{}")
    run(ChatWindow(bot(*calling("early", "{}"), result("1번"), *again, result("2번"), *saying("끝"))).send("?"))
    early, later = [line for line in notebook.shown()[0].splitlines() if line.startswith("<details>")]
    assert "early" in early and "1번" in early
    assert "later" in later and "2번" in later


def test_a_fold_stays_one_line_of_html_whatever_a_tool_returns(notebook: Notebook) -> None:
    nasty = "a\n\n</pre></details><script>a()</script>\n\n# $x$ `b` @@0@@"
    run(ChatWindow(bot(*calling("f", "not json\n\n<b>"), result(nasty), *saying("끝"))).send("?"))
    (fold,) = [line for line in notebook.shown()[0].splitlines() if "<details>" in line]
    assert re.findall("</?[a-z]+>", fold) == re.findall("<[^>]*>", fold)
    assert fold.count("<pre>") == 2 and fold.endswith("</code></pre></details>")
    assert not set("$`@#\\") & set(fold.replace("&#", ""))
    assert nasty in html.unescape(fold)


def test_a_long_result_is_cut_and_says_so(notebook: Notebook) -> None:
    run(ChatWindow(bot(*calling("f", "{}"), result("x" * 5_000), *saying("끝"))).send("?"))
    assert "x" * 2_000 + say("chat_more", n="3,000") in html.unescape(notebook.shown()[0])
    assert "x" * 2_001 not in notebook.shown()[0]


def test_a_tool_without_a_result_is_waited_for(notebook: Notebook) -> None:
    run(ChatWindow(bot(*calling("f", "{}"))).send("?"))
    assert say("chat_waiting") in notebook.shown()[0]


def test_pictures_and_tables_follow_as_outputs_of_their_own(notebook: Notebook) -> None:
    bars = figures.bars({"서울": 3.5, "부산": 9.25})
    run(ChatWindow(bot(*calling("f", "{}"), bars, bars.table(), result("ok"), *saying("그림입니다."))).send("?"))
    turn, picture, table = (output["data"] for output in notebook.outputs)
    assert turn["text/markdown"].endswith("그림입니다.")
    assert picture == bars._repr_mimebundle_()
    assert table == bars.table()._repr_mimebundle_()


def test_an_ask_may_return_the_sdks_own_stream(notebook: Notebook, lesson: Lesson) -> None:
    lesson.has("안녕?", "반갑습니다.", stream=True)
    lesson.start()

    async def ask(text: str) -> Any:
        messages = [{"role": "user", "content": text}]
        return await openai.AsyncOpenAI().chat.completions.create(model=LUNA, messages=messages, stream=True)

    assert run(ChatWindow(ask).send("안녕?")).text == "반갑습니다."


def test_an_ask_may_pass_on_the_events_of_the_sdks_stream_helper(notebook: Notebook, lesson: Lesson) -> None:
    lesson.has("안녕?", "반갑습니다.", **STREAMED)
    lesson.start()

    async def ask(text: str) -> AsyncIterator[Any]:
        messages = [{"role": "user", "content": text}]
        options = {"include_usage": True}
        helper = openai.AsyncOpenAI().chat.completions.stream(model=LUNA, messages=messages, stream_options=options)
        async with helper as events:
            async for event in events:
                yield event

    async def test() -> None:
        browser = Browser(ChatWindow(ask), notebook)
        await browser.ask("안녕?")
        assert browser.talk.count("반갑습니다.") == 1
        assert say("chat_cost_unknown", n=1) not in browser.cost.value

    run(test())


def test_a_reply_that_breaks_off_politely_says_so(notebook: Notebook) -> None:
    run(ChatWindow(bot(chunk({"role": "assistant", "content": "반"}))).send("?"))
    assert notebook.shown()[0].endswith(f"반\n\n*{say('stream_unfinished')}*")


@pytest.mark.parametrize("given", ["반갑습니다.", None, iter([1])])
def test_an_ask_that_streams_nothing_is_told_how_to(notebook: Notebook, given: Any) -> None:
    async def ask(_text: str) -> Any:
        return given

    with pytest.raises(ChatkitError, match=f"yield.*{type(given).__name__}"):
        run(ChatWindow(ask).send("?"))


@pytest.mark.parametrize("item", ["반갑습니다.", None, {"role": "assistant", "content": "?"}])
def test_an_item_that_cannot_be_shown_is_named_and_the_bot_is_ended(notebook: Notebook, item: Any) -> None:
    class Wrong(Endless):
        async def ask(self, _text: str) -> AsyncIterator[Any]:
            try:
                yield saying("네.")[0]
                yield item
            finally:
                self.closed.set()

    async def test() -> None:
        wrong = Wrong()
        with pytest.raises(ChatkitError, match=f"ChatCompletionChunk.*{type(item).__name__}"):
            await ChatWindow(wrong.ask).send("?")
        assert wrong.closed.is_set()

    run(test())


def test_a_result_without_a_call_is_an_item_that_cannot_be_shown(notebook: Notebook) -> None:
    with pytest.raises(ChatkitError, match=r"ChatCompletionChunk.*dict"):
        run(ChatWindow(bot(result("너무 이릅니다."))).send("?"))


def test_a_second_question_is_refused_while_the_first_is_answered(notebook: Notebook) -> None:
    async def test() -> None:
        endless = Endless()
        window = ChatWindow(endless.ask)
        first = asyncio.ensure_future(window.send("첫째"))
        await endless.waiting.wait()
        with pytest.raises(ChatkitError, match=say("chat_busy")):
            await window.send("둘째")
        window.stop()
        assert (await first).text == "하나 "
        assert "둘째" not in "".join(notebook.shown())

    run(test())


def test_in_a_script_a_turn_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    bars = figures.bars({"서울": 3.5})
    run(ChatWindow(bot(*calling("f", "{}"), result("3.5"), bars, *saying("3.5도입니다."))).send("날씨는?"))
    printed = capsys.readouterr().out
    assert [printed.index(text) for text in ("날씨는?", "f({})", "3.5\n", "3.5도입니다.", bars.sentence)] == sorted(
        printed.index(text) for text in ("날씨는?", "f({})", "3.5\n", "3.5도입니다.", bars.sentence)
    )


# a turn that fails


@pytest.mark.parametrize(
    ("fault", "raised", "advice"),
    [
        ("401", "AuthenticationError", "chat_key"),
        ("403-region", "PermissionDeniedError", "chat_forbidden"),
        ("404-retired", "NotFoundError", "chat_not_found"),
        ("400", "BadRequestError", "chat_refused"),
        ("400-context", "BadRequestError", "chat_too_long"),
        ("422", "UnprocessableEntityError", "chat_refused"),
        ("429", "RateLimitError", "chat_rate"),
        ("429-credit", "RateLimitError", "chat_credit"),
        ("429-quota", "RateLimitError", "chat_credit"),
        ("500", "InternalServerError", "chat_server"),
        ("503", "InternalServerError", "chat_server"),
        ("timeout", "APITimeoutError", "chat_timeout"),
        ("refused", "APIConnectionError", "chat_connection"),
        ("error-event", "APIError", "chat_error_event"),
    ],
)
def test_an_api_error_is_raised_and_explained(
    notebook: Notebook, lesson: Lesson, fault: str, raised: str, advice: str
) -> None:
    lesson.has("?", "하나 둘 셋 넷", **STREAMED)
    lesson.start()
    with faults.always(fault), pytest.raises(getattr(openai, raised)) as caught:
        run(ChatWindow(Chatbot().ask).send("?"))
    assert type(caught.value).__name__ == raised
    told = say(advice, name=raised, message=caught.value)
    assert html.unescape(notebook.shown()[0]).endswith(f"> {told.replace('$', '＄')}")


def test_a_missing_recording_keeps_its_own_words_each_line_on_its_own(notebook: Notebook, lesson: Lesson) -> None:
    lesson.has("다른 질문", "답", stream=True)
    lesson.start()
    with pytest.raises(ChatkitError) as raised:
        run(ChatWindow(Chatbot().ask).send("?"))
    (quoted,) = [line for line in notebook.shown()[0].splitlines() if line.startswith("> ")]
    assert quoted.count("<br>") == len(str(raised.value).splitlines()) - 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BudgetExceeded("예산을 넘습니다."), "> 예산을 넘습니다."),
        (ZeroDivisionError("<b>$1"), "> ZeroDivisionError: <b>＄1<br>"),
    ],
    ids=["ours", "the bot's"],
)
def test_any_other_error_is_named(notebook: Notebook, error: Exception, told: str) -> None:
    window = ChatWindow(bot(error))
    with pytest.raises(type(error)):
        run(window.send("?"))
    assert window.error is error
    shown = notebook.shown()[0].splitlines()[-1]
    assert "<b>" not in shown
    assert told in html.unescape(shown)


def test_the_text_that_came_before_a_broken_connection_stays(notebook: Notebook, lesson: Lesson) -> None:
    lesson.has("?", {"reply": "하나 둘 셋", "cut": 3}, **STREAMED)
    lesson.start()
    with pytest.raises(openai.APIConnectionError):
        run(ChatWindow(Chatbot().ask).send("?"))
    *_, text, note, advice = notebook.shown()[0].split("\n\n")
    assert text in "하나 둘 셋"
    assert note == f"*{say('stream_broken')}*"
    assert html.unescape(advice) == f"> {say('chat_connection')}"


def test_an_error_between_two_requests_does_not_call_the_first_broken(notebook: Notebook) -> None:
    with pytest.raises(KeyError):
        run(ChatWindow(bot(*calling("f", "{}"), KeyError("f"))).send("?"))
    assert say("stream_broken") not in notebook.shown()[0]


def test_a_failed_turn_leaves_no_question_in_the_history(notebook: Notebook, lesson: Lesson) -> None:
    lesson.has("안녕?", "반갑습니다.", **STREAMED)  # a request with the failed question in it is not recorded
    lesson.start()

    async def test() -> None:
        own = Chatbot()
        window = ChatWindow(own.ask)
        with faults.always("500"), pytest.raises(openai.InternalServerError):
            await window.send("실패")
        assert (await window.send("안녕?")).text == "반갑습니다."
        assert [message["content"] for message in own.messages] == ["안녕?", "반갑습니다."]

    run(test())


# a turn that is stopped


def test_stopping_closes_the_response_and_keeps_what_came(
    notebook: Notebook, live: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATKIT_FPS", "1000")
    gate = threading.Event()
    live.answer = Reply("하나 둘 셋 넷", gate=gate, gate_before=3)

    async def test() -> None:
        own = Chatbot()
        window = ChatWindow(own.ask)
        turn = asyncio.ensure_future(window.send("?"))
        await notebook.until(lambda: any("둘" in text for text in notebook.shown()))
        assert not own.streams[0].response.is_closed
        window.stop()
        reply = await turn
        assert own.streams[0].response.is_closed
        assert (reply.text, reply.usage, window.error, own.messages) == ("하나 둘 ", None, None, [])

    try:
        run(test())
    finally:
        gate.set()
    *_, text, note = notebook.shown()[0].split("\n\n")
    assert (text, html.unescape(note)) == ("하나 둘 ", f"> {say('chat_stopped')}")


@pytest.mark.parametrize("more", [[], ["둘 ", "셋 "]], ids=["ends", "goes on"])
def test_a_bot_that_swallows_the_stop_is_stopped_all_the_same(notebook: Notebook, more: list[str]) -> None:
    class Stubborn(Endless):
        async def ask(self, text: str) -> AsyncIterator[Any]:
            with contextlib.suppress(asyncio.CancelledError):
                async for piece in super().ask(text):
                    yield piece
            for piece in more:
                yield chunk({"content": piece})

    async def test() -> None:
        stubborn = Stubborn()
        window = ChatWindow(stubborn.ask)
        turn = asyncio.ensure_future(window.send("?"))
        await stubborn.waiting.wait()
        window.stop()
        assert (await turn).text == "하나 " + "".join(more[:1])

    run(test())
    assert html.unescape(notebook.shown()[0]).endswith(f"> {say('chat_stopped')}")


def test_a_cell_that_is_interrupted_ends_its_turn(notebook: Notebook) -> None:
    async def test() -> None:
        endless = Endless()
        turn = asyncio.ensure_future(ChatWindow(endless.ask).send("?"))
        await endless.waiting.wait()
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert endless.closed.is_set()

    run(test())


def test_stopping_when_nothing_runs_is_harmless(notebook: Notebook) -> None:
    window = ChatWindow(bot(*saying("안녕하세요.")))
    window.stop()
    assert run(window.send("?")).text == "안녕하세요."


# the window


def test_a_reader_without_widgets_finds_a_sentence_instead(notebook: Notebook) -> None:
    async def test() -> None:
        Browser(ChatWindow(bot()), notebook)

    run(test())
    talk, now, view = (output["data"] for output in notebook.outputs)
    assert talk["text/plain"] == say("chat_empty")
    assert now == {"text/markdown": "", "text/plain": ""}
    assert (view["text/plain"], view["text/html"]) == (say("chat_saved"), f"<em>{say('chat_saved')}</em>")


def test_turns_that_are_typed_become_the_talk(notebook: Notebook) -> None:
    async def ask(text: str) -> AsyncIterator[Any]:
        for piece in saying(f"{text}라고 하셨군요."):
            yield piece

    async def test() -> None:
        browser = Browser(ChatWindow(ask), notebook)
        await browser.ask("안녕")
        await browser.ask("또 안녕")
        assert len(notebook.outputs) == 3
        said = [browser.talk.index(text) for text in ("안녕\n", "안녕라고", "또 안녕\n", "또 안녕라고")]
        assert said == sorted(said)
        assert browser.box.value == "" and browser.state.value == say("chat_ready")
        assert notebook.outputs[0]["data"]["text/plain"].count("라고 하셨군요.") == 2

    run(test())


def test_a_reply_is_painted_as_it_arrives(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATKIT_FPS", "1000")

    async def test() -> None:
        endless = Endless()
        browser = Browser(ChatWindow(endless.ask), notebook)
        browser.press_enter("?")
        await browser.until(lambda: "하나 " in browser.now)
        assert "하나 " not in browser.talk
        browser.click(browser.stop)
        await browser.until(lambda: "하나 " in browser.talk)

    run(test())


def test_the_text_that_counts_is_the_one_the_browser_tells_after_enter(notebook: Notebook) -> None:
    asked = []

    async def ask(text: str) -> AsyncIterator[Any]:
        asked.append(text)
        yield saying("네.")[0]

    async def test() -> None:
        browser = Browser(ChatWindow(ask), notebook)
        browser.type("안")
        browser.press_enter()
        await rounds_of_the_loop()
        browser.type("안녕")
        await browser.until(lambda: "안녕" in browser.talk)
        assert asked == ["안녕"]

    run(test())


def test_the_button_sends_too_but_an_empty_box_is_not_sent(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widget, "_SETTLING", 0)
    asked = []

    async def ask(text: str) -> AsyncIterator[Any]:
        asked.append(text)
        yield saying("네.")[0]

    async def test() -> None:
        browser = Browser(ChatWindow(ask), notebook)
        for text in "", "  ":
            browser.press_enter(text)
            await rounds_of_the_loop()
        browser.type("안녕")
        browser.click(browser.send)
        await browser.until(lambda: "안녕" in browser.talk)
        assert asked == ["안녕"]

    run(test())


def test_a_question_sent_too_early_is_refused_and_stays_in_the_box(notebook: Notebook) -> None:
    async def test() -> None:
        endless = Endless()
        browser = Browser(ChatWindow(endless.ask), notebook)
        browser.press_enter("첫째")
        await endless.waiting.wait()
        assert browser.send.disabled and not browser.stop.disabled
        browser.press_enter("둘째")
        await browser.until(lambda: browser.state.value == say("chat_busy"))
        assert browser.box.value == "둘째"
        assert not endless.closed.is_set()
        browser.click(browser.stop)
        await browser.until(lambda: "첫째" in browser.talk)
        assert browser.box.value == "둘째", "what was typed meanwhile is not written over"

    run(test())


def test_the_stop_button_stops_and_says_that_the_usage_is_unknown(notebook: Notebook) -> None:
    async def test() -> None:
        endless = Endless()
        browser = Browser(ChatWindow(endless.ask), notebook)
        browser.press_enter("첫째")
        await endless.waiting.wait()
        browser.click(browser.stop)
        await browser.until(lambda: "첫째" in browser.talk)
        assert endless.closed.is_set()
        assert browser.state.value == say("chat_stopped")
        assert say("chat_cost_unknown", n=1) in browser.cost.value
        assert browser.box.value == "첫째"
        assert browser.stop.disabled and not browser.send.disabled

    run(test())


def test_a_question_that_fails_is_given_back_with_the_reason_and_can_be_sent_again(notebook: Notebook) -> None:
    faults = [ZeroDivisionError("division by zero")]

    async def ask(_text: str) -> AsyncIterator[Any]:
        if faults:
            raise faults.pop()
        for piece in saying("이번에는 됩니다."):
            yield piece

    async def test() -> None:
        window = ChatWindow(ask)
        browser = Browser(window, notebook)
        await browser.ask("어려운 질문")
        assert browser.box.value == "어려운 질문"
        assert "ZeroDivisionError" in browser.state.value and "ZeroDivisionError" in browser.talk
        assert isinstance(window.error, ZeroDivisionError)
        browser.press_enter()  # the text is as it was: the browser tells the key alone
        await browser.until(lambda: "이번에는 됩니다." in browser.talk)
        assert window.error is None

    run(test())


def test_an_error_of_the_settings_is_shown_like_any_other(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATKIT_FPS", "fast")

    async def test() -> None:
        browser = Browser(ChatWindow(bot()), notebook)
        await browser.ask("?")
        assert "CHATKIT&#95;FPS" in browser.talk and "ChatkitError" in browser.state.value

    run(test())


def test_messages_may_come_in_another_thread_but_the_bot_runs_where_its_window_was_shown(notebook: Notebook) -> None:
    cell = ContextVar("cell", default="log console")
    places = []

    async def ask(_text: str) -> AsyncIterator[Any]:
        places.append((threading.current_thread(), asyncio.get_running_loop(), cell.get()))
        yield saying("네.")[0]

    async def test() -> None:
        cell.set("the window's cell")
        browser = Browser(ChatWindow(ask), notebook)
        cell.set("a later cell")
        subshell = threading.Thread(target=browser.press_enter, args=("안녕",))
        subshell.start()
        await browser.until(lambda: "안녕" in browser.talk)
        subshell.join()
        assert places == [(threading.current_thread(), asyncio.get_running_loop(), "the window's cell")]

    run(test())


def test_pictures_stand_in_the_talk_with_their_sentence(notebook: Notebook) -> None:
    bars = figures.bars({"서울": 3.5}, title='"기온"')
    table = bars.table()

    async def test() -> None:
        browser = Browser(ChatWindow(bot(bars, table, *saying("그림입니다."))), notebook)
        await browser.ask("?")
        coded = base64.b64encode(bars.svg.encode()).decode()
        (picture,) = [line for line in browser.talk.splitlines() if line.startswith("<img ")]
        assert picture.endswith(f'" src="data:image/svg+xml;base64,{coded}">')
        assert picture.startswith('<img alt="') and "3.5" in picture and picture.count('"') == 4
        assert table._repr_mimebundle_()["text/markdown"] in browser.talk

    run(test())


class Photograph:
    """A picture that is no SVG."""

    def _repr_png_(self) -> bytes:
        return b"\x89PNG"


class Sheet:
    """A table of another library."""

    def _repr_html_(self) -> str:
        return "<table><tr><td>3.5</td></tr></table>"


def test_what_other_libraries_show_is_shown_too(notebook: Notebook) -> None:
    async def test() -> None:
        browser = Browser(ChatWindow(bot(Photograph(), Sheet(), *saying("여기 있습니다."))), notebook)
        await browser.ask("?")
        assert "data:image/png;base64,iVBORw==" in browser.talk
        assert "<table><tr><td>3.5</td></tr></table>" in browser.talk

    run(test())


def test_a_window_shown_again_brings_its_talk_along(notebook: Notebook) -> None:
    async def test() -> None:
        window = ChatWindow(bot(*saying("반갑습니다.")))
        await Browser(window, notebook).ask("안녕")
        again = Browser(window, notebook)
        assert "반갑습니다." in again.talk
        await again.ask("또")
        assert again.talk.count("반갑습니다.") == 2

    run(test())


# what it cost


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ([saying("네."), saying("네.")], say("chat_cost", requests=2, sent="36", received="106", usd="0.000057")),
        (
            [saying("네.", usage=None)],
            say("chat_cost", requests=1, sent="0", received="0", usd="0.000000") + say("chat_cost_unknown", n=1),
        ),
        (
            [saying("네.", model="a-model-of-mine"), saying("네.")],
            say("chat_cost", requests=2, sent="36", received="106", usd="0.000028") + say("chat_cost_unknown", n=1),
        ),
    ],
    ids=["two requests", "no usage", "a model without a price"],
)
def test_the_cost_of_all_requests_is_added_up(notebook: Notebook, replies: list[Any], expected: str) -> None:
    async def test() -> None:
        browser = Browser(ChatWindow(bot(*itertools.chain(*replies))), notebook)
        await browser.ask("?")
        assert browser.cost.value == expected

    run(test())


def test_what_is_sent_from_a_cell_costs_as_well(notebook: Notebook) -> None:
    async def test() -> None:
        window = ChatWindow(bot(*saying("네.")))
        browser = Browser(window, notebook)
        await window.send("?")
        await browser.ask("?")
        assert browser.cost.value == say("chat_cost", requests=2, sent="36", received="106", usd="0.000057")
        assert browser.talk.count("네.") == 1, "a turn that a cell sends is shown under that cell"

    run(test())


# in a notebook that is saved

LESSON_CELLS = [
    """import chatkit, openai
chatkit.start("01_test", folder="recordings")
from chatkit.widget import ChatWindow""",
    """class Chatbot:
    def __init__(self):
        self.client, self.messages = openai.AsyncOpenAI(), []

    async def ask(self, text):
        turn, answer = [{"role": "user", "content": text}], ""
        chunks = await self.client.chat.completions.create(
            model="gpt-6-luna", messages=self.messages + turn, stream=True
        )
        async for chunk in chunks:
            yield chunk
            answer += chunk.choices[0].delta.content or "" if chunk.choices else ""
        self.messages += [*turn, {"role": "assistant", "content": answer}]""",
    "window = ChatWindow(Chatbot().ask)\nwindow",
    "await window.send('안녕?')",
    "reply = await window.send('또 안녕?')",
]


def test_a_saved_notebook_shows_the_talk_and_passes_the_strict_comparison(lesson: Lesson) -> None:
    lesson.has("안녕?", "반갑습니다.", stream=True)
    again = chat("또 안녕?", stream=True)
    said = [*chat("안녕?")["json"]["messages"], {"role": "assistant", "content": "반갑습니다."}]
    again["json"]["messages"] = said + again["json"]["messages"]
    lesson.holds(again, "또 반갑습니다.")
    at_once = {**os.environ, "CHATKIT_SPEED": "0", "CHATKIT_FPS": "0"}
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in LESSON_CELLS])
    notebooks.Runner(book, lesson.root.parent, at_once).run()
    shown = [output["data"].get("text/markdown") for cell in book.cells[3:] for output in cell.outputs]
    assert [text and text.rsplit("\n\n", 1)[1] for text in shown] == ["반갑습니다.", None, "또 반갑습니다."]
    nbformat.write(book, lesson.root.parent / "talk.ipynb")
    strict = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "talk.ipynb"]
    result = subprocess.run(strict, cwd=lesson.root.parent, env=at_once, capture_output=True, text=True)
    assert f"{len(LESSON_CELLS)} passed" in result.stdout, result.stdout
