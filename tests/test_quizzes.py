"""A question: readable when saved, answered by its buttons, a reason for every choice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ipywidgets
import pytest
from cells import Cells
from conftest import Lesson

import chatkit
from chatkit import marks
from chatkit.errors import ChatkitError
from chatkit.messages import say

QUESTIONS = [
    {
        "id": "01-a",
        "question": "`x < 3`이고 $5라면 <b>?",
        "choices": [
            {"text": "`x`", "reason": "아닌 까닭"},
            {"text": "둘", "reason": "맞는 까닭 <i>", "right": True},
            {"text": "셋", "reason": "다른 까닭"},
        ],
    },
    {"id": "01-b", "question": "다음?", "choices": [{"text": "예", "reason": "그래서", "right": True}]},
]


@pytest.fixture
def asked(lesson: Lesson, cells: Cells) -> Any:
    (lesson.folder / "exercises").mkdir()
    (lesson.folder / "exercises" / "quiz.json").write_text(json.dumps(QUESTIONS), encoding="utf-8")
    lesson.start()
    return chatkit.quiz("01-a")


class Buttons:
    """The widgets of a question, as a page shows them."""

    def __init__(self, quiz: Any) -> None:
        view = quiz._repr_mimebundle_()["application/vnd.jupyter.widget-view+json"]
        box = ipywidgets.widgets.widget._instances[view["model_id"]]
        self.question, self.choices, self.button, self.said = box.children

    def check(self, number: int | None) -> str:
        self.choices.value = number
        self.button.click()
        return self.said.value


def test_a_saved_question_can_be_read_with_its_reasons(asked: Any) -> None:
    saved = asked._repr_mimebundle_()
    assert saved["text/plain"] == "1. x < 3이고 $5라면 <b>?\n  (가) x\n  (나) 둘\n  (다) 셋"
    assert "<details>" in saved["text/html"]
    assert all(choice["reason"].replace("<i>", "&lt;i&gt;") in saved["text/html"] for choice in QUESTIONS[0]["choices"])
    assert "<b>1. <code>x &lt; 3</code>이고 ＄5라면 &lt;b&gt;?</b>" in saved["text/html"]


def test_the_saved_question_does_not_tell_what_is_done(asked: Any) -> None:
    before = asked._repr_mimebundle_()
    marks.mark("01-a")
    after = asked._repr_mimebundle_()
    assert all(before[kind] == after[kind] for kind in ("text/plain", "text/html"))


def test_each_choice_is_told_why(asked: Any) -> None:
    buttons = Buttons(asked)
    assert buttons.choices.value is None
    assert [label for label, _n in buttons.choices.options] == ["(가) x", "(나) 둘", "(다) 셋"]
    for number, sign, reason in ((0, "✗", "아닌 까닭"), (2, "✗", "다른 까닭"), (1, "✓", "맞는 까닭")):
        said = buttons.check(number)
        assert said.startswith(sign) and reason in said


def test_only_the_right_choice_is_marked(asked: Any) -> None:
    buttons = Buttons(asked)
    buttons.check(0)
    assert marks.done() == {}
    buttons.check(1)
    assert set(marks.done()) == {"01-a"}


def test_an_answered_question_says_so_when_it_is_shown_again(asked: Any) -> None:
    Buttons(asked).check(1)
    [day] = marks.done().values()
    again = Buttons(chatkit.quiz("01-a"))
    assert again.said.value == say("quiz_done_before", day=day) and again.choices.value is None


def test_pressing_the_button_first_says_what_to_do(asked: Any) -> None:
    assert Buttons(asked).check(None) == say("quiz_nothing")


def test_questions_are_numbered_in_their_order(asked: Any) -> None:
    assert str(chatkit.quiz("01-b")).startswith("2. 다음?")


def test_a_question_that_is_not_there_is_told_which_are(asked: Any) -> None:
    with pytest.raises(ChatkitError) as raised:
        chatkit.quiz("01-c")
    assert str(raised.value) == say("quiz_unknown", got="01-c", lesson="01_test", known="01-a, 01-b")


def test_no_mark_is_made_where_none_is_kept(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATKIT_PROGRESS", "")
    assert Buttons(asked).check(1).startswith("✓")
    assert not Path("progress.json").exists()
