from __future__ import annotations

import json
import math

import pytest

from llmlab.data import help_desk
from llmlab.lab import answers, gameday
from llmlab.lab.answers import BAD_JSON, BAD_JSON_FAULTS, MODEL, SupportAnswer
from llmlab.lab.runs import Row, Runs
from llmlab.wire.faults import FAULTS

Found = dict[str, dict[str, float]]


def values(measures: object) -> Found:
    return {app: {name: one.value or 0.0 for name, one in some.items()} for app, some in measures.items()}  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def bad() -> Runs:
    return answers.play_bad_json(7, 500)


@pytest.fixture(scope="module")
def made_up() -> Runs:
    return answers.play_made_up(7, 500)


def rows(runs: Runs, app: str) -> list[Row]:
    return [row for row in runs.rows if row.app == app]


def test_every_fault_after_which_there_is_no_json_takes_part() -> None:
    syntactic = {name for name, kind in FAULTS.items() if getattr(kind, "syntactic", False)} - {"MalformedToolArguments"}
    assert syntactic == {type(fault).__name__ for fault in BAD_JSON_FAULTS}
    assert math.isclose(BAD_JSON, 1 - math.prod(1 - fault.probability for fault in BAD_JSON_FAULTS))


def test_json_loads_loses_what_the_faults_strike_and_the_stack_next_to_nothing(bad: Runs) -> None:
    found = values(answers.bad_json(bad, 4.0))
    for app in ("naive", "careful"):
        assert 0.6 < found[app]["valid_and_true"] < 0.8
        assert 0.0 < found[app]["silently_wrong"] < 0.1
    assert found["stack"]["valid_and_true"] >= 0.97
    assert 0.0 == found["stack"]["silently_wrong"]
    assert 1.0 < found["stack"]["attempts_per_request"] < 1.3


def test_what_became_of_the_json_adds_up(bad: Runs) -> None:
    for some in answers.bad_json(bad, 4.0).values():
        assert 250 == some["failed"].n
        assert 1.0 == pytest.approx(math.fsum(some[name].value or 0.0 for name in ("valid_and_true", "silently_wrong", "failed")))


def test_a_nan_that_json_loads_lets_pass_is_silently_wrong(bad: Runs) -> None:
    wrong = [row for row in rows(bad, "naive") if row.answered and not row.right]
    assert wrong
    assert all(math.isnan(json.loads(row.text)["confidence"]) for row in wrong)


def test_what_is_valid_and_not_what_the_model_meant_is_wrong(bad: Runs) -> None:
    row = next(row for row in rows(bad, "naive") if row.right)
    meant = [row.text]
    assert answers._true_to(row, meant)
    other = SupportAnswer.model_validate_json(row.text).model_copy(update={"answer": "Something else."})
    assert not answers._true_to(row, [other.model_dump_json()])
    assert not answers._true_to(row, [])


def test_a_model_that_makes_facts_up_is_delivered_by_naive_and_mostly_kept_by_the_stack(made_up: Runs) -> None:
    found = values(answers.made_up(made_up, 4.0))
    assert 0.05 < found["naive"]["made_up_of_delivered"] < 0.2
    assert found["stack"]["made_up_of_delivered"] < 0.5 * found["naive"]["made_up_of_delivered"]
    assert found["stack"]["silently_wrong"] < 0.5 * found["naive"]["silently_wrong"]
    assert 0.75 < found["stack"]["coverage"] < 0.95 < found["naive"]["coverage"]
    assert found["naive"]["right_of_delivered"] < found["stack"]["right_of_delivered"]
    assert found["naive"]["unanswerable_abstained"] < 0.5 < 0.85 < found["stack"]["unanswerable_abstained"]


def test_made_up_answers_are_counted_by_question_and_there_are_600_draws(made_up: Runs) -> None:
    stack = answers.made_up(made_up, 4.0)["stack"]
    assert (96, 24, 120) == tuple(stack[name].n for name in ("coverage", "unanswerable_abstained", "silently_wrong"))
    assert (600, 125) == (len(rows(made_up, "stack")), len(rows(made_up, "naive")))
    assert 600 == len({(row.case, row.repetition) for row in rows(made_up, "stack")})


def test_what_the_honest_twin_says_differs_as_often_as_was_put_in(made_up: Runs) -> None:
    asked = {case.id: case for case in help_desk.cases()}
    known = [row for row in rows(made_up, "naive") if asked[row.case].answerable]
    assert isinstance(made_up, answers._Heeded)
    changed = sum(row.text not in made_up.meant(row) for row in known)
    assert 0.5 * MODEL.made_up < changed / len(known) < 2 * MODEL.made_up
    assert all(not row.right for row in known if row.text not in made_up.meant(row))


def test_one_request_is_enough_to_play() -> None:
    for name in ("bad-json", "made-up-facts"):
        (outcome,) = gameday.play([name], requests=1)
        assert 3 == len(outcome.runs)
        (told,) = gameday.report([outcome], [], requests=1, seed=7)["scenarios"]
        assert json.dumps(told)


def test_two_plays_of_one_seed_are_the_same() -> None:
    first, second = (answers.play_made_up(3, 10) for _ in range(2))
    assert [row.text for row in first.rows] == [row.text for row in second.rows]
