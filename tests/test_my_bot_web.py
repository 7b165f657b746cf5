"""The bot's web page in headless Chromium, against the server on loopback and with no way to anywhere else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time

import httpx2
import pytest
from isolation import PROJECT
from openai_server import OpenAIServer, Reply
from test_my_bot import MODEL, called, chunk, once, said

pytest.importorskip("nicegui")
playwright = pytest.importorskip("playwright.sync_api")
import browser  # noqa: E402

SQL = json.dumps({"sql": "SELECT mean_temp_c FROM normals WHERE city = '서울' AND month = 1"})


@pytest.fixture(scope="module")
def openai():
    with OpenAIServer() as server:
        yield server


@pytest.fixture(scope="module")
def origin(openai, tmp_path_factory):
    """The address of the running page."""
    folder, port = tmp_path_factory.mktemp("web"), browser.free_port()
    own = {"OPENAI_BASE_URL": openai.base_url, "OPENAI_API_KEY": "loopback-key", "OPENAI_MODEL": MODEL}
    own |= {"PORT": str(port), "PYTHONUTF8": "1", "HOME": str(folder)}
    # NiceGUI takes a variable of pytest's as a sign that it is itself under test.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    with (folder / "web.log").open("wb") as log:
        command = [sys.executable, str(PROJECT / "notebooks" / "my_bot_web.py")]
        server = subprocess.Popen(command, env=kept | own, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield answering(f"http://127.0.0.1:{port}", server, folder / "web.log")
        finally:
            server.terminate()
            server.wait(browser.PATIENCE)


def answering(origin, server, log):
    """Return the address once there is somebody at it."""
    end = time.monotonic() + browser.PATIENCE
    while True:
        try:
            return httpx2.get(origin).raise_for_status() and origin
        except httpx2.HTTPError:
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(log.read_text(encoding="utf-8", errors="replace")[-2_000:]) from None
            time.sleep(0.05)


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as running:
        try:
            with browser.chromium(running) as found:
                yield found
        except browser.NoBrowser as error:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no Chromium and no Chrome: {error}")


@pytest.fixture
def page(chromium, origin, openai):
    """The page, freshly opened; what it asks of other addresses is refused and makes the test fail."""
    openai.requests.clear()
    elsewhere = []
    opened = chromium.new_page(locale="ko-KR", viewport={"width": 900, "height": 800})
    opened.set_default_timeout(browser.PATIENCE * 1_000)

    def refuse(route):
        elsewhere.append(route.request.url)
        route.abort()

    opened.route(re.compile(rf"^(?!{re.escape(origin)}/)"), refuse)
    opened.goto(origin)
    yield opened
    assert elsewhere == []
    opened.close()


def ask(page, text):
    page.get_by_label("질문").fill(text)
    page.get_by_label("질문").press("Enter")


def sees(page, text):
    page.get_by_text(text).first.wait_for()


def test_a_question_typed_in_korean_is_answered_and_remembered(page, openai):
    openai.answer = said("반갑", "습니다.")
    ask(page, "안녕하세요?")
    sees(page, "반갑습니다.")
    sees(page, "요금을 알 수 없음")
    page.get_by_label("질문").fill("또 왔어요")
    page.get_by_role("button", name="보내기").click()
    sees(page, "또 왔어요")
    page.wait_for_function("document.body.innerText.split('반갑습니다.').length === 3")
    sent = [message["content"] for message in openai.requests[-1].body["messages"]]
    assert sent[1:] == ["안녕하세요?", "반갑습니다.", "또 왔어요"]


def test_the_reply_is_shown_while_it_comes_and_stopping_forgets_the_turn(page, openai):
    gate = threading.Event()
    reply = said("첫 조각", " 둘째 조각")
    openai.answer = Reply(events=reply.events, gate=gate, gate_before=2)
    ask(page, "길게 말해 줘")
    sees(page, "첫 조각")
    page.get_by_role("button", name="멈춤").click()
    sees(page, "멈췄습니다")
    gate.set()
    assert "둘째 조각" not in page.inner_text("body")
    openai.answer = said("네.")
    ask(page, "다시")
    sees(page, "네.")
    assert [message["content"] for message in openai.requests[-1].body["messages"]][1:] == ["다시"]


def test_a_question_on_the_data_shows_what_the_tool_found(page, openai):
    openai.answer = once(called(("climate_sql", SQL)), said("영하 1.9도입니다."))
    ask(page, "서울의 1월은?")
    sees(page, "영하 1.9도입니다.")
    page.get_by_text("도구의 결과").click()
    sees(page, '"rows": [[-1.9]]')


def test_html_of_the_model_stays_text(page, openai):
    openai.answer = said("<img src=x onerror=\"document.title='got'\"> <b>굵게</b> **별**")
    ask(page, "<i>나</i>")
    sees(page, "<b>굵게</b> **별**")
    sees(page, "<i>나</i>")
    assert page.title() == "나의 챗봇"


def test_an_error_is_told_with_what_to_do_and_gives_the_question_back(page, openai):
    openai.answer = Reply(status=404)
    ask(page, "안녕?")
    sees(page, "OPENAI_MODEL을 확인하세요")
    playwright.expect(page.get_by_label("질문")).to_have_value("안녕?")
    playwright.expect(page.get_by_role("button", name="보내기")).to_be_enabled()


class Line:
    """The page's line to its server, on which the first message with a text in it waits until `let_go()`."""

    def __init__(self, page, origin, *, hold):
        self.held, self._hold = [], hold
        page.route_web_socket(re.compile(".*"), self._connect)
        page.goto(origin)

    def _connect(self, route):
        self._server = route.connect_to_server()
        route.on_message(self._pass)

    def _pass(self, message):
        if self._hold in message and not self.held:
            self.held.append(message)
        else:
            self._server.send(message)

    def let_go(self):
        for message in self.held:
            self._server.send(message)


