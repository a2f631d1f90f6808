"""A live provider behind the same seam, with a cap on requests and USD."""

from __future__ import annotations

import asyncio
import math
import re
from decimal import Decimal
from typing import Any, NamedTuple

import httpx2

from llmlab.errors import BadInput, LiveLimit, NotInVirtualTime
from llmlab.protocol.chunks import estimated_usage, parsed, text_of, usage_of
from llmlab.protocol.clock import simulating
from llmlab.protocol.identity import HEADER, Stamper
from llmlab.protocol.prices import cost_usd
from llmlab.protocol.sse import Events
from llmlab.wire.transport import SOURCE, Body, refuse_in_simulation

_VERSION = re.compile(rb"^.*?/v\d+[a-z0-9]*(?=/)")
_DROPPED = frozenset({"host", HEADER})


class _Sent(NamedTuple):
    """A request as it goes out, and what its cost is reckoned from."""

    request: httpx2.Request
    body: dict[str, Any]


class Live(httpx2.AsyncBaseTransport, httpx2.BaseTransport):
    """Sends requests to a real provider, whatever host the client was told.

    Args:
        base_url: Where the API stands, as in "https://api.openai.com/v1".
        api_key: Put in the place of the client's dummy key; None leaves the client's.
        max_requests: Requests before it stops.
        max_usd: Spending before it stops (in USD), by the list prices of genai-prices. An answer that reports no usage is estimated; one
        whose
            price is unknown counts as nothing, and is why requests are capped, too. What is under way when the cap is reached goes on.

    Raises:
        BadInput: The URL is none, or a cap is no number of 0 or more.
        LiveLimit: (on a request) A cap is reached.
    """

    def __init__(self, base_url: str, *, api_key: str | None = None, max_requests: int = 20, max_usd: float = 1.0) -> None:
        try:
            self._base = httpx2.URL(base_url.rstrip("/"))
        except (AttributeError, httpx2.InvalidURL):
            self._base = httpx2.URL("")
        if self._base.scheme not in ("http", "https") or not self._base.host:
            raise BadInput(f"a base URL looks like https://api.openai.com/v1, not {base_url!r}")
        if not isinstance(max_requests, int) or max_requests < 0:
            raise BadInput(f"Live: max_requests is a whole number of 0 or more, not {max_requests!r}")
        if not isinstance(max_usd, int | float) or not 0 <= max_usd < math.inf:
            raise BadInput(f"Live: max_usd is an amount of 0 USD or more, not {max_usd!r}")
        self._api_key, self._max_requests, self._max_usd = api_key, max_requests, Decimal(str(max_usd))
        self._async: httpx2.AsyncBaseTransport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sync: httpx2.BaseTransport | None = None
        self._stamper = Stamper()
        self.reset()

    def reset(self) -> None:
        """Start the caps anew."""
        self.requests, self.spent_usd = 0, Decimal(0)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it, on the real clock."""
        if simulating():
            raise NotInVirtualTime("a live provider answers on the real clock: run this with asyncio.run instead of llmlab.simulate")
        await request.aread()
        sent = self._admit(request)
        if self._async is None or self._loop is not asyncio.get_running_loop():  # connections live and die with their loop
            self._async, self._loop = self._connect_async(), asyncio.get_running_loop()
        response = await self._async.handle_async_request(sent.request)
        return _labelled(response, _Booked(response.stream, self, sent))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it, on the real clock."""
        refuse_in_simulation()
        request.read()
        sent = self._admit(request)
        if self._sync is None:
            self._sync = self._connect_sync()
        response = self._sync.handle_request(sent.request)
        return _labelled(response, _Booked(response.stream, self, sent))

    async def aclose(self) -> None:
        """Close the connections."""
        transport, self._async = self._async, None
        if transport is not None and self._loop is asyncio.get_running_loop():
            await transport.aclose()

    def close(self) -> None:
        """Close the connections."""
        transport, self._sync = self._sync, None
        if transport is not None:
            transport.close()

    def __repr__(self) -> str:
        return f"Live({str(self._base)!r}, max_requests={self._max_requests}, max_usd={float(self._max_usd)})"

    _connect_async: type[httpx2.AsyncBaseTransport] = httpx2.AsyncHTTPTransport
    _connect_sync: type[httpx2.BaseTransport] = httpx2.HTTPTransport

    def _admit(self, request: httpx2.Request) -> _Sent:
        """Return what is sent in the place of `request`, unless a cap is reached."""
        if self.requests >= self._max_requests:
            raise LiveLimit(f"live mode stops after {self._max_requests} requests; raise the cap with max_requests")
        if self.spent_usd >= self._max_usd:
            raise LiveLimit(f"live mode has spent {self.spent_usd:.4f} of {self._max_usd} USD; raise the cap with max_usd")
        self.requests += 1
        body = self._stamper.stamp(request).body
        path = _VERSION.sub(b"", request.url.raw_path, count=1)
        url = self._base.copy_with(raw_path=self._base.raw_path.rstrip(b"/") + path)
        headers = httpx2.Headers([(name, value) for name, value in request.headers.multi_items() if name not in _DROPPED])
        headers["accept-encoding"] = "identity"  # what is compressed can be neither priced nor paced nor recorded as text
        if self._api_key is not None:
            headers["authorization"] = f"Bearer {self._api_key}"
        sent = httpx2.Request(request.method, url, headers=headers, content=request.content, extensions=request.extensions)
        return _Sent(sent, body if isinstance(body, dict) else {})

    def _book(self, sent: _Sent, reply: bytes) -> None:
        """Add what an answer cost, as far as it came."""
        events = [event for field in (*Events().feed(reply), reply) if (event := parsed(field))]
        answered = {event["model"]: True for event in events if isinstance(event.get("model"), str)}
        usage = next((usage for event in reversed(events) if (usage := usage_of(event))), None)
        text = "".join(map(text_of, events))
        if usage is None and text and isinstance(sent.body.get("messages"), list):
            usage = estimated_usage(sent.body["messages"], text)
        if usage is None:
            return
        usage.pop("reasoning_tokens")
        for model in (*answered, sent.body.get("model")):
            if isinstance(model, str) and (cost := cost_usd(model, **usage)) is not None:
                self.spent_usd += cost
                return


def _labelled(response: httpx2.Response, stream: Any) -> httpx2.Response:
    extensions = {**response.extensions, SOURCE: "live"}
    return httpx2.Response(response.status_code, headers=response.headers.raw, stream=stream, extensions=extensions)


class _Booked(Body):
    """A reply's body that is paid for when it ends, however it ends."""

    def __init__(self, inner: Any, live: Live, sent: _Sent) -> None:
        self._inner, self._live, self._sent = inner, live, sent
        self._passed: list[bytes] = []

    async def _next(self) -> bytes | None:
        data = await self._behind()
        if data is not None:
            self._passed.append(data)
        return data

    def _end(self, now: float) -> None:
        passed, self._passed = b"".join(self._passed), []
        if passed:
            self._live._book(self._sent, passed)
