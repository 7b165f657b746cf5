"""A streamed reply in a real JupyterLab, in a real browser: nothing runs, nothing is fetched, nothing is lost."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

import pytest
from browser import Lab, NoBrowser, open_lab
from test_markdown import ATTACKS

from chatkit.messages import say

ELSEWHERE = "https://evil.invalid/"
SETUP = """
import json, threading, time
import chatkit
from openai.types.chat import ChatCompletionChunk

def chunk(text, reason=None):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    fields = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-6-luna", "choices": [choice]}
    return ChatCompletionChunk.model_validate(fields)

def said(pieces):
    yield from map(chunk, pieces)
    yield chunk("", "stop")

def paced(pieces):
    for number, piece in enumerate(pieces):
        if number % 16 == 0:
            time.sleep(0.005)
        yield piece
"""
SAFELY = """for attack in json.load(open("attacks.json")):
    chatkit.stream(said(attack))"""
RAW = """for attack in json.load(open("attacks.json")):
    display({"text/markdown": attack, "text/plain": ""}, raw=True)"""
# Points at everything, clicks on every link, and returns where the links lead; ends when all that led to is over.
TEMPT = """async id => {
    %s
    const shown = cell.outputArea.node, leads = [];
    const turn = () => new Promise(done => setTimeout(done));
    for (const each of shown.querySelectorAll('*'))
        for (const kind of ['mouseover', 'focus']) each.dispatchEvent(new Event(kind));
    for (const link of shown.querySelectorAll('a[href]:not(.jp-InternalAnchorLink)')) {
        leads.push(link.href);
        link.removeAttribute('target');
        link.addEventListener('click', event => link.protocol === 'javascript:' || event.preventDefault());
        link.dispatchEvent(new MouseEvent('click', {cancelable: true}));
        await turn();
    }
    const last = new Image();
    await new Promise(done => { last.onerror = done; last.src = 'https://last.invalid/' });
    await turn();
    return leads;
}"""
LAST_IS_TYPESET = """id => {
    %s
    const last = [...cell.outputArea.node.querySelectorAll('.jp-OutputArea-output')].at(-1);
    return last?.querySelector('mjx-container');
}"""
HITS = "() => Object.keys(window).filter(name => /^hit\\d+$/.test(name))"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    try:
        with open_lab(tmp_path_factory.mktemp("lab")) as opened:
            opened.run(SETUP)
            yield opened
    except NoBrowser as missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no Chromium and no Chrome: {missing}")


def show(lab: Lab, source: str, attacks: dict[str, str]) -> tuple[set[str], set[str], list[str]]:
    """Show attacks and try to be caught; return whose script ran, who asked for an address elsewhere, all links."""
    filled = [
        armed.replace("HIT", f"hit{n}=1").replace("URL", f"{ELSEWHERE}{n}") for n, armed in enumerate(attacks.values())
    ]
    lab.write("attacks.json", json.dumps([*filled, "$z^2$"]))
    lab.evaluate(f"() => ({HITS})().forEach(name => delete window[name])")
    lab.requests.clear()
    cell = lab.run(source)
    lab.wait(LAST_IS_TYPESET, cell)
    leads = lab.evaluate(TEMPT, cell)
    hits = lab.evaluate(HITS)
    assert "https://last.invalid/" in lab.requests
    lab.command("notebook:clear-all-cell-outputs")
    names = list(attacks)
    asked = {address for address in lab.requests if "last.invalid" not in address}
    return {names[int(hit[3:])] for hit in hits}, {_named(address, names) for address in asked}, leads


def _named(address: str, names: list[str]) -> str:
    number = re.match(rf"{ELSEWHERE}(\d+)", address)
    return names[int(number[1])] if number else address


def test_no_attack_runs_loads_or_leads_anywhere(lab: Lab) -> None:
    ran, asked, leads = show(lab, SAFELY, ATTACKS)
    assert ran == set()
    assert asked == set()
    assert lab.dialogs == []
    assert {address for address in leads if not address.startswith(("http://", "https://", "mailto:"))} == set()


def test_ten_thousand_chunks_are_seen_arriving_and_leave_one_output_that_holds_them_all(lab: Lab) -> None:
    text = "".join(f"{number}번째 문장입니다.\n\n" for number in range(1_000))[:10_000]
    lab.write("text.json", json.dumps(text))
    cell = lab.start("chatkit.stream(said(paced(json.load(open('text.json')))))")
    lab.evaluate("() => { window.seen = new Set() }")
    lab.wait("id => { %s window.seen.add(cell.outputArea.node.innerText.length); return window.ranCells?.[id] }", cell)
    shown, returned = lab.outputs(cell)
    assert (shown["output_type"], shown["data"]) == ("display_data", {"text/markdown": text, "text/plain": text})
    assert returned["data"]["text/plain"] == "Reply(10000 pieces, 10000 characters, finish_reason='stop')"
    assert lab.evaluate("() => window.seen.size") > 5
    seen = "([id, text]) => { %s return cell.outputArea.node.innerText.replaceAll(/\\s/g, '').startsWith(text) }"
    lab.wait(seen, [cell, "".join(text.split())])


def test_the_stop_command_keeps_the_text_and_says_so(lab: Lab) -> None:
    cell = lab.start("""
def endless():
    yield chunk("여기까지 왔습니다.")
    threading.Event().wait()

chatkit.stream(endless())""")
    lab.wait("id => { %s return cell.outputArea.node.innerText.includes('여기까지') }", cell)
    lab.command("notebook:interrupt-kernel")
    lab.wait_until_done(cell)
    shown, error = lab.outputs(cell)
    note = say("stream_stopped")
    assert shown["data"] == {
        "text/markdown": f"여기까지 왔습니다.\n\n*{note}*",
        "text/plain": f"여기까지 왔습니다.\n\n{note}",
    }
    assert error["ename"] == "KeyboardInterrupt"
    lab.wait("([id, note]) => { %s return cell.outputArea.node.innerText.includes(note) }", [cell, note])


def test_the_same_attacks_do_work_when_they_are_shown_as_they_are(lab: Lab) -> None:
    leaving = {"a refresh", "a base"}  # they would take the page away
    ran, asked, leads = show(lab, RAW, {name: text for name, text in ATTACKS.items() if name not in leaving})
    assert ran >= {"a script", "HTML in a paragraph", "HTML in a table", "details", "a javascript link", "a reference"}
    assert asked >= {
        "a picture",
        "a picture by reference",
        "a script from elsewhere",
        "a style that imports",
        "a frame",
    }
    assert any(address.startswith("javascript:") for address in leads)
