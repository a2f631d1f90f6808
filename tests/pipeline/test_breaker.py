from __future__ import annotations

import asyncio
from typing import Any

import pytest
from scripted import Wire, good, pipeline, refusal, silence

import llmlab
from llmlab.errors import AttemptBroken, AttemptRefused, AttemptTimeout, AttemptUnavailable, BadInput
from llmlab.pipeline.breaker import Breaker, Circuit
from llmlab.pipeline.routing import Hedge, Retry

DOWN = AttemptUnavailable("http_500", "no", retryable=True)
RULES = Breaker(failure_rate=0.5, least=4, window_seconds=10.0, open_seconds=5.0)


def circuit(*ends: tuple[float, Any], rules: Breaker = RULES) -> Circuit:
    """A circuit after attempts that ended at a time, each with its error (None: it was well)."""
    made = Circuit()
    for at, error in ends:
        made.report(rules, at, object(), error, 0.5)
    return made


def test_half_of_the_attempts_open_it_and_fewer_do_not() -> None:
    assert "open" == circuit((0, None), (1, None), (2, DOWN), (3, DOWN)).state
    assert "closed" == circuit((0, None), (1, None), (2, None), (3, DOWN)).state


def test_too_few_or_too_old_attempts_say_nothing() -> None:
    assert "closed" == circuit((0, DOWN), (1, DOWN), (2, DOWN)).state
    assert "closed" == circuit((0, DOWN), (1, DOWN), (12, DOWN), (13, DOWN)).state


@pytest.mark.parametrize(
    "error",
    [
        AttemptRefused("http_401", "", retryable=False),
        AttemptTimeout("timeout_deadline", "", retryable=False),
        AttemptBroken("length", "", retryable=False),
    ],
)
def test_what_the_caller_did_wrong_says_nothing_of_the_route(error: Exception) -> None:
    assert "closed" == circuit(*((at, error) for at in range(20))).state


def test_slowness_counts_where_it_is_asked_for() -> None:
    slow = Breaker(slow_rate=0.5, slow_seconds=0.4, least=4)
    ends = [(float(at), None) for at in range(4)]
    assert "open" == circuit(*ends, rules=slow).state
    assert "closed" == circuit(*ends).state


def test_one_probe_decides() -> None:
    opened = circuit(*((0, DOWN) for _ in range(4)))
    probe, other = object(), object()
    assert not opened.allows(RULES, 4.9, probe)
    assert opened.allows(RULES, 5.0, probe)
    assert ("half-open", False) == (opened.state, opened.allows(RULES, 5.0, other))
    opened.report(RULES, 6.0, probe, DOWN, None)
    assert ("open", False) == (opened.state, opened.allows(RULES, 10.9, other))
    assert opened.allows(RULES, 11.0, other)
    opened.report(RULES, 11.5, other, None, 0.5)
    assert "closed" == opened.state
    assert ["open", "half-open", "open", "half-open", "closed"] == [state for _, state in opened.changes]


def test_a_probe_that_was_dropped_leaves_the_place_to_another() -> None:
    opened = circuit(*((0, DOWN) for _ in range(4)))
    first, second = object(), object()
    assert opened.allows(RULES, 6.0, first)
    opened.drop(first)
    assert opened.allows(RULES, 6.0, second)


def test_a_late_report_does_not_move_an_open_breaker() -> None:
    opened = circuit(*((0, DOWN) for _ in range(4)))
    opened.report(RULES, 1.0, object(), None, 0.5)
    assert "open" == opened.state


def test_an_open_breaker_sends_to_the_next_route_and_the_trace_says_so() -> None:
    down, well = Wire(refusal(500)), Wire(good())
    asked = pipeline(down, well, retry=None, breaker=Breaker(least=4, open_seconds=60.0))

    async def go() -> list[llmlab.Answer]:
        return [await asked.ask("Why?") for _ in range(10)]

    answers = llmlab.simulate(go())
    assert ["ok"] * 10 == [answer.status for answer in answers]
    assert (4, 10) == (len(down.requests), len(well.requests))
    note = next(stage.note for stage in answers[-1].trace.stages if stage.name == "routing")
    assert "1 attempt, breaker of main open" == note
    assert asked.state is not None
    assert {"main": "open", "second": "closed"} == asked.state.snapshot()["breakers"]
    asked.state.reset()
    assert {} == asked.state.snapshot()["breakers"]