def test_a_question_given_back_can_be_sent_again_on_a_slow_line(page, origin, openai):
    emptied = r'"args":["\"\""]'
    line = Line(page, origin, hold=emptied)
    openai.answer = Reply(status=404)
    ask(page, "안녕?")
    sees(page, "OPENAI_MODEL을 확인하세요")
    line.let_go()
    openai.answer = said("네.")
    playwright.expect(page.get_by_label("질문")).to_have_value("안녕?")
    page.get_by_label("질문").press("Enter")
    sees(page, "네.")


def test_enter_sends_what_is_in_the_box_even_if_the_server_has_not_heard_of_it(page, origin, openai):
    openai.answer = said("네.")
    line = Line(page, origin, hold=r'"args":["\"안녕?\""]')
    page.get_by_label("질문").fill("안녕?")
    page.get_by_label("질문").press("Enter")
    sees(page, "네.")
    assert line.held


def test_what_is_typed_while_a_reply_comes_stays(page, openai):
    gate = threading.Event()
    openai.answer = Reply(events=said("첫 조각", " 둘째 조각").events, gate=gate, gate_before=2)
    ask(page, "첫 질문")
    sees(page, "첫 조각")
    page.keyboard.type("둘째 질문")
    gate.set()
    sees(page, "둘째 조각")
    sees(page, "요금을 알 수 없음")
    playwright.expect(page.get_by_label("질문")).to_have_value("둘째 질문")
    openai.answer = said("네.")
    page.get_by_label("질문").press("Enter")
    sees(page, "네.")
    playwright.expect(page.get_by_label("질문")).to_have_value("")


def test_the_enter_that_ends_a_syllable_sends_nothing(page, openai):
    """As an input method acts: while it composes, Enter is its own key (229)."""
    openai.answer = said("네.")
    page.get_by_label("질문").focus()
    keyboard = page.context.new_cdp_session(page)
    for syllable in ("ㅎ", "하", "한"):
        keyboard.send("Input.imeSetComposition", {"text": syllable, "selectionStart": 1, "selectionEnd": 1})
    keyboard.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", "windowsVirtualKeyCode": 229, "key": "Process"})
    keyboard.send("Input.dispatchKeyEvent", {"type": "keyUp", "windowsVirtualKeyCode": 13, "key": "Enter"})
    page.keyboard.insert_text("한")
    page.keyboard.insert_text("글")
    page.keyboard.press("Enter")
    sees(page, "네.")
    assert [request.body["messages"][-1]["content"] for request in openai.requests] == ["한글"]


def test_two_visitors_do_not_share_a_conversation(page, chromium, origin, openai):
    openai.answer = said("네.")
    ask(page, "비밀 이야기")
    sees(page, "네.")
    other = chromium.new_page()
    other.goto(origin)
    ask(other, "처음이에요")
    sees(other, "네.")
    assert "비밀" not in json.dumps(openai.requests[-1].body, ensure_ascii=False)
    other.close()


def test_a_page_that_is_closed_asks_no_more(page, chromium, origin, openai):
    gate = threading.Event()
    reply = once(called(("climate_sql", SQL)), said("영하 1.9도입니다."))
    openai.answer = lambda body: Reply(events=reply(body).events, gate=gate, gate_before=1)
    left = chromium.new_page()
    left.goto(origin)
    ask(left, "서울의 1월은?")
    left.get_by_role("button", name="멈춤").and_(left.locator(":enabled")).wait_for()
    while not openai.requests:
        left.wait_for_timeout(10)
    left.close()
    openai.answer = said("네.")
    ask(page, "다시")
    sees(page, "네.")
    gate.set()
    ask(page, "또")
    page.wait_for_function("document.body.innerText.split('네.').length === 3")
    assert [request.body["messages"][-1]["content"] for request in openai.requests] == ["서울의 1월은?", "다시", "또"]


@pytest.mark.parametrize("sent", ["{", {**chunk({}), "choices": None}], ids=["no JSON", "no choices"])
def test_what_no_server_should_send_is_told(page, openai, sent):
    openai.answer = Reply(events=[sent])
    ask(page, "안녕?")
    sees(page, "예상하지 못한")
    playwright.expect(page.get_by_role("button", name="보내기")).to_be_enabled()


def test_a_reply_that_breaks_off_is_told(page, openai):
    openai.answer = Reply(events=[chunk({"role": "assistant", "content": "반쪽"}), "[DONE]"])
    ask(page, "안녕?")
    sees(page, "끊겼습니다")
