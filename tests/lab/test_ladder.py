from __future__ import annotations

import math

import pandas as pd
import pytest

from llmlab.data.help_desk import cases
from llmlab.errors import BadInput, UnknownName
from llmlab.lab.lab import Lab
from llmlab.lab.ladder import (
    BEYOND,
    OUTCOMES,
    RUNGS,
    became,
    ladder,
    outcome,
    price,
    questions,
    reached,
    rung,
    said,
    score,
    scored,
    shares,
    spoilers,
    ways_to_ask,
    weather,
    with_warnings,
)
from llmlab.lab.runs import Runs


@pytest.fixture(scope="module")
def runs() -> Runs:
    return weather(7).run_all(ladder(), questions(), requests=112)


@pytest.fixture(scope="module")
def frame(runs: Runs) -> pd.DataFrame:
    return reached(runs)


def counts(frame: pd.DataFrame, app: str) -> dict[str, int]:
    found = frame[frame["app"] == app]["outcome"].value_counts()
    return {name: int(found.get(name, 0)) for name in OUTCOMES}


def test_repair_brings_back_what_failed_and_lets_wrong_answers_through(frame: pd.DataFrame) -> None:
    naive, repaired = counts(frame, "naive"), counts(frame, "+ repair")
    assert naive["failed"] > 15
    assert 0 == repaired["failed"]
    assert repaired["right"] > naive["right"]
    assert repaired["silently wrong"] > naive["silently wrong"]


def test_grounding_warns_of_most_that_is_wrong_and_abstaining_takes_it_away(frame: pd.DataFrame) -> None:
    repaired, warned, abstained = (counts(frame, app) for app in list(RUNGS)[2:])
    assert warned["silently wrong"] <= repaired["silently wrong"] / 2
    assert warned["silently wrong"] == abstained["silently wrong"]
    assert warned["degraded"] > 5 > abstained["degraded"]
    assert warned["right"] == abstained["right"]
    assert abstained["abstained"] > warned["abstained"] == repaired["abstained"]


def test_a_schema_refuses_what_json_loads_lets_pass(frame: pd.DataFrame) -> None:
    assert counts(frame, "+ schema")["failed"] > counts(frame, "naive")["failed"]


def test_on_a_good_day_nothing_fails_and_hardly_anything_is_wrong() -> None:
    found = counts(reached(weather(7, 0, 0).run(rung("naive"), questions(), requests=112, name="naive")), "naive")
    assert 0 == found["failed"]
    assert found["silently wrong"] <= 3


def test_an_answer_with_a_made_up_fact_is_not_right_however_it_is_graded() -> None:
    made, honest = (weather(7, 0, rate).run(rung("naive"), questions(), requests=112, name="naive").rows for rate in (1.0, 0.0))
    other = [one for one, twin in zip(made, honest, strict=True) if one.text != twin.text and one.case not in unanswerable()]
    assert len(other) > 40
    assert not any(row.right for row in other)


def unanswerable() -> set[str]:
    return {case.id for case in cases() if not case.answerable}


def test_what_is_beyond_the_model_goes_wrong_though_it_makes_nothing_up() -> None:
    asked = [case for case in cases() if case.answerable]
    some = [reached(weather(seed, 0, 0).run(rung("+ repair"), asked, requests=96, name="+ repair")) for seed in (11, 12, 13)]
    wrong = pd.concat(some).groupby("case")["outcome"].agg(lambda found: (found == "silently wrong").mean())
    assert set(BEYOND) == set(wrong[wrong > 0.5].index)


def test_the_shares_of_a_rung_add_up_and_know_their_questions(frame: pd.DataFrame) -> None:
    found = shares(frame)
    assert list(RUNGS) == list(found)
    for measures in found.values():
        assert 1.0 == pytest.approx(math.fsum(measures[name].value for name in OUTCOMES))
        assert 112 == measures["right"].n
        assert 112 - len(unanswerable()) == measures["coverage"].n
    assert found["+ abstain"]["coverage"].value < found["+ repair"]["coverage"].value
    assert found["+ abstain"]["delivered right"].value > found["+ repair"]["delivered right"].value


def test_what_failed_is_followed_to_a_higher_rung(frame: pd.DataFrame) -> None:
    found = became(frame, "naive", "failed", on="+ repair")
    assert counts(frame, "naive")["failed"] == sum(found.values())
    assert {"right", "silently wrong", "abstained"} <= set(found)


def test_answers_have_scores_and_what_is_no_answer_has_none(runs: Runs) -> None:
    found = scored(runs)
    none = [row.case for row in runs.only("+ repair").rows if outcome(row) == "abstained"]
    assert none == [case for case, one in zip(found.clusters, found.scores, strict=True) if one == -math.inf]
    assert all(0 <= one <= 1 for one in found.scores if one > -math.inf)


def test_what_is_cut_off_is_paid_for_twice(runs: Runs) -> None:
    table = price(runs).set_index("rung")
    assert "1.000" == table.loc["naive", "attempts a request"]
    assert 1.0 < float(table.loc["+ repair", "attempts a request"]) < 1.2
    assert table.loc["+ repair"].tolist() == table.loc["+ abstain"].tolist()


def test_a_lower_threshold_abstains_less() -> None:
    strict, lenient = (
        counts(reached(weather(7).run(rung("+ abstain", at), questions(), requests=112, name="+ abstain"), at), "+ abstain")
        for at in (0.9, 0.0)
    )
    assert strict["abstained"] > lenient["abstained"]


def test_the_model_breaks_json_that_was_asked_for_in_words_alone() -> None:
    found = Lab(seed=7, source="simulator").run_all(ways_to_ask(), requests=100).measures()
    assert ["prompt", "json_object", "json_schema"] == list(found)
    assert 0.8 < found["prompt"]["answered"].value < 0.97
    assert 1.0 == found["json_object"]["answered"].value == found["json_schema"]["answered"].value


def test_the_same_numbers_are_the_same_weather() -> None:
    assert weather(3) is weather(3)
    assert weather(3) is not weather(3, made_up=0.2)


@pytest.mark.parametrize(("text", "expected"), [("So it is.", "So it is."), ('{"answer": "So."}', "So."), (' {"x": 1}', ' {"x": 1}')])
def test_the_words_of_an_answer(text: str, expected: str) -> None:
    assert expected == said(text)


def test_a_text_in_no_document_has_a_low_score() -> None:
    question = "How often should I replace the lid seal, and what does a new one cost?"
    assert score(question, "Replace the lid seal every 9 years.") < 0.2
    assert 1.0 == score(question, "")


def test_the_ladder_ends_where_it_is_told_to() -> None:
    assert ["naive", "+ schema", "+ repair"] == list(ladder(top="+ repair"))
    with pytest.raises(UnknownName, match="naive"):
        ladder(top="the roof")


def test_without_bad_json_there_is_no_fault() -> None:
    assert [] == spoilers(0)
    assert 7 == len(spoilers(0.6))
    with pytest.raises(BadInput, match=r"not at 1\.5"):
        spoilers(1.5)


def test_a_warning_asks_nobody_again(runs: Runs) -> None:
    others = [runs.only(app) for app in RUNGS if app != "+ grounding"]
    made = with_warnings(others[0] + others[1] + others[2] + others[3])
    assert list(RUNGS) == made.apps
    assert made.frame.equals(runs.frame)
    assert len(made.attempts) == len(runs.attempts)
