"""The built site in headless Chromium, below a path, with every address but its own refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from browser import Lab, chromium
from openai_server import OpenAIServer
from place import PATH, PROJECT
from playwright.sync_api import sync_playwright
from test_pyodide import saved_text

from chatkit import notebooks
from chatkit.messages import say

_RUN = """index => {
    const {shell, commands} = window.jupyterapp, {content} = shell.currentWidget;
    content.activeCellIndex = index;
    window.running = true;
    const done = () => { window.running = false };
    commands.execute('notebook:run-cell').then(done, done);
}"""
_PAUSED = "() => !window.running || document.querySelector('.jp-Stdin-input')"
# A lesson ends on text; the cell to run is the last one.
_ADD = """async () => {
    const {shell, commands} = window.jupyterapp, {content} = shell.currentWidget;
    content.activeCellIndex = content.widgets.length - 1;
    await commands.execute('notebook:insert-cell-below');
}"""
_LAST = "() => window.jupyterapp.shell.currentWidget.content.widgets.at(-2).model.sharedModel.getSource()"
_OUTPUTS = "index => window.jupyterapp.shell.currentWidget.content.widgets[index].model.outputs.toJSON()"
# What a learner sees of a cell's output, each time it changes.
_WATCH = """index => {
    const cell = window.jupyterapp.shell.currentWidget.content.widgets[index], {node} = cell.outputArea;
    window.seen = [];
    new MutationObserver(() => { window.seen.push(node.innerText.trim()) })
        .observe(node, {childList: true, subtree: true, characterData: true});
}"""
_READ = "from pathlib import Path\nprint(Path('memo.txt').read_text(encoding='utf-8'))"
_SOLVED = """chatkit.exercise("01-ask")
messages = [{"role": "user", "content": "바다는 왜 짠가요? 한 문장으로 답해 주세요."}]
completion = client.chat.completions.create(
    model=MODEL, reasoning_effort="none", messages=messages
)
completion.choices[0].message.content"""
_WINDOW = """
from openai import AsyncOpenAI
import chatkit.widget

async def ask(text):
    client = AsyncOpenAI()
    messages = [{"role": "user", "content": text}]
    async for chunk in await client.chat.completions.create(
        model=MODEL, reasoning_effort="none", messages=messages, stream=True
    ):
        yield chunk

window = chatkit.widget.ChatWindow(ask)
window
"""
_OWN_KEY = """
import os
from getpass import getpass
from openai import OpenAI
import chatkit

os.environ["OPENAI_API_KEY"] = getpass("API 키: ")
os.environ["OPENAI_BASE_URL"] = "%s"
chatkit.start("01_setup", mode="live")
chunks = OpenAI().chat.completions.create(
    model=os.environ["OPENAI_MODEL"], messages=[{"role": "user", "content": "안녕하세요?"}], stream=True
)
for chunk in chunks:
    print(chunk.choices[0].delta.content or "", end="")
print()
"""
_KERNEL = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


class Page(Lab):
    """A notebook of the site; its cells are counted as in the file."""

    def open(self, notebook: str) -> None:
        # A workspace of its own, as in the links of the first page: a shared one opens all earlier notebooks again.
        query = f"path={notebook}&workspace={notebook.removesuffix('.ipynb')}"
        self.page.goto(f"{self.origin}/{PATH}/lab/index.html?{query}", wait_until="commit")
        self.page.wait_for_function(_KERNEL)

    def seen(self, cell: str) -> str:
        """Return what a person reads below a cell."""
        self.wait("id => { %s return cell.outputArea.node.innerText.trim() }", cell)
        return self.evaluate("id => { %s return cell.outputArea.node.innerText }", cell)

    def reload(self) -> None:
        """Save and come again, as one does."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        self.page.reload(wait_until="commit")
        self.page.wait_for_function(_KERNEL)

    def _dismiss(self, dialog: Any) -> None:
        dialog.accept()  # the browser asks whether one really wants to leave

    def start(self, source: str) -> str:
        self.page.evaluate(_ADD)
        return super().start(source)

    def answer(self, typed: str) -> None:
        """Type into the box of a cell that asks."""
        box = self.page.locator(".jp-Stdin-input")
        box.fill(typed)
        box.focus()
        self.page.keyboard.press("Enter")
        box.wait_for(state="detached")

    def run_cell(self, index: int) -> list[dict[str, Any]]:
        """Run a cell as a learner does, who answers each question with Enter, and return its outputs."""
        self.page.evaluate(_RUN, index)
        self.wait(_PAUSED)
        while self.evaluate("() => window.running"):
            self.answer("")
            self.wait(_PAUSED)
        return self.page.evaluate(_OUTPUTS, index)


@pytest.fixture(scope="session")
def visitor() -> Iterator[Any]:
    """A browser that has not been here before."""
    with sync_playwright() as playwright, chromium(playwright) as browser:
        yield browser.new_context(locale="ko-KR", viewport={"width": 1280, "height": 1000})


@pytest.fixture
def page(visitor, served, tmp_path) -> Iterator[Page]:
    page = Page(visitor.new_page(), served.origin, tmp_path)
    yield page
    page.page.close()
    assert page.requests == [], "the page asked for something elsewhere"


def test_a_first_visit_is_at_most_35_mb_and_runs_a_lesson_to_its_end(page, served):
    book = notebooks.read(PROJECT / "notebooks" / "01_setup.ipynb")
    page.open("01_setup.ipynb")
    page.page.get_by_role("menuitem", name="파일").wait_for()
    for index, cell in enumerate(book.cells):
        if cell.cell_type == "code":
            outputs = page.run_cell(index)
            raised = [output["ename"] for output in outputs if output["output_type"] == "error"]
            assert bool(raised) == ("raises-exception" in cell.metadata.get("tags", [])), f"cell {index}: {outputs}"
            assert text(outputs) == saved_text(cell), f"cell {index}"
    assert served.megabytes <= 35


