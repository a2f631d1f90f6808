"""One attempt through the openai client, reading the bytes ourselves.

The client does what it is for (auth, base URL, typed errors); its models, which cost 120 us a chunk, are never built, and a stream that
ends without its end is noticed.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from decimal import Decimal
from typing import Any, cast

import httpx2
import openai

from llmlab.errors import AttemptBroken, AttemptFailed, AttemptRefused, AttemptUnavailable, BadInput, LlmlabError
from llmlab.pipeline.answer import ToolCall
from llmlab.pipeline.clocks import Clocks, Watch
from llmlab.pipeline.failures import NEVER_BEGUN, WEATHER, named, named_reply
from llmlab.protocol import chunks, sse
from llmlab.protocol.attempt import Attempt, Usage
from llmlab.protocol.prices import PRICE_DATE, cost_usd
from llmlab.protocol.tokens import content_text

_DRAIN_SECONDS = 0.1
"""How long the end of a body may take after `[DONE]`, which an HTTP/1.1 connection needs to be used again."""


class Call:
    """An attempt under way: `open` until its first content, then iterate over the pieces of its text; `end` gives its event.

    Args:
        client: Who sends it; its own retries are switched off.
        body: JSON of the chat completion, with or without `stream`.
        clocks: What it may take.
        deadline: When it must have ended (in seconds on the loop's clock), or None.
        request: Identity of the user's request.
        ordinal: Number of the attempt within the request, from 0.
        role: primary, retry, hedge or fallback.
        route: Name of the route.
        prompt_version: Hash of the prompt's templates.
    """

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        body: dict[str, Any],
        clocks: Clocks,
        deadline: float | None = None,
        *,
        request: str = "",
        ordinal: int = 0,
        role: str = "primary",
        route: str = "",
        prompt_version: str | None = None,
    ) -> None:
        self._client, self._body, self._connect_seconds = client, body, clocks.connect_seconds
        self._request, self._prompt_version = request, prompt_version
        self.ordinal, self.role, self.route = ordinal, role, route
        self.snapshot: str | None = None
        self.finish_reason: str | None = None
        self._watch = Watch(clocks, deadline)
        self._events = sse.Events()
        self._response: httpx2.Response | None = None
        self._bytes: AsyncIterator[bytes] | None = None
        self._ready: list[str] = []
        self._text: list[str] = []
        self._tools: list[dict[str, Any]] = []
        self._usage: dict[str, int] | None = None
        self._done = self._checked = False
        self._begun = True
        self._event: Attempt | None = None

    async def open(self) -> None:
        """Send it, and read until the first content has come.

        Raises:
            AttemptFailed: It failed before; the subclasses say how.
            BadInput: The messages cannot be sent.
        """
        try:
            await self._guarded(self._open_stream() if self._body.get("stream") else self._read_whole())
        except BaseException:
            await self.release()
            raise

    def __aiter__(self) -> Call:
        return self

    async def __anext__(self) -> str:
        if not self._ready:
            await self._guarded(self._read_text())
            if not self._ready:
                raise StopAsyncIteration
        text = self._ready[0] if len(self._ready) == 1 else "".join(self._ready)
        self._ready.clear()
        return text

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(self._text)

    @property
    def first_content_at(self) -> float | None:
        """When the first text, reasoning or tool delta came (in seconds on the loop's clock)."""
        return self._watch.first_content_at

    @property
    def sent_at(self) -> float:
        """When the request left (in seconds on the loop's clock)."""
        return self._watch.sent_at

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls that the model asks for, put together from their pieces."""
        found: dict[object, tuple[list[str], list[str], list[str]]] = {}
        for place, piece in enumerate(self._tools):
            index = piece.get("index")
            call = found.setdefault(index if isinstance(index, int) else f"place {place}", ([], [], []))
            function = piece.get("function")
            told = function if isinstance(function, dict) else {}
            for parts, part in zip(call, (piece.get("id"), told.get("name"), told.get("arguments")), strict=True):
                if isinstance(part, str):
                    parts.append(part)
        return tuple(ToolCall(*("".join(parts) for parts in call)) for call in found.values())

    async def _guarded(self, work: Awaitable[None]) -> None:
        """Do a part of the attempt under its clocks, and name what goes wrong."""
        try:
            with self._watch:
                await work
        except UnicodeEncodeError as error:
            raise BadInput(f"the messages are no valid text, and cannot be sent as UTF-8: {error}") from error
        except (LlmlabError, *WEATHER) as error:
            if isinstance(error, openai.APIStatusError):
                self._response = error.response
            failure = named(error)
            if not isinstance(failure, AttemptFailed):
                raise failure from (None if failure is error else error)
            self._begun = failure.status_code is None and failure.reason not in NEVER_BEGUN
            if self.finish_reason is None or self._checked:
                raise failure from (None if failure is error else error)
            self._bytes = None  # the answer is whole; what was lost after it is the usage at most
            self._check_end()

    async def _send(self) -> httpx2.Response:
        response = await self._client.post(
            "/chat/completions",
            body=self._body,
            cast_to=httpx2.Response,
            options={
                "max_retries": 0,
                "timeout": httpx2.Timeout(None, connect=self._connect_seconds),
            },
            stream=bool(self._body.get("stream")),
            stream_cls=openai.AsyncStream[object],
        )
        self._response = cast(httpx2.Response, response)
        return self._response

    async def _open_stream(self) -> None:
        response = await self._send()
        kind = response.headers.get("content-type", "")
        if "text/event-stream" not in kind.lower():
            await response.aread()
            reply = chunks.parsed(response.content)
            if reply and reply.get("error"):
                raise named_reply(reply["error"])
            raise AttemptBroken(
                "not_a_stream", f"the reply is {kind or 'untyped'}, no event stream: {response.content[:80]!r}", retryable=True
            )
        self._bytes = response.aiter_bytes()
        while self.first_content_at is None and self._bytes is not None and not self._done:
            await self._read_on()
        if self.first_content_at is None:
            self._check_end()

    async def _read_whole(self) -> None:
        response = await self._send()
        reply = chunks.parsed(response.content)
        if reply is None:
            kind = response.headers.get("content-type", "")
            raise AttemptBroken("not_json", f"the reply is {kind or 'untyped'}, no JSON object: {response.content[:80]!r}", retryable=True)
        self._note(reply)
        choice = _first_choice(reply)
        if choice is None:
            if reply.get("error"):
                raise named_reply(reply["error"])
            raise AttemptBroken("no_choices", "the reply has no choices", retryable=True)
        self._watch.first_content_at = self._watch.now()
        message, reason = choice.get("message"), choice.get("finish_reason")
        if isinstance(message, dict):
            self._take(message)
        # A whole reply is at its end, also where a server leaves the word for it out.
        self.finish_reason = reason if isinstance(reason, str) and reason else "stop"
        self._check_end()

    async def _read_text(self) -> None:
        """Read until there is text, or the end."""
        while not self._ready and self._bytes is not None and not self._done:
            await self._read_on()
        if not self._ready:
            self._check_end()

    async def _read_on(self) -> None:
        """Read one chunk of bytes, and take what it completes."""
        assert self._bytes is not None
        data = await anext(self._bytes, None)
        if data is None:
            self._bytes = None
            return
        self._watch.progress_at = self._watch.now()
        for field in self._events.feed(data):
            if field == sse.DONE:
                self._done = True
                return
            if field:
                self._take_chunk(field)

    def _take_chunk(self, field: bytes) -> None:
        chunk = chunks.parsed(field)
        if chunk is None:
            raise AttemptBroken("malformed_event", f"an event of the stream is no JSON object: {field[:80]!r}", retryable=True)
        if chunk.get("error"):
            raise named_reply(chunk["error"])
        if self.snapshot is None or chunk.get("usage"):
            self._note(chunk)
        choice = _first_choice(chunk)
        if choice is None:
            return
        delta = choice.get("delta")
        if delta and isinstance(delta, dict):
            if self._watch.first_content_at is None and chunks.has_content(chunk):
                self._watch.first_content_at = self._watch.now()
            self._take(delta)
        reason = choice.get("finish_reason")
        if reason and isinstance(reason, str):
            self.finish_reason = reason

    def _note(self, reply: dict[str, Any]) -> None:
        """Note who answers, and what was counted."""
        model = reply.get("model")
        if model and isinstance(model, str):
            self.snapshot = model[:100]
        if reply.get("usage"):
            self._usage = chunks.usage_of(reply)

    def _take(self, message: dict[str, Any]) -> None:
        """Take the text and the tool calls of a message, or of a delta of one."""
        text = message.get("content") or message.get("refusal")
        if text and (text := content_text(text)):
            self._text.append(text)
            self._ready.append(text)
        calls = message.get("tool_calls")
        if calls and isinstance(calls, list):
            self._tools += [call for call in calls if isinstance(call, dict)]

    def _check_end(self) -> None:
        """Raise what the client would have let pass: a reply without its end, or with nothing in it."""
        self._checked = True
        if self.finish_reason is None:
            rest = f" in the middle of an event ({len(self._events.rest)} bytes of it)" if self._events.rest.strip() else ""
            raise AttemptBroken("stream_truncated", f"the stream ended{rest} without a finish_reason", retryable=True)
        if self.finish_reason == "content_filter":
            raise AttemptRefused("content_filter", "the provider's content filter stopped the answer", retryable=False)
        if self.finish_reason == "error":
            raise AttemptUnavailable("error_reply", "the provider says that it failed (finish_reason 'error')", retryable=True)
        if not self._text and not self._tools:
            if self.finish_reason == "length":
                detail = "all tokens that the answer may have were used up before its first word; allow more (max_output_tokens)"
                raise AttemptBroken("length", detail, retryable=False)
            raise AttemptBroken("empty", f"the reply holds no text (finish_reason {self.finish_reason[:40]!r})", retryable=True)

    def end(self, status: str, reason: str = "") -> Attempt:
        """End it and return its event; a second call returns the same event.

        Args:
            status: ok, failed or cancelled.
            reason: Why it is not ok, in a word.
        """
        if self._event is None:
            self._event = self._make_event(status, reason)
        return self._event

    async def release(self) -> None:
        """Give its connection back."""
        self._watch.stop()
        response = self._response
        if response is None or response.is_closed:
            return
        # The answer is there, or the failure has its name: what the closing brings changes neither.
        if self._done and self._bytes is not None:
            with suppress(*WEATHER):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    while await anext(self._bytes, None) is not None:
                        pass
        with suppress(*WEATHER):
            await response.aclose()

    def _make_event(self, status: str, reason: str) -> Attempt:
        usage, origin, model = self._usage, Usage.REPORTED, str(self._body["model"])
        if usage is None and self._begun:  # who began to work will bill it, whether or not it came to an end
            usage, origin = chunks.estimated_usage(self._body["messages"], self.text), Usage.ESTIMATED
        cost = None if usage is None else _cost(self.snapshot, model, usage)
        response = self._response
        return Attempt(
            request=self._request,
            ordinal=self.ordinal,
            role=self.role,
            route=self.route,
            model=model,
            snapshot=self.snapshot,
            prompt_version=self._prompt_version,
            source=None if response is None else response.extensions.get("llmlab.source") or response.headers.get("x-llmlab-source"),
            status=status,
            reason=reason,
            sent_at=self._watch.sent_at,
            first_content_at=self.first_content_at,
            ended_at=self._watch.now(),
            usage=origin if usage else Usage.UNKNOWN,
            cost_usd=cost,
            price_date=PRICE_DATE if cost is not None else None,
            **(usage or {}),
        )


def _first_choice(reply: dict[str, Any]) -> dict[str, Any] | None:
    """Return the first of the choices that a reply or a chunk brings, or None."""
    choices = reply.get("choices")
    if not isinstance(choices, list):
        return None
    for choice in choices:
        if isinstance(choice, dict) and not choice.get("index"):
            return choice
    return None


def _cost(snapshot: str | None, model: str, usage: dict[str, int]) -> Decimal | None:
    counts = {name: usage[name] for name in ("prompt_tokens", "completion_tokens", "cached_tokens")}
    cost = cost_usd(snapshot, **counts) if snapshot else None
    return cost if cost is not None else cost_usd(model, **counts)
