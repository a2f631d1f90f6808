from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from llmlab.lab.pictures import price_bar, price_table

Rows = Callable[..., pd.DataFrame]


@pytest.fixture
def frame(rows: Rows) -> pd.DataFrame:
    """Naive: 1 attempt, 2 USD per 1,000. Stack: 1.5 attempts, 3 USD; every other request is a hedge."""
    return rows({"naive": [1.0] * 4, "stack": [1.0] * 4}, attempts=[1] * 4 + [1, 2, 1, 2], usd=[0.002] * 4 + [0.002, 0.004, 0.002, 0.004])


def bars(picture, panel: int) -> list[tuple[float, float, str | None]]:
    return [(bar.get_x(), pytest.approx(bar.get_width()), bar.get_hatch()) for bar in picture.axes[panel].patches]


def test_a_bar_is_as_long_as_the_mean(frame: pd.DataFrame) -> None:
    picture = price_bar(frame)
    assert [(0, 1.0, None), (0, 1.5, None)] == bars(picture, 0)
    assert [(0, 2.0, None), (0, 3.0, None)] == bars(picture, 1)


def test_the_difference_from_the_first_app_stands_at_the_bars_end(frame: pd.DataFrame, words: Callable[..., list[str]]) -> None:
    said = words(price_bar(frame))
    for expected in ["1.00", "1.50  +50.0 %", "2.00", "3.00  +50.0 %", "attempts a request", "USD per 1,000 requests"]:
        assert expected in said


def test_an_unknown_price_is_unknown_and_never_0(frame: pd.DataFrame, words: Callable[..., list[str]]) -> None:
    frame.loc[5, "usd"] = None
    picture = price_bar(frame)
    assert "unknown" in words(picture)
    assert [(0, 2.0, None), (0, 0.0, None)] == bars(picture, 1)
    assert ["2.000", "unknown"] == price_table(frame)["USD per 1,000"].tolist()
    assert ["", ""] == price_table(frame)["more USD"].tolist()


def test_nothing_is_compared_with_an_unknown_price(frame: pd.DataFrame, words: Callable[..., list[str]]) -> None:
    frame.loc[0, "usd"] = None
    assert "3.00" in words(price_bar(frame))


def test_what_the_cache_saved_is_hatched_and_said(frame: pd.DataFrame, words: Callable[..., list[str]]) -> None:
    frame.loc[[4, 6], ["attempts", "usd", "source"]] = [0, 0.0, "cache"]
    picture = price_bar(frame)
    assert [(0, 2.0, None), (0, 2.0, None), (2.0, 2.0, "/////")] == bars(picture, 1)
    assert [(0, 1.0, None), (0, 1.0, None), (1.0, 1.0, "/////")] == bars(picture, 0)
    assert {"50.0 % cached", "hatched: saved by the app's own cache"} <= set(words(picture))


def test_an_app_that_lives_from_its_cache_alone_has_nothing_to_compare_with(frame: pd.DataFrame, words: Callable[..., list[str]]) -> None:
    frame.loc[4:, ["attempts", "usd", "source"]] = [0, 0.0, "cache"]
    picture = price_bar(frame)
    assert [None, None] == [hatch for *_, hatch in bars(picture, 1)]
    assert "100.0 % cached" in words(picture)
    assert "0.00  -100.0 %" in words(picture)
    assert "" == price_table(frame)["USD per 1,000 not from the cache"].iloc[1]


def test_the_table_says_what_the_bars_show(frame: pd.DataFrame) -> None:
    assert ["naive", 4, "1.000", "", "2.000", "", "0.0 %", "2.000"] == price_table(frame).iloc[0].tolist()
    assert ["stack", 4, "1.500", "+50.0 %", "3.000", "+50.0 %", "0.0 %", "3.000"] == price_table(frame).iloc[1].tolist()
