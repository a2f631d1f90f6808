from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmlab.errors import BadInput, NotInVirtualTime
from llmlab.protocol import identity, sse
from llmlab.protocol.clock import simulate
from llmlab.protocol.identity import Stamper
from llmlab.wire.chaos import Chaos, Injection
from llmlab.wire.client import client
from llmlab.wire.faults import Fault, Jitter, Latency, LatencySpike, SlowDecode, SlowFirstToken, Stall, Timing
from llmlab.wire.latency import preset
from llmlab.wire.simulator import Simulator
from llmlab.wire.transport import TIMED, Failure, Piece, Planned, Reply

JSON = [(b"content-type", b"application/json")]
SSE = [(b"content-type", b"text/event-stream; charset=utf-8")]
WORDS = ["Send ", "it ", "back ", "soon."]
EVERY_KIND = [LatencySpike, SlowFirstToken, SlowDecode, Stall, Jitter, Latency]


def whole(tokens: int = 4, at: float = 1.0) -> Reply:
    body = {
        "object": "chat.completion",
        "model": "gpt-4o",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "".join(WORDS)}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens},
    }
    return Reply(headers=JSON, headers_at=at, pieces=[Piece(at, json.dumps(body).encode())])


def event(delta: dict[str, str], finish: str | None = None) -> bytes:
    return sse.encode(json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode())


EVENTS = [
    event({"role": "assistant", "content": ""}),
    *(event({"content": word}) for word in WORDS),
    event({}, "stop"),
    sse.encode(sse.DONE),
]


def streamed(at: float = 1.0, gap: float = 0.5, failure: Failure | None = None) -> Reply:
    """Role and first word with the headers, then a word each `gap`, and the end with the last word."""
    times = [at, at, at + gap, at + 2 * gap, at + 3 * gap, at + 3 * gap, at + 3 * gap]
    pieces = [Piece(time, data) for time, data in zip(times, EVENTS, strict=True)]
    return Reply(headers=SSE, headers_at=at, pieces=pieces[:4] if failure else pieces, failure=failure)


