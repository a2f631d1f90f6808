"""Walks the catalogue: what each fault does is seen on the wire and stands in the journal; at probability 0 it is nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmlab
from llmlab.protocol import identity, sse
from llmlab.protocol.clock import simulate
from llmlab.protocol.identity import Stamp
from llmlab.wire.chaos import Chaos
from llmlab.wire.client import client
from llmlab.wire.faults import FAULTS, ContextLength, Fault, Plan, RateLimit, ResetAfterBytes, Sent, ServerError, catalogue, fault_named
from llmlab.wire.simulator import Simulator
from llmlab.wire.transport import TIMED, Piece, Planned, Reply

WORDS = ["Send ", "it ", "b\u00e4ck ", "soon", ", ", "or ", "keep ", "it."]


class Seen(NamedTuple):
    """What a raw reader saw of one attempt."""

    status: int
    headers: dict[str, str]
    body: bytes
    chunks: int
    seconds: float
    error: str


def chunk(delta: dict[str, str], finish: str | None = None, **more: Any) -> bytes:
    value = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return sse.encode(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


USAGE = {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}
EVENTS = [
    chunk({"role": "assistant", "content": ""}),
    *(chunk({"content": word}) for word in WORDS),
    chunk({}, "stop"),
    sse.encode(json.dumps({"id": "c", "choices": [], "usage": USAGE}, separators=(",", ":")).encode()),
    sse.encode(sse.DONE),
]
BODY = json.dumps({"choices": [{"message": {"role": "assistant", "content": "".join(WORDS)}}], "usage": USAGE}).encode()
WHOLE = b"".join(EVENTS)


class Provider(Planned):
    """Answers after a second, and a word each half second."""

    def plan(self, request: httpx2.Request, now: float) -> Reply:
        if not json.loads(request.content).get("stream"):
            return Reply(headers=[(b"content-type", b"application/json")], headers_at=1.0, pieces=[Piece(1.0, BODY)])
        at, gap = (0.0, 0.0) if request.extensions.get(TIMED) else (1.0, 0.5)
        pieces = [Piece(at + gap * place, data) for place, data in enumerate(EVENTS)]
        return Reply(headers=[(b"content-type", b"text/event-stream")], headers_at=at, pieces=pieces)


def post(stream: bool = True, model: str = "gpt-4o", host: str = "api.openai.com", read: float | None = None) -> httpx2.Request:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "May I?"}]}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return httpx2.Request("POST", f"https://{host}/v1/chat/completions", json=body, extensions={"timeout": {"read": read, "connect": read}})


async def look(transport: httpx2.AsyncBaseTransport, **asked: Any) -> Seen:
    clock = asyncio.get_running_loop().time
    began, chunks, status, headers, error = clock(), [], 0, {}, ""
    try:
        response = await transport.handle_async_request(post(**asked))
        status, headers = response.status_code, dict(response.headers)
        try:
            async for data in response.stream:  # type: ignore[union-attr]
                chunks.append(data)  # noqa: PERF401  # what came before an error stays
        finally:
            await response.aclose()
    except httpx2.TransportError as failure:
        error = type(failure).__name__
    return Seen(status, headers, b"".join(chunks), len(chunks), round(clock() - began, 6), error)


def seen(*faults: Fault, **asked: Any) -> tuple[Seen, list[str]]:
    """What comes on the wire, and what the journal says."""

    async def main() -> tuple[Seen, list[str]]:
        chaos = Chaos(Provider(), *faults, seed=7)
        return await look(chaos, **asked), [line.fault for line in chaos.journal]

    return simulate(main())


CALM = seen()[0]
CALM_WHOLE = seen(stream=False)[0]


def text(reply: Seen) -> str:
    """The text that a client would piece together, leaving out what it cannot read."""
    fields = [json.loads(field) for field in sse.Events().feed(reply.body) if field != sse.DONE]
    return "".join(field["choices"][0]["delta"].get("content", "") for field in fields if field["choices"])


def late(seconds: float) -> Callable[[Seen], bool]:
    return lambda reply: reply.body == WHOLE and reply.seconds == round(CALM.seconds + seconds, 6)


def refused(status: int, word: str, **headers: str) -> Callable[[Seen], bool]:
    return lambda reply: reply.status == status and word in reply.body.decode() and headers.items() <= reply.headers.items()


def broken(error: str, seconds: float) -> Callable[[Seen], bool]:
    return lambda reply: (reply.status, reply.body, reply.error, reply.seconds) == (0, b"", error, seconds)


FIVE = b"".join(EVENTS[:6])
EFFECTS: dict[str, tuple[dict[str, Any], Callable[[Seen], bool]]] = {
    "LatencySpike": ({}, late(4.0)),
    "SlowFirstToken": ({}, late(3.0)),
    "SlowDecode": ({}, late(0.7)),
    "Stall": ({}, late(8.0)),
    "Jitter": ({}, lambda reply: reply.body == WHOLE and reply.seconds > CALM.seconds),
    "Latency": ({"preset": "replicate"}, lambda reply: reply.body == WHOLE and reply.seconds != CALM.seconds),
    "RateLimit": ({"retry_after_seconds": 2}, refused(429, "Rate limit reached for gpt-4o", **{"retry-after": "2"})),
    "InsufficientQuota": ({}, refused(429, "insufficient_quota")),
    "ServerError": ({"status": 502}, refused(502, "502 Bad Gateway", **{"content-type": "text/html"})),
    "Unauthorized": ({}, refused(401, "invalid_api_key")),
    "ModelGone": ({}, refused(404, "model_not_found")),
    "ContextLength": ({}, refused(400, "context_length_exceeded")),
    "ContentFilter": ({}, refused(400, "content_filter")),
    "ConnectionRefused": ({}, broken("ConnectError", 0.001)),
    "DnsFailure": ({}, broken("ConnectError", 0.02)),
    "ConnectTimeout": ({}, broken("ConnectTimeout", 60.0)),
    "ReadTimeout": ({}, broken("ReadTimeout", 600.0)),
    "ResetBeforeHeaders": ({}, broken("ReadError", 0.1)),
    "ResetAfterBytes": ({"bytes": 200}, lambda reply: (reply.body, reply.error) == (WHOLE[:200], "ReadError")),
    "CutStream": ({}, lambda reply: (reply.body, reply.error) == (FIVE, "")),
    "ResetStream": ({}, lambda reply: (reply.body, reply.error) == (FIVE, "RemoteProtocolError")),
    "HalfEvent": ({}, lambda reply: reply.body == FIVE + EVENTS[6][: len(EVENTS[6]) // 2]),
    "MalformedEvent": ({}, lambda reply: reply.body == WHOLE.replace(EVENTS[6], EVENTS[6].removesuffix(b"}]}\n\n") + b"\n\n")),
    "InvalidUtf8": ({}, lambda reply: reply.body == WHOLE.replace(b"or ", b"\xff\xfeor ")),
    "SplitCharacter": ({}, lambda reply: (reply.body, reply.chunks) == (WHOLE, CALM.chunks + 1)),
    "InBandError": ({}, lambda reply: reply.body.startswith(FIVE + b'data: {"error":{"message":"The server had')),
    "DuplicatedChunk": ({}, lambda reply: text(reply) == "Send it b\u00e4ck soon, or or keep it."),
    "MissingChunk": ({}, lambda reply: text(reply) == "Send it b\u00e4ck soon, keep it."),
    "ReorderedChunks": ({}, lambda reply: text(reply) == "Send it b\u00e4ck soon, keep or it."),
    "EmptyChoices": ({}, lambda reply: reply.body == FIVE + b'data: {"id":"c","choices":[]}\n\n' + b"".join(EVENTS[6:])),
    "MissingUsage": ({}, lambda reply: reply.body == WHOLE.replace(EVENTS[-2], b"")),
    "KeepAliveOnly": ({}, lambda reply: (reply.body, reply.seconds) == (b": keep-alive\n\n" * 13, 61.0)),
    "HtmlStream": (
        {},
        lambda reply: reply.status == 200 and reply.headers["content-type"].startswith("text/html") and b"<html>" in reply.body,
    ),
    "EmptyStream": ({}, lambda reply: (reply.status, reply.body, reply.error) == (200, b"", "")),
    "StallAfterDone": ({}, late(30.0)),
    "RoleThenSilence": ({}, lambda reply: (reply.body, reply.error, reply.seconds) == (EVENTS[0], "ReadError", 901.5)),
    "Outage": ({"start_seconds": 0}, refused(503, "overloaded")),
    "Bursts": ({"mean_good_seconds": 0.001, "mean_bad_seconds": 1e9}, refused(503, "overloaded")),
    "BrownOut": ({"start_seconds": 0, "ramp_seconds": 0, "capacity": 0.5}, late(6.5)),
    "Quota": ({"tokens_per_minute": 1}, refused(429, "Request too large for gpt-4o")),
}
NAMES = [entry.name for entry in catalogue()]
OURS = [name for name in NAMES if name in EFFECTS]


def made(kind: str, **more: Any) -> Fault:
    return fault_named(kind, **{"probability": 1.0, **EFFECTS[kind][0], **more})


def test_every_fault_of_the_wire_has_its_effect_written_down() -> None:
    wired = [entry.name for entry in catalogue() if entry.family not in ("body", "content")]
    assert sorted(wired) == sorted(EFFECTS)


@pytest.mark.parametrize("name", OURS)
def test_what_a_fault_does_is_seen_on_the_wire_and_stands_in_the_journal(name: str) -> None:
    reply, journal = seen(made(name))
    assert EFFECTS[name][1](reply), reply
    assert [name] == journal


@pytest.mark.parametrize("name", NAMES)
def test_at_probability_0_a_fault_is_nothing(name: str) -> None:
    never = fault_named(name, **EFFECTS.get(name, ({},))[0], probability=0.0)
    assert (CALM, []) == seen(never)
    assert (CALM_WHOLE, []) == seen(never, stream=False)


@pytest.mark.parametrize("name", [name for name in OURS if FAULTS[name].__module__.endswith(".stream")])
def test_an_answer_in_one_piece_meets_no_fault_of_streams(name: str) -> None:
    assert (CALM_WHOLE, []) == seen(made(name), stream=False)


def test_where_nothing_strikes_the_very_same_response_comes_through() -> None:
    given = httpx2.Response(200, content=b"{}")

    class Same(httpx2.AsyncBaseTransport, httpx2.BaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return given

        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            return given

    everything = [made(name, probability=0.0) for name in OURS]
    assert given is simulate(Chaos(Same(), *everything).handle_async_request(post()))
    assert given is Chaos(Same(), *everything).handle_request(post())


@pytest.mark.parametrize(
    "name",
    [
        "RateLimit",
        "ServerError",
        "ConnectionRefused",
        "ResetAfterBytes",
        "CutStream",
        "ResetStream",
        "HalfEvent",
        "HtmlStream",
        "Outage",
        "Quota",
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_on_the_real_clock_the_same_comes(name: str, stream: bool) -> None:
    class Instant(Provider):
        def plan(self, request: httpx2.Request, now: float) -> Reply:
            reply = super().plan(request, now)
            return Reply(reply.status, reply.headers, 0.0, [Piece(0.0, piece.data) for piece in reply.pieces])

    fault = made(name, **({"seconds": 0.0} if "seconds" in FAULTS[name].__dataclass_fields__ else {}))
    chaos, chunks, status, error = Chaos(Instant(), fault, seed=7), [], 0, ""
    try:
        response = chaos.handle_request(post(stream))
        status = response.status_code
        try:
            chunks.extend(response.stream)  # type: ignore[arg-type]
        finally:
            response.close()
    except httpx2.TransportError as failure:
        error = type(failure).__name__
    expected, journal = seen(fault, stream=stream)
    assert (expected.status, expected.body, expected.error) == (status, b"".join(chunks), error)
    assert journal == [line.fault for line in chaos.journal]


def test_the_catalogue_shows_itself_one_line_each() -> None:
    lines = repr(llmlab.faults.catalogue()).splitlines()
    assert len(NAMES) == len(lines)
    expected = "stream CutStream The stream ends too early, as if all had been said: the client notices nothing."
    assert expected in [" ".join(line.split()) for line in lines]
    entry = next(entry for entry in llmlab.faults.catalogue() if entry.name == "BrownOut")
    assert ("over time", "start_seconds=60.0, duration_seconds=60.0, ramp_seconds=10.0, capacity=0.3") == (entry.family, entry.attributes)
    assert set(NAMES) <= set(llmlab.faults.__all__)


# What an unmodified client does about it, as the docstrings say

NOTICES = {
    "RateLimit": (3, "RateLimitError"),
    "InsufficientQuota": (3, "RateLimitError"),
    "ServerError": (3, "InternalServerError"),
    "Unauthorized": (1, "AuthenticationError"),
    "ModelGone": (1, "NotFoundError"),
    "ContextLength": (1, "BadRequestError"),
    "ContentFilter": (1, "BadRequestError"),
    "ConnectionRefused": (3, "APIConnectionError"),
    "DnsFailure": (3, "APIConnectionError"),
    "ConnectTimeout": (3, "APITimeoutError"),
    "ReadTimeout": (3, "APITimeoutError"),
    "ResetBeforeHeaders": (3, "APIConnectionError"),
    "ResetAfterBytes": (1, "APIConnectionError"),
    "ResetStream": (1, "APIConnectionError"),
    "MalformedEvent": (1, "JSONDecodeError"),
    "InvalidUtf8": (1, "UnicodeDecodeError"),
    "InBandError": (1, "APIError"),
    "RoleThenSilence": (1, "APITimeoutError"),
    "Outage": (3, "InternalServerError"),
    "Bursts": (3, "InternalServerError"),
    "Quota": (3, "RateLimitError"),
}


def outcome(fault: Fault, stream: bool = True) -> tuple[int, str]:
    """How many attempts an openai client makes, and what it raises; empty for nothing."""

    async def main() -> tuple[int, str]:
        attempts = []

        class Counting(Chaos):
            async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
                attempts.append(request)
                return await super().handle_async_request(request)

        options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        error = ""
        try:
            made = await client(Counting(Provider(), fault, seed=7)).chat.completions.create(model="gpt-4o", messages=[], **options)
            if stream:
                async for _ in made:
                    pass
        except Exception as failure:  # some of them are no openai errors
            error = type(failure).__name__
        return len(attempts), error

    return simulate(main())


@pytest.mark.parametrize("name", OURS)
def test_an_unmodified_client_does_what_the_fault_s_docstring_says(name: str) -> None:
    attempts, error = NOTICES.get(name, (1, ""))
    assert (attempts, error) == outcome(made(name))
    if error and not FAULTS[name].over_time:
        assert error in (FAULTS[name].__doc__ or "")


@pytest.mark.parametrize(
    ("expected", "fault"),
    [
        ((1, "RateLimitError"), RateLimit(retry_after_seconds=200)),
        ((1, "RateLimitError"), RateLimit(retry_after_seconds=121, form="milliseconds")),
        ((3, "RateLimitError"), RateLimit(retry_after_seconds=200, form="date")),
        ((1, "RateLimitError"), RateLimit(retry_after_seconds=1, should_retry=False)),
        ((3, "BadRequestError"), ContextLength(should_retry=True)),
        ((3, "APIConnectionError"), ResetAfterBytes(bytes=10)),
        ((2, ""), ServerError(status=529).first(1)),
    ],
)
def test_what_else_the_client_makes_of_it(expected: tuple[int, str], fault: Fault) -> None:
    assert expected == outcome(fault, stream=False)


# Law 2


def struck(faults: list[Fault], requests: int, concurrency: int = 10, seed: int = 7) -> dict[str, Any]:
    """What is seen of each of some requests of two attempts, and what the journal says of it."""

    async def main() -> dict[str, Any]:
        chaos, places, log = Chaos(Provider(), *faults, seed=seed), asyncio.Semaphore(concurrency), {}

        async def one(number: int) -> None:
            async with places:
                with identity.request(f"q{number}"):
                    log[f"q{number}/0"] = [await look(chaos, stream=number % 3 > 0) for _ in range(2)]

        await asyncio.gather(*map(one, range(requests)))
        for line in chaos.journal:
            log[line.identity].append((line.fault, line.ordinal, line.effect))
        return log

    return simulate(main())


STATELESS = [name for name in OURS if not FAULTS[name].over_time]
SOME = st.lists(st.sampled_from(STATELESS), min_size=1, max_size=6, unique=True)


@settings(max_examples=25)
@given(SOME, st.sampled_from(STATELESS), st.integers(0, 6), st.integers(0, 2**32))
def test_a_fault_more_moves_no_draw_of_the_others(names: list[str], more: str, place: int, seed: int) -> None:
    faults = [made(name, probability=0.3) for name in names]
    added = [*faults[:place], made(more, name="more", probability=0.5), *faults[place:]]
    assert drawn(faults, seed) == drawn(added, seed)


def drawn(faults: list[Fault], seed: int) -> list[tuple[int, str, str]]:
    """Which faults but "more" strike which of 20 streamed requests, and how."""
    body, log = {"stream": True, "stream_options": {"include_usage": True}}, []
    for number in range(20):
        sent = Sent(post(), Stamp(f"q{number}/0", "chat", "gpt-4o", 0, body), seed, 0.0, 0.0)
        log += [(number, fault.name, fault.strike(Plan(body), sent)) for fault in faults if fault.name != "more" and fault.fires(sent)]
    return log


@settings(max_examples=8, deadline=None)
@given(SOME, st.randoms(use_true_random=False), st.integers(0, 2**32))
def test_the_order_of_faults_of_time_moves_nothing(names: list[str], shuffled: Any, seed: int) -> None:
    faults = [made(name, probability=0.5) for name in names if name in ("LatencySpike", "SlowDecode", "Stall", "Jitter", "SlowFirstToken")]
    other = shuffled.sample(faults, len(faults))
    one, two = struck(faults, 6, seed=seed), struck(other, 6, seed=seed)
    assert {name: log[:2] for name, log in one.items()} == {name: log[:2] for name, log in two.items()}


@pytest.mark.parametrize("name", STATELESS)
def test_a_request_meets_the_same_fault_at_concurrency_1_and_50(name: str) -> None:
    fault = made(name, probability=0.5)
    one = struck([fault], 12, 1)
    assert one == struck([fault], 12, 50)
    assert 2 < sum(len(log) - 2 for log in one.values())


def test_all_of_them_together_are_the_same_at_concurrency_1_and_50() -> None:
    faults = [made(name, probability=0.1) for name in STATELESS]
    assert struck(faults, 40, 1) == struck(faults, 40, 50)


def test_the_first_that_refuses_is_the_only_one() -> None:
    reply, journal = seen(made("LatencySpike"), made("RateLimit"), made("ServerError"), made("ConnectionRefused"), made("CutStream"))
    assert (429, 4.05, ["LatencySpike", "RateLimit"]) == (reply.status, reply.seconds, journal)


def test_faults_of_streams_act_in_the_order_given() -> None:
    twice, missing = made("DuplicatedChunk"), made("MissingChunk")
    assert "Send it b\u00e4ck soon, or keep it." == text(seen(twice, missing)[0])
    assert "Send it b\u00e4ck soon, keep keep it." == text(seen(missing, twice)[0])
    assert FIVE == seen(made("CutStream"), made("ResetStream"))[0].body
    assert "" == seen(made("CutStream"), made("ResetStream"))[0].error


@pytest.mark.parametrize(("name", "seconds"), [("RoleThenSilence", 3.5), ("ReadTimeout", 2.0), ("ConnectTimeout", 2.0)])
def test_the_client_s_clocks_are_honored(name: str, seconds: float) -> None:
    reply, _ = seen(made(name), read=2.0)
    assert (seconds, "ConnectTimeout" if name == "ConnectTimeout" else "ReadTimeout") == (reply.seconds, reply.error)


def test_a_short_answer_is_spared() -> None:
    for name in ("CutStream", "ResetStream", "DuplicatedChunk", "ReorderedChunks"):
        assert WHOLE == seen(made(name, after_tokens=8))[0].body
    assert WHOLE == seen(made("ReorderedChunks", after_tokens=7))[0].body, "nothing comes after it to overtake it"
    assert (CALM_WHOLE, []) == seen(made("ResetAfterBytes", bytes=len(BODY)), stream=False)
    assert WHOLE == seen(made("ResetAfterBytes", bytes=len(WHOLE)))[0].body


@pytest.mark.parametrize(
    "fault",
    [
        *(FAULTS[name](after_tokens=999) for name in OURS if "after_tokens" in FAULTS[name].__dataclass_fields__ and name != "Stall"),
        FAULTS["ReorderedChunks"](after_tokens=7),
        ResetAfterBytes(bytes=10**6),
    ],
    ids=repr,
)
def test_what_came_too_late_to_strike_does_not_stand_in_the_journal(fault: Fault) -> None:
    assert (WHOLE, []) == (seen(fault)[0].body, seen(fault)[1])


def test_a_character_that_is_not_there_was_not_split() -> None:
    async def ask(question: str) -> list[str]:
        chaos = Chaos(Simulator(latency=False), FAULTS["SplitCharacter"]())
        asked: Any = [{"role": "user", "content": f"Say {question}"}]
        async for _ in await client(chaos).chat.completions.create(model="gpt-4o", messages=asked, stream=True):
            pass
        return [line.effect for line in chaos.journal]

    assert [] == simulate(ask("back"))
    assert ["characters split over chunks"] == simulate(ask("zurück"))


def test_usage_that_was_not_asked_for_is_not_missing() -> None:
    sent = Sent(post(), Stamp("", "chat", "gpt-4o", 0, {"stream": True}), 7, 0.0, 0.0)
    assert "" == made("MissingUsage").strike(Plan(), sent)
