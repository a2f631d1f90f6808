from __future__ import annotations

import asyncio
from itertools import islice

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmlab
from llmlab.data.help_desk import Case, cases
from llmlab.errors import BadInput
from llmlab.evals.statistics import quantile
from llmlab.lab.lab import _plan
from llmlab.lab.load import Arrivals, Closed, Load, Open, Zipf
from llmlab.lab.runs import Runs

BAD_WEATHER = llmlab.faults.LatencySpike(probability=0.2, seconds=4.0)


def simulated(seed: int = 7) -> llmlab.Lab:
    return llmlab.Lab(seed=seed, faults=[BAD_WEATHER], source="simulator")


async def frozen(client: openai.AsyncOpenAI, question: str) -> str:
    """Answers in 50 ms, but for four seconds from the 50th, in which nothing moves."""
    now = asyncio.get_running_loop().time()
    await asyncio.sleep((54 - now if 50 <= now < 54 else 0) + 0.05)
    return "done"


async def mute(client: openai.AsyncOpenAI, question: str) -> str:
    await asyncio.sleep(1)
    return ""


def p99(runs: Runs, column: str) -> float:
    return quantile([getattr(row, column) for row in runs.rows], 0.99).value


def test_a_closed_tester_leaves_out_the_waits_that_users_would_have_met() -> None:
    tester = simulated().run(frozen, requests=500, load=Closed(concurrency=1, per_second=5.0))
    users = simulated().run(frozen, requests=500, load=Arrivals(times=tuple(number / 5 for number in range(500))))
    assert [row.intended_at for row in users.rows] == [row.intended_at for row in tester.rows]
    assert 0.05 == p99(tester, "wait_seconds")
    assert 3.05 == p99(users, "wait_seconds")  # the sixth longest of 20, 0.2 s apart
    assert p99(users, "wait_seconds") == pytest.approx(p99(tester, "wait_from_intended_seconds"), rel=0.1)
    assert [1, 20] == [sum(row.wait_seconds > 0.06 for row in runs.rows) for runs in (tester, users)]  # who met the stall


def test_the_table_tells_what_the_tester_saw_and_what_users_would_have_met() -> None:
    lab = simulated()
    runs = lab.run(frozen, requests=500, load=Closed(concurrency=1, per_second=5.0)) + lab.run(
        frozen, name="open", requests=500, load=Open(per_second=5.0)
    )
    closed, open_ = runs.omission().to_dict("records")
    assert {"app": "frozen", "n": 500, "sent late": 26, "longest delay s": "3.85"} == dict(islice(closed.items(), 4))
    assert "0.05 [0.05, 4.05]" == closed["tester p99 s"]
    assert 3.0 < float(closed["users p99 s"]) < 4.05  # without an interval: late requests wait for each other
    assert {"app": "open", "n": 500, "sent late": 0, "longest delay s": "0.00"} == dict(islice(open_.items(), 4))
    assert [open_[f"tester p{q} s"] for q in (50, 90, 99)] == [open_[f"users p{q} s"] for q in (50, 90, 99)]


def test_a_word_that_never_comes_is_a_wait_longer_than_all() -> None:
    runs = simulated().run(mute, requests=20, load=Closed(concurrency=1, per_second=5.0))
    assert {None} == {row.wait_from_intended_seconds for row in runs.rows}
    (line,) = runs.omission().to_dict("records")
    assert ("never [never, never]", "never") == (line["tester p50 s"], line["users p50 s"])
    assert 19 == line["sent late"]


def test_users_of_a_schedule_take_turns_and_send_late_while_they_wait() -> None:
    async def slow_first(client: openai.AsyncOpenAI, question: str) -> str:
        await asyncio.sleep(5 if question == "slow" else 0.1)
        return "done"

    lab = llmlab.Lab(source="simulator")
    order = [case.id for case, _ in _plan([Case(id=f"case-{n}", question="") for n in (1, 2, 3, 4, 5, 6)], 6, lab.seed)]
    questions = ["slow" if f"case-{n}" == order[0] else f"quick {n}" for n in (1, 2, 3, 4, 5, 6)]
    rows = lab.run(slow_first, questions, requests=6, load=Closed(concurrency=2, per_second=1.0)).rows
    assert [0.0, 1.0, 2.0, 3.0, 4.0, 5.0] == [row.intended_at for row in rows]
    assert [0.0, 1.0, 5.0, 3.0, 5.1, 5.0] == [row.sent_at for row in rows]
    assert [5.0, 0.1, 0.1, 0.1, 0.1, 0.1] == [row.wait_seconds for row in rows]
    assert [5.0, 0.1, 3.1, 0.1, 1.2, 0.1] == [row.wait_from_intended_seconds for row in rows]


