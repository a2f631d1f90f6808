"""A wire that does what its script says: every chunk, its time, and how it breaks. The client above it is the real one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2

import llmlab
from llmlab.pipeline.pipeline import Pipeline
from llmlab.pipeline.route import Route
from llmlab.wire.transport import Failure, Piece, Planned, Reply

MODEL = "gpt-4o-2024-08-06"
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
COST = "0.00045"
"""What USAGE costs with gpt-4o (in USD)."""
SSE = (b"content-type", b"text/event-stream; charset=utf-8")
JSON = (b"content-type", b"application/json")
DONE = b"data: [DONE]\n\n"


class Wire(Planned):
    """Answers the n-th request with the n-th reply of the script, and all after the last with the last."""

    def __init__(self, *script: Reply | Callable[[httpx2.Request], Reply], connecting: float = 0.0) -> None:
        self.script, self.connecting = script, connecting
        self.requests: list[httpx2.Request] = []
        self.sent: list[float] = []
        self.under_way = 0

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]

    def plan(self, request: httpx2.Request, now: float) -> Reply:
        reply = self.script[min(len(self.requests), len(self.script) - 1)]
        self.requests.append(request)
        self.sent.append(now)
        return reply(request) if callable(reply) else reply

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        limit = request.extensions["timeout"]["connect"]
        await asyncio.sleep(self.connecting if limit is None else min(limit, self.connecting))
        if limit is not None and self.connecting > limit:
            raise httpx2.ConnectTimeout("no connection", request=request)
        self.under_way += 1
        try:
            response = await super().handle_async_request(request)
        except BaseException:
            self.under_way -= 1
            raise
        return httpx2.Response(
            response.status_code, headers=response.headers.raw, stream=_Counted(self, response.stream), extensions=response.extensions
        )


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, wire: Wire, inner: Any) -> None:
        self.wire, self.inner, self.closed = wire, inner, False

    def __aiter__(self) -> Any:
        return self.inner.__aiter__()

    async def aclose(self) -> None:
        if not self.closed:
            self.closed = True
            self.wire.under_way -= 1
            await self.inner.aclose()


def event(delta: Any = None, finish: str | None = None, **more: Any) -> bytes:
    """A chunk of a stream as an event."""
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "usage": None}
    choice = {"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish}
    return b"data: " + json.dumps({**chunk, "choices": [choice], **more}).encode() + b"\n\n"


def events(*texts: str, finish: str = "stop", usage: Any = USAGE) -> list[bytes]:
    """The events of a good stream: role, texts, finish, usage, end."""
    last = [event(choices=[], usage=usage)] if usage else []
    return [
        event({"role": "assistant", "content": ""}),
        *(event({"content": text}) for text in texts),
        event({}, finish),
        *last,
        DONE,
    ]


def streamed(parts: list[bytes], *, first: float = 0.5, gap: float = 0.25, breaks: str = "", headers: Any = (SSE,)) -> Reply:
    """A streamed reply: the first part comes with the headers after `first` seconds, the others `gap` seconds apart."""
    pieces = [Piece(first + number * gap, part) for number, part in enumerate(parts)]
    end = pieces[-1].at + gap if pieces else first
    failure = Failure(end, breaks, "the connection broke") if breaks else None
    return Reply(headers=list(headers), headers_at=first, pieces=pieces, failure=failure, extensions={"llmlab.source": "scripted"})


def good(*texts: str, **options: Any) -> Reply:
    """A good stream; without arguments "Hello world." with first content after 0.75 s and its end after 2 s."""
    return streamed(events(*(texts or ("Hello", " world."))), **options)


def message(content: Any = "Hello world.", **more: Any) -> dict[str, Any]:
    """The JSON of a good unstreamed reply."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "logprobs": None, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice], "usage": USAGE, **more}


def whole(body: Any = None, *, at: float = 1.0, status: int = 200, headers: Any = (JSON,), breaks: str = "") -> Reply:
    """A reply in one piece."""
    data = body if isinstance(body, bytes) else json.dumps(message() if body is None else body).encode()
    failure = Failure(at, breaks, "the connection broke") if breaks else None
    extensions = {"llmlab.source": "scripted"}
    return Reply(status=status, headers=list(headers), headers_at=at, pieces=[Piece(at, data)], failure=failure, extensions=extensions)


def refusal(status: int, error: Any = None, *, at: float = 0.1, **headers: str) -> Reply:
    """An error of the provider's; headers as keywords, with _ for -."""
    body = {"error": error if error is not None else {"message": "no", "type": "some_error", "param": None, "code": None}}
    return whole(
        body,
        at=at,
        status=status,
        headers=[JSON, *((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())],
    )


def broken(name: str, *, at: float = 0.1) -> Reply:
    """No reply but a transport error."""
    return Reply(status=0, failure=Failure(at, name, "the connection broke"))


def silence() -> Reply:
    """A reply that comes after a thousand seconds."""
    return good(first=1000.0)


def pipeline(*wires: Wire, stream: bool = True, route: Any = None, **stages: Any) -> Pipeline:
    """A pipeline with a route a wire: main and its fallbacks, all to the same model."""
    names = ("main", "second", "third")
    routes = [
        Route(name, model="main", client=llmlab.client(wire), stream=stream, **(route or {}))
        for name, wire in zip(names, wires, strict=False)
    ]
    return Pipeline(**{"routes": routes, **stages})


def ask(*wires: Wire, question: str = "May I return it?", documents: Any = None, **stages: Any) -> llmlab.Answer:
    """What a pipeline answers, in virtual time."""
    return llmlab.simulate(pipeline(*wires, **stages).ask(question, documents))


def told(answer: llmlab.Answer) -> list[tuple[str, str, str, str]]:
    """Role, route, status and reason of each attempt."""
    return [(attempt.role, attempt.route, attempt.status, attempt.reason) for attempt in answer.attempts]
