from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from llmlab.errors import BadInput
from llmlab.evals.abstention import abstention, area, least_answers, risk_coverage, threshold_for

CASES = st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.integers(0, 4)), min_size=1, max_size=40)


def parts(rows: list[tuple[int, bool, int]]) -> tuple[list[float], list[bool], list[int]]:
    return [float(score) for score, _, _ in rows], [wrong for _, wrong, _ in rows], [cluster for _, _, cluster in rows]


# --- the curve


def test_a_curve_begins_with_no_answer_and_ends_with_all() -> None:
    frame = risk_coverage([0.9, 0.8, 0.8, 0.1], [False, True, False, True])
    assert [math.inf, 0.9, 0.8, 0.1] == frame["threshold"].tolist()
    assert [0, 1, 3, 4] == frame["answered"].tolist()
    assert [0, 0.25, 0.75, 1] == frame["coverage"].tolist()
    assert math.isnan(frame["risk"][0])
    assert [0, 1 / 3, 1 / 2] == frame["risk"][1:].tolist()


@given(CASES)
def test_every_row_counts_what_its_threshold_answers(rows: list[tuple[int, bool, int]]) -> None:
    scores, wrong, clusters = parts(rows)
    for line in risk_coverage(scores, wrong, clusters).itertuples():
        answers = [error for score, error in zip(scores, wrong, strict=True) if score >= line.threshold]
        assert (len(answers), sum(answers)) == (line.answered, line.wrong)
        assert len(answers) / len(scores) == line.coverage


@given(CASES)
def test_independent_cases_have_wilsons_interval(rows: list[tuple[int, bool, int]]) -> None:
    scores, wrong, _ = parts(rows)
    last = risk_coverage(scores, wrong).iloc[-1]
    oracle = binomtest(sum(wrong), len(wrong)).proportion_ci(method="wilson")
    assert len(wrong) == last["n"]
    assert [oracle.low, oracle.high] == pytest.approx([last["risk_low"], last["risk_high"]], abs=1e-12)


@given(CASES, st.integers(2, 5))
def test_a_case_that_is_repeated_is_still_one(rows: list[tuple[int, bool, int]], times: int) -> None:
    scores, wrong, _ = parts(rows)
    again = risk_coverage(scores * times, wrong * times, list(range(len(rows))) * times).drop(columns=["answered", "wrong"])
    once = risk_coverage(scores, wrong).drop(columns=["answered", "wrong"])
    assert np.allclose(once.to_numpy(float), again.to_numpy(float), equal_nan=True)


@given(CASES)
def test_clusters_are_never_worth_more_than_their_cases(rows: list[tuple[int, bool, int]]) -> None:
    scores, wrong, clusters = parts(rows)
    frame = risk_coverage(scores, wrong, clusters)
    assert (frame["n"] <= frame["answered"]).all()
    assert (frame["n"][1:] >= 1).all()


def test_a_case_without_an_answer_is_answered_at_no_threshold() -> None:
    frame = risk_coverage([1.0, -math.inf, -math.inf, 0.5], [False, True, False, True])
    assert [math.inf, 1.0, 0.5] == frame["threshold"].tolist()
    assert 0.5 == frame["coverage"].iloc[-1] == frame["risk"].iloc[-1]


def test_without_cases_there_is_a_curve_without_numbers() -> None:
    frame = risk_coverage([], [])
    assert [0] == frame["answered"].tolist()
    assert frame[["coverage", "risk"]].isna().all(axis=None)


@pytest.mark.parametrize(("weak", "strong"), [(0.2, 1.8), (0.02, 0.38)])
def test_the_interval_of_the_risk_covers_it_where_answers_to_a_question_go_together(weak: float, strong: float) -> None:
    """What is wrong is also answered less often, so that clusters of answers differ in size."""
    generator, found = np.random.default_rng(2), []

    def sample(questions: int) -> tuple[Any, Any]:
        wrong = generator.random((questions, 5)) < generator.beta(weak, strong, (questions, 1))
        return generator.standard_normal((questions, 5)) + generator.standard_normal((questions, 1)) - wrong, wrong

    scores, wrong = sample(100_000)
    truth = wrong[scores >= 0].mean()
    names = np.repeat(np.arange(60), 5).tolist()
    for _ in range(300):
        scores, wrong = sample(60)
        line = risk_coverage((scores >= 0).ravel().tolist(), wrong.ravel().tolist(), names).iloc[1]
        found.append(line["risk_low"] <= truth <= line["risk_high"])
    assert 0.93 <= np.mean(found)


