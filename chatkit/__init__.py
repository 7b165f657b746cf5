"""Run the Chat Completions lessons with no key and no network, against recorded responses."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatkit import faults as faults
    from chatkit import figures as figures
    from chatkit import models as models
    from chatkit import tokens as tokens
    from chatkit.attempts import exercise as exercise
    from chatkit.display import stream as stream
    from chatkit.errors import BudgetExceeded as BudgetExceeded
    from chatkit.errors import ChatkitError as ChatkitError
    from chatkit.errors import ExerciseUnmet as ExerciseUnmet
    from chatkit.errors import MissingRecording as MissingRecording
    from chatkit.errors import NetworkBlocked as NetworkBlocked
    from chatkit.marks import progress as progress
    from chatkit.quizzes import quiz as quiz
    from chatkit.session import start as start
    from chatkit.session import stop as stop

_HOMES = {
    "BudgetExceeded": "errors",
    "ChatkitError": "errors",
    "ExerciseUnmet": "errors",
    "MissingRecording": "errors",
    "NetworkBlocked": "errors",
    "exercise": "attempts",
    "faults": "faults",
    "figures": "figures",
    "models": "models",
    "progress": "marks",
    "quiz": "quizzes",
    "start": "session",
    "stop": "session",
    "stream": "display",
    "tokens": "tokens",
}
__all__ = [
    "BudgetExceeded",
    "ChatkitError",
    "ExerciseUnmet",
    "MissingRecording",
    "NetworkBlocked",
    "exercise",
    "faults",
    "figures",
    "models",
    "progress",
    "quiz",
    "start",
    "stop",
    "stream",
    "tokens",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'chatkit' has no attribute {name!r}")
    home = importlib.import_module(f"chatkit.{_HOMES[name]}")
    value = home if name == _HOMES[name] else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
