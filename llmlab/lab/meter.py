"""The meter on the wire: it stands directly below the client, measures every app alike, and changes nothing.

What it writes for an attempt must equal what the pipeline's own ledger says of it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2

from llmlab.protocol import chunks, sse
from llmlab.protocol.attempt import Attempt, Usage
from llmlab.protocol.identity import Stamp, Stamper
from llmlab.protocol.prices import PRICE_DATE, cost_usd
from llmlab.wire.transport import Body

_DONE = b"data: [DONE]"
_NEVER_BEGUN = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout"})


class Meter(httpx2.AsyncBaseTransport):
    """Passes everything through and writes an `Attempt` for each request.

    Args:
        inner: The transport that answers.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self.inner = inner
        self._stamper = Stamper()
        self._records: dict[str, list[_Record]] = {}

    def collect(self, identity: str) -> list[Attempt]:
        """Return the attempts of a request in the order of sending, and forget them; what is still open was abandoned."""
        records = self._records.pop(identity, [])
        for record in records:
            (record.stream or record).end("cancelled", "abandoned")
        return [record.event for record in records if record.event is not None]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Measure one attempt."""
        await request.aread()
        clock = asyncio.get_running_loop().time
        stamp = self._stamper.stamp(request)
        records = self._records.setdefault(stamp.identity, [])
        again = request.headers.get("x-stainless-retry-count", "0") != "0"
        record = _Record(stamp, len(records), clock(), "sdk retry" if again else "wire")
        records.append(record)
        try:
            response = await self.inner.handle_async_request(request)
            record.source = response.extensions.get("llmlab.source") or response.headers.get("x-llmlab-source")
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                record.stream = _Metered(response.stream, record)
                return httpx2.Response(
                    response.status_code, headers=response.headers.raw, stream=record.stream, extensions=response.extensions
                )
            await response.aread()
        except asyncio.CancelledError:
            record.end("cancelled", "")
            raise
        except httpx2.HTTPError as error:
            record.end("failed", type(error).__name__)
            raise
        record.reply = chunks.parsed(response.content)
        if response.status_code < 400:
            record.first_content_at = clock()
        record.end("ok" if response.status_code < 400 else "failed", "" if response.status_code < 400 else f"http_{response.status_code}")
        return response

    async def aclose(self) -> None:
        """Close the transport behind."""
        await self.inner.aclose()


class _Record:
    """One attempt while it is measured."""

    def __init__(self, stamp: Stamp, ordinal: int, sent_at: float, role: str) -> None:
        self._stamp, self._ordinal, self._sent_at, self._role = stamp, ordinal, sent_at, role
        self.stream: _Metered | None = None
        self.event: Attempt | None = None
        self.source: str | None = None
        self.first_content_at: float | None = None
        self.reply: dict[str, Any] | None = None
        self.text: list[str] = []

    def end(self, status: str, reason: str) -> None:
        """Write the event, once."""
        if self.event is not None:
            return
        body = self._stamp.body if isinstance(self._stamp.body, dict) else {}
        usage, origin, cost = chunks.usage_of(self.reply), Usage.REPORTED, None
        begun = reason not in _NEVER_BEGUN and not reason.startswith("http_")  # who began to work will bill it
        if usage is None and begun and isinstance(body.get("messages"), list):
            usage, origin = chunks.estimated_usage(body["messages"], "".join(self.text)), Usage.ESTIMATED
        snapshot = self.reply.get("model") if self.reply else None
        if usage is not None:
            counts = {name: usage[name] for name in ("prompt_tokens", "completion_tokens", "cached_tokens")}
            cost = cost_usd(snapshot, **counts) if snapshot else None
            cost = cost if cost is not None else cost_usd(self._stamp.model, **counts)
        self.event = Attempt(
            request=self._stamp.identity,
            ordinal=self._ordinal,
            role=self._role,
            model=self._stamp.model,
            snapshot=snapshot,
            source=self.source,
            status=status,
            reason=reason,
            sent_at=self._sent_at,
            first_content_at=self.first_content_at,
            ended_at=asyncio.get_running_loop().time(),
            usage=origin if usage else Usage.UNKNOWN,
            cost_usd=cost,
            price_date=PRICE_DATE if cost is not None else None,
            **(usage or {}),  # type: ignore[arg-type]
        )


class _Metered(Body):
    """A stream that is watched: closely until its first content, then only at its end."""

    def __init__(self, inner: Any, record: _Record) -> None:
        self._inner, self._record = inner, record
        self._events: sse.Events | None = sse.Events()
        self._passed: list[bytes] = []
        self._ended = False

    async def _next(self) -> bytes | None:
        try:
            data = await self._behind()
        except httpx2.HTTPError as error:
            self.end("failed", type(error).__name__)
            raise
        if data is None:
            self.end("failed", "stream_truncated")
            return None
        self._passed.append(data)
        if self._events is not None:
            for field in self._events.feed(data):
                chunk = chunks.parsed(field)
                if chunk and chunks.has_content(chunk):
                    self._record.first_content_at = self._on.now()
                    self._events = None
                    break
        if data.startswith(_DONE) or b"\n" + _DONE in data:
            self.end("ok", "")
        return data

    def _end(self, now: float) -> None:
        self.end("cancelled", "")

    def end(self, status: str, reason: str) -> None:
        """Look at what has passed, and write the event, once."""
        if self._ended:
            return
        self._ended = True
        fields = sse.Events().feed(b"".join(self._passed))
        self._passed.clear()
        last = [chunk for chunk in map(chunks.parsed, fields[-4:]) if chunk]
        finished = any(choice.get("finish_reason") for chunk in last for choice in chunk.get("choices") or ())
        self._record.reply = next((chunk for chunk in last if chunk.get("usage")), last[-1] if last else None)
        if self._record.reply is None or not self._record.reply.get("usage"):
            self._record.text = [chunks.text_of(chunk) for field in fields if (chunk := chunks.parsed(field))]
        self._record.end("ok" if finished else status, "" if finished else reason)
