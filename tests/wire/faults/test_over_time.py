from __future__ import annotations

import asyncio
import math
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.errors import BadInput
from llmlab.protocol.clock import simulate
from llmlab.protocol.identity import Stamp
from llmlab.wire.chaos import Chaos
from llmlab.wire.faults import (
    BrownOut,
    Bursts,
    ConnectionRefused,
    CutStream,
    Fault,
    Jitter,
    Latency,
    LatencySpike,
    Outage,
    Sent,
    ServerError,
)
from llmlab.wire.simulator import Simulator


def post(model: str = "gpt-4o") -> httpx2.Request:
    body = {"model": model, "messages": [{"role": "user", "content": "May I send it back?"}], "max_tokens": 20}
    headers = {"authorization": "Bearer key"}
    return httpx2.Request("POST", "https://api.openai.com/v1/chat/completions", json=body, headers=headers)


def sent(at: float, memory: dict[str, Any] | None = None, seed: int = 7, stream: bool = True) -> Sent:
    stamp = Stamp("q/0", "chat", "gpt-4o", 0, {"stream": stream})
    return Sent(post(), stamp, seed, at, 100 + at, {} if memory is None else memory)


def ends(chaos: Chaos, times: list[float]) -> list[tuple[float, int | str]]:
    """Send a request at each of `times`; return when its answer came (in seconds after sending), and its status or error."""

    async def one(at: float) -> tuple[float, int | str]:
        await asyncio.sleep(at)
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            response = await chaos.handle_async_request(post())
            await response.aread()
        except httpx2.TransportError as error:
            return round(clock() - began, 6), type(error).__name__
        return round(clock() - began, 6), response.status_code

    async def main() -> list[tuple[float, int | str]]:
        return list(await asyncio.gather(*map(one, times)))

    return simulate(main())


@pytest.mark.parametrize(("expected", "what"), [(503, ServerError(status=503)), ("ConnectError", ConnectionRefused())])
def test_an_outage_strikes_all_that_is_sent_meanwhile(expected: int | str, what: Fault) -> None:
    chaos = Chaos(Simulator(latency=False), Outage(start_seconds=10, duration_seconds=5, what=what))
    assert [200, 200, expected, expected, 200, 200] == [end for _, end in ends(chaos, [0, 9.999, 10, 14.999, 15, 16])]
    assert ["Outage"] * 2 == [line.fault for line in chaos.journal]


def test_time_counts_from_the_first_request_and_again_after_a_reset() -> None:
    chaos = Chaos(Simulator(latency=False), Outage(start_seconds=1, duration_seconds=1))
    assert [200, 503, 200] == [end for _, end in ends(chaos, [50, 51.5, 52.5])]
    assert [200, 503] == [end for _, end in ends(chaos, [0, 1.5])], "another loop's clock"

    async def main() -> list[int]:
        log = []
        for _ in range(2):
            chaos.reset()
            for _ in range(2):
                log.append((await chaos.handle_async_request(post())).status_code)
                await asyncio.sleep(1.5)
        return log

    assert [200, 503, 200, 503] == simulate(main())


def test_an_outage_of_streams_spares_an_answer_in_one_piece() -> None:
    outage = Outage(start_seconds=0, duration_seconds=5, what=CutStream())
    assert outage.fires(sent(1))
    assert not outage.fires(sent(1, stream=False))


@pytest.mark.parametrize(
    "what",
    [
        Outage(),
        Latency(),
        3,
        ServerError(probability=0.5),
        ServerError().nth(2),
        ServerError().between(0, 1),
        ServerError().on(model="main"),
    ],
)
def test_what_strikes_meanwhile_has_no_script_of_its_own(what: Any) -> None:
    with pytest.raises(BadInput, match="what"):
        Outage(what=what)


# Bursts


