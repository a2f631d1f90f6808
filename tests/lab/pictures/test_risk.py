from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
import pytest

from llmlab.evals.abstention import risk_coverage
from llmlab.lab.pictures import Picture, risk_curve, risk_table

Words = Callable[[Picture], list[str]]


@pytest.fixture
def frame() -> pd.DataFrame:
    """Ten answers, the two worst of them wrong, and ten questions that were not answered."""
    scores = [number / 10 for number in range(1, 11)] + [-math.inf] * 10
    return risk_coverage(scores, [number < 2 for number in range(20)])


def dots(picture: Picture) -> list[tuple[float, float]]:
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in picture.axes[0].lines if line.get_gid() == "dot"]


@pytest.mark.parametrize(("threshold", "coverage", "risk"), [(0.0, 0.5, 0.2), (0.15, 0.45, 1 / 9), (0.3, 0.4, 0.0), (1.0, 0.05, 0.0)])
def test_the_dot_moves_along_the_curve(frame: pd.DataFrame, threshold: float, coverage: float, risk: float) -> None:
    assert [(pytest.approx(coverage), pytest.approx(risk))] == dots(risk_curve(frame, threshold))


def test_it_says_what_the_threshold_does(frame: pd.DataFrame, words: Words) -> None:
    said = " ".join(words(risk_curve(frame, 0.15)))
    assert "threshold 0.15" in said
    assert "answers 45 % of requests; 1 of 9 are wrong: 11.1 % [" in said


def test_the_curve_has_a_band(frame: pd.DataFrame) -> None:
    (band,) = risk_curve(frame, 0.5).axes[0].collections
    assert band.get_paths()[0].vertices[:, 1].max() > 0.5


def test_above_every_score_nothing_is_answered_and_there_is_no_dot(words: Words) -> None:
    low = risk_coverage([0.2, 0.1], [True, False])
    assert [] == dots(risk_curve(low, 0.5))
    assert "nothing is answered" in " ".join(words(risk_curve(low, 0.5)))
    assert "nothing is answered" in " ".join(words(risk_curve(risk_coverage([-math.inf], [True]), 0.5)))


def test_the_table_has_the_same_numbers(frame: pd.DataFrame) -> None:
    table = risk_table(frame, (0.15, 1.0)).set_index("threshold")
    assert [9, 1] == table["answered"].tolist()
    assert table.loc["0.15", "wrong of answered (%)"].startswith("11.1 [")
    assert [""] == risk_table(risk_coverage([0.2], [True]), (0.5,))["wrong of answered (%)"].tolist()
