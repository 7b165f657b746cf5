"""What live calls cost by list price, and the limit that CHATKIT_BUDGET sets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx2

from chatkit import tokens
from chatkit.errors import BudgetExceeded
from chatkit.messages import say
from chatkit.network import is_loopback

# A reply without a limit of its own is taken to be this long; what it really cost is booked afterwards.
ASSUMED_OUTPUT = 1_000


def estimate(url: httpx2.URL, body: Any) -> Decimal | None:
    """Return the expected list price of a request in USD; None where no price is known.

    A server on this machine costs nothing. The output is `max_completion_tokens`, or 1,000 tokens.
    """
    if is_loopback(url.host):
        return Decimal(0)
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        return None
    sent = tokens.count_messages(m for m in body["messages"] if isinstance(m, dict))
    said = _positive(body.get("max_completion_tokens"), ASSUMED_OUTPUT) * _positive(body.get("n"), 1)
    return tokens.price(str(body.get("model")), sent, said)


def _positive(value: Any, otherwise: int) -> int:
    # Nonsense is for the server to refuse, not for the estimate to stumble over.
    return value if isinstance(value, int) and value > 0 else otherwise


def in_words(usd: Decimal | None) -> str:
    if usd is None:
        return say("cost_unknown")
    return say("cost_usd", usd=f"{usd:.6f}") if usd else say("cost_free")


class Budget:
    """Adds up what live calls cost and refuses the one that would pass the limit (None: no limit)."""

    def __init__(self, limit: Decimal | None) -> None:
        self.limit, self.spent = limit, Decimal(0)

    def reserve(self, cost: Decimal | None) -> None:
        """Book the expected cost of a call.

        Raises:
            BudgetExceeded: it would pass the limit, or there is a limit and the cost is not known.
        """
        if self.limit is not None and (cost is None or self.spent + cost > self.limit):
            spent = f"{self.spent:.6f}"
            raise BudgetExceeded(say("budget", budget=self.limit, spent=spent, cost=in_words(cost)))
        self.spent += cost or 0

    def settle(self, expected: Decimal | None, usage: Any, model: str) -> None:
        """Put the real cost in place of the expected one, where the reply told its usage."""
        if not expected or not isinstance(usage, dict):
            return
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        real = tokens.price(model, usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0), cached)
        if real is not None:
            self.spent += real - expected
