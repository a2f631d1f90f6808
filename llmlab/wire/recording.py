"""Recording an answer while it passes: the client gets every chunk when it comes, and none is held back.

A stream that the client abandons is recorded as far as it came, and marked. One that it leaves after `[DONE]`, as the openai client does,
or after all the bytes that were announced, is whole.
"""

from __future__ import annotations

import asyncio
import time  # noqa: TID251 - the synchronous driver has no loop
from collections.abc import Callable, Iterator
from typing import Any

import httpx2

from llmlab.wire import scrub
from llmlab.wire.interaction import OURS, Interaction, decompress, joined, request_headers
from llmlab.wire.transport import FAILURES, SOURCE, Failure

_TAIL = 200


class Recording:
    """One answer that is on its way.

    Args:
        request: The request, whose body was read.
        sent: When it was sent (in seconds on the clock in use).
        done: Called once with the finished interaction, scrubbed.
    """

    def __init__(self, request: httpx2.Request, sent: float, done: Callable[[Interaction], None]) -> None:
        self._request, self._sent, self._done = request, sent, done
        self._chunks: list[bytes] = []
        self._times: list[float] = []
        self._response: httpx2.Response | None = None
        self._ours: dict[str, Any] = {}
        self._finished = False

    def headers(self, response: httpx2.Response, now: float) -> None:
        """Take down the status and the headers, which came at `now`."""
        self._response = response
        self._ours["source"] = str(response.extensions.get(SOURCE, "unknown"))
        self._ours["headers_at"] = self._after(now)

    def chunk(self, data: bytes, now: float) -> None:
        """Take down one chunk of the body, which came at `now`."""
        self._chunks.append(data)
        self._times.append(self._after(now))

    def failed(self, error: httpx2.TransportError, now: float) -> None:
        """The answer broke, or there was none."""
        fallback = "ConnectError" if self._response is None else "ReadError"
        name = next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in FAILURES), fallback)
        self._ours["failure"] = {**Failure(self._after(now), name, scrub.scrub_text(str(error)))._asdict()}
        self.ended()

    def ended(self, *, by_client: bool = False) -> None:
        """The answer came to its end, or the client wants no more of it."""
        if self._finished:
            return
        self._finished = True
        from vcr.request import Request

        request = self._request
        vcr_request = Request(request.method, str(request.url), request.content or None, request_headers(request))
        interaction = Interaction(vcr_request, self._taken_down(by_client) if self._response is not None else {OURS: self._ours})
        interaction.scrub()
        self._done(interaction)

    def _taken_down(self, by_client: bool) -> dict[str, Any]:
        assert self._response is not None
        headers: dict[str, list[str]] = {}
        for name, value in self._response.headers.multi_items():
            headers.setdefault(name, []).append(value)
        announced = headers.get("content-length", [""])[0] == str(sum(map(len, self._chunks)))
        chunks = decompress(self._chunks, ",".join(headers.get("content-encoding", ())))
        if chunks is None:
            chunks = self._chunks
        else:
            del headers["content-encoding"]
            if "content-length" in headers:
                headers["content-length"] = [str(sum(map(len, chunks)))]
        body = b"".join(chunks)
        if by_client and not announced and b"[DONE]" not in body[-_TAIL:]:
            self._ours["abandoned"] = True
        self._ours |= {"chunks": joined([len(chunk) for chunk in chunks]), "at": joined(self._times)}
        status = {"code": self._response.status_code, "message": self._response.reason_phrase}
        return {"status": status, "headers": headers, "body": {"string": body}, OURS: self._ours}

    def _after(self, now: float) -> float:
        return round(max(0.0, now - self._sent), 6)


class _Tee:
    """A stream that is recorded while it is read."""

    def __init__(self, inner: Any, recording: Recording) -> None:
        self._inner, self._recording = inner, recording

    @property
    def due(self) -> float:
        """When the last chunk arrived, or would have if nobody had read late; only where the stream behind knows."""
        due: float = self._inner.due
        return due

    def _came(self, now: float) -> float:
        return min(now, getattr(self._inner, "due", now))


class AsyncTee(_Tee, httpx2.AsyncByteStream):
    """Records on the loop's clock."""

    def __aiter__(self) -> AsyncTee:
        self._chunks = self._inner.__aiter__()
        return self

    async def __anext__(self) -> bytes:
        clock = asyncio.get_running_loop().time
        try:
            data: bytes = await self._chunks.__anext__()
        except StopAsyncIteration:
            self._recording.ended()
            raise
        except httpx2.TransportError as error:
            self._recording.failed(error, self._came(clock()))
            raise
        self._recording.chunk(data, self._came(clock()))
        return data

    async def aclose(self) -> None:
        """Close the stream behind; what did not come is not recorded."""
        try:
            await self._inner.aclose()
        finally:
            self._recording.ended(by_client=True)


class SyncTee(_Tee, httpx2.SyncByteStream):
    """Records on the real clock."""

    def __iter__(self) -> Iterator[bytes]:
        try:
            for data in self._inner:
                self._recording.chunk(data, self._came(time.monotonic()))
                yield data
        except httpx2.TransportError as error:
            self._recording.failed(error, self._came(time.monotonic()))
            raise
        self._recording.ended()

    def close(self) -> None:
        """Close the stream behind; what did not come is not recorded."""
        try:
            self._inner.close()
        finally:
            self._recording.ended(by_client=True)
