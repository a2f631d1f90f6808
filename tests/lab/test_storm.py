from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import llmlab
from llmlab.errors import BadInput
from llmlab.lab.storm import DEFAULT, Storm, shortened, storm_seeds
from llmlab.lab.storm_policies import policies, policy
from llmlab.lab.storm_provider import MAIN, Provider
from llmlab.lab.storm_run import StormRun, storm_table

SHORTER: dict[str, Any] = {"brown_out": replace(DEFAULT, start_seconds=5.0, duration_seconds=9.0), "after_seconds": 4.0, "seconds": 18.0}
BRIEF = shortened(Storm(per_second=10.0, slots=18, after_seconds=30.0), lead_seconds=5.0)
POLICIES = policies()


@pytest.fixture(scope="module")
def runs() -> dict[str, StormRun]:
    return {name: BRIEF.run(POLICIES[name], name) for name in ("careful", "no retry", "stack")}


def test_what_is_put_in_is_said() -> None:
    expected = "20 requests/s, 35 slots, utilization 57%, 30% of capacity from 60 to 80 s, objective 8 s"
    assert expected == str(Storm())
    assert "no brown-out" in str(Storm(brown_out=None))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seconds": 0}, "seconds is a time above 0"),
        ({"objective_seconds": float("inf")}, "objective_seconds"),
        ({"after_seconds": "long"}, "after_seconds"),
        ({"per_second": -1}, "per_second is a rate above 0"),
        ({"brown_out": 20}, "brown_out is a BrownOut"),
        ({"slots": 0}, "slots is a whole number of at least 1, not 0"),
        ({"slots": 1.5}, "slots is a whole number of at least 1, not 1.5"),
        ({"seed": "a"}, "seed is a whole number, not 'a'"),
        ({"seed": True}, "seed is a whole number, not True"),
    ],
)
def test_a_storm_that_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Storm(**changes)  # type: ignore[arg-type]


def test_careful_keeps_the_storm_up_and_the_stack_does_not(runs: dict[str, StormRun]) -> None:
    careful, stack = runs["careful"], runs["stack"]
    assert 0.05 > careful.share()
    assert (None, False) == (careful.recovery_seconds(), careful.recovered)
    assert 3.0 < careful.amplification <= 4.0
    assert 0.95 < stack.share()
    assert stack.recovered
    assert 1.3 > stack.amplification
    assert careful.wasted > 0.5 > stack.wasted > 0


def test_who_does_not_retry_recovers(runs: dict[str, StormRun]) -> None:
    found = runs["no retry"]
    assert (1.0, True) == (found.amplification, found.recovered)
    assert 0 < (found.recovery_seconds() or 0) < 30


def test_the_light_client_and_an_unmodified_one_give_the_same_rows() -> None:
    storm = replace(BRIEF, per_second=8.0, slots=12, **SHORTER)
    for name in ("careful", "stack"):
        light, sdk = storm.run(POLICIES[name], name), storm.run(POLICIES[name], name, sdk=True)
        assert light.asked == sdk.asked
        assert light.served == sdk.served
        assert len(light.asked) < len(light.served)


def test_the_app_careful_fares_as_the_pipeline_that_stands_for_it() -> None:
    shorter = replace(DEFAULT, start_seconds=5.0, duration_seconds=18.0)
    storm = replace(BRIEF, per_second=8.0, slots=12, seconds=24.0, objective_seconds=12.0, brown_out=shorter, after_seconds=1.0)
    provider = Provider({MAIN: storm.slots}, storm.brown_out, storm.seed)
    client = provider.client(sdk=True)
    ended: list[bool] = []

    async def one(number: int, at: float) -> None:
        import asyncio

        import openai

        from llmlab.protocol import identity

        await asyncio.sleep(at)
        with identity.request(f"s{number}"):
            try:
                ended.append(bool(await llmlab.careful(client, "Where is my parcel?")))
            except openai.APITimeoutError:
                ended.append(False)

    async def go() -> None:
        import asyncio
        from itertools import takewhile

        times = takewhile(lambda at: at < storm.seconds, llmlab.Open(per_second=storm.per_second).intended(storm.seed))
        await asyncio.gather(*(one(number, at) for number, at in enumerate(times)))

    llmlab.simulate(go())
    pipeline = storm.run(POLICIES["careful"])
    answered = sum(one.status == "ok" for one in pipeline.asked)
    assert len(pipeline.asked) == len(ended)
    assert abs(answered - sum(ended)) <= 0.05 * len(ended)
    assert abs(len(pipeline.served) - len(provider.served)) <= 0.1 * len(provider.served)


def test_the_same_seed_gives_the_same_storm_and_another_another() -> None:
    storm = replace(BRIEF, **SHORTER)
    assert storm.run(POLICIES["careful"]).asked == storm.run(POLICIES["careful"]).asked
    assert storm.run(POLICIES["careful"]).asked != replace(storm, seed=8).run(POLICIES["careful"]).asked


def test_without_a_brown_out_nobody_waits() -> None:
    calm = replace(BRIEF, brown_out=None, seconds=20.0).run(POLICIES["careful"])
    assert calm.share() > 0.99
    assert 1.05 > calm.amplification
    assert shortened(calm.storm) == calm.storm


def test_windows_count_every_request_and_every_attempt(runs: dict[str, StormRun]) -> None:
    for run in runs.values():
        frame = run.frame(5.0)
        assert len(run.asked) == pytest.approx(5 * frame["offered"].sum())
        sent = sum(one.model == MAIN and one.sent_at < run.storm.seconds for one in run.served)
        assert sent == pytest.approx(5 * frame["attempts"].sum())
        assert BRIEF.slots >= frame["busy"].max()


def test_in_the_brown_out_capacity_falls_and_the_queue_grows(runs: dict[str, StormRun]) -> None:
    frame = runs["careful"].frame(5.0).set_index("start")
    assert (18.0, 6.0, 18.0) == tuple(frame["capacity"][[0.0, 10.0, 30.0]])
    assert 0 == frame["waiting"][0.0] < frame["waiting"][10.0] < frame["waiting"][20.0]
    assert 6 == frame["busy"][10.0]


def test_a_storm_that_is_over_before_it_was_looked_at_is_refused() -> None:
    with pytest.raises(BadInput, match="requests come for 10 s, and are looked at until 140 s: give seconds=140"):
        Storm(seconds=10.0).run(policy())


def test_progress_is_told_and_may_end_the_run() -> None:
    told: list[float] = []
    replace(BRIEF, **SHORTER).run(policy(attempts=1), progress=told.append)
    assert told == sorted(told)
    assert 0 <= told[0] < told[-1] < 1

    def stop(share: float) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        BRIEF.run(policy(), progress=stop)


def test_seeds_give_a_share_with_an_interval() -> None:
    storm = Storm(per_second=8.0, slots=12, after_seconds=15.0)
    found = storm_seeds(POLICIES["stack"], storm, seeds=3)
    assert (3, True) == (found.n, found.measurable)
    assert 0.95 < (found.value or 0)


def test_the_table_has_a_row_a_policy(runs: dict[str, StormRun]) -> None:
    table = storm_table(list(runs.values())).set_index("policy")
    assert ["careful", "no retry", "stack"] == list(table.index)
    assert "never" == table.loc["careful", "back after (s)"]
    assert "1.00" == table.loc["no retry", "attempts a request"]
    assert float(table.loc["stack", "of which degraded (%)"]) > 0
    assert "<careful: " in repr(runs["careful"])