def test_where_every_breaker_is_open_nothing_is_sent() -> None:
    down = Wire(refusal(500))
    asked = pipeline(down, retry=None, breaker=Breaker(least=2, open_seconds=60.0), last_resort="We are looking into it.")

    async def go() -> list[llmlab.Answer]:
        return [await asked.ask("Why?") for _ in range(4)]

    *_, last = llmlab.simulate(go())
    assert ("degraded", "We are looking into it.", 0) == (last.status, last.text, len(last.attempts))
    assert "breaker_open" in last.reason
    assert 2 == len(down.requests)


def test_a_hedge_that_lost_does_not_count() -> None:
    asked = pipeline(Wire(*[silence(), good(first=0.0)] * 20), hedge=Hedge(after_seconds=1.0), breaker=Breaker(least=2))

    async def go() -> list[str]:
        return [(await asked.ask("Why?")).status for _ in range(8)]

    assert ["ok"] * 8 == llmlab.simulate(go())
    assert asked.state is not None
    assert "closed" == asked.state.circuit("main").state


def test_a_circuit_can_be_reset() -> None:
    opened = circuit(*((0, DOWN) for _ in range(4)))
    assert opened.allows(RULES, 6.0, object())
    opened.reset()
    assert Circuit() == opened


def test_the_trace_says_when_a_breaker_opens_is_probed_and_closes() -> None:
    asked = pipeline(Wire(*[refusal(500)] * 2, good()), retry=None, breaker=Breaker(least=2, open_seconds=5.0))

    async def go() -> list[str]:
        notes = []
        for _ in range(3):
            answer = await asked.ask("Why?")
            notes += [stage.note for stage in answer.trace.stages if stage.name == "routing"]
            await asyncio.sleep(5.0)
        return notes

    assert ["1 attempt", "1 attempt, breaker of main opened", "1 attempt, probe of main, breaker of main closed"] == llmlab.simulate(go())


def test_a_prompt_over_the_quota_is_shortened_and_never_opens_the_breaker() -> None:
    told = "Request too large for gpt-4o on tokens per min (TPM): Limit 300, Requested 400."
    wire = Wire(refusal(429, {"message": told, "code": "rate_limit_exceeded"}))
    asked = pipeline(wire, retry=Retry(attempts=2, max_extra=None), breaker=Breaker(least=2))

    async def go() -> list[llmlab.Answer]:
        return [await asked.ask("Why?", ["a", "b"]) for _ in range(5)]

    answers = llmlab.simulate(go())
    assert {("request_too_large", 2)} == {(answer.reason.partition(":")[0], len(answer.attempts)) for answer in answers}
    assert asked.state is not None
    assert "closed" == asked.state.circuit("main").state


def test_a_route_comes_back() -> None:
    wire = Wire(*[refusal(500)] * 4, good())
    asked = pipeline(wire, retry=None, breaker=Breaker(least=4, open_seconds=5.0))

    async def go() -> list[str]:
        states = []
        for _ in range(12):
            states.append((await asked.ask("Why?")).status)
            await asyncio.sleep(1.0)
        return states

    states = llmlab.simulate(go())
    assert ["failed"] * 4 == states[:4]
    assert "ok" == states[-1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"failure_rate": 0}, "failure_rate is a share above 0"),
        ({"failure_rate": True}, "failure_rate is a share above 0"),
        ({"slow_rate": 2}, "slow_rate is a share above 0"),
        ({"least": 0}, "least is a whole number"),
        ({"open_seconds": 0}, "open_seconds is a time above 0"),
    ],
)
def test_a_breaker_that_is_none_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Breaker(**options)
