"""What each seat has spent, in one SQLite file that a restart or a crash leaves right."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

_PER_USD = 10**9  # sums are whole nano-dollars: exact, and SQLite adds them
_TABLE = """
create table if not exists call (
    id integer primary key, seat text not null, at real not null, nano integer not null, open integer not null
);
create index if not exists call_by_seat on call (seat, at);
"""


class Spent(Exception):
    """A budget is used up: `whose` is `seat` or `room`."""

    def __init__(self, whose: str, budget: Decimal, spent: Decimal) -> None:
        super().__init__(f"{whose} budget {budget}, spent {spent}")
        self.whose, self.budget, self.spent = whose, budget, spent


class TooMany(Exception):
    """A seat asks too often; `retry_after` says how many seconds until it may again."""

    def __init__(self, per_minute: int, retry_after: int) -> None:
        super().__init__(f"more than {per_minute} requests a minute")
        self.per_minute, self.retry_after = per_minute, retry_after


@dataclass(frozen=True)
class Limits:
    """What may be spent, and how often may be asked."""

    seat_budget: Decimal
    room_budget: Decimal
    per_minute: int


@dataclass(frozen=True)
class Account:
    """The sum of one seat: its finished calls and those whose end was never seen, at their highest price."""

    seat: str
    calls: int
    usd: Decimal


class Ledger:
    """The calls of a room.

    A call is written down at the highest price it can come to before it goes out, and corrected when its usage is
    known. What ends without usage (a stream that a learner closes, a gateway that loses its power) stays at that price:
    whether the provider stops generating, and billing, is not known.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock
        with closing(self._connect()) as connection:
            connection.execute("pragma journal_mode = wal")
            connection.executescript(_TABLE)

    def admit(self, seat: str, highest: Decimal, limits: Limits) -> int:
        """Open a call and return its number.

        Raises:
            TooMany: the seat has asked too often in the last minute.
            Spent: the seat or the room has reached its budget.
        """
        with closing(self._connect()) as connection, connection:
            connection.execute("begin immediate")  # one at a time: two calls may not both see the last cent
            self._check_pace(connection, seat, limits.per_minute)
            _check_budget(connection, "seat", limits.seat_budget, seat)
            _check_budget(connection, "room", limits.room_budget, None)
            row = (seat, self._clock(), _nano(highest))
            opened = connection.execute("insert into call (seat, at, nano, open) values (?, ?, ?, 1)", row)
            return int(opened.lastrowid or 0)

    def settle(self, call: int, usd: Decimal) -> None:
        """Set a call to what it really cost; 0 for one that was refused."""
        with closing(self._connect()) as connection, connection:
            connection.execute("update call set nano = ?, open = 0 where id = ?", (_nano(usd), call))

    def accounts(self) -> list[Account]:
        """Return the sum of each seat that has asked for anything."""
        with closing(self._connect()) as connection:
            rows = connection.execute("select seat, count(*), sum(nano) from call group by seat order by seat")
            return [Account(seat, calls, _usd(nano)) for seat, calls, nano in rows]

    def spent(self, seat: str | None = None) -> Decimal:
        """Return what a seat has spent, or the whole room."""
        with closing(self._connect()) as connection:
            return _sum(connection, seat)

    def _check_pace(self, connection: sqlite3.Connection, seat: str, per_minute: int) -> None:
        now = self._clock()
        # What lies ahead was written down before the clock was set back.
        latest = "select at from call where seat = ? and at <= ? order by at desc limit 1 offset ?"
        found = connection.execute(latest, (seat, now, per_minute - 1)).fetchone()
        left = found[0] + 60 - now if found else 0
        if left > 0:
            raise TooMany(per_minute, max(math.ceil(left), 1))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        connection.execute("pragma synchronous = normal")
        return connection


def _check_budget(connection: sqlite3.Connection, whose: str, budget: Decimal, seat: str | None) -> None:
    spent = _sum(connection, seat)
    if spent >= budget:
        raise Spent(whose, budget, spent)


def _sum(connection: sqlite3.Connection, seat: str | None) -> Decimal:
    chosen = ("", ()) if seat is None else (" where seat = ?", (seat,))
    (nano,) = connection.execute(f"select coalesce(sum(nano), 0) from call{chosen[0]}", chosen[1]).fetchone()
    return _usd(nano)


def _nano(usd: Decimal) -> int:
    return int((usd * _PER_USD).to_integral_value())


def _usd(nano: int) -> Decimal:
    return Decimal(nano) / _PER_USD
