"""What tokens cost, by the tables of genai-prices, which come with its wheel. Unknown is None, never 0."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

PRICE_DATE = "2026-11-01"
"""The day whose prices are used (ISO 8601): fixed, so that a run costs the same whenever it is repeated."""


class Price(NamedTuple):
    """Prices of one model (in USD per million tokens)."""

    input: Decimal
    cached_input: Decimal
    output: Decimal


@lru_cache(maxsize=1024)
def price_of(model: str) -> Price | None:
    """Return the prices of `model` on `PRICE_DATE`, or None where genai-prices does not know it."""
    from genai_prices import Usage, calc_price

    million = 1_000_000
    day = datetime.fromisoformat(PRICE_DATE).replace(tzinfo=UTC)
    try:
        fresh = calc_price(Usage(input_tokens=1000, output_tokens=1000), model_ref=model, provider_id="openai", genai_request_timestamp=day)
        cached = calc_price(
            Usage(input_tokens=1000, cache_read_tokens=1000, output_tokens=1000),
            model_ref=model,
            provider_id="openai",
            genai_request_timestamp=day,
        )
    except LookupError:
        return None
    return Price(fresh.input_price * million / 1000, cached.input_price * million / 1000, fresh.output_price * million / 1000)


def cost_usd(model: str, *, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> Decimal | None:
    """Return the price of one answer (in USD), or None where the model's price is unknown.

    The formula: (prompt - cached) * input + cached * cached_input + completion * output. Reasoning tokens are part of the completion's.
    """
    price = price_of(model)
    if price is None:
        return None
    total = (prompt_tokens - cached_tokens) * price.input + cached_tokens * price.cached_input + completion_tokens * price.output
    return total / 1_000_000