def test_the_first_page_leads_to_each_lesson(page, served):
    page.page.goto(f"{served.origin}/{PATH}/")
    links = page.page.get_by_role("listitem").get_by_role("link").all()
    targets = [link.get_attribute("href") for link in links]
    names = [lesson.stem for lesson in notebooks.lessons(PROJECT)]
    assert targets == [f"lab/index.html?path={name}.ipynb&workspace={name}" for name in names]
    links[3].click()
    page.page.wait_for_function(_KERNEL)
    assert page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path") == "04_system_messages.ipynb"


def test_a_streamed_reply_is_painted_as_it_arrives(page):
    page.open("03_streaming.ipynb")
    for index in (2, 4):
        page.run_cell(index)
    page.page.evaluate(_WATCH, 35)
    page.run_cell(35)
    seen = page.evaluate("() => window.seen")
    growing = [len(text) for text in seen]
    assert len(set(growing)) >= 3 and growing == sorted(growing), seen


def test_the_tool_of_lesson_6_has_its_database(page):
    book = notebooks.read(PROJECT / "notebooks" / "06_chatbot_project.ipynb")
    page.open("06_chatbot_project.ipynb")
    [index] = [i for i, cell in enumerate(book.cells) if cell.source.startswith("import climate")]
    [output] = page.run_cell(index)
    assert output["data"]["text/plain"] == book.cells[index].outputs[0].data["text/plain"]


def test_a_cell_that_asks_takes_the_scripted_answer_at_enter(page):
    page.open("02_chat_completions.ipynb")
    page.run("import chatkit\nchatkit.start('02_chat_completions', answers={'이름: ': '민수'})")
    page.start("print(input('이름: '), '님')")
    page.answer("")
    page.page.get_by_text("민수 님").wait_for()


def test_a_button_stops_a_reply_that_is_under_way(page):
    page.open("03_streaming.ipynb")
    for index in (2, 56, 59, 61):
        page.run_cell(index)
    page.page.wait_for_function("() => document.querySelector('.jp-OutputArea-output textarea')?.value.length > 20")
    page.page.get_by_role("button", name="멈춤").click()
    assert text(page.run_cell(63)) == "멈췄습니다.\n"


def test_the_chat_window_answers_what_is_typed(page):
    page.open("03_streaming.ipynb")
    page.run_cell(2)
    page.run(_WINDOW)
    page.page.locator(".widget-vbox").last.get_by_label(say("chat_question")).fill("사과의 색은?")
    page.page.get_by_role("button", name=say("chat_send")).click()
    page.page.get_by_text("사과는 보통 빨간색이고, 초록색이나 노란색도 있습니다.").wait_for()


def test_notebooks_and_files_are_as_they_were_left_after_a_reload(page):
    page.open("02_chat_completions.ipynb")
    page.run("from pathlib import Path\nPath('memo.txt').write_text('안녕', encoding='utf-8')")
    page.reload()
    assert "memo.txt" in page.evaluate(_LAST)
    cell = page.run(_READ)
    assert text(page.outputs(cell)) == "안녕\n"


def test_an_exercise_and_a_question_are_graded_and_still_done_after_a_reload(page):
    page.open("01_setup.ipynb")
    for index in (3, 5):
        page.run_cell(index)
    assert say("exercise_passed") in page.seen(page.run(_SOLVED))
    page.run('chatkit.quiz("01-stateless")')
    box = page.page.locator(".widget-vbox").last
    box.get_by_role("radio").nth(1).check()
    box.get_by_role("button").click()
    page.page.get_by_text("✓").last.wait_for()
    page.reload()
    page.run_cell(3)
    shown = page.seen(page.run("chatkit.progress()"))
    assert "✓" in shown and shown.count("✓") >= 2, shown


@pytest.mark.parametrize(
    "way",
    [
        "import js; await js.fetch('https://example.com/')",
        "from pyodide.http import pyfetch; await pyfetch('https://example.com/')",
        "from pyodide.http import open_url; open_url('https://example.com/')",
        "import js; js.WebSocket.new('wss://example.com/')",
        "import urllib.request; urllib.request.urlopen('https://example.com/')",
    ],
    ids=["fetch", "pyfetch", "open_url", "WebSocket", "urllib"],
)
def test_in_replay_no_way_out_of_the_page_is_open(page, way):
    page.open("01_setup.ipynb")
    page.run_cell(3)
    outputs = page.outputs(page.run(way))
    assert "NetworkBlocked" in outputs[-1]["ename"], outputs


def test_this_suite_sees_a_request_to_another_origin(visitor, served, tmp_path):
    page = Page(visitor.new_page(), served.origin, tmp_path)
    page.open("01_setup.ipynb")
    page.run("import js; await js.fetch('https://example.com/')")
    assert page.requests == ["https://example.com/"]
    page.page.close()


def test_a_key_of_ones_own_asks_a_server_that_lets_pages_ask(page):
    with OpenAIServer("직접 물어본 답입니다.", cors=True) as server:
        page.page.context.route(f"{server.origin}/**", lambda route: route.continue_())
        page.open("01_setup.ipynb")
        cell = page.start(_OWN_KEY % server.base_url)
        page.answer("sk-typed-by-hand")
        page.wait_until_done(cell)
        assert text(page.outputs(cell)).endswith("직접 물어본 답입니다. \n")
        assert [request.headers["authorization"] for request in server.requests] == ["Bearer sk-typed-by-hand"]
        assert "sk-typed-by-hand" not in json.dumps(page.outputs(cell))


def text(outputs) -> str:
    return "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")
