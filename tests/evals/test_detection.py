from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from llmlab.data.probes import ATTACKS, PERSONAL, Probe, Span, probes
from llmlab.errors import BadInput
from llmlab.evals.detection import Alarms, base_rate, curve, detection, personal_data, threshold_for
from llmlab.pipeline.answer import Finding


class By(NamedTuple):
    """A guard that is a function of text and role."""

    find: Callable[[str, str], list[Finding]]

    def check(self, text: str, role: str = "user") -> list[Finding]:
        return self.find(text, role)


def words(pattern: str, kind: str = "override") -> By:
    return By(lambda text, _: [Finding(kind, "word", *one.span(), "") for one in re.finditer(pattern, text)])


EVERYTHING, NOTHING = words("^(?s:.)"), words("(?!)")


def probe(text: str, label: str = "attack", kind: str = "override", family: str = "", spans: tuple[Span, ...] = ()) -> Probe:
    return Probe("x", text, "user", label, kind, family or text, "open", "en", spans)


# --- attacks


def test_a_guard_that_flags_everything_has_full_recall_and_no_merit() -> None:
    frame = detection(EVERYTHING, probes())
    assert [*ATTACKS, "all"] == list(frame.index)
    assert (frame["recall"] == 1).all()
    assert (frame["over_defense"] == 1).all()
    assert (frame["found"] == frame["n"]).all()
    assert (frame["precision"] < 0.65).all()


def test_a_guard_that_flags_nothing_has_no_precision_at_all() -> None:
    frame = detection(NOTHING, probes(half="held"))
    assert (frame[["recall", "over_defense"]] == 0).all(axis=None)
    assert frame[["precision", "precision_low", "precision_high"]].isna().all(axis=None)


def test_the_classes_together_are_all_but_the_harmless_of_none() -> None:
    frame = detection(words("(?i)ignore"), probes())
    together = frame.drop(index="all")
    assert (len(probes(label="attack")), len(probes(label="harmless"))) == tuple(frame.loc["all", ["n", "harmless"]])
    assert frame.loc["all", "found"] == together["found"].sum()
    assert frame.loc["all", "harmless"] - together["harmless"].sum() == sum(row.kind == "" for row in probes(label="harmless"))


def test_a_family_counts_once_however_many_variants_it_has() -> None:
    rows = [*(probe(f"bad {number}", family="same") for number in range(4)), probe("good"), probe("fine"), probe("nice")]
    line = detection(words("bad"), rows).loc["override"]
    assert (7, 4, 4) == tuple(line[["n", "families", "found"]])
    oracle = binomtest(1, 4).proportion_ci(method="wilson")
    assert [0.25, oracle.low, oracle.high] == pytest.approx(line[["recall", "recall_low", "recall_high"]].tolist())


def test_precision_is_of_families_with_a_flagged_text() -> None:
    rows = [probe("bad a"), probe("bad b"), probe("c"), probe("bad d", "harmless"), probe("e", "harmless"), probe("bad 4", "personal", "")]
    line = detection(words("bad"), rows).loc["override"]
    assert (2, 3, 1, 2) == tuple(line[["found", "n", "flagged", "harmless"]])
    assert [2 / 3, 1 / 2, 2 / 3] == pytest.approx(line[["recall", "over_defense", "precision"]].tolist())


def test_a_class_without_a_probe_has_no_row_and_one_without_attacks_no_recall() -> None:
    frame = detection(EVERYTHING, [probe("a", "harmless", "persona")])
    assert ["persona", "all"] == list(frame.index)
    assert frame["recall"].isna().all()
    assert detection(EVERYTHING, []).empty


def test_the_guard_is_told_whose_text_it_is() -> None:
    documents_only = By(lambda text, role: [Finding("indirect", "role", 0, 1, "")] if role == "document" else [])
    frame = detection(documents_only, probes())
    assert [1, 1] == frame.loc["indirect", ["recall", "over_defense"]].tolist()
    assert frame.loc["persona", "recall"] < 0.2


def test_the_interval_covers_a_recall_that_families_share() -> None:
    """Variants of an idea are mostly caught together: families count, or the interval is too narrow."""
    generator, covered = np.random.default_rng(5), 0
    for _ in range(200):
        chances = generator.beta(0.7, 0.3, 16)
        rows = [probe(str(int(luck < chance)) + f"-{family}-{number}", family=str(family))
                for family, chance in enumerate(chances) for number, luck in enumerate(generator.random(2))]  # fmt: skip
        line = detection(words("^1"), rows).loc["override"]
        covered += line["recall_low"] <= 0.7 <= line["recall_high"]
    assert 0.93 <= covered / 200


# --- personal data


def perfect(text: str, _: str) -> list[Finding]:
    return [
        Finding(span.kind, "oracle", span.start, span.end, "") for row in probes(label="personal") if row.text == text for span in row.spans
    ]


def test_a_guard_that_knows_the_spans_is_perfect_also_where_they_must_be_the_very_same() -> None:
    frame = personal_data(By(perfect), probes(), overlap=1)
    assert [*PERSONAL, "all"] == list(frame.index)
    assert (frame[["recall", "precision", "f1"]] == 1).all(axis=None)
    assert (frame["found"] == frame["n"]).all()
    assert 0 == frame["false"].sum()


def test_a_guard_without_a_validator_takes_look_alikes_for_cards() -> None:
    line = personal_data(words(r"\d(?:[ .-]?\d){12,15}(?!\d)", "CREDIT_CARD"), probes()).loc["CREDIT_CARD"]
    assert 0.9 < line["recall"]
    assert line["precision"] < 0.9
    assert line["f1"] == pytest.approx(2 / (1 / line["recall"] + 1 / line["precision"]))