@pytest.mark.parametrize("load", [Closed(concurrency=3), Open(per_second=5.0, burstiness=2.0), Arrivals(times=tuple(range(40)))])
def test_where_nobody_sends_late_the_wait_is_the_same_from_both_times(load: Load) -> None:
    rows = simulated().run(llmlab.naive, requests=40, load=load).rows
    assert [row.intended_at for row in rows] == [row.sent_at for row in rows]
    assert [row.wait_seconds for row in rows] == [row.wait_from_intended_seconds for row in rows]
    assert rows[-1].sent_at > 0


@settings(max_examples=10)
@given(st.integers(0, 1000), st.integers(1, 8), st.sampled_from([0.5, 5.0, 100.0]))
def test_no_request_of_a_schedule_is_sent_early_nor_timed_from_anywhere_else(seed: int, users: int, rate: float) -> None:
    rows = simulated(seed).run(llmlab.naive, requests=20, load=Closed(concurrency=users, per_second=rate)).rows
    assert [round(number / rate, 6) for number in range(20)] == [row.intended_at for row in rows]
    for row in rows:
        assert row.sent_at >= row.intended_at
        assert row.wait_from_intended_seconds == pytest.approx(row.sent_at + row.wait_seconds - row.intended_at, abs=1e-6)


@pytest.mark.parametrize("load", [Closed(per_second=5.0), Open(burstiness=3.0), Arrivals(times=tuple(n / 7 for n in range(30)))])
def test_the_plan_and_its_times_depend_on_the_seed_alone(load: Load) -> None:
    def plan(app: object) -> list[tuple[object, ...]]:
        rows = simulated().run(app, requests=30, load=load, popularity=Zipf()).rows
        return [(row.case, row.repetition, row.intended_at) for row in rows]

    assert plan(llmlab.naive) == plan(llmlab.stack) == plan(frozen)


def test_a_trace_that_is_too_short_is_refused_before_anything_is_sent() -> None:
    async def never(client: openai.AsyncOpenAI, question: str) -> str:
        raise AssertionError("it was asked")

    load = Arrivals(times=tuple(range(100)))
    with pytest.raises(BadInput, match="the trace has 100 arrivals, and 500 requests are asked for"):
        simulated().run(never, requests=500, load=load)
    assert 100 == len(simulated().run(llmlab.naive, requests=100, load=load))


@given(
    st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=12),
    st.integers(1, 60),
    st.integers(0, 2**32),
    st.one_of(st.none(), st.floats(0, 5).map(lambda exponent: Zipf(exponent=exponent))),
)
def test_identities_of_a_plan_are_unique_and_count_from_0_whatever_else_is_asked(
    ids: list[str], requests: int, seed: int, popularity: Zipf | None
) -> None:
    asked = [Case(id=name, question="") for name in ids]  # an id may stand there twice
    identities = [(case.id, repetition) for case, repetition in _plan(asked, requests, seed, popularity)]
    assert requests == len(set(identities))
    for name in set(ids):
        mine = [repetition for case, repetition in identities if case == name]
        assert list(range(len(mine))) == mine
    longer = [(case.id, repetition) for case, repetition in _plan(asked, requests + 10, seed, popularity)]
    assert identities == longer[:requests]
    assert identities == [(case.id, repetition) for case, repetition in _plan(asked[::-1], requests, seed, popularity)]


def test_without_a_popularity_all_are_asked_once_and_then_again() -> None:
    plan = _plan(list(cases()), 250, 7)
    assert {case.id for case in cases()} == {case.id for case, _ in plan[:120]}
    assert [(case, repetition + 1) for case, repetition in plan[:120]] == plan[120:240]


def test_a_popular_question_is_replayed_from_its_takes_however_often_it_is_asked() -> None:
    lab = llmlab.Lab(source="cassette")
    for app in (llmlab.naive, llmlab.stack):
        runs = lab.run(app, cases()[:3], requests=120, popularity=Zipf(exponent=2.0))
        assert "120 replayed" == runs.sources
        assert max(row.repetition for row in runs.rows) > 60
        top = max(runs.rows, key=lambda row: row.repetition).case
        assert 5 >= len({row.text for row in runs.rows if row.case == top}) > 1