# --- the area under it


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6))
def test_the_area_is_the_mean_risk_over_all_coverages_and_all_orders_of_ties(rows: list[tuple[int, bool]]) -> None:
    def in_order(wrong: Any) -> float:
        return float(np.mean(np.cumsum(wrong) / np.arange(1, len(wrong) + 1)))

    orders = [order for order in permutations(rows) if all(one[0] >= two[0] for one, two in pairwise(order))]
    found = area([float(score) for score, _ in rows], [wrong for _, wrong in rows])
    assert np.mean([in_order([wrong for _, wrong in order]) for order in orders]) == pytest.approx(found.area.value)
    assert min(in_order([wrong for _, wrong in order]) for order in permutations(rows)) == pytest.approx(found.best)
    assert (found.area.value or 0) - (found.best or 0) == pytest.approx(found.excess)


def test_a_score_that_knows_every_error_has_no_excess() -> None:
    found = area([3.0, 2.0, 1.0, 0.0], [False, False, True, True])
    assert 0 == pytest.approx(found.excess)
    assert (1 / 3 + 2 / 4) / 4 == pytest.approx(found.area.value)


def test_where_all_are_wrong_the_area_is_whole_and_no_score_can_help() -> None:
    found = area([1.0, 2.0], [True, True])
    assert [1, 1, 0] == pytest.approx([found.area.value, found.best, found.excess])


def test_without_answers_there_is_no_area() -> None:
    found = area([-math.inf], [False])
    assert (None, None, None) == (found.area.value, found.best, found.excess)


def test_an_area_without_an_error_has_an_upper_end_all_the_same() -> None:
    found = area([float(one) for one in range(100)], [False] * 100).area
    assert (0, 0) == (found.value, found.low)
    assert 0.01 < (found.high or 0) < 0.1


def test_repeating_every_case_leaves_area_and_interval_almost_alone() -> None:
    generator = np.random.default_rng(4)
    scores, wrong = generator.random(200).tolist(), (generator.random(200) < 0.1).tolist()
    once, again = area(scores, wrong).area, area(scores * 5, wrong * 5, [*range(200)] * 5).area
    assert once[:3] == pytest.approx(again[:3], rel=0.03, abs=1e-3)
    assert once.n == again.n == 200


@pytest.mark.parametrize("repetitions", [1, 4])
def test_the_interval_of_the_area_covers_it(repetitions: int) -> None:
    generator, covered = np.random.default_rng(6), 0

    def sample(questions: int) -> tuple[list[float], list[bool]]:
        wrong = np.repeat(generator.random(questions) < 0.08, repetitions)
        return (generator.standard_normal(len(wrong)) - wrong).tolist(), wrong.tolist()

    truth = area(*sample(50_000)).area.value or 0
    for _ in range(300):
        found = area(*sample(80), [*np.repeat(np.arange(80), repetitions).tolist()]).area
        covered += (found.low or 0) <= truth <= (found.high or 0)
    assert 0.94 <= covered / 300


# --- the threshold


def steady(u: Any) -> Any:
    """As risky everywhere, and just more than is allowed."""
    return u * 0 + 0.0501


def worse(u: Any) -> Any:
    """Safe for three fifths of the cases, and bad for the others."""
    return np.where(u < 0.6, 0.005, 0.3)


def risk_of(model: Callable[[Any], Any], u: float) -> float:
    return float(np.mean(model(np.linspace(0, u, 2001))))


@pytest.mark.parametrize("model", [steady, worse])
@pytest.mark.parametrize(("ties", "repetitions"), [(0, 1), (10, 1), (0, 3)])
def test_the_promise_is_kept_in_2000_calibrations(model: Callable[[Any], Any], ties: int, repetitions: int) -> None:
    generator, broken, chosen = np.random.default_rng(8), 0, 0
    for _ in range(2000):
        u = generator.random(150)
        wrong = np.repeat(generator.random(150) < model(u), repetitions).tolist()
        seen = np.repeat(np.ceil(u * ties) / ties if ties else u, repetitions)
        clusters = np.repeat(np.arange(150), repetitions).tolist() if repetitions > 1 else None
        found = threshold_for((-seen).tolist(), wrong, 0.05, clusters=clusters).threshold
        if found < math.inf:
            chosen += 1
            broken += risk_of(model, -found) > 0.05
    assert broken / 2000 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 2000)
    assert chosen > 20  # else a promise is easily kept


@pytest.mark.parametrize(("n", "expected"), [(148, 0), (149, 149), (600, 600)])
def test_149_answers_without_an_error_are_needed_for_2_percent(n: int, expected: int) -> None:
    found = threshold_for([float(one) for one in range(n)], [False] * n)
    assert (expected, expected / n) == (found.tested, found.coverage.value)
    assert (math.inf if not expected else 0.0) == found.threshold