@pytest.mark.parametrize(
    ("findings", "overlap", "found", "false"),
    [
        ([("US_SSN", 10, 20)], 1.0, 1, 0),
        ([("US_SSN", 10, 19)], 1.0, 0, 1),
        ([("US_SSN", 10, 19)], 0.9, 1, 0),
        ([("US_SSN", 0, 20)], 0.5, 1, 0),
        ([("US_SSN", 0, 21)], 0.5, 0, 1),
        ([("US_SSN", 20, 30)], 0.001, 0, 1),
        ([("CREDIT_CARD", 10, 20)], 0.5, 0, 0),
        ([("override", 10, 20)], 0.5, 0, 0),
        ([("US_SSN", 10, 20), ("US_SSN", 10, 20)], 0.5, 1, 1),
        ([], 0.5, 0, 0),
    ],
)
def test_a_finding_is_right_if_it_has_the_kind_and_enough_of_the_span(findings: Any, overlap: float, found: int, false: int) -> None:
    guard = By(lambda text, role: [Finding(kind, "r", start, end, "") for kind, start, end in findings])
    row = probe("x" * 40, "personal", "US_SSN", spans=(Span("US_SSN", 10, 20),))
    line = personal_data(guard, [row, probe("attack")], overlap).loc["US_SSN"]
    assert (1, found, false) == tuple(line[["n", "found", "false"]])


def test_what_was_never_found_has_an_f1_of_zero_and_what_is_not_there_has_none() -> None:
    row = probe("x" * 40, "personal", "US_SSN", spans=(Span("US_SSN", 10, 20),))
    missed = personal_data(NOTHING, [row])["f1"]
    assert 0 == missed["US_SSN"]
    assert math.isnan(missed["IBAN_CODE"])
    assert 0 == personal_data(words("^x", "US_SSN"), [row])["f1"]["US_SSN"]


@pytest.mark.parametrize("overlap", [0, -1, 1.5, math.nan])
def test_an_overlap_is_a_share(overlap: float) -> None:
    with pytest.raises(BadInput, match="overlap is more than 0 and at most 1"):
        personal_data(NOTHING, [], overlap)


# --- thresholds


def test_a_curve_begins_with_nothing_flagged_and_ends_with_everything() -> None:
    frame = curve([0.9, 0.8, 0.8, 0.1], [True, True, False, False])
    assert [math.inf, 0.9, 0.8, 0.1] == frame["threshold"].tolist()
    assert [0, 0.5, 1, 1] == frame["recall"].tolist()
    assert [0, 0, 0.5, 1] == frame["false_positive_rate"].tolist()
    assert math.isnan(frame["precision"][0])
    assert [1, 2 / 3, 0.5] == pytest.approx(frame["precision"][1:].tolist())


SCORED = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2).filter(lambda rows: len({attack for _, attack in rows}) == 2)


@given(SCORED, st.floats(0, 1))
def test_the_threshold_keeps_its_promise_and_no_lower_one_does(rows: list[tuple[int, bool]], rate: float) -> None:
    scores, attacks = [score for score, _ in rows], [attack for _, attack in rows]
    threshold = threshold_for(curve(scores, attacks), rate)
    harmless = [score for score, attack in rows if not attack]

    def share(at: float) -> float:
        return sum(score >= at for score in harmless) / len(harmless)

    assert share(threshold) <= rate
    assert all(share(lower) > rate for lower in scores if lower < threshold)


@given(SCORED)
def test_every_row_of_a_curve_counts_what_its_threshold_flags(rows: list[tuple[int, bool]]) -> None:
    frame = curve([score for score, _ in rows], [attack for _, attack in rows])
    for at, caught, alarms in frame[["threshold", "caught", "false_alarms"]].itertuples(index=False):
        flagged = [attack for score, attack in rows if score >= at]
        assert (sum(flagged), len(flagged) - sum(flagged)) == (caught, alarms)


@pytest.mark.parametrize(
    ("scores", "attacks", "match"),
    [
        ([1.0], [True, False], "1 scores, 2 labels"),
        ([1.0, math.nan], [True, False], "finite"),
        ([1.0, math.inf], [True, False], "finite"),
        ([1.0, 2.0], [True, True], "at least one attack and one harmless"),
        ([], [], "at least one attack and one harmless"),
    ],
)
def test_what_is_no_curve_is_said(scores: list[float], attacks: list[bool], match: str) -> None:
    with pytest.raises(BadInput, match=match):
        curve(scores, attacks)


# --- base rates


def test_of_the_alarms_of_a_99_percent_guard_at_1_attack_in_1000_91_percent_are_wrong() -> None:
    found = base_rate(0.99, 0.01)
    assert [10, 0, 100, 9890] == [round(one) for one in found]
    assert 0.91 == round(found.wrong or 0, 2)
    assert 10_000 == pytest.approx(sum(found))


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 10_000), st.integers(1, 10**6))
def test_every_request_is_counted_once(recall: float, rate: float, attacks_in: int, requests: int) -> None:
    found = base_rate(recall, rate, attacks_in, requests)
    assert requests == pytest.approx(sum(found))
    assert requests / attacks_in == pytest.approx(found.caught + found.missed)
    assert all(one >= 0 for one in found)


def test_without_an_alarm_no_share_of_them_is_wrong() -> None:
    assert Alarms(0, 10, 0, 9990) == base_rate(0, 0)
    assert base_rate(0, 0).wrong is None


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((1.2, 0.1), "recall is a share"),
        ((0.9, -0.1), "false_positive_rate is a share"),
        ((0.9, math.nan), "false_positive_rate is a share"),
        ((0.9, 0.1, 0.5), "at least 1"),
        ((0.9, 0.1, 10, 0), "at least 1"),
    ],
)
def test_what_is_no_base_rate_is_said(arguments: Any, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        base_rate(*arguments)
