from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import httpx2
import openai
import pytest

from llmlab.errors import BadInput, LiveLimit, NotInVirtualTime
from llmlab.protocol import identity, sse
from llmlab.protocol.clock import simulate
from llmlab.protocol.identity import HEADER
from llmlab.wire.client import DUMMY_KEY, client, sync_client
from llmlab.wire.live import Live
from llmlab.wire.transport import SOURCE, Piece, Planned, Reply

URL = "https://provider.example/openai/v1"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "prompt_tokens_details": {"cached_tokens": 400}}
PRICE = (600 * Decimal("2.5") + 400 * Decimal("1.25") + 100 * 10) / 1_000_000


class Provider(Planned):
    """Stands in the place of the network."""

    opened = 0

    def __init__(self) -> None:
        type(self).opened += 1
        self.closed = False

    def plan(self, request: httpx2.Request, now: float) -> Reply:
        self.seen.append(request)
        return self.reply

    async def aclose(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True


def live(reply: Reply, base_url: str = URL, **options: Any) -> tuple[Live, list[httpx2.Request]]:
    class Mine(Provider):
        seen: list[httpx2.Request] = []  # noqa: RUF012

    Mine.reply = reply

    class Offline(Live):
        _connect_async = Mine
        _connect_sync = Mine

    return Offline(base_url, **options), Mine.seen


def whole(usage: dict[str, Any] | None = USAGE, model: str = "gpt-4o-2024-08-06", content: str = "Yes.") -> Reply:
    body = {"model": model, "choices": [{"index": 0, "message": {"role": "assistant", "content": content}}], "usage": usage}
    return Reply(headers=[(b"content-type", b"application/json"), (b"x-a", b"1")], pieces=[Piece(0.0, json.dumps(body).encode())])


def streamed(usage: dict[str, Any] | None = None, model: str = "gpt-4o") -> Reply:
    chunks: list[dict[str, Any]] = [
        {"model": model, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]} for word in ["Send ", "it ", "back."]
    ]
    if usage:
        chunks.append({"model": model, "choices": [], "usage": usage})
    pieces = [*(Piece(0.0, sse.encode(json.dumps(chunk).encode())) for chunk in chunks), Piece(0.0, sse.encode(sse.DONE))]
    return Reply(headers=[(b"content-type", b"text/event-stream")], pieces=pieces)


QUESTION: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "May I send it back?"}]}


def ask(transport: Live, *, sync: bool = False, stop_after: int | None = None, **question: Any) -> None:
    async def main() -> None:
        async with client(transport, max_retries=0) as made:
            answer: Any = await made.chat.completions.create(**{**QUESTION, **question})
            if question.get("stream"):
                async with answer:
                    number = 0
                    async for _ in answer:
                        number += 1
                        if number == stop_after:
                            break

    if sync:
        answer: Any = sync_client(transport, max_retries=0).chat.completions.create(**{**QUESTION, **question})
        for _ in answer if question.get("stream") else ():
            pass
    else:
        asyncio.run(main())


BOTH = pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])


@BOTH
def test_a_request_goes_to_the_provider_whatever_host_the_client_was_told(sync: bool) -> None:
    transport, seen = live(whole(), api_key="sk-real")
    ask(transport, sync=sync)
    [request] = seen
    assert f"{URL}/chat/completions" == str(request.url)
    assert "provider.example" == request.headers["host"]
    assert "Bearer sk-real" == request.headers["authorization"]
    assert "identity" == request.headers["accept-encoding"]
    assert QUESTION == json.loads(request.content)
    assert 600 == request.extensions["timeout"]["read"]


def test_without_a_key_the_client_s_own_stays() -> None:
    transport, seen = live(whole())
    ask(transport)
    assert f"Bearer {DUMMY_KEY}" == seen[0].headers["authorization"]


def test_our_own_header_does_not_leave_the_house() -> None:
    transport, seen = live(whole())
    with identity.request("q017"):
        ask(transport, extra_headers={HEADER: "q017/0", "x-mine": "1"})
    assert HEADER not in seen[0].headers
    assert "1" == seen[0].headers["x-mine"]


