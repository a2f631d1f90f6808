from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from llmlab.protocol.prices import PRICE_DATE, Price, cost_usd, price_of


def test_prices_are_those_of_the_table() -> None:
    assert Price(Decimal("2.5"), Decimal("1.25"), Decimal(10)) == price_of("gpt-4o")


def test_the_day_is_fixed() -> None:
    assert date(2026, 11, 1) == date.fromisoformat(PRICE_DATE)


def test_cached_tokens_are_part_of_the_prompt_and_cost_less() -> None:
    assert Decimal("0.0025") == cost_usd("gpt-4o", prompt_tokens=1000, completion_tokens=0)
    assert Decimal("0.00125") == cost_usd("gpt-4o", prompt_tokens=1000, completion_tokens=0, cached_tokens=1000)
    expected = Decimal(600) * Decimal("2.5") + Decimal(400) * Decimal("1.25") + Decimal(50) * 10
    assert expected / 1_000_000 == cost_usd("gpt-4o", prompt_tokens=1000, completion_tokens=50, cached_tokens=400)


@pytest.mark.parametrize("model", ["a-model-of-mine", ""])
def test_an_unknown_price_is_none_and_not_zero(model: str) -> None:
    assert price_of(model) is None
    assert cost_usd(model, prompt_tokens=1, completion_tokens=1) is None
