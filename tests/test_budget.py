"""The estimate before a live call and the limit on what calls may cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from learner import chat

import chatkit
from chatkit import budget, tokens

API = httpx2.URL("https://api.openai.com/v1/chat/completions")
PROMPT = "안녕하세요"
SENT = tokens.count_messages([{"role": "user", "content": PROMPT}])
LUNA_IN, LUNA_OUT = Decimal("0.0000001"), Decimal("0.0000005")


def body(**fields: Any) -> Any:
    return chat(PROMPT, **fields)["json"]


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        ({}, 1_000),
        ({"max_completion_tokens": 50}, 50),
        ({"max_completion_tokens": None}, 1_000),
        ({"n": 3}, 3_000),
        ({"max_completion_tokens": 50, "n": 2}, 100),
        ({"n": None}, 1_000),
    ],
)
def test_the_estimate_is_the_prompt_and_the_longest_reply(fields: dict[str, Any], output: int) -> None:
    assert budget.estimate(API, body(**fields)) == SENT * LUNA_IN + output * LUNA_OUT


@pytest.mark.parametrize("url", ["http://localhost:11434/v1", "http://127.0.0.1:8000/v1", "http://[::1]/v1"])
def test_a_server_on_this_machine_costs_nothing(url: str) -> None:
    assert budget.estimate(httpx2.URL(url), body()) == 0


@pytest.mark.parametrize("unknown", [None, [], "text", {}, {"messages": None}, body(model="mine"), body(model=None)])
def test_what_has_no_list_price_is_unknown(unknown: Any) -> None:
    assert budget.estimate(API, unknown) is None


odd = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.just([]) | st.just({})


@given(st.fixed_dictionaries({}, optional={"max_completion_tokens": odd, "n": odd, "model": odd}))
@example({"max_completion_tokens": -1})
def test_a_field_that_makes_no_sense_is_the_servers_to_refuse(fields: dict[str, Any]) -> None:
    budget.estimate(API, body(**fields))


@given(odd | st.fixed_dictionaries({}, optional={"role": odd, "name": odd, "content": odd | st.lists(odd)}))
@example({"role": "user", "content": [{"type": "text", "text": 5}]})
def test_a_message_that_makes_no_sense_is_the_servers_to_refuse(message: Any) -> None:
    budget.estimate(API, {"model": "gpt-6-luna", "messages": [message]})


def test_without_a_limit_everything_passes_and_is_added_up() -> None:
    open_end = budget.Budget(None)
    for cost in (Decimal("0.5"), None, Decimal("99")):
        open_end.reserve(cost)
    assert open_end.spent == Decimal("99.5")


def test_the_limit_may_be_reached_but_not_passed() -> None:
    limited = budget.Budget(Decimal("0.03"))
    limited.reserve(Decimal("0.02"))
    limited.reserve(Decimal("0.01"))
    with pytest.raises(chatkit.BudgetExceeded, match=r"USD 0\.03, 지금까지 쓴 추정액: USD 0\.030000"):
        limited.reserve(Decimal("0.000001"))
    assert limited.spent == Decimal("0.03")


def test_with_a_limit_an_unknown_cost_does_not_pass() -> None:
    with pytest.raises(chatkit.BudgetExceeded, match="예상 비용: 알 수 없음"):
        budget.Budget(Decimal(100)).reserve(None)


def test_the_real_usage_takes_the_estimates_place() -> None:
    booked = budget.Budget(None)
    booked.reserve(Decimal("0.0005"))
    usage = {"prompt_tokens": 1_018, "completion_tokens": 53, "prompt_tokens_details": {"cached_tokens": 1_000}}
    booked.settle(Decimal("0.0005"), usage, "gpt-6-luna")
    assert booked.spent == 18 * LUNA_IN + 1_000 * LUNA_IN / 10 + 53 * LUNA_OUT


@pytest.mark.parametrize("usage", [None, [], {"prompt_tokens_details": None}])
def test_usage_may_be_missing(usage: Any) -> None:
    booked = budget.Budget(None)
    booked.reserve(Decimal("0.0005"))
    booked.settle(Decimal("0.0005"), usage, "a-model-of-mine")
    assert booked.spent == Decimal("0.0005")


@pytest.mark.parametrize(
    ("usd", "words"),
    [(None, "알 수 없음"), (Decimal(0), "USD 0, 내 컴퓨터의 서버"), (Decimal("0.0000283"), "USD 0.000028")],
)
def test_a_cost_is_told_in_words(usd: Decimal | None, words: str) -> None:
    assert budget.in_words(usd) == words