@given(st.integers(0, 2**32), st.lists(st.floats(0, 2000), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_bursts_are_a_function_of_seed_and_time_in_whatever_order_they_are_asked_for(seed: int, times: list[float], order: Any) -> None:
    bursts = Bursts(mean_good_seconds=10, mean_bad_seconds=4)
    alone = {at: bursts.bad(sent(at, seed=seed)) for at in times}
    memory: dict[str, Any] = {}
    assert alone == {at: bursts.bad(sent(at, memory, seed)) for at in order.sample(times, len(times))}


def test_good_and_bad_times_have_their_means_and_their_share() -> None:
    bursts, memory = Bursts(mean_good_seconds=6, mean_bad_seconds=2), {}
    bursts.bad(sent(40_000, memory))
    borders = memory["Bursts"]
    lengths = [after - before for before, after in pairwise(borders)]
    first_is_bad = bursts.bad(sent(0.0, memory))
    bad, good = (lengths[0::2], lengths[1::2]) if first_is_bad else (lengths[1::2], lengths[0::2])
    for mean, some in ((6, good), (2, bad)):
        assert 4000 < len(some)
        assert mean == pytest.approx(math.fsum(some) / len(some), abs=4 * mean / math.sqrt(len(some)))
    starts = sum(bursts.bad(sent(0.0, seed=seed)) for seed in range(4000)) / 4000
    assert 0.25 == pytest.approx(starts, abs=4 * math.sqrt(0.25 * 0.75 / 4000)), "the share is right from the first request on"


# Brown-outs


def test_capacity_falls_stays_low_and_comes_back() -> None:
    brown_out = BrownOut(start_seconds=10, duration_seconds=40, ramp_seconds=10, capacity=0.2)
    expected = [1.0, 1.0, 0.6, 0.2, 0.2, 0.6, 1.0, 1.0]
    assert expected == [round(brown_out.capacity_at(at), 9) for at in (0, 10, 15, 20, 40, 45, 50, 60)]
    assert 0.2 == pytest.approx(BrownOut(start_seconds=0, ramp_seconds=0, capacity=0.2).capacity_at(0))


@given(st.integers(1, 12), st.floats(0.01, 0.99), st.floats(0, 20), st.floats(0, 100))
def test_open_slots_are_the_capacity_rounded_up(slots: int, capacity: float, ramp: float, at: float) -> None:
    brown_out = BrownOut(start_seconds=20, duration_seconds=40, ramp_seconds=ramp, capacity=capacity)
    closed = brown_out.closure(0.0)
    intervals = [closed(number, slots) for number in range(slots)]
    if all(abs(at - border) > 1e-6 for interval in intervals for border in interval):
        still_open = sum(not begins <= at < ends for begins, ends in intervals)
        share = brown_out.capacity_at(at) * slots
        assert still_open == max(1, math.ceil(share - 1e-9)) or abs(share - round(share)) < 1e-6


def test_where_there_are_slots_a_brown_out_makes_a_queue() -> None:
    arrivals = [number * 0.5 for number in range(120)]
    calm = ends(Chaos(Simulator(slots=4)), arrivals)
    brown = ends(Chaos(Simulator(slots=4), BrownOut(start_seconds=20, duration_seconds=20, ramp_seconds=0, capacity=0.25)), arrivals)
    assert calm[:20] == brown[:20], "before"
    assert 5 * sum(wait for wait, _ in calm[40:80]) < sum(wait for wait, _ in brown[40:80])
    assert 200 == brown[-1][1]


def test_an_answer_that_a_brown_out_only_queues_takes_no_longer_itself() -> None:
    chaos = Chaos(Simulator(slots=4), BrownOut(start_seconds=0, duration_seconds=50, ramp_seconds=0, capacity=0.25))
    assert ends(Chaos(Simulator(slots=4)), [0]) == ends(chaos, [0])
    assert ["25% of capacity"] == [line.effect for line in chaos.journal]


def test_where_there_are_none_answers_take_longer() -> None:
    calm = ends(Chaos(Simulator()), [0, 30, 70])
    brown = ends(Chaos(Simulator(), BrownOut(start_seconds=10, duration_seconds=40, ramp_seconds=0, capacity=0.25)), [0, 30, 70])
    assert [calm[0], (round(4 * calm[1][0], 6), 200), calm[2]] == brown


def test_a_measured_latency_takes_longer_too() -> None:
    calm = ends(Chaos(Simulator(), Latency()), [0])
    brown = ends(Chaos(Simulator(), Latency(), LatencySpike(probability=1), BrownOut(start_seconds=0, ramp_seconds=0, capacity=0.5)), [0])
    assert [(round(2 * calm[0][0] + 4, 6), 200)] == brown


def test_brown_outs_add_up() -> None:
    def brown_out(name: str) -> BrownOut:
        return BrownOut(name=name, start_seconds=0, ramp_seconds=0, capacity=0.5)

    calm = ends(Chaos(Simulator()), [0])
    assert [(round(4 * calm[0][0], 6), 200)] == ends(Chaos(Simulator(), brown_out("a"), brown_out("b")), [0])
    nested = Chaos(Chaos(Simulator(slots=4), brown_out("a")), brown_out("b"))
    assert calm == ends(nested, [0])


@pytest.mark.parametrize(
    ("message", "kind", "attributes"),
    [
        ("a window starts at 0 s or later and ends after it starts, which 60 s to 60 s does not", Outage, {"duration_seconds": 0}),
        ("start_seconds is a time of 0 seconds or more, not -1", Outage, {"start_seconds": -1}),
        ("a window starts at 0 s", BrownOut, {"duration_seconds": 0, "ramp_seconds": 0}),
        ("ramp_seconds is at most half of duration_seconds=10, not 6", BrownOut, {"duration_seconds": 10, "ramp_seconds": 6}),
        ("capacity is a share above 0 and below 1, not 0", BrownOut, {"capacity": 0}),
        ("capacity is a share above 0 and below 1, not 'low'", BrownOut, {"capacity": "low"}),
        ("it is over, or not yet begun, in window=.30, 40.", Outage, {"start_seconds": 10, "duration_seconds": 10, "window": (30, 40)}),
        ("it is over, or not yet begun, in window=.3, 4.", Outage, {"start_seconds": 10, "window": (3, 4)}),
        ("it is over in window=.200, 300.", BrownOut, {"window": (200, 300)}),
        (r"with stream=False, what=CutStream\(\) never strikes", Outage, {"what": CutStream(), "stream": False}),
        (r"give it probability=1, not what=LatencySpike\(\)", Outage, {"what": LatencySpike()}),
        ("mean_bad_seconds is at least 0.001 s, not 0", Bursts, {"mean_bad_seconds": 0}),
    ],
)
def test_what_cannot_be_is_refused(message: str, kind: type[Fault], attributes: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=message):
        kind(**attributes)


@pytest.mark.parametrize(
    ("ends_at", "fault"),
    [
        (90.0, Outage()),
        (70.0, Outage().between(0, 70)),
        (120.0, BrownOut()),
        (80.0, BrownOut().between(0, 80)),
        (5.0, Jitter().between(1, 5)),
        (0.0, Jitter()),
        (0.0, Bursts()),
    ],
)
def test_weather_knows_when_it_is_over(ends_at: float, fault: Fault) -> None:
    assert ends_at == fault.ends_at


def test_weather_over_time_says_so() -> None:
    assert [True, True, True, True] == [fault.over_time for fault in (Outage(), Bursts(), BrownOut(), Jitter().between(0, 1))]
    assert not Jitter().over_time
