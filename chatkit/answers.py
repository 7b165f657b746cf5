"""Scripted answers for `input()`, so that a cell that asks a person also runs without one."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chatkit import browser
from chatkit.errors import ChatkitError
from chatkit.messages import say

Answers = Mapping[str, str | Sequence[str]]


class Script:
    """Prompts and their answers; a prompt asked several times takes a list."""

    def __init__(self, answers: Answers) -> None:
        self._answers = {
            prompt: [given] if isinstance(given, str) else list(given) for prompt, given in answers.items()
        }
        self._repeats = {prompt for prompt, given in answers.items() if isinstance(given, str)}
        self._asked: dict[str, int] = {}
        self._undo: Callable[[], None] = lambda: None
        self._ours: Callable[..., str] | None = None

    def rewind(self) -> None:
        """Begin anew with the first answers, for a new cell."""
        self._asked.clear()
        if self._ours and builtins.input is not self._ours:  # JupyterLite puts its own back before each cell
            self._replace_builtin()

    def install(self) -> None:
        """Answer `input()` from the script: a person is asked first, a headless run echoes."""
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        kernel = getattr(shell, "kernel", None)
        if kernel is not None and hasattr(kernel, "raw_input"):
            ask = kernel.raw_input
            kernel.raw_input = self._asker(ask, lambda: kernel._allow_stdin)
            self._undo = lambda: vars(kernel).pop("raw_input", None)
        else:
            self._replace_builtin()

    def _replace_builtin(self) -> None:
        real = builtins.input
        builtins.input = self._ours = self._asker(real, _terminal_or_page)
        self._undo = lambda: setattr(builtins, "input", real)

    def uninstall(self) -> None:
        self._undo()
        self._ours = None

    def _asker(self, ask: Callable[[Any], str], someone_there: Callable[[], bool]) -> Callable[..., str]:
        def asker(prompt: object = "") -> str:
            if str(prompt) not in self._answers:
                return ask(prompt)
            given = self._next(str(prompt))
            if someone_there():
                return ask(prompt) or given or ""
            if given is None:
                raise ChatkitError(say("answers_exhausted", prompt=prompt, n=len(self._answers[str(prompt)])))
            print(f"{prompt}{given}")
            return given

        return asker

    def _next(self, prompt: str) -> str | None:
        given = self._answers[prompt]
        index = 0 if prompt in self._repeats else self._asked.get(prompt, 0)
        self._asked[prompt] = index + 1
        return given[index] if index < len(given) else None


def _terminal_or_page() -> bool:
    if browser.HERE:
        return browser.can_ask()
    return sys.stdin is not None and sys.stdin.isatty()
