from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from llmlab.lab.ladder import OUTCOMES
from llmlab.lab.pictures import Picture, reach, reach_table

Words = Callable[[Picture], list[str]]


@pytest.fixture
def frame() -> pd.DataFrame:
    """Naive: half right, a quarter failed, a quarter wrong; + repair: three quarters right, a quarter with a warning."""
    outcomes = ["right", "right", "failed", "silently wrong", "right", "right", "right", "degraded"]
    lines = [(app, f"q{n}", 0, True) for app in ("naive", "+ repair") for n in range(4)]
    return pd.DataFrame(lines, columns=["app", "case", "repetition", "answerable"]).assign(outcome=outcomes)


def test_a_bar_is_whole_and_what_is_wrong_ends_at_its_right_edge(frame: pd.DataFrame) -> None:
    bars = [bar for bar in reach(frame).axes[0].patches if bar.get_y() > 1]
    assert [0.5, 0.25, 0.25] == [pytest.approx(bar.get_width()) for bar in bars]
    assert 1.0 == pytest.approx(bars[-1].get_x() + bars[-1].get_width())


def test_every_share_stands_on_its_bar_and_the_wrong_ones_beside_it(frame: pd.DataFrame, words: Words) -> None:
    said = words(reach(frame))
    assert {"50 %", "75 %", "25.0 %", "0.0 %", "naive", "+ repair", *OUTCOMES} <= set(said)


def test_a_share_too_small_for_words_has_none(frame: pd.DataFrame, words: Words) -> None:
    many = pd.DataFrame({"app": "naive", "case": [f"q{n}" for n in range(200)], "repetition": 0, "answerable": True})
    said = words(reach(many.assign(outcome=["failed"] + ["right"] * 199)))
    assert "100 %" in said  # 99.5
    assert not any(word in ("0 %", "1 %") for word in said)


def test_the_table_has_the_same_numbers_with_intervals(frame: pd.DataFrame) -> None:
    table = reach_table(frame).set_index("rung")
    assert [4, 4] == table["n"].tolist()
    assert table.loc["naive", "silently wrong (%)"].startswith("25.0 [")
    assert table.loc["naive", "coverage (%)"].startswith("75.0 [")


def test_nothing_run_is_an_empty_picture(frame: pd.DataFrame) -> None:
    assert reach(frame[:0]).png().startswith(b"\x89PNG")
    assert 0 == len(reach_table(frame[:0]))
