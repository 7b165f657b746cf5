"""The chat window in a real JupyterLab, in a real browser, with a server on loopback that can be held back."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import ipykernel
import pytest
from browser import Lab, NoBrowser, open_lab
from openai_server import OpenAIServer, Reply

from chatkit.messages import say

SETUP = """
import asyncio, openai
from chatkit import figures
from chatkit.widget import ChatWindow

class Chatbot:
    def __init__(self):
        self.client, self.messages = openai.AsyncOpenAI(max_retries=0), []

    async def ask(self, text):
        turn, answer = [{"role": "user", "content": text}], ""
        self.chunks = await self.client.chat.completions.create(
            model="gpt-6-luna", messages=self.messages + turn, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in self.chunks:
            yield chunk
            for choice in chunk.choices:
                answer += choice.delta.content or ""
                if choice.delta.tool_calls:
                    yield {"role": "tool", "tool_call_id": "call_1", "content": "3.5"}
                    yield figures.bars({"서울": 3.5, "부산": 9.25})
        self.messages += [*turn, {"role": "assistant", "content": answer}]
"""
WINDOW = "bot = Chatbot()\nwindow = ChatWindow(bot.ask)\nwindow"
# Keeps what the page's widgets tell the kernel.
LISTEN = """() => {
    const {kernel} = window.jupyterapp.shell.currentWidget.sessionContext.session;
    window.told = [];
    kernel.anyMessage.connect((_, {msg: {header, content}, direction}) => {
        const told = direction === 'send' && header.msg_type === 'comm_msg';
        if (told) window.told.push(content.data.content ?? content.data.state);
    });
}"""
INCLUDES = "([id, text]) => { %s return cell.outputArea.node.innerText.includes(text) }"
TOOL_CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
NO_CREDIT = {"error": {"message": "no credit", "type": "insufficient_quota", "code": "credit_balance_exhausted"}}


class Window:
    """A new window in the page; `gate` opens what the server holds back of "긴 질문"."""

    def __init__(self, lab: Lab, server: OpenAIServer) -> None:
        self.lab, self.server, self.gate = lab, server, threading.Event()
        server.answer, server.requests[:] = self.answer, []
        self.cell = lab.run(WINDOW)
        panel = lab.page.locator(".widget-vbox").last
        self.box = panel.get_by_label(say("chat_question"))
        self.send, self.stop = (panel.get_by_role("button", name=say(name)) for name in ("chat_send", "chat_stop"))
        self.box.click()

    def answer(self, body: Any) -> str | Reply:
        question = body["messages"][-1]["content"]
        if "긴" in question:
            return Reply("하나 둘 셋 넷 다섯.", gate=self.gate, gate_before=3)
        if "실패" in question:
            return Reply(status=429, body=json.dumps(NO_CREDIT).encode())
        if "날씨" in question:
            choices = [{"index": 0, "delta": {"tool_calls": [TOOL_CALL]}, "finish_reason": "tool_calls"}]
            common = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-6-luna"}
            return Reply(events=[{**common, "choices": choices}, "[DONE]"])
        return f"'{question}'라고 하셨습니다. <b>굵게</b>"

    def type(self, text: str) -> None:
        self.lab.page.keyboard.insert_text(text)

    def press(self, key: str) -> None:
        self.lab.page.keyboard.press(key)

    def ask(self, text: str) -> None:
        self.type(text)
        self.press("Enter")

    def wait_for(self, text: str) -> None:
        self.lab.wait(INCLUDES, [self.cell, text])

    def wait_for_box(self, text: str) -> None:
        self.lab.wait("text => document.activeElement.value === text", text)

    def shown(self) -> str:
        return self.lab.evaluate("id => { %s return cell.outputArea.node.innerText }", self.cell)

    def asked(self) -> list[list[str]]:
        """Return the texts of the messages of each request that came to the server."""
        return [[message["content"] for message in request.body["messages"]] for request in self.server.requests]

    def value(self, expression: str) -> str:
        """Return what a cell that ends on an expression shows."""
        return self.lab.outputs(self.lab.run(expression))[-1]["data"]["text/plain"]


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


@pytest.fixture(scope="module")
def lab(server: OpenAIServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    ours = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "loopback-key", "CHATKIT_FPS": "30"}
    try:
        with open_lab(tmp_path_factory.mktemp("lab"), ours) as opened:
            opened.run(SETUP)
            yield opened
    except NoBrowser as missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no Chromium and no Chrome: {missing}")


@pytest.fixture
def window(lab: Lab, server: OpenAIServer) -> Iterator[Window]:
    opened = Window(lab, server)
    yield opened
    opened.gate.set()


def test_a_question_is_sent_by_enter_and_its_answer_is_seen_arriving(window: Window) -> None:
    window.ask("긴 질문")
    window.wait_for("하나 둘")
    assert "셋" not in window.shown()
    window.gate.set()
    window.wait_for("다섯.")
    window.wait_for(say("chat_ready"))
    window.wait_for("USD 0.000028")
    window.wait_for_box("")


def test_turns_follow_each_other_and_model_text_is_harmless(window: Window) -> None:
    window.ask("안녕")
    window.wait_for("'안녕'라고")
    window.wait_for(say("chat_ready"))
    window.ask("또 안녕")
    window.wait_for("'또 안녕'라고 하셨습니다. <b>굵게</b>")
    assert window.asked() == [["안녕"], ["안녕", "'안녕'라고 하셨습니다. <b>굵게</b> ", "또 안녕"]]


def test_the_controls_stay_in_view_however_long_the_talk_is(window: Window) -> None:
    fits = "id => { %s return cell.outputArea.node.offsetHeight < window.innerHeight * 0.8 }"
    for question in ["하나", "둘", "셋", "넷", "다섯", "긴 질문"]:
        window.ask(question)
        window.wait_for(f"'{question}'라고" if question != "긴 질문" else "하나 둘")
        window.lab.wait(fits, window.cell)
        window.wait_for(say("chat_ready" if question != "긴 질문" else "chat_receiving"))
    window.gate.set()
    window.wait_for(say("chat_ready"))
    window.lab.wait(fits, window.cell)
    told = "id => { %s return cell.outputArea.node.querySelector('.jp-RenderedMarkdown div').scrollHeight }"
    assert window.lab.evaluate(told, window.cell) > 900


def test_a_syllable_that_is_being_composed_is_never_sent_by_halves(window: Window) -> None:
    """As an input method acts: while it composes, Enter is its own key (229), and the syllable is still its own."""
    page = window.lab.page
    browser = page.context.new_cdp_session(page)
    page.evaluate(LISTEN)

    def compose(*letters: str) -> None:
        for text in letters:
            browser.send("Input.imeSetComposition", {"text": text, "selectionStart": 1, "selectionEnd": 1})

    compose("ㅎ", "하", "한")
    window.type("한")
    compose("ㄱ", "그", "글")
    browser.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", "windowsVirtualKeyCode": 229, "key": "Process"})
    browser.send("Input.dispatchKeyEvent", {"type": "keyUp", "windowsVirtualKeyCode": 13, "key": "Enter"})
    window.type("글")
    assert page.evaluate("() => window.told") == []
    window.press("Enter")
    window.wait_for("'한글'라고")
    window.wait_for_box("")
    assert window.asked() == [["한글"]]
    assert page.evaluate("() => window.told") == [{"event": "submit"}, {"value": "한글"}]


def test_the_stop_button_ends_the_answer_and_gives_the_question_back(window: Window) -> None:
    window.ask("긴 질문")
    window.wait_for("하나 둘")
    window.stop.click()
    window.wait_for(say("chat_stopped"))
    window.wait_for_box("긴 질문")
    assert "하나 둘" in window.shown()
    assert window.value("bot.chunks.response.is_closed, bot.messages") == "(True, [])"


def test_the_keyboard_reaches_the_stop_button_and_comes_back_to_the_box(window: Window) -> None:
    window.ask("긴 질문")
    window.wait_for("하나 둘")
    window.press("Tab")  # the send button is off meanwhile
    window.press("Enter")
    window.wait_for(say("chat_stopped"))
    window.wait_for_box("긴 질문")


def test_a_failure_is_explained_and_the_question_given_back(window: Window) -> None:
    window.type("실패할 질문")
    window.send.click()
    window.wait_for(say("chat_credit"))
    window.wait_for_box("실패할 질문")
    assert window.value("bot.messages, type(window.error).__name__") == "([], 'RateLimitError')"


def test_a_second_question_waits_in_the_box(window: Window) -> None:
    window.ask("긴 질문")
    window.wait_for("하나 둘")
    window.ask("둘째 질문")
    window.wait_for(say("chat_busy"))
    window.gate.set()
    window.wait_for("다섯.")
    window.wait_for(say("chat_ready"))
    window.wait_for_box("둘째 질문")
    window.press("Enter")
    window.wait_for("'둘째 질문'라고")
    assert [texts[-1] for texts in window.asked()] == ["긴 질문", "둘째 질문"]


@pytest.mark.skipif(ipykernel.version_info < (7,), reason="there messages of widgets wait for the cell")
def test_turns_go_on_while_a_cell_waits(window: Window) -> None:
    window.ask("첫째")
    window.wait_for("'첫째'라고")
    window.wait_for(say("chat_ready"))
    waiting = window.lab.start("while len(bot.messages) < 6:\n    await asyncio.sleep(0.01)")
    window.box.click()
    window.ask("둘째")
    window.wait_for("'둘째'라고")
    window.wait_for(say("chat_ready"))
    window.ask("셋째")
    window.wait_for("'셋째'라고")
    window.lab.wait_until_done(waiting)


def test_a_tool_call_is_folded_and_a_picture_is_seen(window: Window) -> None:
    window.ask("날씨는?")
    window.wait_for("get_weather")
    window.wait_for(say("chat_ready"))
    seen = "id => { %s const shown = cell.outputArea.node.querySelector('img'); return shown?.naturalWidth > 600 }"
    window.lab.wait(seen, window.cell)
    folded = window.lab.page.locator("details", has_text="get_weather").last
    assert folded.get_attribute("open") is None
    folded.locator("summary").click()
    folded.get_by_text("3.5").wait_for(state="visible")


def test_the_saved_notebook_is_read_without_its_kernel(window: Window) -> None:
    window.ask("날씨는?")
    window.wait_for("get_weather")
    window.wait_for(say("chat_ready"))
    source = {"cell_type": "code", "id": "w", "metadata": {}, "source": WINDOW, "execution_count": 1}
    saved = {**source, "outputs": window.lab.outputs(window.cell)}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": [saved]}
    window.lab.write("saved.ipynb", json.dumps(book))
    page = window.lab.page
    page.evaluate("() => { window.jupyterapp.commands.execute('docmanager:open', {path: 'saved.ipynb'}) }")
    reader = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)", has_text=say("chat_saved"))
    reader.get_by_text("날씨는?").wait_for()
    reader.locator("summary", has_text="get_weather").wait_for()
    page.wait_for_function("() => [...document.querySelectorAll('img')].at(-1).naturalWidth > 600")
    assert window.box.count() == 1, "and the window itself is left in its own notebook"