def test_nothing_is_answered_where_everything_is_wrong_or_nothing_is_there() -> None:
    for scores in ([1.0] * 500, [-math.inf] * 500, []):
        found = threshold_for(scores, [True] * len(scores))
        assert (math.inf, 0, None) == (found.threshold, found.tested, found.risk.value)


def test_one_early_error_does_not_end_it() -> None:
    wrong = [False] * 600
    wrong[40] = True
    assert 1 == threshold_for([-float(one) for one in range(600)], wrong).coverage.value


def test_answers_of_the_same_score_stand_or_fall_together() -> None:
    scores, wrong = [1.0] * 200 + [0.0] * 200, [False] * 200 + [True] * 10 + [False] * 190
    found = threshold_for(scores, wrong)
    assert (1.0, 0.5, 0.0, 200) == (found.threshold, found.coverage.value, found.risk.value, found.tested)


def test_a_question_asked_four_times_counts_once() -> None:
    names = [number // 4 for number in range(600)]
    assert 600 == threshold_for([1.0] * 600, [False] * 600).tested
    assert (0, 150) == tuple(threshold_for([1.0] * n, [False] * n, clusters=names[:n]).tested for n in (4 * 148, 600))


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), max_size=60))
def test_the_choice_reports_what_its_threshold_does(rows: list[tuple[int, bool]]) -> None:
    scores, wrong = [float(score) for score, _ in rows], [error for _, error in rows]
    found = threshold_for(scores, wrong, 0.3, 0.8)
    line = risk_coverage(scores, wrong, confidence=0.8).set_index("threshold").loc[found.threshold]
    assert found.tested == line["answered"]
    assert np.allclose(
        [np.nan if part is None else part for part in found.risk[:3]], line[["risk", "risk_low", "risk_high"]].astype(float), equal_nan=True
    )
    assert not found.tested or binom.cdf(line["wrong"], line["answered"], 0.3) <= 0.2 + 1e-9


def test_299_answers_without_an_error_claim_99_percent() -> None:
    assert 299 == least_answers()
    assert 149 == least_answers(0.98)
    assert 1 == least_answers(0.5, 0.5)


@given(st.floats(0.5, 0.9999), st.floats(0.5, 0.9999))
def test_one_answer_less_would_not_do(accuracy: float, confidence: float) -> None:
    n = least_answers(accuracy, confidence)
    assert accuracy**n <= (1 - confidence) * (1 + 1e-6)
    assert accuracy ** (n - 1) > (1 - confidence) * (1 - 1e-6)


# --- abstention


def test_coverage_is_of_what_can_be_answered_and_recall_of_what_cannot() -> None:
    found = abstention([True] * 8 + [False] * 2, [True] * 6 + [False] * 3 + [True])
    assert (0.75, 8) == (found.coverage.value, found.coverage.n)
    assert (0.5, 2) == (found.recall.value, found.recall.n)
    oracle = binomtest(6, 8).proportion_ci(method="wilson")
    assert [oracle.low, oracle.high] == pytest.approx(found.coverage[1:3])


def test_questions_of_one_kind_only_leave_the_other_unmeasured() -> None:
    assert None is abstention([True], [True]).recall.value
    assert None is abstention([False], [True]).coverage.value


def test_questions_asked_again_widen_nothing_and_narrow_nothing() -> None:
    can, did = [True] * 20 + [False] * 5, [True] * 15 + [False] * 9 + [True]
    assert abstention(can, did) == abstention(can * 3, did * 3, [*range(25)] * 3)


# --- misuse


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: risk_coverage([1.0], []), "not 1, 0"),
        (lambda: area([1.0], [True], [1, 2]), "not 1, 1, 2"),
        (lambda: abstention([True] * 2, []), "not 2, 0"),
        (lambda: area([math.nan], [True]), "finite number, or -inf .*, not nan"),
        (lambda: threshold_for([math.inf], [True]), "finite number, or -inf .*, not inf"),
        (lambda: threshold_for([], [], 0.0), "lie between 0 and 1"),
        (lambda: threshold_for([], [], 0.02, 1.0), "lie between 0 and 1, not at 0.98 and 1.0"),
        (lambda: least_answers(1.0), "lie between 0 and 1, not at 1.0 and 0.95"),
        (lambda: risk_coverage([1.0], [True], confidence=2), "confidence"),
    ],
)
def test_what_cannot_be_measured_is_said(call: Callable[[], Any], match: str) -> None:
    with pytest.raises(BadInput, match=match):
        call()
