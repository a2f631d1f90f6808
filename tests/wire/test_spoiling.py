from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.protocol.clock import simulate
from llmlab.wire.faults import Break, End, Silence, Spoil
from llmlab.wire.faults.plan import Step
from llmlab.wire.spoiling import Spoiled

REQUEST = httpx2.Request("POST", "https://api.openai.com/v1/chat/completions")


class Source(httpx2.AsyncByteStream, httpx2.SyncByteStream):
    def __init__(self, chunks: Sequence[bytes], error: Exception | None = None) -> None:
        self.chunks, self.error, self.closed = list(chunks), error, 0

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self:
            return chunk
        raise StopAsyncIteration

    def __iter__(self) -> Any:
        while self.chunks:
            yield self.chunks.pop(0)
        if self.error:
            raise self.error

    async def aclose(self) -> None:
        self.closed += 1

    def close(self) -> None:
        self.closed += 1


class Steps(Spoil):
    """Notes what it sees, and does to piece number n what is written for it; -1 is the end."""

    def __init__(self, steps: dict[int, Sequence[Step]] | None = None, *, whole_events: bool = True) -> None:
        self.steps, self.whole_events, self.seen = steps or {}, whole_events, []

    def feed(self, piece: bytes) -> Sequence[Step]:
        self.seen.append(piece)
        return self.steps.get(len(self.seen), (piece,))

    def end(self) -> Sequence[Step]:
        return self.steps.get(-1, ())


def read(
    chunks: Sequence[bytes], *spoils: Spoil, limit: float | None = None, error: Exception | None = None
) -> tuple[bytes, str, float, int]:
    """The bytes, the error, the time, and how often somebody was told that it is over."""
    over: list[float] = []

    async def main() -> tuple[bytes, str, float, int]:
        stream, got, failed = Spoiled(Source(chunks, error), spoils, limit, REQUEST, over.append), [], ""
        try:
            async for chunk in stream:
                got.append(chunk)  # noqa: PERF401  # what came before an error stays
        except httpx2.TransportError as failure:
            failed = type(failure).__name__
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        return b"".join(got), failed, asyncio.get_running_loop().time(), len(over)

    return simulate(main())


EVENTS = [b"data: 1\n\n", b": comment\n\n", b"data: {\ndata: }\n\n", "data: \u00e9\n\n".encode()]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@given(cuts=st.lists(st.integers(1, 60), max_size=12))
def test_whole_events_are_seen_wherever_chunks_are_cut_and_no_byte_is_lost(newline: bytes, cuts: list[int]) -> None:
    events = [event.replace(b"\n", newline) for event in EVENTS]
    body = b"".join(events) + b"data: half"
    places = sorted({cut for cut in cuts if cut < len(body)})
    parts = [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]
    spoil, raw = Steps(), Steps(whole_events=False)
    assert body == read(parts, spoil)[0] == read(parts, raw)[0]
    assert [*events, b"data: half"] == spoil.seen
    assert parts == raw.seen


@pytest.mark.parametrize(
    ("expected", "steps"),
    [
        ((b"".join(EVENTS), "", 0.0), {}),
        ((b"x" + b"".join(EVENTS[1:]), "", 0.0), {1: [b"x"]}),
        ((EVENTS[0] + b"x", "", 0.0), {2: [b"x", End()]}),
        ((EVENTS[0], "ReadError", 0.0), {2: [Break()]}),
        ((EVENTS[0], "RemoteProtocolError", 0.0), {2: [Break("RemoteProtocolError", "gone")]}),
        ((b"".join(EVENTS), "", 3.0), {2: [Silence(3.0), EVENTS[1]]}),
        ((b"".join(EVENTS), "", 5.0), {-1: [Silence(5.0)]}),
        ((EVENTS[0], "ReadTimeout", 5.0), {2: [Silence(6.0), EVENTS[1]]}),
        ((b"".join(EVENTS) + b"y", "ReadError", 0.0), {-1: [b"y", Break()]}),
        ((b"".join(EVENTS) + b"y", "", 0.0), {-1: [b"y", End()]}),
    ],
)
def test_steps_are_carried_out_in_order(expected: tuple[bytes, str, float], steps: dict[int, Sequence[Step]]) -> None:
    *seen, over = read(EVENTS, Steps(steps), limit=5.0)
    assert expected == tuple(seen)
    assert over >= 1


def test_what_ends_early_ends_for_those_after_it() -> None:
    after = Steps({-1: [b"flushed"]})
    assert (EVENTS[0] + b"flushed", "") == read(EVENTS, Steps({2: [End()]}), after)[:2]
    broken = Steps({-1: [b"flushed"]})
    assert (EVENTS[0], "ReadError") == read(EVENTS, Steps({2: [Break()]}), broken)[:2]
    half = Steps({2: [b"z", End()]})
    assert (EVENTS[0] + b"z", "") == read([EVENTS[0], b"data: half"], half)[:2]


def test_a_failure_behind_passes_and_is_the_end() -> None:
    assert (EVENTS[0], "ReadError", 0.0) == read(EVENTS[:1], Steps(), error=httpx2.ReadError("reset"))[:3]


@pytest.mark.parametrize(
    ("expected", "steps", "error"),
    [
        ((EVENTS[0] + EVENTS[1], ""), {}, None),
        ((EVENTS[0], ""), {2: [End()]}, None),
        ((EVENTS[0], "ReadError"), {2: [Break()]}, None),
        ((EVENTS[0], "ReadTimeout"), {2: [Silence(0.002)]}, None),
        ((EVENTS[0] + EVENTS[1], "ReadError"), {}, httpx2.ReadError("reset")),
    ],
)
def test_on_the_real_clock_too(expected: tuple[bytes, str], steps: dict[int, Sequence[Step]], error: Exception | None) -> None:
    got, failed, over = [], "", []
    try:
        for chunk in Spoiled(Source(EVENTS[:2], error), [Steps(steps)], 0.001, REQUEST, over.append):
            got.append(chunk)  # noqa: PERF402  # what came before an error stays
    except httpx2.TransportError as failure:
        failed = type(failure).__name__
    assert expected == (b"".join(got), failed)
    assert over


def test_closing_closes_what_is_behind_and_says_that_it_is_over() -> None:
    source, over = Source(EVENTS), []
    Spoiled(source, [], None, REQUEST, over.append).close()
    simulate(Spoiled(source, [], None, REQUEST, over.append).aclose())
    assert (2, 2) == (source.closed, len(over))
