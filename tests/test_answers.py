"""`input()` in a lesson: a person is asked, a headless run takes the script's answers."""

from __future__ import annotations

import builtins
import sys
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from conftest import Lesson
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient

import chatkit


class Keyboard:
    """Somebody, or nobody, in front of `input()`."""

    def __init__(self, *typed: str, there: bool = True) -> None:
        self.typed, self.there = list(typed), there
        self.prompts: list[object] = []

    def isatty(self) -> bool:
        return self.there

    def ask(self, prompt: object = "") -> str:
        self.prompts.append(prompt)
        return self.typed.pop(0)


@pytest.fixture
def sit(monkeypatch: pytest.MonkeyPatch) -> Any:
    def seat(*typed: str, there: bool = True) -> Keyboard:
        keyboard = Keyboard(*typed, there=there)
        monkeypatch.setattr(sys, "stdin", keyboard)
        monkeypatch.setattr(builtins, "input", keyboard.ask)
        return keyboard

    return seat


def test_a_headless_run_takes_the_scripted_answer_and_shows_it(
    lesson: Lesson, sit: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    keyboard = sit(there=False)
    lesson.start(answers={"이름: ": "민수"})
    capsys.readouterr()
    assert input("이름: ") == "민수"
    assert capsys.readouterr().out == "이름: 민수\n"
    assert keyboard.prompts == []


def test_a_person_is_asked_and_the_enter_key_takes_the_scripted_answer(lesson: Lesson, sit: Any) -> None:
    keyboard = sit("영희", "")
    lesson.start(answers={"이름: ": "민수"})
    assert [input("이름: "), input("이름: ")] == ["영희", "민수"]
    assert keyboard.prompts == ["이름: ", "이름: "]


@pytest.mark.parametrize("there", [True, False])
def test_a_prompt_that_is_not_in_the_script_is_asked_as_ever(lesson: Lesson, sit: Any, there: bool) -> None:
    keyboard = sit("나이", "빈칸", there=there)
    lesson.start(answers={"이름: ": "민수"})
    assert [input("나이: "), input()] == ["나이", "빈칸"]
    assert keyboard.prompts == ["나이: ", ""]


def test_one_answer_serves_every_time(lesson: Lesson, sit: Any) -> None:
    sit(there=False)
    lesson.start(answers={"이름: ": "민수"})
    assert [input("이름: ") for _ in range(3)] == ["민수"] * 3


def test_a_list_of_answers_is_gone_through_and_then_used_up(lesson: Lesson, sit: Any) -> None:
    sit(there=False)
    lesson.start(answers={"나: ": ["안녕", "끝"]})
    assert [input("나: "), input("나: ")] == ["안녕", "끝"]
    with pytest.raises(chatkit.ChatkitError, match=r"input\('나: '\)에 준비된 답 2개를 모두 썼습니다"):
        input("나: ")


def test_a_person_may_talk_longer_than_the_script(lesson: Lesson, sit: Any) -> None:
    sit("하나", "둘", "셋")
    lesson.start(answers={"나: ": ["안녕", "끝"]})
    assert [input("나: ") for _ in range(3)] == ["하나", "둘", "셋"]


def test_each_cell_begins_the_list_again(lesson: Lesson, sit: Any) -> None:
    sit(there=False)
    lesson.start(answers={"나: ": ["안녕", "끝"]})
    for _cell in range(2):
        chatkit.session._active._new_cell(SimpleNamespace(cell_id="a"))
        assert [input("나: "), input("나: ")] == ["안녕", "끝"]


def test_stop_gives_input_back(lesson: Lesson, sit: Any) -> None:
    keyboard = sit("영희", there=False)
    before = builtins.input
    lesson.start(answers={"이름: ": "민수"})
    assert builtins.input != before
    chatkit.stop()
    assert builtins.input == before
    assert input("이름: ") == "영희"
    assert keyboard.prompts == ["이름: "]


def test_a_headless_notebook_runs_through_its_input(lesson: Lesson) -> None:
    setup = f"import chatkit\nchatkit.start({lesson.name!r}, speed=0, answers={{'이름: ': ['민수', '영희']}})"
    sources = [setup, "[input('이름: '), input('이름: ')]", "chatkit.stop()", "input('이름: ')"]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    resources = {"metadata": {"path": str(lesson.root.parent)}}
    NotebookClient(notebook, resources=resources, allow_errors=True).execute()
    said, returned = notebook.cells[1].outputs
    assert said.text == "이름: 민수\n이름: 영희\n"
    assert returned.data["text/plain"] == "['민수', '영희']"
    assert notebook.cells[3].outputs[0].ename == "StdinNotImplementedError"


def test_an_input_that_the_surroundings_put_back_before_a_cell_is_replaced_again(
    lesson: Lesson, sit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As JupyterLite's kernel does, which has no `raw_input`."""
    shell = InteractiveShell.instance()
    monkeypatch.setattr(shell, "kernel", SimpleNamespace(), raising=False)
    keyboard = sit("영희", there=False)
    lesson.start(answers={"이름: ": "민수"})
    monkeypatch.setattr(builtins, "input", keyboard.ask)
    shell.run_cell("name = input('이름: ')")
    assert shell.user_ns["name"] == "민수" and keyboard.prompts == []
    chatkit.stop()
    assert input("이름: ") == "영희"
    InteractiveShell.clear_instance()
