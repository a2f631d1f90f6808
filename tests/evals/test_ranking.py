from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from llmlab.errors import BadInput
from llmlab.evals.ranking import auroc

SCORED = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=4, max_size=30).filter(lambda rows: {0, 1} == {b for _, b in rows})


def brute_force(scores, labels):
    pairs = [
        (a > b) + (a == b) / 2 for a, up in zip(scores, labels, strict=True) if up for b, x in zip(scores, labels, strict=True) if not x
    ]
    return sum(pairs) / len(pairs)


@given(SCORED)
def test_the_area_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[int, bool]]) -> None:
    scores, labels = zip(*rows, strict=True)
    assert brute_force(scores, labels) == pytest.approx(auroc(scores, labels).value)


@given(SCORED)
def test_the_area_is_that_of_the_rank_sum_test(rows: list[tuple[int, bool]]) -> None:
    high, low = ([score for score, label in rows if label is side] for side in (True, False))
    expected = mannwhitneyu(high, low, method="asymptotic").statistic / (len(high) * len(low))
    assert expected == pytest.approx(auroc(*zip(*rows, strict=True)).value)


def test_the_variance_is_that_of_delong() -> None:
    rng = np.random.default_rng(5)
    high, low = rng.normal(1, 1, 40), rng.normal(0, 1, 50)
    wins = (high[:, None] > low).astype(float)
    area, sigma = wins.mean(), math.sqrt(wins.mean(1).var(ddof=1) / 40 + wins.mean(0).var(ddof=1) / 50)
    got = auroc([*high, *low], [True] * 40 + [False] * 50)
    logit = math.log(area / (1 - area)) - 1.959964 * sigma / (area * (1 - area))
    assert (area, 1 / (1 + math.exp(-logit)), 90) == (pytest.approx(got.value), pytest.approx(got.low, abs=1e-6), got.n)


@pytest.mark.parametrize(("shared", "clusters"), [(0.0, None), (1.0, "families")])
def test_the_interval_covers_the_true_area_as_often_as_it_says(shared: float, clusters: str | None) -> None:
    rng = np.random.default_rng(7)
    true, hits = 0.5 * (1 + math.erf(1 / math.sqrt(2 * (1 + shared**2)) / math.sqrt(2))), 0
    for _ in range(400):
        family = np.repeat(np.arange(30), 4)
        # Whole families lean to one side; half of them hold one class only.
        labels = np.where(family % 2 == 0, np.tile([True, False], 60), family % 4 == 1)
        scores = labels * 1.0 + rng.normal(0, 1, 120) + shared * rng.normal(0, 1, 30)[family]
        got = auroc(scores.tolist(), labels.tolist(), family.tolist() if clusters else None)
        within = labels[:, None] & ~labels[None, :] & (family[:, None] == family[None, :])
        share = within.sum() / (labels.sum() * (~labels).sum())
        expected = share * 0.5 * (1 + math.erf(0.5)) + (1 - share) * true if clusters else true
        hits += got.low <= expected <= got.high
    assert 0.92 < hits / 400 < 0.98


def test_clusters_that_lean_widen_the_interval() -> None:
    scores, labels = [1, 1, 1, 2, 2, 2, 0, 0, 0, 1, 1, 1] * 3, ([True] * 6 + [False] * 6) * 3
    alone, together = auroc(scores, labels), auroc(scores, labels, [index // 3 for index in range(36)])
    assert (36, 12, alone.value) == (alone.n, together.n, together.value)
    assert together.high - together.low > 1.3 * (alone.high - alone.low)


@pytest.mark.parametrize(("scores", "value"), [([0, 0, 0, 1, 1, 1], 1.0), ([1, 1, 1, 0, 0, 0], 0.0)])
def test_classes_told_apart_without_a_mistake_have_an_interval_all_the_same(scores: list[int], value: float) -> None:
    got = auroc(scores, [False] * 3 + [True] * 3)
    assert (value, True) == (got.value, 0.3 < abs(got.high - got.low) < 0.7)


def test_clusters_without_any_variance_count_as_independent_observations() -> None:
    scores, labels, clusters = [0, 0, 1, 1] * 5, [True, False] * 10, [index // 2 for index in range(20)]
    assert auroc(scores, labels)._replace(n=10) == auroc(scores, labels, clusters)


@pytest.mark.parametrize(("scores", "labels"), [([], []), ([1, 2], [True, True]), ([1.0], [False])])
def test_one_class_alone_has_no_area(scores: list[float], labels: list[bool]) -> None:
    assert (None, None, None, len(scores)) == auroc(scores, labels)


@pytest.mark.parametrize(("scores", "labels"), [([1, 2], [True, False]), ([1, 1, 1, 1], [True, False, True, False])])
def test_too_little_to_vary_has_no_interval(scores: list[float], labels: list[bool]) -> None:
    assert not auroc(scores, labels).measurable


@pytest.mark.parametrize(
    "given", [([1], [True, False]), ([1, 2], [True, False], [1]), ([math.nan, 1], [True, False]), ([1, 2], [True, False], None, 1.0)]
)
def test_what_cannot_be_ranked_is_refused(given: tuple) -> None:
    with pytest.raises(BadInput):
        auroc(*given)