@pytest.mark.parametrize(
    ("expected", "base_url", "path"),
    [
        (f"{URL}/models?limit=2&after=a%2Fb", URL, "/v1/models?limit=2&after=a%2Fb"),
        (f"{URL}/models/ft%3Agpt%2Fx", f"{URL}/", "/v1/models/ft%3Agpt%2Fx"),
        ("http://localhost:8000/models", "http://localhost:8000", "/openai/v1/models"),
        ("http://localhost:8000/v1/models", "http://localhost:8000/v1", "/models"),
        ("http://localhost/v1beta/v1/x", "http://localhost/v1beta", "/v1beta2/v1/x"),
    ],
)
def test_the_path_after_the_version_is_kept(expected: str, base_url: str, path: str) -> None:
    transport, seen = live(whole(), base_url)
    transport.handle_request(httpx2.Request("GET", f"https://api.openai.com{path}"))
    assert expected == str(seen[0].url)


@BOTH
def test_answers_are_labelled_and_the_same_to_the_byte(sync: bool) -> None:
    reply = streamed()

    async def read() -> tuple[httpx2.Response, list[bytes]]:
        response = await live(reply)[0].handle_async_request(httpx2.Request("GET", f"{URL}/models"))
        return response, [part async for part in response.stream]  # type: ignore[union-attr]

    if sync:
        response = live(reply)[0].handle_request(httpx2.Request("GET", f"{URL}/models"))
        parts = list(response.stream)  # type: ignore[arg-type]
    else:
        response, parts = asyncio.run(read())
    assert "live" == response.extensions[SOURCE]
    assert reply.headers == response.headers.raw
    assert [piece.data for piece in reply.pieces] == parts


# Caps


@BOTH
def test_requests_are_capped(sync: bool) -> None:
    transport, seen = live(whole(), max_requests=2)
    for _ in range(2):
        ask(transport, sync=sync)
    with pytest.raises(LiveLimit, match="live mode stops after 2 requests; raise the cap with max_requests"):
        ask(transport, sync=sync)
    assert 2 == len(seen)
    transport.reset()
    ask(transport, sync=sync)
    assert (3, 1, PRICE) == (len(seen), transport.requests, transport.spent_usd)


@BOTH
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_spending_is_capped(sync: bool, stream: bool) -> None:
    transport, _ = live(streamed(USAGE) if stream else whole(), max_usd=float(PRICE))
    ask(transport, sync=sync, stream=stream)
    assert PRICE == transport.spent_usd
    with pytest.raises(LiveLimit, match=r"live mode has spent 0.0030 of 0.003 USD; raise the cap with max_usd"):
        ask(transport, sync=sync, stream=stream)


def test_a_stream_without_usage_and_one_that_is_left_early_are_estimated() -> None:
    transport, _ = live(streamed())
    ask(transport, stream=True)
    whole_stream = transport.spent_usd
    transport.reset()
    ask(transport, stream=True, stop_after=1)
    assert 0 < transport.spent_usd < whole_stream


@pytest.mark.parametrize(
    ("expected", "reply", "question"),
    [
        (PRICE, whole(model="a-name-of-their-own"), {}),
        (PRICE, whole(model="gpt-4o"), {"model": "a-name-of-mine"}),
        (Decimal(0), whole(model="unknown"), {"model": "unknown"}),
        (Decimal(0), whole(usage=None), {}),
        (Decimal(0), Reply(500, [(b"content-type", b"text/html")], pieces=[Piece(0.0, b"<html>")]), {}),
        (Decimal(0), Reply(500), {}),
    ],
)
def test_a_price_is_that_of_the_model_that_answered_or_was_asked(expected: Decimal, reply: Reply, question: dict[str, Any]) -> None:
    transport, _ = live(reply)
    try:
        ask(transport, **question)
    except openai.InternalServerError:
        assert 500 == reply.status
    assert expected == transport.spent_usd


