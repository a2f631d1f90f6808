from __future__ import annotations

import llmlab
from llmlab.lab.storm import DEFAULT
from llmlab.lab.storm_provider import FAST, FLOOR_SECONDS, MAIN, MEAN_SECONDS, Provider, capacity
from llmlab.protocol import identity


def test_capacity_is_open_slots_over_mean_service() -> None:
    assert [35.0, 11.0, 35.0] == [capacity(35, DEFAULT, at) for at in (59.0, 70.0, 81.0)]
    assert 35.0 == capacity(35, None, 70.0)


def test_who_comes_late_waits_and_who_gave_up_keeps_its_slot() -> None:
    provider = Provider({MAIN: 1, FAST: 1}, None, seed=7)
    with identity.request("s0"):
        first, again, other = provider.admit(MAIN, 0.0), provider.admit(MAIN, 0.25), provider.admit(FAST, 0.25)
    services = [one.service for one in provider.served]
    assert [0.0, round(first - 0.25, 6), 0.0] == [one.wait for one in provider.served]
    assert services == [first, round(again - first + 0.25, 6), other]


def test_service_times_have_a_floor_and_a_mean() -> None:
    provider = Provider({MAIN: 5000}, None, seed=7)
    for number in range(3000):
        with identity.request(f"s{number}"):
            provider.admit(MAIN, 0.0)
    services = [one.service for one in provider.served]
    assert min(services) > FLOOR_SECONDS
    assert abs(sum(services) / len(services) - MEAN_SECONDS) < 0.05


def test_in_a_brown_out_only_some_slots_are_open() -> None:
    provider = Provider({MAIN: 10, FAST: 10}, DEFAULT, seed=7)
    with identity.request("s0"):
        waits = [provider.admit(model, 70.0) and provider.served[-1].wait for model in (*[MAIN] * 4, *[FAST] * 4)]
    assert [True, True, True, False, True, True, True, True] == [wait == 0 for wait in waits]


def test_an_unmodified_client_reads_its_answer() -> None:
    client = Provider({MAIN: 1}, None, seed=7).client(sdk=True)
    ask = client.chat.completions.create(model=MAIN, messages=[{"role": "user", "content": "Where?"}])
    assert "Your parcel comes on Tuesday." == llmlab.simulate(ask).choices[0].message.content
