from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.errors import NotInVirtualTime
from llmlab.protocol.clock import simulate
from llmlab.wire.transport import FAILURES, SOURCE, Failure, Piece, Planned, Reply, pause, read_timeout, real_time

TIMES = st.lists(st.integers(0, 5_000_000), min_size=0, max_size=8).map(lambda times: [time / 1e6 for time in sorted(times)])


class Script(Planned):
    """Gives the same reply to every request, and remembers when they came."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.seen: list[tuple[bytes, float]] = []

    def plan(self, request: httpx2.Request, now: float) -> Reply:
        self.seen.append((request.content, now))
        return self.reply


def post(transport: Script, **timeout: float | None) -> httpx2.Request:
    return httpx2.Request("POST", "https://api.openai.com/v1/chat/completions", json={"model": "m"}, extensions={"timeout": timeout})


def pieces(*times: float) -> list[Piece]:
    return [Piece(time, b"%d;" % number) for number, time in enumerate(times)]


async def read(transport: Script, **timeout: float | None) -> list[tuple[float, Any]]:
    """When what came: the status, each chunk, and the error at the end."""
    clock = asyncio.get_running_loop().time
    log: list[tuple[float, Any]] = []
    try:
        response = await transport.handle_async_request(post(transport, **timeout))
        log.append((clock(), response.status_code))
        async for chunk in response.stream:  # type: ignore[union-attr]
            log.append((clock(), chunk))  # noqa: PERF401  # what came before an error stays
    except httpx2.TransportError as error:
        log.append((clock(), (type(error).__name__, str(error))))
    return log


def read_sync(transport: Script, **timeout: float | None) -> list[Any]:
    log: list[Any] = []
    try:
        response = transport.handle_request(post(transport, **timeout))
        log.append(response.status_code)
        log.extend(response.stream)  # type: ignore[arg-type]
    except httpx2.TransportError as error:
        log.append((type(error).__name__, str(error)))
    return log


@given(TIMES, TIMES.filter(bool))
def test_headers_and_chunks_come_at_their_times_with_their_boundaries(before: list[float], times: list[float]) -> None:
    reply = Reply(status=201, headers_at=times[0], pieces=pieces(*times))
    expected = [(times[0], 201), *((time, b"%d;" % number) for number, time in enumerate(times))]
    assert expected == [(round(at, 6), what) for at, what in simulate(read(Script(reply)))]


@pytest.mark.parametrize("reply", [Reply(status=204), Reply(status=200, pieces=pieces(0.0)), Reply(headers_at=2.0, pieces=pieces(2.0))])
def test_a_body_that_comes_with_its_headers_is_whole(reply: Reply) -> None:
    response = simulate(Script(reply).handle_async_request(post(Script(reply))))
    assert isinstance(response.stream, httpx2.ByteStream)
    assert (b"0;" if reply.pieces else b"") == simulate(response.aread())


def test_headers_and_extensions_are_handed_on() -> None:
    reply = Reply(headers=[(b"x-request-id", b"req_1"), (b"set-cookie", b"a"), (b"set-cookie", b"b")], extensions={SOURCE: "simulator"})
    response = simulate(Script(reply).handle_async_request(post(Script(reply))))
    assert [(b"x-request-id", b"req_1"), (b"set-cookie", b"a"), (b"set-cookie", b"b")] == response.headers.raw
    assert "simulator" == response.extensions[SOURCE]


def test_the_plan_sees_the_body_and_the_time_of_sending() -> None:
    async def main() -> list[tuple[bytes, float]]:
        transport = Script(Reply())
        await asyncio.sleep(5)

        async def body() -> Any:
            yield b"in "
            yield b"parts"

        await transport.handle_async_request(httpx2.Request("POST", "http://x", content=body()))
        return transport.seen

    assert [(b"in parts", 5.0)] == simulate(main())


# Timeouts


def test_a_read_timeout_strikes_at_exactly_the_limit() -> None:
    log = simulate(read(Script(Reply(headers_at=10.0)), read=2.5))
    assert [(2.5, ("ReadTimeout", "no data for 2.5 s while waiting for the response"))] == log


def test_the_limit_is_a_silence_and_not_a_total() -> None:
    log = simulate(read(Script(Reply(headers_at=2.0, pieces=pieces(4.0, 6.0, 8.0))), read=2.0))
    assert [(2.0, 200), (4.0, b"0;"), (6.0, b"1;"), (8.0, b"2;")] == log


def test_a_silence_in_mid_stream_times_out_at_exactly_the_limit() -> None:
    log = simulate(read(Script(Reply(headers_at=1.0, pieces=pieces(2.0, 9.0, 9.5))), read=3.0))
    assert [(1.0, 200), (2.0, b"0;"), (5.0, ("ReadTimeout", "no data for 3 s while waiting for the next chunk"))] == log


def test_the_limit_starts_when_the_client_begins_to_read() -> None:
    async def slow_reader() -> list[float]:
        clock = asyncio.get_running_loop().time
        script = Script(Reply(pieces=pieces(1.0, 8.0)))
        stream = (await script.handle_async_request(post(script, read=3.0))).stream
        chunks = aiter(stream)  # type: ignore[arg-type]
        times = []
        for _ in range(2):
            await asyncio.sleep(5)
            await anext(chunks)
            times.append(clock())
        return times

    assert [5.0, 10.0] == simulate(slow_reader())


@pytest.mark.parametrize(
    ("expected", "name", "timeout"),
    [
        ((2.0, "ConnectTimeout"), "ConnectError", {"connect": 2.0, "read": 1.0}),
        ((2.0, "ConnectTimeout"), "ConnectTimeout", {"connect": 2.0}),
        ((3.0, "PoolTimeout"), "PoolTimeout", {"pool": 3.0, "read": 1.0}),
        ((3.0, "WriteTimeout"), "WriteError", {"write": 3.0}),
        ((5.0, "ConnectError"), "ConnectError", {"connect": 10.0, "read": 1.0}),
        ((5.0, "ConnectTimeout"), "ConnectTimeout", {"connect": None}),
        ((5.0, "ReadError"), "ReadError", {"connect": 1.0, "read": None}),
        ((1.0, "ReadTimeout"), "ReadError", {"connect": 1.0, "read": 1.0}),
        ((5.0, "RemoteProtocolError"), "RemoteProtocolError", {}),
    ],
)
def test_a_failure_before_the_headers_comes_when_due_or_at_the_limit_of_its_own_clock(
    expected: tuple[float, str], name: str, timeout: dict[str, float | None]
) -> None:
    [(at, (kind, message))] = simulate(read(Script(Reply(status=0, failure=Failure(5.0, name, "as recorded"))), **timeout))
    assert expected == (at, kind)
    assert ("as recorded" == message) == (at == 5.0)


@pytest.mark.parametrize("name", FAILURES)
def test_every_failure_that_can_be_written_down_is_raised_with_its_request(name: str) -> None:
    script = Script(Reply(status=0, failure=Failure(0.0, name, "x")))
    with pytest.raises(FAILURES[name], match="x") as caught:
        simulate(script.handle_async_request(post(script)))
    assert "POST" == caught.value.request.method


def test_a_failure_in_mid_stream_comes_after_the_last_piece_and_ends_the_stream() -> None:
    async def main() -> list[Any]:
        script = Script(Reply(pieces=pieces(1.0), failure=Failure(2.0, "RemoteProtocolError", "peer closed connection")))
        log: list[Any] = await read(script)
        stream = (await script.handle_async_request(post(script))).stream
        chunks = aiter(stream)  # type: ignore[arg-type]
        await anext(chunks)
        with pytest.raises(httpx2.RemoteProtocolError):
            await anext(chunks)
        return [*log, await anext(chunks, None)]

    assert [(0.0, 200), (1.0, b"0;"), (2.0, ("RemoteProtocolError", "peer closed connection")), None] == simulate(main())


def test_after_a_timeout_nothing_comes() -> None:
    async def main() -> bytes | None:
        script = Script(Reply(pieces=pieces(9.0, 10.0)))
        chunks = aiter((await script.handle_async_request(post(script, read=1.0))).stream)  # type: ignore[arg-type]
        with pytest.raises(httpx2.ReadTimeout):
            await anext(chunks)
        return await anext(chunks, None)

    assert simulate(main()) is None


def test_a_reply_without_a_status_must_say_how_it_failed() -> None:
    with pytest.raises(AssertionError, match="a reply without a status is a failure"):
        simulate(read(Script(Reply(status=0))))


# Reading late, not at all, and twice


def test_due_says_when_a_chunk_arrived_however_late_it_is_read() -> None:
    async def main() -> list[tuple[float, float]]:
        clock = asyncio.get_running_loop().time
        script = Script(Reply(headers_at=1.0, pieces=pieces(2.0, 3.0)))
        stream: Any = (await script.handle_async_request(post(script))).stream
        log = [(clock(), stream.due)]
        for wait in (5, 0):
            await asyncio.sleep(wait)
            await anext(stream)
            log.append((clock(), stream.due))
        return log

    assert [(1.0, 1.0), (6.0, 2.0), (6.0, 3.0)] == simulate(main())


def test_a_read_that_is_cancelled_loses_nothing() -> None:
    async def main() -> bytes:
        script = Script(Reply(pieces=pieces(2.0, 3.0)))
        chunks = aiter((await script.handle_async_request(post(script))).stream)  # type: ignore[arg-type]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(chunks), 1)
        return await anext(chunks)

    assert b"0;" == simulate(main())


def test_after_an_early_close_nothing_comes() -> None:
    async def main() -> tuple[bytes, bytes | None]:
        script = Script(Reply(pieces=pieces(1.0, 2.0), failure=Failure(3.0, "ReadError", "x")))
        response = await script.handle_async_request(post(script))
        chunks = aiter(response.stream)  # type: ignore[arg-type]
        first = await anext(chunks)
        await response.aclose()
        return first, await anext(chunks, None)

    assert (b"0;", None) == simulate(main())


def test_plan_is_left_to_subclasses() -> None:
    with pytest.raises(NotImplementedError):
        simulate(Planned().handle_async_request(httpx2.Request("GET", "http://x")))


# The synchronous driver, on the real clock


@pytest.mark.parametrize(
    ("expected", "reply", "timeout"),
    [
        ([200, b""], Reply(), {}),
        ([200, b"0;"], Reply(headers_at=0.002, pieces=pieces(0.002)), {}),
        ([200, b"0;", b"1;"], Reply(headers_at=0.001, pieces=pieces(0.002, 0.004)), {"read": 5.0}),
        ([("ReadTimeout", "no data for 0.01 s while waiting for the response")], Reply(headers_at=60.0), {"read": 0.01}),
        (
            [200, b"0;", ("ReadTimeout", "no data for 0.01 s while waiting for the next chunk")],
            Reply(pieces=pieces(0.0, 60.0)),
            {"read": 0.01},
        ),
        ([("ConnectError", "refused")], Reply(status=0, failure=Failure(0.001, "ConnectError", "refused")), {}),
        ([200, b"0;", ("ReadError", "reset")], Reply(pieces=pieces(0.0), failure=Failure(0.001, "ReadError", "reset")), {}),
    ],
)
def test_the_synchronous_driver_does_the_same_on_the_real_clock(expected: list[Any], reply: Reply, timeout: dict[str, float]) -> None:
    assert expected == read_sync(Script(reply), **timeout)


def test_after_an_early_close_nothing_comes_synchronously() -> None:
    script = Script(Reply(pieces=pieces(0.0, 60.0)))
    response = script.handle_request(post(script))
    chunks = iter(response.stream)  # type: ignore[arg-type]
    assert b"0;" == next(chunks)
    response.close()
    assert next(chunks, None) is None


def test_the_synchronous_driver_is_refused_in_a_simulation() -> None:
    async def main() -> None:
        script = Script(Reply())
        script.handle_request(post(script))

    with pytest.raises(NotInVirtualTime, match=r"Use llmlab.client \(AsyncOpenAI\) inside llmlab.simulate"):
        simulate(main())


@pytest.mark.parametrize(
    ("expected", "extensions"), [(None, {}), (None, {"timeout": None}), (None, {"timeout": {}}), (3.0, {"timeout": {"read": 3}})]
)
def test_the_read_timeout_is_that_of_the_request(expected: float | None, extensions: dict[str, Any]) -> None:
    assert expected == read_timeout(httpx2.Request("GET", "http://x", extensions=extensions))


def test_a_pause_that_has_passed_already_is_none() -> None:
    began = real_time()
    pause(-1)
    pause(0.0)
    assert real_time() >= began


@pytest.mark.parametrize("driver", [lambda script: simulate(read(script)), read_sync], ids=["async", "sync"])
def test_a_reply_can_be_given_twice(driver: Callable[[Script], Awaitable[Any]]) -> None:
    script = Script(Reply(pieces=pieces(0.0, 0.001)))
    assert driver(script) == driver(script)
