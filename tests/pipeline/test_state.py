from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Wire, good, pipeline, silence

import llmlab
from llmlab.errors import BadInput
from llmlab.evals.statistics import quantile
from llmlab.pipeline.cache import Cache
from llmlab.pipeline.routing import Hedge
from llmlab.pipeline.state import Allowance, Observed, State


def test_nothing_is_said_of_too_few_attempts() -> None:
    seen = Observed()
    for number in range(Observed.LEAST - 1):
        seen.add(float(number))
    assert (None, 0.0) == (seen.quantile(0.95), seen.shortest)
    seen.add(50.0)
    assert (18.0, 0.0) == (seen.quantile(0.95), seen.shortest)


@given(st.lists(st.floats(0, 100), min_size=Observed.LEAST, max_size=600), st.floats(0.01, 0.99))
def test_the_latest_attempts_are_remembered(times: list[float], q: float) -> None:
    seen = Observed()
    for seconds in times:
        seen.add(seconds)
    latest = times[-Observed.KEPT :]
    assert len(latest) == len(seen)
    assert quantile(latest, q).value == seen.quantile(q)
    assert min(latest) == seen.shortest


@given(st.lists(st.booleans(), max_size=400), st.floats(0.01, 1))
def test_extra_attempts_stay_under_their_share(wishes: list[bool], share: float) -> None:
    allowance, spent = Allowance(), 0
    for wish in wishes:
        allowance.earn(share)
        spent += wish and allowance.spend()
    assert spent <= Allowance.BURST + share * len(wishes) + 1e-6


def test_a_copy_begins_afresh_unless_the_state_is_passed_on() -> None:
    plain = llmlab.Pipeline()
    assert plain.state is not plain.replace(hedge=Hedge()).state
    assert plain.state is plain.replace(state=plain.state).state
    kept = llmlab.Pipeline(state=State())
    assert kept.state is kept.replace(hedge=Hedge()).state


def test_a_state_is_looked_at_and_reset() -> None:
    used = pipeline(Wire(good()), cache=Cache(), hedge=Hedge())
    assert used.state is not None
    llmlab.simulate(used.ask("Why?"))
    seen = used.state.snapshot()
    assert {"main": {"n": 1, "p50": None, "p95": None}} == seen["first_content_seconds"]
    assert 1 == seen["cached_answers"]
    assert "1 attempts observed, 1 answers cached" in repr(used.state)
    used.state.reset()
    assert ({}, 0) == (used.state.snapshot()["first_content_seconds"], used.state.snapshot()["cached_answers"])


def test_on_the_next_loop_an_answer_is_as_old_as_it_was() -> None:
    used = pipeline(Wire(good()), cache=Cache(fresh_seconds=100))

    async def after(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return (await used.ask("Why?")).cached

    async def twice() -> list[str]:
        return [await after(0.0), await after(101.0)]

    assert "" == llmlab.simulate(after(1000.0))
    assert ["fresh", ""] == llmlab.simulate(twice())


def test_two_running_loops_share_no_state() -> None:
    used = pipeline(Wire(good()), cache=Cache())
    entered, leave = threading.Event(), threading.Event()

    async def hold() -> None:
        assert used.state is not None
        used.state.touch()
        entered.set()
        await asyncio.to_thread(leave.wait, 10)

    other = threading.Thread(target=lambda: asyncio.run(hold()))
    other.start()
    entered.wait(10)
    try:
        with pytest.raises(BadInput, match="another event loop"):
            asyncio.run(used.ask("Why?"))
    finally:
        leave.set()
        other.join()


def test_a_lab_gives_each_run_a_fresh_state_unless_the_pipeline_has_one() -> None:
    lab = llmlab.Lab(source="simulator")
    asked = {"cases": ["Do you deliver on Sundays?"], "requests": 3, "load": llmlab.Closed(concurrency=1)}
    fresh = llmlab.stack.replace(cache=Cache())
    assert [["simulator", "cache", "cache"]] * 2 == [list(lab.run(fresh, **asked).frame["source"]) for _ in range(2)]
    kept = fresh.replace(state=State())
    assert [["simulator", "cache", "cache"], ["cache"] * 3] == [list(lab.run(kept, **asked).frame["source"]) for _ in range(2)]


def test_an_attempt_that_lost_counts_with_the_time_it_had_lasted() -> None:
    used = pipeline(Wire(silence(), good(first=0.0)), hedge=Hedge(after_seconds=2.0))
    llmlab.simulate(used.ask("Why?"))
    assert used.state is not None
    assert [0.25, 2.25] == used.state.observed("main")._sorted
