"""Exercises and questions in a real JupyterLab, in a real browser: seen, answered by keyboard, remembered."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Lab, NoBrowser, open_lab
from isolation import PROJECT

from chatkit.messages import say

SETUP = """
import os, chatkit
from openai import OpenAI
chatkit.start("02_chat_completions", speed=0)
client, MODEL = OpenAI(), os.environ["OPENAI_MODEL"]
"""
UNTOUCHED = 'chatkit.exercise("02-json")\n# 여기에 이어서 씁니다'
HALF = """chatkit.exercise("02-json")
messages = [{"role": "user", "content": "사과 세 개를 4500원에 샀습니다. JSON의 키는 item, count, price입니다."}]
client.chat.completions.create(model=MODEL, reasoning_effort="none", messages=messages)"""
SOLVED = f"""{HALF[:-1]}, response_format={{"type": "json_object"}})
4500 / 3"""
QUESTION = 'chatkit.quiz("02-length")'
SHOWN = "id => { %s return cell.outputArea.node.innerText }"
INCLUDES = "([id, text]) => { %s return cell.outputArea.node.innerText.includes(text) }"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("practice")
    settings = {"CHATKIT_RECORDINGS": str(PROJECT / "notebooks" / "recordings"), "CHATKIT_PROGRESS": "progress.json"}
    try:
        with open_lab(folder, settings) as opened:
            opened.run(SETUP)
            yield opened
    except NoBrowser:
        assert not os.environ.get("CI"), "CI needs a browser"
        pytest.skip("needs chromium or google-chrome")


def shown(lab: Lab, source: str, *texts: str) -> str:
    cell = lab.run(source)
    for text in texts:
        lab.wait(INCLUDES, [cell, text])
    return lab.evaluate(SHOWN, cell)


def press(lab: Lab, *keys: str) -> None:
    for key in keys:
        lab.page.keyboard.press(key)


def test_a_card_shows_how_far_one_is(lab: Lab) -> None:
    assert shown(lab, UNTOUCHED, say("exercise_untouched")).count("○") == 4
    half = shown(lab, HALF, "ExerciseUnmet", say("exercise_half", met=2, n=4))
    assert half.count("✓") == 2 and "힌트 1/2" in half
    assert shown(lab, SOLVED, say("exercise_passed")).count("✓") == 4


def test_the_task_unfolds_at_a_click(lab: Lab) -> None:
    lab.run(UNTOUCHED)
    fold = lab.page.locator("details").last
    fold.locator("summary").click()
    assert fold.get_attribute("open") is not None


def test_a_question_is_answered_with_the_keyboard_alone_and_remembered(lab: Lab) -> None:
    cell = lab.run(QUESTION)
    box = lab.page.locator(".widget-vbox").last
    box.locator("input[type=radio]").first.focus()
    press(lab, "Space", "Tab", "Tab", "Tab", "Space")  # the first choice, then the button
    lab.wait(INCLUDES, [cell, "✗"])
    press(lab, "Shift+Tab", "Shift+Tab", "Space", "Tab", "Tab", "Space")
    lab.wait(INCLUDES, [cell, "✓"])
    assert "02-length" in Path(lab.folder / "progress.json").read_text(encoding="utf-8")
    assert "✓" in shown(lab, QUESTION, "맞힌 문제입니다")


def test_progress_is_shown_as_a_table(lab: Lab) -> None:
    text = shown(lab, "chatkit.progress()", "02_chat_completions")
    assert "✓ JSON 모드로 값 뽑기" in text and "○ Pydantic 모델로 값 뽑기" in text


def test_nothing_is_fetched_from_elsewhere(lab: Lab) -> None:
    assert lab.requests == []
