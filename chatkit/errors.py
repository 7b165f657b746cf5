"""The package's own exceptions, none of them an `openai.OpenAIError`."""

from __future__ import annotations


class ChatkitError(Exception):
    """Base of everything chatkit raises itself."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks for this name: one readable block instead of a dozen SDK frames.
        return [f"{type(self).__name__}: {self}"]


class MissingRecording(ChatkitError):
    """A request in replay has no recording."""


class NetworkBlocked(ChatkitError):
    """Something other than httpx2 tried to leave the machine in replay."""


class BudgetExceeded(ChatkitError):
    """The next live call would pass CHATKIT_BUDGET."""


class ExerciseUnmet(ChatkitError):
    """A request in an exercise does not reach its goals yet; the card below the cell says which."""
