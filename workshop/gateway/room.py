"""A room's rules, read from room.json: seats, budgets, models with their prices, limits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

_MILLION = 1_000_000


@dataclass(frozen=True)
class Seat:
    """A place in the room and what it may spend."""

    name: str
    budget: Decimal


@dataclass(frozen=True)
class Price:
    """USD for a million tokens."""

    input: Decimal
    cached: Decimal
    cache_write: Decimal
    output: Decimal

    def of(self, usage: Mapping[str, Any]) -> Decimal:
        """Return what a reply's `usage` costs."""
        details = usage.get("prompt_tokens_details") or {}
        cached, written = details.get("cached_tokens") or 0, details.get("cache_write_tokens") or 0
        plain = usage["prompt_tokens"] - cached - written
        read = plain * self.input + cached * self.cached + written * self.cache_write
        return Decimal((read + usage["completion_tokens"] * self.output) / _MILLION)

    def highest(self, request: Mapping[str, Any], longest: int) -> Decimal:
        """Return the most a request can cost: a token is at least a byte, an answer at most its limit."""
        sent = len(json.dumps(request, ensure_ascii=False).encode())
        asked = request.get("n")
        answers = asked if isinstance(asked, int) and asked > 1 else 1
        return (sent * max(self.input, self.cache_write) + answers * longest * self.output) / _MILLION


class Room:
    """The rules of one workshop."""

    def __init__(self, rules: Mapping[str, Any]) -> None:
        self._seats = {seat["key_sha256"]: Seat(seat["name"], Decimal(seat["budget"])) for seat in rules["seats"]}
        self.models = {
            model: Price(**{name: Decimal(usd) for name, usd in prices.items()})
            for model, prices in rules["models"].items()
        }
        self.budget = Decimal(rules["room_budget"])
        self.longest: int = rules["max_completion_tokens"]
        self.per_minute: int = rules["requests_per_minute"]

    @classmethod
    def load(cls, path: Path) -> Room:
        return cls(json.loads(path.read_text(encoding="utf-8")))

    @property
    def seats(self) -> list[Seat]:
        return list(self._seats.values())

    def seat(self, key: str) -> Seat | None:
        """Return whose key this is; the file holds only the keys' hashes."""
        return self._seats.get(fingerprint(key))

    def limited(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the request with an answer no longer than the room allows, and with its usage asked for.

        An older parameter's name is kept as it is, and so is nonsense: the API's own refusal is part of a lesson.
        """
        limited = dict(request)
        name = "max_tokens" if "max_tokens" in request else "max_completion_tokens"
        asked = request.get(name)
        if asked is None or isinstance(asked, int):
            limited[name] = min(asked or self.longest, self.longest)
        options = request.get("stream_options") or {}
        if request.get("stream") and isinstance(options, dict):
            limited["stream_options"] = {**options, "include_usage": True}
        return limited


def fingerprint(key: str) -> str:
    """Return what stands in room.json for a key."""
    return hashlib.sha256(key.encode()).hexdigest()
