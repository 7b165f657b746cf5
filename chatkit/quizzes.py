"""Questions with a reason for every choice: buttons in a notebook, readable text in a saved one."""

from __future__ import annotations

import html
import re
from typing import Any

from chatkit import exercises, marks, session
from chatkit.errors import ChatkitError
from chatkit.exercises import Choice, Question
from chatkit.messages import say

_LETTERS = "가나다라마바"


def quiz(name: str) -> Quiz:
    """Return a question of the running lesson; a cell that ends on it shows it.

    Args:
        name: the question's id, such as `01-stateless`.

    Raises:
        ChatkitError: no session, or no such question.
    """
    lesson = session.running().folder.path
    asked = exercises.questions(lesson)
    for number, question in enumerate(asked, 1):
        if question.id == name:
            return Quiz(question, number)
    known = ", ".join(question.id for question in asked) or "-"
    raise ChatkitError(say("quiz_unknown", got=name, lesson=lesson.name, known=known))


class Quiz:
    """One question: a choice is looked at when its button is pressed, as often as one likes."""

    def __init__(self, question: Question, number: int) -> None:
        self._question, self._number = question, number

    def __repr__(self) -> str:
        lines = [f"{self._number}. {_bare(self._question.question)}"]
        lines += [f"  {letter} {_bare(choice.text)}" for letter, choice in self._lettered()]
        return "\n".join(lines)

    def _lettered(self) -> list[tuple[str, Choice]]:
        return [(f"({letter})", choice) for letter, choice in zip(_LETTERS, self._question.choices, strict=False)]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ARG002
        # The widget's view is not saved: a reader without a kernel sees the HTML.
        return {**self._box()._repr_mimebundle_(), "text/html": self._saved(), "text/plain": repr(self)}

    def _asked(self) -> str:
        return f"<b>{self._number}. {_inline(self._question.question)}</b>"

    def _saved(self) -> str:
        choices = "".join(f"<li>{letter} {_inline(choice.text)}</li>" for letter, choice in self._lettered())
        reasons = "".join(f"<li>{self._verdict(letter, choice)}</li>" for letter, choice in self._lettered())
        answer = f"<details><summary>{say('quiz_answer')}</summary><ul>{reasons}</ul></details>"
        return f"<div>{self._asked()}<ul>{choices}</ul>{answer}</div>"

    @staticmethod
    def _verdict(letter: str, choice: Choice) -> str:
        verdict = say("quiz_right" if choice.right else "quiz_wrong")
        return f"<b>{letter} {verdict}</b> {_inline(choice.reason)}"

    def _box(self) -> Any:
        import ipywidgets  # type: ignore[import-untyped]

        wide = {"width": "auto", "max_width": "56em"}
        options = [(f"{letter} {_bare(choice.text)}", n) for n, (letter, choice) in enumerate(self._lettered())]
        picked = ipywidgets.RadioButtons(options=options, value=None, layout=wide)
        button = ipywidgets.Button(description=say("quiz_check"), tooltip=say("quiz_check_tip"))
        said = ipywidgets.HTML(self._before(), layout=wide)

        def check(_button: Any) -> None:
            said.value = say("quiz_nothing") if picked.value is None else self._check(picked.value)

        button.on_click(check)
        return ipywidgets.VBox([ipywidgets.HTML(self._asked(), layout=wide), picked, button, said])

    def _before(self) -> str:
        day = marks.done().get(self._question.id)
        return say("quiz_done_before", day=day) if day else ""

    def _check(self, number: int) -> str:
        letter, choice = self._lettered()[number]
        if choice.right:
            marks.mark(self._question.id)
        return ("✓ " if choice.right else "✗ ") + self._verdict(letter, choice)


def _inline(text: str) -> str:
    """Return a sentence as HTML, its code in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False).replace("$", "＄"))


def _bare(text: str) -> str:
    return text.replace("`", "")
