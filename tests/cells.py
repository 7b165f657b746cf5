"""Cells run as a notebook's kernel runs them, and the card that an exercise's cell ends with."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

SIGNS = {"✓": "met", "✗": "missed", "○": "waiting"}


class Card:
    """The card of a cell: its head, how far each goal is, the hint, and all of it as text and as Markdown."""

    def __init__(self, bundle: dict[str, str]) -> None:
        self.text, self.markdown = bundle["text/plain"], bundle["text/markdown"]
        self.head = self.text.partition("\n")[0]
        goals = re.findall(r"^([✓✗○]) \S+: (.+?) *$", self.text, flags=re.M)
        self.goals = {goal: SIGNS[sign] for sign, goal in goals}
        self.states = list(self.goals.values())
        self.hint = next(iter(re.findall(r"^\*\*힌트 \d/\d\*\* (.+)", self.text, flags=re.M)), None)

    @property
    def passed(self) -> bool:
        return "모두 채웠습니다" in self.head


class Cells:
    """A kernel's shell: `run` runs a cell, and `shown` holds what it displayed."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell, self.names = shell, shell.user_ns
        self.error: BaseException | None = None
        self.value: Any = None

    @property
    def shown(self) -> list[dict[str, Any]]:
        return [output["data"] for output in self.shell.display_pub.outputs]

    def run(self, source: str) -> None:
        self.shell.display_pub.outputs.clear()
        result = self.shell.run_cell(source)
        self.error, self.value = result.error_before_exec or result.error_in_exec, result.result

    def attempt(self, source: str) -> Card:
        """Run a cell that begins with an exercise and return its card, the one thing it displays."""
        self.run(source)
        [bundle] = self.shown
        return Card(bundle)


@contextmanager
def kernel() -> Iterator[Cells]:
    before = {name: getattr(builtins, name, None) for name in ("display", "get_ipython")}
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.display_pub = CapturingDisplayPublisher()
    shell.showtraceback = lambda *_args, **_more: None  # an error is looked at, not printed
    try:
        yield Cells(shell)
    finally:
        InteractiveShell.clear_instance()
        for name, value in before.items():
            vars(builtins).pop(name, None) if value is None else setattr(builtins, name, value)
