from __future__ import annotations

from typing import Any

import pytest

import llmlab
from llmlab.data.help_desk import cases
from llmlab.notebook.setting import QUESTIONS, Setting
from llmlab.notebook.start_here import StartHere, source

CASE = next(case for case in cases() if case.id == QUESTIONS[0])


class Few(StartHere):
    """The same with few requests."""

    released = 4


@pytest.fixture(scope="module")
def panel() -> StartHere:
    return Few()


def setting(**changes: Any) -> Setting:
    return Setting(**{"question": CASE, **changes})


def answers(**changes: Any) -> list[Any]:
    return [heard.answer for heard in setting(**changes).ask().values()]


def test_the_default_shows_a_slow_attempt_that_is_no_slow_user(panel: StartHere) -> None:
    broken, fixed = answers()
    assert 4.0 < broken.timings.delivered_first_content < 5.0
    assert 1.0 < fixed.timings.delivered_first_content < 2.0
    assert repr(panel).startswith(
        f"First word after {broken.timings.first_content:.2f} s → {fixed.timings.first_content:.2f} s, for 1 more attempt"
    )


def test_a_fallback_costs_less_and_comes_later_than_a_hedge() -> None:
    _, hedged = answers(fix="hedge")
    _, fallen = answers(fix="fallback")
    assert hedged.timings.delivered_first_content < fallen.timings.delivered_first_content
    assert fallen.cost_usd < hedged.cost_usd
    assert ["main", "fast"] == [attempt.route for attempt in fallen.attempts]


def test_with_both_the_faster_one_wins() -> None:
    _, both = answers(fix="both")
    assert "hedge" == next(attempt.role for attempt in both.attempts if attempt.status == "ok")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"fix": "none"}, "First word after"),
        ({"fault": "stall"}, "No difference: first word after"),
        ({"fault": "stall", "seconds": 10.0}, "broke off after"),
        ({"fault": "slow decode"}, "No difference: first word after"),
        ({"fault": "none"}, "No difference: first word after"),
        ({"fix": "fallback"}, "fallback after 2 s, seed 7)"),
        ({"fix": "both"}, "hedge after 1 s, fallback after 2 s, seed 7)"),
        ({"seconds": 0.0}, "No difference"),
        ({"own": "x" * 50_000}, "No difference: no first word, blocked (the question has 50,000 characters"),
        ({"own": "Do you sell tandoors?"}, "First word after"),
        ({"seconds": 10.0, "fix": "fallback", "give_up_after": 0.5}, "First word after"),
    ],
)
def test_every_setting_has_a_sentence_a_table_and_pictures(panel: StartHere, changes: dict[str, Any], expected: str) -> None:
    panel.reset()
    panel.set(**changes)
    assert "" == panel.banner.value
    assert expected in repr(panel)
    assert panel.result is not None
    assert (3 + (1 if changes.get("fix") == "none" else 2)) == len(panel.result.table)
    assert 2 == len(panel.result.pictures)


def test_a_question_of_ones_own_is_labeled_as_simulated(panel: StartHere) -> None:
    panel.reset()
    panel.set(own="Do you sell tandoors?")
    assert panel.result is not None
    assert "Your question: a simulated provider answers." in panel.result.note


def test_the_note_says_who_answers_and_what_became_of_many(panel: StartHere) -> None:
    panel.reset()
    panel.wait()
    assert panel.result is not None
    assert panel.result.note.startswith("4 requests an app, 10 of 100 attempts are struck; first word after 4 s or never: naive")
    assert "no key, no network" in panel.result.note
    panel.set(fault="none")
    assert "nothing is struck" in panel.result.note


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fix": "none"},
        {"fix": "fallback"},
        {"fix": "both"},
        {"fault": "stall"},
        {"fault": "slow decode"},
        {"fault": "none"},
        {"own": "Tandoors?"},
    ],
)
def test_show_code_prints_lines_that_do_the_same(panel: StartHere, changes: dict[str, Any]) -> None:
    panel.reset()
    panel.set(**changes)
    names: dict[str, Any] = {}
    exec(panel.code(7, **panel.chosen).replace("requests=40", "requests=4"), names)
    assert panel.result is not None
    shown = panel.result.table
    firsts = [f"{answer.timings.delivered_first_content:.2f} s" for answer in names["answers"]]
    assert shown["first word (median)"].iloc[0] == firsts[0]
    assert shown["first word (median)"].iloc[-4] == firsts[1]
    late = [100 * found["slow"].value for found in (names["runs"][0] + names["runs"][1] + names["runs"][2]).measures().values()]
    assert [f"{share:.1f} %" for share in late] == shown["after 4 s or never"].iloc[-3:].tolist()


def test_feel_it_plays_both_answers_as_they_came(panel: StartHere) -> None:
    panel.reset()
    panel.wait()
    before, after = panel.feel(panel._turn, **panel.chosen)
    assert ["no fix", "hedge after 1 s"] == [before.title, after.title]
    assert CASE.question == before.question
    assert before.pieces[0][0] > after.pieces[0][0]
    assert "ok; replayed from a recording of a simulated provider" == after.note


def test_feel_it_plays_a_question_of_ones_own(panel: StartHere) -> None:
    (only,) = panel.feel(panel._turn, **{**panel.chosen, "own": " Tandoors? ", "fix": "none"})
    assert "Tandoors?" == only.question
    assert "a simulated answer" in only.note


def test_an_answer_that_nobody_gave_has_no_source() -> None:
    assert "nobody answered" == source(answers(question="x" * 50_000, fix="none")[0])


def test_a_fault_can_be_aimed_at_first_attempts_and_at_a_model() -> None:
    spike = llmlab.faults.LatencySpike(probability=1, seconds=2.0).first(1).on(model="main")
    assert (1, "main") == (spike.first_attempts, spike.model)
    assert "LatencySpike(probability=1, first_attempts=1, model='main', seconds=2.0)" == repr(spike)
    with pytest.raises(llmlab.errors.BadInput, match="first_attempts"):
        spike.first(0)


@pytest.mark.parametrize(("requests", "overlap"), [(40, True), (500, False)])
def test_the_notebook_is_right_that_forty_requests_are_too_few_and_five_hundred_enough(requests: int, overlap: bool) -> None:
    weather = llmlab.Lab(seed=7, faults=[llmlab.faults.LatencySpike(probability=0.1, seconds=4.0)])
    hedged = llmlab.stack.replace(hedge=llmlab.Hedge(after_seconds=1.0))
    runs = weather.run(llmlab.naive, requests=requests) + weather.run(hedged, requests=requests, name="stack")
    naive, stack = (found["slow"] for found in runs.measures().values())
    assert overlap == (stack.high > naive.low)
