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
_ANSWERS = 8  # the API's own limit for `n`
_LIMITS = ("max_completion_tokens", "max_tokens")
_DEARER = ("service_tier", "web_search_options", "audio", "modalities", "prediction")  # not at the price of text


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
        """Return what a reply's `usage` costs.

        Raises:
            ValueError: it does not hold the numbers that a price is made of.
        """
        details = usage.get("prompt_tokens_details") or {}
        names = ("cached_tokens", "cache_write_tokens")
        parts = [details.get(name) or 0 for name in names] if isinstance(details, Mapping) else [None]
        counts = [usage.get("prompt_tokens"), usage.get("completion_tokens"), *parts]
        if not all(_whole(count) and count >= 0 for count in counts):
            raise ValueError(f"usage without numbers: {usage!r}")
        sent, answered, cached, written = counts
        read = (sent - cached - written) * self.input + cached * self.cached + written * self.cache_write
        return Decimal((read + answered * self.output) / _MILLION)

    def highest(self, request: Mapping[str, Any], longest: int) -> Decimal:
        """Return the most that a request which `Room.objection` lets pass can cost.

        A token of text is at least a byte, and an answer at most its limit.
        """
        sent = len(json.dumps(request, ensure_ascii=False).encode(errors="surrogatepass"))
        answers = request.get("n") or 1
        return (sent * max(self.input, self.cache_write) + answers * longest * self.output) / _MILLION


@dataclass(frozen=True)
class Objection:
    """Why a request does not go out: the parameter, and what to do about it."""

    param: str
    said: str


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

    def objection(self, request: Mapping[str, Any]) -> Objection | None:
        """Return why a request could cost more than `Price.highest` says; other nonsense is for the API to refuse.

        Numbers written as text or as 3.0 are refused, because nobody knows how a provider reads them.
        """
        for name in _DEARER:
            if request.get(name) is not None:
                return Objection(name, f"이 방에서는 {name}을(를) 쓰지 않습니다. 요금이 달라집니다. 빼고 보내세요.")
        for name, most in (("n", _ANSWERS), *((name, None) for name in _LIMITS)):
            value = request.get(name)
            if value is not None and not (_whole(value) and 1 <= value <= (most or value)):
                whole = f"1부터 {most}까지의 정수" if most else "1 이상의 정수"
                return Objection(name, f"{name}은(는) {whole}여야 합니다. 보낸 값: {str(value)[:40]!r}")
        if _holds_more_than_text(request.get("messages")):
            return Objection("messages", "이 방에서는 글만 보낼 수 있습니다. 그림과 소리, 파일을 빼고 보내세요.")
        return None

    def limited(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the request with an answer no longer than the room allows, and with its usage asked for.

        An older parameter's name is kept as it is: the API's own refusal is part of a lesson.
        """
        limited = dict(request)
        named = [name for name in _LIMITS if request.get(name) is not None] or [_LIMITS[0]]
        limited |= {name: min(request.get(name) or self.longest, self.longest) for name in named}
        options = request.get("stream_options") or {}
        if request.get("stream") and isinstance(options, dict):
            limited["stream_options"] = {**options, "include_usage": True}
        return limited


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _holds_more_than_text(messages: Any) -> bool:
    contents = [message.get("content") for message in _dicts(messages)]
    parts = [part for content in contents for part in _dicts(content)]
    return any(part.get("type") not in ("text", "refusal") for part in parts)


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def fingerprint(key: str) -> str:
    """Return what stands in room.json for a key."""
    return hashlib.sha256(key.encode()).hexdigest()
