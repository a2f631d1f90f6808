from __future__ import annotations

from dataclasses import replace

import pytest

from llmlab.errors import BadInput
from llmlab.lab.storm import DEFAULT, Storm
from llmlab.lab.storm_provider import FAST, MAIN, Served
from llmlab.lab.storm_run import Asked, StormRun, as_runs, storm_table
from llmlab.pipeline.answer import Tokens


def test_the_queue_is_counted_at_a_time() -> None:
    served = (Served("s0/0", MAIN, 0.0, 0.0, 2.0), Served("s1/0", MAIN, 0.5, 1.5, 1.0), Served("s2/0", FAST, 0.5, 0.0, 9.0))
    run = StormRun(storm=Storm(), name="", asked=(), served=served)
    assert [(0, 1), (1, 1), (0, 1), (0, 0)] == list(run.queue_at([0.0, 1.0, 2.0, 3.0]))


def test_the_breaker_is_read_at_a_time() -> None:
    run = StormRun(storm=Storm(), name="", asked=(), served=(), changes=((5.0, "open"), (10.0, "half-open"), (11.0, "closed")), breaks=True)
    assert ["closed", "open", "half-open", "closed"] == [run.breaker_at(at) for at in (4.9, 5.0, 10.5, 99.0)]


def test_an_empty_run_has_no_share() -> None:
    empty = StormRun(storm=Storm(seconds=10.0), name="", asked=(), served=())
    assert all(value != value for value in (empty.share(), empty.amplification))
    assert 0.0 == empty.wasted
    with pytest.raises(BadInput, match="a window lasts longer than 0 s"):
        empty.frame(0.0)


def test_in_time_is_answered_and_within_the_objective() -> None:
    run = StormRun(storm=Storm(), name="", asked=(), served=())
    asked = [("ok", 8.0), ("degraded", 1.0), ("ok", 8.1), ("failed", 1.0), ("blocked", 1.0)]
    assert [True, True, False, False, False] == [run.good(Asked(0.0, status, seconds, 1, "main")) for status, seconds in asked]


def test_what_was_taken_is_not_wasted() -> None:
    served = (Served("s0/0", MAIN, 0.0, 0.0, 3.0), Served("s0/0", MAIN, 4.0, 0.0, 1.0), Served("s1/0", MAIN, 5.0, 0.0, 4.0))
    asked = (Asked(0.0, "ok", 5.0, 2, "main"), Asked(5.0, "degraded", 4.5, 2, "fast"))
    assert 1 - 1.0 / 8.0 == pytest.approx(StormRun(storm=Storm(), name="", asked=asked, served=served).wasted)


def test_recovery_counts_from_the_end_of_the_last_bad_window() -> None:
    asked = tuple(Asked(at, "failed" if at < 87 else "ok", 1.0, 1, "main") for at in range(60, 140))
    assert 10.0 == StormRun(storm=Storm(), name="", asked=asked, served=()).recovery_seconds()


def test_where_nobody_asked_it_stands_as_before_and_never_measured_is_not_recovered() -> None:
    def back(*asked: tuple[float, str]) -> float | None:
        some = tuple(Asked(at, status, 1.0, 1, "main") for at, status in asked)
        return StormRun(storm=Storm(), name="", asked=some, served=()).recovery_seconds()

    assert back() is None
    assert 0.0 == back((81.0, "ok"))
    assert 10.0 == back((91.0, "ok"))
    assert 15.0 == back((81.0, "failed"), (96.0, "ok"))
    assert back((81.0, "ok"), (130.0, "failed")) is None
    assert not StormRun(storm=Storm(), name="", asked=(), served=()).recovered


def test_requests_after_the_cause_become_rows_that_tell_a_message_from_an_answer() -> None:
    storm = Storm(brown_out=replace(DEFAULT, start_seconds=1.0, duration_seconds=1.0), after_seconds=5.0)
    asked = [
        Asked(1.5, "ok", 1.0, 1, "main"),
        Asked(2.0, "ok", 1.0, 1, "main", tokens=Tokens(40, 6), usd=0.001),
        Asked(3.0, "degraded", 4.5, 2, "fast", "fallback: another model"),
        Asked(4.0, "degraded", 4.1, 2, "nobody", "last resort: a message"),
        Asked(5.0, "failed", 9.0, 4, "nobody", "timeout"),
    ]
    served = [Served(f"s{number}/0", MAIN, asked[number].sent_at, 0.0, 1.0) for number in range(2)]
    run = StormRun(storm=storm, name="x", asked=asked, served=served)
    rows = as_runs([run]).rows
    assert [1.0, 4.5, 4.1, None] == [row.wait_seconds for row in rows]
    assert ["simulator", "simulator", "", ""] == [row.source for row in rows]
    assert ["", "fallback: another model", "last resort: a message", "timeout"] == [row.reason for row in rows]
    assert (40, 6, 0.001) == (rows[0].prompt_tokens, rows[0].completion_tokens, rows[0].usd)
    (line,) = storm_table([run]).to_dict("records")
    assert ("75.0", "50.0", "25.0") == tuple(line[name] for name in ("within 8 s (%)", "of which degraded (%)", "of these a message (%)"))