class Script(Planned):
    """Gives the same reply to every request; one with `TIMED` gets it at once, as from a cassette or the simulator."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.extensions: list[dict[str, Any]] = []

    def plan(self, request: httpx2.Request, now: float) -> Reply:
        self.extensions.append(dict(request.extensions))
        if not request.extensions.get(TIMED):
            return self.reply
        return Reply(self.reply.status, self.reply.headers, 0.0, [Piece(0.0, piece.data) for piece in self.reply.pieces])

    def __repr__(self) -> str:
        return "Script()"


class Watched(httpx2.AsyncBaseTransport):
    """Passes on what `inner` answers and counts the streams that were closed. They have no due time, like those of a real connection."""

    def __init__(self, inner: Planned) -> None:
        self.inner = inner
        self.opened = self.closed = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self.inner.handle_async_request(request)
        self.opened += 1
        return httpx2.Response(response.status_code, headers=response.headers.raw, stream=WatchedStream(self, response.stream))


class WatchedStream(httpx2.AsyncByteStream):
    def __init__(self, owner: Watched, inner: Any) -> None:
        self.owner, self.inner, self.open = owner, inner, True

    def __aiter__(self) -> WatchedStream:
        self.chunks = aiter(self.inner)
        return self

    async def __anext__(self) -> bytes:
        return await anext(self.chunks)

    async def aclose(self) -> None:
        self.owner.closed += self.open
        self.open = False


def post(model: str = "gpt-4o", **timeout: float | None) -> httpx2.Request:
    return httpx2.Request(
        "POST", "https://api.openai.com/v1/chat/completions", json={"model": model, "messages": []}, extensions={"timeout": timeout}
    )


async def read(transport: httpx2.AsyncBaseTransport, **timeout: float | None) -> list[Any]:
    """When the headers came, when each chunk came, and the error that ended it with its time."""
    clock = asyncio.get_running_loop().time
    began = clock()
    log: list[Any] = []
    response = None
    try:
        response = await transport.handle_async_request(post(**timeout))
        log.append(round(clock() - began, 6))
        async for _ in response.stream:  # type: ignore[union-attr]
            log.append(round(clock() - began, 6))  # noqa: PERF401  # what came before an error stays
    except httpx2.TransportError as error:
        log.append((round(clock() - began, 6), type(error).__name__))
    finally:
        if response is not None:
            await response.aclose()
    return log


def times(reply: Reply, *faults: Fault, **timeout: float | None) -> list[Any]:
    return simulate(read(Chaos(Script(reply), *faults, seed=7), **timeout))


UNTOUCHED = [1.0, 1.0, 1.0, 1.5, 2.0, 2.5, 2.5, 2.5]


# When an answer comes


@pytest.mark.parametrize(
    ("expected", "faults"),
    [
        (UNTOUCHED, []),
        ([5.0, 5.0, 5.0, 5.5, 6.0, 6.5, 6.5, 6.5], [LatencySpike(probability=1, seconds=4.0)]),
        ([1.0, 1.0, 4.0, 4.5, 5.0, 5.5, 5.5, 5.5], [SlowFirstToken(seconds=3.0)]),
        ([1.0, 1.0, 1.0, 1.6, 2.2, 2.8, 2.8, 2.8], [SlowDecode(seconds_per_token=0.1)]),
        ([1.0, 1.0, 1.0, 1.5, 10.0, 10.5, 10.5, 10.5], [Stall(after_tokens=2, seconds=8.0)]),
        (UNTOUCHED, [Stall(after_tokens=4, seconds=8.0)]),
        ([1.25, 1.25, 2.25, 2.85, 4.45, 5.05, 5.05, 5.05], "all"),
        (
            [1.1, 1.1, 1.1, 1.6, 2.1, 2.6, 2.6, 2.6],
            [LatencySpike(probability=1, seconds=0.05), LatencySpike(name="b", probability=1, seconds=0.05)],
        ),
    ],
)
def test_a_stream_comes_to_the_microsecond(expected: list[float], faults: Any) -> None:
    every = [
        LatencySpike(probability=1, seconds=0.25),
        SlowFirstToken(seconds=1.0),
        SlowDecode(seconds_per_token=0.1),
        Stall(after_tokens=2, seconds=1.0),
    ]
    assert expected == times(streamed(), *(every if faults == "all" else faults))


@pytest.mark.parametrize(
    ("expected", "faults"),
    [
        (1.0, []),
        (5.0, [LatencySpike(probability=1, seconds=4.0)]),
        (4.0, [SlowFirstToken(seconds=3.0)]),
        (1.3, [SlowDecode(seconds_per_token=0.1)]),
        (9.0, [Stall(after_tokens=2, seconds=8.0)]),
        (1.0, [Stall(after_tokens=4, seconds=8.0)]),
        (3.55, [LatencySpike(probability=1, seconds=0.25), SlowFirstToken(seconds=1.0), SlowDecode(), Stall(after_tokens=2, seconds=1.0)]),
    ],
)
def test_an_answer_in_one_piece_comes_after_all_of_its_tokens(expected: float, faults: list[Fault]) -> None:
    assert [expected, expected] == times(whole(), *faults)


def test_jitter_makes_each_chunk_late_and_keeps_their_order() -> None:
    jitter = Jitter(mean_seconds=0.3)
    stamp = Stamper().stamp(post())
    timing = Timing()
    jitter.delay(timing, 7, stamp)
    late = [arrived + timing.wobble(chunk) for chunk, arrived in enumerate(UNTOUCHED[1:])]
    expected = [1.0, *(round(max(late[: chunk + 1]), 6) for chunk in range(len(late)))]
    assert expected == times(streamed(), jitter)
    assert 3 < len(set(expected))
    assert [round(1.0 + timing.wobble(0), 6)] * 2 == times(whole(), jitter)


@pytest.mark.parametrize("name", ["chat", "groq"])
def test_latency_sets_the_times_of_the_whole_answer(name: str) -> None:
    key = ("", "chat", "gpt-4o", 0)
    first = preset(name).first_token_seconds(7, "Latency", "first_token", *key)
    each = preset(name).seconds_per_token(7, "Latency", "per_token", *key)
    expected = [first, first, *(round(first + token * each, 6) for token in (0, 1, 2, 3, 3, 3))]
    assert expected == times(streamed(), Latency(preset=name))
    assert [round(first + 4 * each, 6)] * 2 == times(whole(), Latency(preset=name))
    assert [first] * 2 == times(Reply(500, JSON, pieces=[Piece(0.0, b'{"error":{}}')]), Latency(preset=name))


def test_latency_and_a_spike_add_up() -> None:
    calm = times(streamed(), Latency())
    assert [round(time + 4, 6) for time in calm] == times(streamed(), Latency(), LatencySpike(probability=1, seconds=4))
    assert [round(time + 4, 6) for time in calm] == times(streamed(), LatencySpike(probability=1, seconds=4), Latency())


def test_who_answers_adds_no_time_where_latency_sets_it_and_only_there() -> None:
    async def main(*faults: Fault) -> bool:
        script = Script(streamed())
        await read(Chaos(script, *faults, seed=7))
        return bool(script.extensions[0].get(TIMED))

    assert simulate(main(Latency()))
    assert not simulate(main(LatencySpike(probability=1)))
    assert not simulate(main(Latency(probability=0)))


def test_a_live_provider_s_times_are_a_floor() -> None:
    class Slow(Script):
        def plan(self, request: httpx2.Request, now: float) -> Reply:
            return self.reply

    slow = Slow(streamed(at=100.0))
    assert [round(time + 99, 6) for time in UNTOUCHED] == simulate(read(Chaos(slow, Latency(), seed=7)))


def test_the_outermost_latency_sets_the_times() -> None:
    inner = Chaos(Script(streamed()), Latency(preset="replicate"), seed=7)
    outer = Chaos(inner, Latency(), seed=7)
    assert times(streamed(), Latency()) == simulate(read(outer))
    assert [] == inner.journal


def test_nested_weather_adds_up() -> None:
    inner = Chaos(Script(streamed()), LatencySpike(probability=1, seconds=1.0), SlowDecode(seconds_per_token=0.1), seed=7)
    outer = Chaos(inner, LatencySpike(probability=1, seconds=2.0), Stall(after_tokens=2, seconds=5.0), seed=7)
    assert [4.0, 4.0, 4.0, 4.6, 10.2, 10.8, 10.8, 10.8] == simulate(read(outer))
    assert [round(time + 3, 6) for time in UNTOUCHED] == simulate(
        read(Chaos(Chaos(Script(streamed()), LatencySpike(probability=1, seconds=1)), LatencySpike(probability=1, seconds=2)))
    )


def test_a_request_that_is_sent_again_is_timed_anew() -> None:
    async def main() -> list[float]:
        clock = asyncio.get_running_loop().time
        chaos, request, took = Chaos(Script(whole()), Latency(), seed=7), post(), []
        for _ in range(2):
            began = clock()
            await chaos.handle_async_request(request)
            took.append(round(clock() - began, 6))
        assert [0, 1] == [injection.ordinal for injection in chaos.journal]
        return took

    first, second = simulate(main())
    assert first != second
    assert 1.0 not in (first, second), "the answering transport's own time"


# Chunks however they are cut


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")], ids=["compact", "spaced"])
def test_tokens_are_counted_however_the_json_is_spaced(separators: tuple[str, str]) -> None:
    def spaced(data: bytes) -> bytes:
        [field] = sse.Events().feed(data)
        return data if field == sse.DONE else sse.encode(json.dumps(json.loads(field), separators=separators).encode())

    reply = Reply(headers=SSE, pieces=[Piece(0.0, spaced(data)) for data in EVENTS])
    assert [0.0, 0.0, 0.0, 0.1, 0.2, 0.3, 0.3, 0.3] == times(reply, SlowDecode())


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@given(cuts=st.lists(st.integers(1, 400), max_size=8))
def test_tokens_are_counted_wherever_chunks_are_cut(newline: bytes, cuts: list[int]) -> None:
    """A token is due when the chunk comes that completes it."""
    body = b": keep-alive\n\n" + b"".join(EVENTS)
    body = body.replace(b"\n", newline)
    places = sorted({cut for cut in cuts if cut < len(body)})
    parts = [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]
    events, tokens, expected = sse.Events(), 0, [1.0]
    for part in parts:
        tokens += sum(any(json.dumps(word).encode() in field for word in WORDS) for field in events.feed(part))
        expected.append(round(1.0 + max(0, tokens - 1) * 0.1, 6))
    reply = Reply(headers=SSE, headers_at=1.0, pieces=[Piece(1.0, part) for part in parts])
    assert expected == times(reply, SlowDecode(seconds_per_token=0.1))


def test_the_choices_of_an_answer_are_made_side_by_side() -> None:
    def delta(index: int, word: str) -> bytes:
        return sse.encode(json.dumps({"choices": [{"index": index, "delta": {"content": word}}]}).encode())

    events = [delta(0, "Yes"), delta(1, "No"), delta(1, ", "), delta(0, "."), delta(1, "never")]
    assert [0.0, 0.0, 0.0, 0.1, 0.1, 0.2] == times(Reply(headers=SSE, pieces=[Piece(0.0, data) for data in events]), SlowDecode())
    body = json.dumps({"choices": [{}, {}], "usage": {"prompt_tokens": 1, "completion_tokens": 5}}).encode()
    assert [0.2, 0.2] == times(Reply(headers=JSON, pieces=[Piece(0.0, body)]), SlowDecode())


def test_nothing_that_a_provider_sends_stops_the_weather() -> None:
    cut_off = b'data: {"choices":[{"index":0,"delta":{"content":"'
    parts = [
        cut_off + b"\n\n",
        cut_off + b'"\n\n',
        b"data: {\n\n",
        b"data: [1]\n\n",
        b'data: {"choices": 3}\n\n',
        b"\xff\xfe",
        b"data: half",
    ]
    reply = Reply(headers=SSE, pieces=[Piece(1.0, part) for part in parts])
    assert [0.0, *[1.0] * 7] == times(reply, SlowDecode(), Stall())


def test_a_reader_who_is_slow_is_not_made_slower() -> None:
    async def main() -> list[float]:
        clock = asyncio.get_running_loop().time
        chaos = Chaos(Script(streamed()), LatencySpike(probability=1, seconds=4.0))
        chunks = aiter((await chaos.handle_async_request(post())).stream)  # type: ignore[arg-type]
        log = [clock()]
        for _ in range(3):
            await asyncio.sleep(10)
            await anext(chunks)
            log.append(clock())
        return log

    assert [5.0, 15.0, 25.0, 35.0] == simulate(main())


def test_a_stream_without_due_times_is_put_off_once_and_not_at_every_chunk() -> None:
    watched = Watched(Script(streamed()))
    assert [5.0] * 8 == simulate(read(Chaos(watched, LatencySpike(probability=1, seconds=4.0))))
    stalled = simulate(read(Chaos(watched, Stall(after_tokens=1, seconds=0.25), SlowDecode(seconds_per_token=1.0))))
    assert [1.0, 1.0, 1.0, 2.75, 3.75, 4.75, 4.75, 4.75] == stalled
    calm = times(streamed(at=0.0, gap=0.0), Latency())
    assert calm == simulate(read(Chaos(watched, Latency(), seed=7)))


# Timeouts


@pytest.mark.parametrize("reply", [whole(), streamed()], ids=["whole", "streamed"])
@pytest.mark.parametrize(("expected", "limit"), [((2.5, "ReadTimeout"), 2.5), ((0.5, "ReadTimeout"), 0.5)])
def test_a_spike_beyond_the_read_timeout_times_out_at_exactly_the_limit(expected: Any, reply: Reply, limit: float) -> None:
    assert [expected] == times(reply, LatencySpike(probability=1, seconds=4.0), read=limit)


def test_a_stall_beyond_the_read_timeout_times_out_at_exactly_the_limit() -> None:
    log = times(streamed(), Stall(after_tokens=2, seconds=8.0), read=3.0)
    assert [1.0, 1.0, 1.0, 1.5, (4.5, "ReadTimeout")] == log


@pytest.mark.parametrize("limit", [8.5, None])
def test_a_silence_within_the_limit_passes(limit: float | None) -> None:
    assert 10.5 == times(streamed(), Stall(after_tokens=2, seconds=8.0), read=limit)[-1]


def test_a_timeout_of_the_transport_behind_is_not_put_off() -> None:
    reply = Reply(headers=SSE, headers_at=1.0, pieces=[Piece(1.0, EVENTS[1]), Piece(60.0, EVENTS[2])])
    assert [2.0, 2.0, (7.0, "ReadTimeout")] == times(reply, LatencySpike(probability=1, seconds=1.0), read=5.0)


def test_one_who_answers_without_heeding_the_timeout_is_caught_late() -> None:
    async def handler(request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(10)
        return httpx2.Response(200, headers=SSE, content=b"".join(EVENTS))

    chaos = Chaos(httpx2.MockTransport(handler), LatencySpike(probability=1, seconds=4.0))
    assert [(10.0, "ReadTimeout")] == simulate(read(chaos, read=5.0))


@pytest.mark.parametrize("name", ["stream", "whole"])
def test_the_openai_client_sees_its_timeout(name: str) -> None:
    async def main() -> float:
        chaos = Chaos(Script(streamed() if name == "stream" else whole()), LatencySpike(probability=1, seconds=4.0))
        openai_client = client(chaos, timeout=2.0, max_retries=1)
        with pytest.raises(openai.APITimeoutError):
            await openai_client.chat.completions.create(model="gpt-4o", messages=[], stream=name == "stream")
        assert [0, 1] == [injection.ordinal for injection in chaos.journal]
        return asyncio.get_running_loop().time()

    assert 4.0 < simulate(main()) < 5.0


# Failures, and streams that end early


def test_a_failure_before_the_headers_passes_at_once() -> None:
    reply = Reply(status=0, failure=Failure(1.0, "ConnectError", "refused"))
    assert [(1.0, "ConnectError")] == times(reply, LatencySpike(probability=1, seconds=4.0), Stall())


def test_a_failure_in_mid_stream_is_put_off_like_the_chunks_before_it() -> None:
    reply = streamed(failure=Failure(5.0, "RemoteProtocolError", "peer closed"))
    assert [1.0, 1.0, 1.0, 1.5, 2.0, (5.0, "RemoteProtocolError")] == times(reply)
    assert [1.0, 1.0, 1.0, 3.5, 4.0, (7.0, "RemoteProtocolError")] == times(reply, Stall(after_tokens=1, seconds=2.0))
    assert [1.0, 1.0, 1.0, 3.5, 4.0, (6.8, "ReadTimeout")] == times(reply, Stall(after_tokens=1, seconds=2.0), read=2.8)


def test_a_failure_in_the_body_of_a_whole_answer_passes() -> None:
    reply = Reply(headers=JSON, headers_at=1.0, pieces=[Piece(1.0, b"{")], failure=Failure(2.0, "ReadError", "reset"))
    assert [(2.0, "ReadError")] == times(reply, LatencySpike(probability=1, seconds=4.0))


@pytest.mark.parametrize(
    ("reply", "fault", "timeout"),
    [
        (streamed(), LatencySpike(probability=1), {"read": 2.0}),
        (whole(), LatencySpike(probability=1), {"read": 2.0}),
        (streamed(), Stall(after_tokens=2), {"read": 2.0}),
        (streamed(failure=Failure(5.0, "ReadError", "x")), SlowDecode(), {}),
        (Reply(headers=JSON, pieces=[Piece(1.0, b"{")], failure=Failure(2.0, "ReadError", "reset")), LatencySpike(probability=1), {}),
        (whole(), LatencySpike(probability=1), {}),
        (streamed(), LatencySpike(probability=1), {}),
    ],
)
def test_however_an_attempt_ends_the_stream_behind_is_closed(reply: Reply, fault: Fault, timeout: dict[str, float]) -> None:
    async def main() -> tuple[int, int]:
        watched = Watched(Script(reply))
        try:
            response = await Chaos(watched, fault).handle_async_request(post(**timeout))
        except httpx2.TransportError:
            return watched.opened, watched.closed
        try:
            async for _ in response.stream:  # type: ignore[union-attr]
                pass
        except httpx2.TransportError:
            return watched.opened, watched.closed
        await response.aclose()
        return watched.opened, watched.closed

    assert (1, 1) == simulate(main())


@pytest.mark.parametrize("reply", [whole(), streamed()], ids=["whole", "streamed"])
def test_an_attempt_that_is_cancelled_closes_the_stream_behind(reply: Reply) -> None:
    async def main() -> tuple[int, int]:
        watched = Watched(Script(reply))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(Chaos(watched, LatencySpike(probability=1)).handle_async_request(post()), 3)
        return watched.opened, watched.closed

    assert (1, 1) == simulate(main())


def test_an_early_close_closes_the_stream_behind() -> None:
    async def main() -> int:
        watched = Watched(Script(streamed()))
        response = await Chaos(watched, SlowDecode()).handle_async_request(post())
        chunks = aiter(response.stream)  # type: ignore[arg-type]
        await anext(chunks)
        await response.aclose()
        return watched.closed

    assert 1 == simulate(main())


def test_an_openai_stream_that_is_left_early_leaks_nothing() -> None:
    async def main() -> int:
        watched = Watched(Script(streamed()))
        async with await client(Chaos(watched, SlowDecode())).chat.completions.create(model="gpt-4o", messages=[], stream=True) as stream:
            async for _ in stream:
                break
        return watched.closed

    assert 1 == simulate(main())


def test_a_journal_that_is_bounded_keeps_the_newest_and_counts_the_others() -> None:
    chaos = Chaos(Script(whole()), LatencySpike(probability=1.0, seconds=0.1))
    chaos.keeps = 3

    async def main() -> None:
        async with client(chaos) as openai_client:
            for number in range(8):
                with identity.request(f"q{number}"):
                    await openai_client.chat.completions.create(model="gpt-4o", messages=[])

    simulate(main())
    assert 3 == chaos.dropped
    assert [f"q{number}/0" for number in range(3, 8)] == [line.identity for line in chaos.journal]
    chaos.reset()
    assert ([], 0) == (chaos.journal, chaos.dropped)


def test_closing_closes_the_transport_behind() -> None:
    closed = []

    class Closing(Script):
        async def aclose(self) -> None:
            closed.append("async")

        def close(self) -> None:
            closed.append("sync")

    chaos = Chaos(Closing(whole()))
    simulate(chaos.aclose())
    chaos.close()
    assert ["async", "sync"] == closed


# Law 2: the same storm twice

STORM = [
    LatencySpike(probability=0.3),
    SlowFirstToken(probability=0.2),
    SlowDecode(probability=0.5),
    Stall(probability=0.3, after_tokens=2),
    Jitter(probability=0.6),
    Latency(probability=0.9),
]


def storm(
    concurrency: int, seed: int, requests: int = 100, attempts: Callable[[int], int] = lambda number: 1
) -> dict[str, list[tuple[int, str, str]]]:
    """Send requests, each in its task and identity; return what was injected into each, with its times."""

    async def main() -> dict[str, list[tuple[int, str, str]]]:
        chaos = Chaos(Script(streamed()), *STORM, seed=seed)
        places = asyncio.Semaphore(concurrency)
        took: dict[str, list[Any]] = {}

        async def one(number: int) -> None:
            async with places:
                with identity.request(f"q{number}"):
                    took[f"q{number}/0"] = [await read(chaos) for _ in range(attempts(number))]

        await asyncio.gather(*map(one, range(requests)))
        for injection in chaos.journal:
            took[injection.identity].append((injection.ordinal, injection.fault, injection.effect))
        return took

    return simulate(main())


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(2, 100))
def test_a_request_meets_the_same_weather_at_any_concurrency(seed: int, concurrency: int) -> None:
    assert storm(1, seed, 30) == storm(concurrency, seed, 30)


def test_a_request_meets_the_same_weather_at_concurrency_1_and_100() -> None:
    assert storm(1, 7) == storm(100, 7)


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(0, 29), st.integers(2, 4), st.integers(1, 30))
def test_a_retry_added_to_one_request_changes_nothing_for_the_others(seed: int, chosen: int, attempts: int, concurrency: int) -> None:
    before = storm(concurrency, seed, 30)
    after = storm(concurrency, seed, 30, lambda number: attempts if number == chosen else 1)
    mine = f"q{chosen}/0"
    assert {name: log for name, log in before.items() if name != mine} == {name: log for name, log in after.items() if name != mine}
    assert before[mine][0] == after[mine][0], "nor for its own first attempt"


def test_other_seeds_are_other_weather() -> None:
    assert storm(10, 7) != storm(10, 8)


def test_without_an_identity_the_multiset_is_the_same() -> None:
    async def main(concurrency: int) -> list[Any]:
        chaos = Chaos(Script(streamed()), *STORM, seed=7)
        places = asyncio.Semaphore(concurrency)

        async def one() -> None:
            async with places:
                await read(chaos)

        await asyncio.gather(*(one() for _ in range(50)))
        return sorted(injection[1:] for injection in chaos.journal)

    assert simulate(main(1)) == simulate(main(50))


@given(st.integers(0, 2**32), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_probability_strikes_the_same_requests_and_more(seed: int, one: float, other: float) -> None:
    def struck(probability: float) -> set[str]:
        async def main() -> set[str]:
            chaos = Chaos(Script(whole()), LatencySpike(probability=probability), seed=seed)
            for number in range(20):
                with identity.request(str(number)):
                    await chaos.handle_async_request(post())
            return {injection.identity for injection in chaos.journal}

        return simulate(main())

    low, high = sorted((one, other))
    assert struck(low) <= struck(high)


# Pass-through


def answers() -> st.SearchStrategy[Reply]:
    headers = st.lists(
        st.tuples(st.sampled_from([b"x-a", b"X-B", b"set-cookie"]), st.binary(max_size=4).map(bytes.hex).map(str.encode)), max_size=4
    )
    bodies = st.lists(st.tuples(st.integers(0, 3_000_000).map(lambda time: time / 1e6), st.binary(max_size=30)), max_size=5)
    kinds = st.sampled_from([JSON, SSE, []])
    failures = st.none() | st.just(Failure(3.0, "ReadError", "reset"))

    def build(status: int, kind: list[Any], extra: list[Any], body: list[tuple[float, bytes]], failure: Failure | None) -> Reply:
        pieces = [Piece(at, data) for at, data in sorted(body)]
        return Reply(status, [*kind, *extra], pieces[0].at if pieces else 0.0, pieces, failure, {"llmlab.source": "test"})

    return st.builds(build, st.sampled_from([200, 201, 429, 500]), kinds, headers, bodies, failures)


async def everything(transport: httpx2.AsyncBaseTransport) -> list[Any]:
    """All that a client can see of an answer, with the times."""
    clock = asyncio.get_running_loop().time
    response = await transport.handle_async_request(post())
    seen: list[Any] = [clock(), response.status_code, response.headers.raw, response.extensions]
    try:
        async for part in response.stream:  # type: ignore[union-attr]
            seen.append((clock(), part))  # noqa: PERF401  # what came before an error stays
    except httpx2.TransportError as error:
        seen.append((clock(), repr(error)))
    return seen


@given(answers())
def test_where_no_fault_strikes_the_answer_is_the_same_to_the_byte(reply: Reply) -> None:
    calm = [kind(probability=0.0) for kind in EVERY_KIND]
    chaos = Chaos(Script(reply), *calm)
    assert simulate(everything(Script(reply))) == simulate(everything(chaos))
    assert [] == chaos.journal


@given(answers())
def test_where_a_fault_strikes_the_bytes_are_the_same_and_only_the_times_are_not(reply: Reply) -> None:
    def visible(seen: list[Any]) -> list[Any]:
        body = b"".join(part for _, part in seen[4:] if isinstance(part, bytes))
        return [*seen[1:4], body, [part for _, part in seen[4:] if isinstance(part, str)]]

    try:
        struck = simulate(everything(Chaos(Script(reply), LatencySpike(probability=1), Stall(), Jitter())))
    except httpx2.ReadError:
        assert reply.failure is not None
        assert SSE[0] not in reply.headers, "the body of a whole answer is read before it is delivered"
    else:
        assert visible(simulate(everything(Script(reply)))) == visible(struck)


# The journal


def test_the_journal_says_what_was_injected_into_which_request_and_when() -> None:
    async def main() -> list[Injection]:
        chaos = Chaos(Script(whole()), LatencySpike(probability=1, seconds=1.5), Stall(after_tokens=2), seed=7)
        with identity.request("q017", 3):
            await chaos.handle_async_request(post())
            await chaos.handle_async_request(post("gpt-4o-mini"))
            await chaos.handle_async_request(post())
        return chaos.journal

    # An answer of four tokens takes 1 s, and the two faults 1.5 s and 8 s more.
    assert [
        Injection(0.0, "q017/3", 0, "gpt-4o", "LatencySpike", "+1.5 s before the headers"),
        Injection(0.0, "q017/3", 0, "gpt-4o", "Stall", "+8 s after 2 tokens"),
        Injection(10.5, "q017/3", 0, "gpt-4o-mini", "LatencySpike", "+1.5 s before the headers"),
        Injection(10.5, "q017/3", 0, "gpt-4o-mini", "Stall", "+8 s after 2 tokens"),
        Injection(21.0, "q017/3", 1, "gpt-4o", "LatencySpike", "+1.5 s before the headers"),
        Injection(21.0, "q017/3", 1, "gpt-4o", "Stall", "+8 s after 2 tokens"),
    ] == simulate(main())


def test_each_fault_says_what_it_did() -> None:
    async def main() -> list[str]:
        chaos = Chaos(Script(whole()), *(kind(probability=1) for kind in EVERY_KIND), seed=7)
        await chaos.handle_async_request(post())
        return [injection.effect for injection in chaos.journal]

    *said, latency = simulate(main())
    assert [
        "+4 s before the headers",
        "+3 s before the first content",
        "+0.1 s a token",
        "+8 s after 5 tokens",
        "chunks late by 0.05 s on average",
    ] == said
    assert latency.startswith("first token at 0.")
    assert latency.endswith(" ms a token")


def test_reset_forgets_the_journal_and_the_counts() -> None:
    async def main() -> tuple[int, list[Injection]]:
        chaos = Chaos(Script(whole()), LatencySpike(probability=1), seed=7)
        await chaos.handle_async_request(post())
        chaos.reset()
        emptied = len(chaos.journal)
        await chaos.handle_async_request(post())
        return emptied, chaos.journal

    emptied, [injection] = simulate(main())
    assert (0, 0) == (emptied, injection.ordinal)


# Bad input


def test_two_faults_of_one_name_are_refused() -> None:
    with pytest.raises(BadInput, match=r"two faults are named 'Stall'; give one of them a name of its own, as in Stall\(name='second'"):
        Chaos(Script(whole()), Stall(), LatencySpike(), Stall(seconds=2))
    Chaos(Script(whole()), Stall(), Stall(name="second"))


@pytest.mark.parametrize("what", ["Stall", LatencySpike, None, 0.04])
def test_what_is_no_fault_is_refused(what: Any) -> None:
    with pytest.raises(BadInput, match="is no fault; faults are objects such as"):
        Chaos(Script(whole()), what)


def test_what_is_no_transport_is_refused() -> None:
    with pytest.raises(BadInput, match=r"Chaos stands before a transport, as in .*; LatencySpike\(\) is none"):
        Chaos(LatencySpike())  # type: ignore[arg-type]


def test_a_repr_can_be_pasted_back() -> None:
    text = "Chaos(Script(), LatencySpike(probability=0.1), Stall(name='second'), seed=7)"
    chaos = eval(text, {"Chaos": Chaos, "Script": lambda: Script(whole()), "LatencySpike": LatencySpike, "Stall": Stall})
    assert text == repr(chaos)


# The synchronous driver, on the real clock


def read_sync(transport: httpx2.BaseTransport, **timeout: float) -> list[Any]:
    log: list[Any] = []
    try:
        response = transport.handle_request(post(**timeout))
        log.append(response.status_code)
        log.extend(response.stream)  # type: ignore[arg-type]
        response.close()
    except httpx2.TransportError as error:
        log.append(type(error).__name__)
    return log


SOON = streamed(at=0.001, gap=0.001)


@pytest.mark.parametrize(
    ("expected", "reply", "faults", "timeout"),
    [
        ([200, *EVENTS], SOON, [], {}),
        ([200, *EVENTS], SOON, [LatencySpike(probability=1, seconds=0.003), Jitter(mean_seconds=0.001)], {}),
        ([200, *EVENTS], SOON, [SlowDecode(seconds_per_token=0.002)], {"read": 5.0}),
        (["ReadTimeout"], SOON, [LatencySpike(probability=1, seconds=60)], {"read": 0.01}),
        ([200, *EVENTS[:3], "ReadTimeout"], SOON, [Stall(after_tokens=2, seconds=60)], {"read": 0.01}),
        ([200, whole().pieces[0].data], whole(at=0.0), [LatencySpike(probability=1, seconds=0.003)], {}),
        (["ReadTimeout"], whole(at=0.0), [Stall(after_tokens=1, seconds=60)], {"read": 0.01}),
        (
            [200, *EVENTS[:4], "ReadError"],
            streamed(0.0, 0.001, Failure(0.004, "ReadError", "x")),
            [SlowDecode(seconds_per_token=0.001)],
            {},
        ),
        (["ConnectError"], Reply(status=0, failure=Failure(0.0, "ConnectError", "x")), [LatencySpike(probability=1)], {}),
    ],
)
def test_the_synchronous_driver_does_the_same_on_the_real_clock(
    expected: list[Any], reply: Reply, faults: list[Fault], timeout: dict[str, float]
) -> None:
    chaos = Chaos(Script(reply), *faults)
    assert expected == read_sync(chaos, **timeout)
    assert len(faults) == len(chaos.journal)


def test_the_synchronous_driver_closes_the_stream_behind_when_it_times_out() -> None:
    closed = []

    class Stream(httpx2.SyncByteStream):
        def __iter__(self) -> Any:
            yield from EVENTS

        def close(self) -> None:
            closed.append(True)

    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, headers=SSE, stream=Stream()))
    assert ["ReadTimeout"] == read_sync(Chaos(transport, LatencySpike(probability=1, seconds=60)), read=0.01)
    assert [True] == closed
    assert [200, *EVENTS[:2], "ReadTimeout"] == read_sync(Chaos(transport, Stall(after_tokens=1, seconds=60)), read=0.01)
    assert [True, True] == closed


def test_the_synchronous_driver_is_refused_in_a_simulation() -> None:
    async def main() -> None:
        Chaos(Script(whole())).handle_request(post())

    with pytest.raises(NotInVirtualTime, match="on the real clock"):
        simulate(main())


@pytest.mark.parametrize("seed", ["x", 1.5, True, None])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises(BadInput, match="Chaos: seed is a whole number, not"):
        Chaos(Simulator(), seed=seed)
