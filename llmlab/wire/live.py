"""A live provider behind the same seam, with a cap on requests and USD."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx2

from llmlab.errors import BadInput, LiveLimit
from llmlab.protocol import chunks, sse
from llmlab.protocol.identity import HEADER, Stamper
from llmlab.protocol.prices import cost_usd
from llmlab.wire.transport import SOURCE, refuse_in_simulation


class Live(httpx2.AsyncBaseTransport, httpx2.BaseTransport):
    """Sends requests to a real provider, whatever host the client was told.

    Args:
        base_url: Where the API stands, as in "https://api.openai.com/v1".
        api_key: Put in the place of the client's dummy key; None leaves the client's.
        max_requests: Requests before it stops.
        max_usd: Spending before it stops (in USD), by the list prices of genai-prices; an unknown price counts as nothing, and is why
            requests are capped, too.

    Raises:
        BadInput: The URL is none.
        LiveLimit: (on a request) A cap is reached.
    """

    def __init__(self, base_url: str, *, api_key: str | None = None, max_requests: int = 20, max_usd: float = 1.0) -> None:
        self._base = httpx2.URL(base_url.rstrip("/"))
        if self._base.scheme not in ("http", "https") or not self._base.host:
            raise BadInput(f"a base URL looks like https://api.openai.com/v1, not {base_url!r}")
        self._api_key, self._max_requests, self._max_usd = api_key, max_requests, Decimal(str(max_usd))
        self._async: httpx2.AsyncHTTPTransport | None = None
        self._sync: httpx2.HTTPTransport | None = None
        self._stamper = Stamper()
        self.reset()

    def reset(self) -> None:
        """Start the caps anew."""
        self.requests, self.spent_usd = 0, Decimal(0)

    def _send_on(self, request: httpx2.Request) -> httpx2.Request:
        if self.requests >= self._max_requests:
            raise LiveLimit(f"live mode stops after {self._max_requests} requests; raise the cap with max_requests")
        if self.spent_usd >= self._max_usd:
            raise LiveLimit(f"live mode has spent {self.spent_usd:.4f} of {self._max_usd} USD; raise the cap with max_usd")
        self.requests += 1
        stamp = self._stamper.stamp(request)
        path = request.url.path
        path = path[3:] if path.startswith("/v1/") else path
        url = self._base.copy_with(
            raw_path=(self._base.path.rstrip("/") + path).encode() + (b"?" + request.url.query if request.url.query else b"")
        )
        headers = httpx2.Headers([(name, value) for name, value in request.headers.multi_items() if name not in ("host", HEADER)])
        if self._api_key is not None:
            headers["authorization"] = f"Bearer {self._api_key}"
        self._model = stamp.model
        return httpx2.Request(request.method, url, headers=headers, content=request.content, extensions=request.extensions)

    def _book(self, model: str, body: bytes) -> None:
        fields = sse.Events().feed(body) if body.startswith((b"data:", b":", b"event:")) else [body]
        for field in reversed(fields):
            usage = chunks.usage_of(chunks.parsed(field))
            if usage:
                cost = cost_usd(model, prompt_tokens=usage["prompt_tokens"], completion_tokens=usage["completion_tokens"])
                self.spent_usd += cost or 0
                return

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it, on the real clock."""
        await request.aread()
        sent = self._send_on(request)
        self._async = self._async or httpx2.AsyncHTTPTransport()
        response = await self._async.handle_async_request(sent)
        return self._labelled(response, _AsyncBooked(response.stream, self, self._model))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it, on the real clock."""
        refuse_in_simulation()
        request.read()
        sent = self._send_on(request)
        self._sync = self._sync or httpx2.HTTPTransport()
        response = self._sync.handle_request(sent)
        return self._labelled(response, _SyncBooked(response.stream, self, self._model))

    def _labelled(self, response: httpx2.Response, stream: Any) -> httpx2.Response:
        extensions = {**response.extensions, SOURCE: "live"}
        return httpx2.Response(response.status_code, headers=response.headers.raw, stream=stream, extensions=extensions)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._async is not None:
            await self._async.aclose()

    def close(self) -> None:
        """Close the connections."""
        if self._sync is not None:
            self._sync.close()


class _Booked:
    def __init__(self, inner: Any, live: Live, model: str) -> None:
        self._inner, self._live, self._model = inner, live, model
        self._passed: list[bytes] = []

    def _end(self) -> None:
        passed, self._passed = b"".join(self._passed), []
        if passed:
            self._live._book(self._model, passed)


class _AsyncBooked(_Booked, httpx2.AsyncByteStream):
    def __aiter__(self) -> _AsyncBooked:
        self._chunks = self._inner.__aiter__()
        return self

    async def __anext__(self) -> bytes:
        data: bytes = await self._chunks.__anext__()
        self._passed.append(data)
        return data

    async def aclose(self) -> None:
        self._end()
        await self._inner.aclose()


class _SyncBooked(_Booked, httpx2.SyncByteStream):
    def __iter__(self) -> Any:
        for data in self._inner:
            self._passed.append(data)
            yield data

    def close(self) -> None:
        self._end()
        self._inner.close()
