"""Recording an answer while it passes: the client gets every chunk when it comes, and none is held back.

A stream that the client abandons is recorded as far as it came, and marked. One that it leaves after `[DONE]`, as the openai client does,
or after all the bytes that were announced, is whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import TracebackType
from typing import Any

import httpx2

from llmlab.wire.tape import scrub
from llmlab.wire.tape.interaction import OURS, Interaction, clean, joined, to_text
from llmlab.wire.transport import FAILURES, SOURCE, Body

_TAIL = 200
_NOT_KEPT = ("accept-encoding", "connection", "content-length", "host", "user-agent", "x-llmlab-request")


class Recording(Body):
    """One answer on its way, and the stream that takes its place. As a context it takes down the transport error that leaves it.

    Args:
        request: The request, whose body was read.
        clock: The clock in use.
        done: Called once with the finished interaction, without secrets; None where nobody wants it.
    """

    def __init__(self, request: httpx2.Request, clock: Callable[[], float], done: Callable[[Interaction], None] | None) -> None:
        self._request, self._clock, self._done = request, clock, done
        self._sent = clock()
        self._response: dict[str, Any] = {OURS: {}}
        self._parts: list[bytes] = []
        self._times: list[float] = []

    def follow(self, response: httpx2.Response) -> httpx2.Response:
        """Take down the status and the headers, and return `response` with a body that is recorded while it is read."""
        if self._done is None:
            return response
        self._inner = response.stream
        self._response = {
            "status": {"code": response.status_code, "message": response.reason_phrase},
            "headers": {name: response.headers.get_list(name) for name in response.headers},
            "body": {"string": ""},
            OURS: {"source": str(response.extensions.get(SOURCE, "unknown")), "headers_at": self._now()},
        }
        return httpx2.Response(response.status_code, headers=response.headers.raw, stream=self, extensions=response.extensions)

    @property
    def due(self) -> float:
        """When the last chunk arrived, or would have if nobody had read late; only where the stream behind knows."""
        due: float = self._inner.due
        return due

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, httpx2.TransportError):
            plainest = "ReadError" if self._inner is not None else "ConnectError"
            name = next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in FAILURES), plainest)
            self._response[OURS]["failure"] = {"at": self._now(), "name": name, "message": scrub.scrub_text(str(error))}
            self._finish()

    async def _next(self) -> bytes | None:
        with self:
            data = await self._behind()
        if data is None:
            self._finish()
        else:
            self._parts.append(data)
            self._times.append(self._now())
        return data

    def _end(self, now: float) -> None:
        self._finish(by_client=True)

    def _now(self) -> float:
        return round(max(0.0, min(self._clock(), getattr(self._inner, "due", math.inf)) - self._sent), 6)

    def _finish(self, *, by_client: bool = False) -> None:
        """The answer came to its end, or the client wants no more of it."""
        done, self._done = self._done, None
        if done is None:
            return
        request, response, body = self._request, self._response, b"".join(self._parts)
        if self._inner is not None:
            response["body"] = {"string": to_text(body)}
            response[OURS] |= {"chunks": joined(map(len, self._parts)), "at": joined(self._times)}
        kept = {
            name: [value]
            for name, value in request.headers.multi_items()
            if name not in _NOT_KEPT and not name.startswith("x-stainless-")  # they differ from machine to machine
        }
        sent = {"method": request.method, "uri": str(request.url), "body": to_text(request.content) or None, "headers": kept}
        interaction = clean({"request": sent, "response": response})
        incomplete = by_client and response["headers"].get("content-length") != [str(len(body))]
        if incomplete and "[DONE]" not in interaction["response"]["body"]["string"][-_TAIL:]:
            interaction["response"][OURS]["abandoned"] = True
        done(interaction)