def test_concurrent_requests_are_each_paid_by_their_own_model() -> None:
    class Slow(Provider):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            model = json.loads(request.content)["model"]
            await asyncio.sleep(0.002 if model == "gpt-4o" else 0.0)
            return httpx2.Response(200, json={"choices": [], "usage": USAGE})

    class Offline(Live):
        _connect_async = Slow

    async def main() -> Decimal:
        transport = Offline(URL)
        made = client(transport)
        await asyncio.gather(*(made.chat.completions.create(**{**QUESTION, "model": model}) for model in ("gpt-4o", "unknown")))
        return transport.spent_usd

    assert PRICE == asyncio.run(main())


def test_a_body_that_is_no_json_is_sent_and_cannot_be_priced() -> None:
    transport, seen = live(streamed())
    transport.handle_request(httpx2.Request("POST", f"{URL}/audio", content=b"\xff\xfe")).read()
    assert b"\xff\xfe" == seen[0].content
    assert 0 == transport.spent_usd


# Connections


def test_connections_are_opened_on_first_use_once_a_loop_and_closed() -> None:
    transport, _ = live(whole())
    kind = transport._connect_async

    async def main(times: int) -> Any:
        for _ in range(times):
            await transport.handle_async_request(httpx2.Request("GET", f"{URL}/models"))
        return transport._async

    assert transport._async is None
    assert isinstance(asyncio.run(main(2)), kind)
    second = asyncio.run(main(1))
    assert not second.closed

    async def closing() -> bool:
        third = await main(1)
        await transport.aclose()
        await transport.aclose()
        return bool(third.closed)

    assert asyncio.run(closing())
    assert 3 == kind.opened  # type: ignore[attr-defined]


def test_closing_from_another_loop_leaves_its_connections_alone() -> None:
    transport, _ = live(whole())

    async def main() -> Any:
        await transport.handle_async_request(httpx2.Request("GET", f"{URL}/models"))
        return transport._async

    opened = asyncio.run(main())
    asyncio.run(transport.aclose())
    assert not opened.closed


def test_the_synchronous_connections_are_closed() -> None:
    transport, _ = live(whole())
    transport.close()
    transport.handle_request(httpx2.Request("GET", f"{URL}/models")).close()
    opened: Any = transport._sync
    transport.close()
    assert opened.closed


def test_by_itself_it_opens_real_connections() -> None:
    assert (httpx2.AsyncHTTPTransport, httpx2.HTTPTransport) == (Live._connect_async, Live._connect_sync)


def test_it_is_refused_in_a_simulation() -> None:
    transport, seen = live(whole())

    async def main() -> None:
        await client(transport).models.list()

    async def main_sync() -> None:
        sync_client(transport).models.list()

    with pytest.raises(NotInVirtualTime, match="a live provider answers on the real clock"):
        simulate(main())
    with pytest.raises(NotInVirtualTime, match="synchronous client"):
        simulate(main_sync())
    assert [] == seen
    assert 0 == transport.requests


# Bad input


@pytest.mark.parametrize("url", ["", "api.openai.com/v1", "ftp://x/v1", "https://", "http://x:port", None, 3])
def test_a_base_url_that_is_none_is_refused(url: Any) -> None:
    with pytest.raises(BadInput, match=r"a base URL looks like https://api\.openai\.com/v1, not"):
        Live(url)


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("max_requests is a whole number of 0 or more, not -1", {"max_requests": -1}),
        ("max_requests is a whole number of 0 or more, not 2.5", {"max_requests": 2.5}),
        ("max_usd is an amount of 0 USD or more, not -1", {"max_usd": -1}),
        ("max_usd is an amount of 0 USD or more, not nan", {"max_usd": float("nan")}),
        ("max_usd is an amount of 0 USD or more, not '1'", {"max_usd": "1"}),
    ],
)
def test_a_cap_that_is_none_is_refused(message: str, options: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=message):
        Live(URL, **options)


def test_its_repr_shows_no_key() -> None:
    assert "Live('https://api.openai.com/v1', max_requests=20, max_usd=1.0)" == repr(Live("https://api.openai.com/v1", api_key="sk-real"))
