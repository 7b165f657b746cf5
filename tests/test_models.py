"""The table of models: ids, prices, life dates, refused parameters."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price

import chatkit
from chatkit import models

LUNA = models.find("gpt-6-luna")
DYING = models.find("gpt-4o-mini")
MILLION = 1_000_000


def test_the_courses_model_is_in_the_table_and_alive() -> None:
    assert models.find(models.default()).days_left(models.checked()) is None


@pytest.mark.parametrize(("day", "left"), [("2027-01-13", 1), ("2027-01-14", 0), ("2027-01-15", -1)])
def test_days_left_count_down_to_the_shutdown(day: str, left: int) -> None:
    assert DYING.days_left(datetime.date.fromisoformat(day)) == left


def test_a_model_without_a_date_has_no_days_left() -> None:
    assert LUNA.days_left(datetime.date(2026, 11, 22)) is None


def test_a_warning_comes_before_a_failure() -> None:
    assert models.WARN_DAYS > models.FAIL_DAYS > 0


def test_an_unknown_model_names_the_known_ones() -> None:
    with pytest.raises(chatkit.ChatkitError, match=r"'gpt-6-lunar'.*gpt-6-luna, gpt-6\.1-terra"):
        models.find("gpt-6-lunar")


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"model": "gpt-6-luna", "messages": []}, []),
        ({"reasoning_effort": "none", "temperature": 1, "tools": []}, []),
        ({"temperature": 1, "top_p": 1}, ["temperature", "top_p"]),
        ({"reasoning_effort": "low", "tools": []}, ["tools"]),
        ({"reasoning_effort": "none", "stop": ".", "max_tokens": 5}, ["stop", "max_tokens"]),
        ({"max_completion_tokens": 5, "seed": 1}, []),
    ],
)
def test_refused_parameters_are_those_answered_with_400(body: dict[str, object], refused: list[str]) -> None:
    assert LUNA.refused(body) == refused


def test_an_older_model_refuses_nothing() -> None:
    assert DYING.refused({"stop": ".", "max_tokens": 5, "temperature": 1}) == []


@pytest.mark.parametrize("model", models.known().values(), ids=models.known())
def test_prices_agree_with_genai_prices(model: models.Model) -> None:
    # Small amounts, because prompts over 272K tokens cost more than the list says.
    for usage, price in [
        (Usage(input_tokens=1_000), model.input),
        (Usage(input_tokens=1_000, cache_read_tokens=1_000), model.cached_input),
        (Usage(output_tokens=1_000), model.output),
    ]:
        assert calc_price(usage, model.id, provider_id="openai").total_price * 1_000 == price


@pytest.mark.parametrize("model", models.known().values(), ids=models.known())
def test_every_row_makes_sense(model: models.Model) -> None:
    assert Decimal(0) < model.cached_input < model.input < model.output
    assert model.max_output <= model.context


def test_a_notebook_shows_the_table_as_markdown() -> None:
    lines = models.table()._repr_markdown_().splitlines()
    assert lines[0] == "| 모델 | 컨텍스트(토큰) | 입력 USD/100만 토큰 | 출력 USD/100만 토큰 | 수명 |"
    assert "| `gpt-6-luna` | 1,050,000 | 0.10 | 0.50 | 종료일 발표 없음 |" in lines
    assert "| `gpt-4o-mini` | 128,000 | 0.15 | 0.60 | 2027-01-14 종료 예정 |" in lines
    assert "| `gpt-4.1-nano` | 1,047,576 | 0.10 | 0.40 | 2026-10-23 종료됨 |" in lines
    assert {line.count("|") for line in lines if line.startswith("|")} == {6}
    assert lines[-1] == f"{models.checked()} 기준"


def test_elsewhere_the_table_is_lines_of_text() -> None:
    lines = repr(models.table()).splitlines()
    assert [line.partition(":")[0] for line in lines[:-1]] == list(models.known())
    assert lines[0] == "gpt-6-luna: 1,050,000 / 0.10 / 0.50 / 종료일 발표 없음"
    assert lines[-1] == f"{models.checked()} 기준"
