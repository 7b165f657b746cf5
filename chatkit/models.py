"""Model ids, prices and life dates, read from models.toml."""

from __future__ import annotations

import datetime
import functools
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from chatkit.errors import ChatkitError
from chatkit.messages import say

WARN_DAYS, FAIL_DAYS = 60, 14


@dataclass(frozen=True)
class Model:
    """One row of models.toml; prices in USD per 1,000,000 tokens, sizes in tokens."""

    id: str
    input: Decimal
    cached_input: Decimal
    output: Decimal
    context: int
    max_output: int
    shutdown: datetime.date | None = None
    refuses: tuple[str, ...] = ()
    needs_effort_none: tuple[str, ...] = ()

    def days_left(self, today: datetime.date) -> int | None:
        """Return the days until the shutdown, negative after it, None if no date is known."""
        return None if self.shutdown is None else (self.shutdown - today).days

    def refused(self, body: dict[str, Any]) -> list[str]:
        """Return the parameters of a request body that this model answers with 400."""
        thinking = body.get("reasoning_effort") != "none"
        return [name for name in body if name in self.refuses or (thinking and name in self.needs_effort_none)]


class Table:
    """The models as a table: Markdown in a notebook, lines of text elsewhere."""

    def _repr_markdown_(self) -> str:
        names = ("model", "model_context", "model_input", "model_output", "model_life")
        head = "| " + " | ".join(say(name) for name in names) + " |\n|---|--:|--:|--:|---|\n"
        rows = (f"| `{m.id}` | {m.context:,} | {m.input} | {m.output} | {_life(m)} |\n" for m in known().values())
        return head + "".join(rows) + "\n" + say("model_as_of", date=checked())

    def __repr__(self) -> str:
        rows = [f"{m.id}: {m.context:,} / {m.input} / {m.output} / {_life(m)}" for m in known().values()]
        return "\n".join([*rows, say("model_as_of", date=checked())])


def table() -> Table:
    """Return the models of models.toml as a table that a notebook shows."""
    return Table()


def default() -> str:
    """Return the id of the model the lessons are written for."""
    return str(_read()["course"])


def checked() -> datetime.date:
    """Return the day on which the prices and dates were last checked."""
    day: datetime.date = _read()["checked"]
    return day


def find(model: str) -> Model:
    """Return one model.

    Raises:
        ChatkitError: models.toml does not have it.
    """
    if model not in known():
        raise ChatkitError(say("unknown_model", got=model, known=", ".join(known())))
    return known()[model]


@functools.cache
def known() -> dict[str, Model]:
    """Return all models by id, in the order of the file."""
    return {row["id"]: _model(row) for row in _read()["model"]}


def _model(row: dict[str, Any]) -> Model:
    prices = {name: Decimal(row[name]) for name in ("input", "cached_input", "output")}
    lists = {name: tuple(row.get(name, ())) for name in ("refuses", "needs_effort_none")}
    return Model(**{**row, **prices, **lists})


def _life(model: Model) -> str:
    if model.shutdown is None:
        return say("model_active")
    return say("model_dead" if model.shutdown <= checked() else "model_dying", date=model.shutdown)


@functools.cache
def _read() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("models.toml").read_text(encoding="utf-8"))
