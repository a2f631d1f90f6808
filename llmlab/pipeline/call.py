"""One attempt through the openai client, reading the bytes ourselves.

The client does what it is for (auth, base URL, typed errors); its models, which cost 120 us a chunk, are never built, and a stream that ends
without its end is noticed. Four clocks watch every attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import openai

from llmlab.errors import (
    AttemptBroken,
    AttemptFailed,
    AttemptLimited,
    AttemptRefused,
    AttemptTimeout,
    AttemptUnavailable,
    BadInput,
    LlmlabError,
)
from llmlab.protocol import chunks, sse
from llmlab.protocol.attempt import Attempt, Usage
from llmlab.protocol.prices import PRICE_DATE, cost_usd

RETRYABLE = frozenset({408, 409, 429})
"""Statuses below 500 that may be mended by trying again; all from 500 are."""
_PAID_FOR = ("timeout_first_content", "timeout_stall", "timeout_total", "timeout_deadline", "timeout_transport")
"""How an attempt ends that the provider had begun to work on, and will bill."""


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """The four clocks of an attempt (in seconds); None stops none."""

    connect_seconds: float | None = 5.0
    """To open a connection."""
    first_content_seconds: float | None = 15.0
    """From sending to the first text; for a route that does not stream, to the whole reply."""
    stall_seconds: float | None = 8.0
    """Longest silence between two chunks of a stream."""
    total_seconds: float | None = 60.0
    """From sending to the end."""

    def __post_init__(self) -> None:
        for name in ("connect_seconds", "first_content_seconds", "stall_seconds", "total_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise BadInput(f"Clocks: {name} is a time above 0 seconds, or None, not {value!r}")


class Call:
    """An attempt under way: `open` until its first content, then iterate over the pieces of its text, then `event`.

    Args:
        client: Who sends it; its own retries are switched off.
        body: JSON of the chat completion, with or without `stream`.
        clocks: What it may take.
        deadline: When it must have ended (in seconds on the loop's clock), or None.
        labels: Fields of the attempt event that only the caller knows.
    """

    def __init__(self, client: openai.AsyncOpenAI, body: dict[str, Any], clocks: Clocks, deadline: float | None, **labels: Any) -> None:
        self._client, self._body, self._clocks, self._deadline, self._labels = client, body, clocks, deadline, labels
        self._now = asyncio.get_running_loop().time
        self._events = sse.Events()
        self._ready: list[str] = []
        self._response: httpx2.Response | None = None
        self._bytes: AsyncIterator[bytes] | None = None
        self._finished = self._done = False
        self._usage: dict[str, int] | None = None
        self._text: list[str] = []
        self._event: Attempt | None = None
        self.sent_at = self._progress = self._now()
        self.first_content_at: float | None = None
        self.snapshot: str | None = None
        self.finish_reason: str | None = None
        self.tool_calls: list[Any] = []

    async def open(self) -> None:
        """Send it, and read until the first content has come.

        Raises:
            AttemptFailed: It failed before; the subclasses say how.
        """
        with _Watch(self):
            try:
                if self._body.get("stream"):
                    await self._open_stream()
                else:
                    await self._read_whole()
            except (openai.OpenAIError, httpx2.HTTPError, ValueError) as error:
                raise _named(error) from error

    async def _open_stream(self) -> None:
        stream = await self._client.post(
            "/chat/completions",
            body=self._body,
            cast_to=object,
            options=self._options(),
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        self._response = stream.response
        kind = self._response.headers.get("content-type", "")
        if "text/event-stream" not in kind:
            text = (await self._response.aread())[:80]
            raise AttemptBroken("not_a_stream", f"the reply is {kind or 'untyped'}, no event stream: {text!r}", retryable=True)
        self._bytes = self._response.aiter_bytes()
        while not self._ready and not self._ended:
            await self._read_on()
        if not self._ready:
            self._check_end()

    async def _read_whole(self) -> None:
        response = await self._client.post("/chat/completions", body=self._body, cast_to=httpx2.Response, options=self._options())
        self._response = response
        reply = chunks.parsed(response.content)
        if reply is None:
            start, kind = response.content[:80], response.headers.get("content-type", "")
            raise AttemptBroken("not_json", f"the reply is {kind or 'untyped'}, no JSON object: {start!r}", retryable=True)
        self._usage, self.snapshot = chunks.usage_of(reply), reply.get("model")
        choices = reply.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            raise AttemptBroken("no_choices", "the reply has no choices", retryable=True)
        message = choices[0].get("message") or {}
        self.finish_reason, self.tool_calls = choices[0].get("finish_reason"), message.get("tool_calls") or []
        self._take(message.get("content") or message.get("refusal") or "")
        self._finished = True
        self._check_end()

    def _options(self) -> Any:
        return {"max_retries": 0, "timeout": httpx2.Timeout(None, connect=self._clocks.connect_seconds)}

    def __aiter__(self) -> Call:
        return self

    async def __anext__(self) -> str:
        if not self._ready:
            if self._bytes is None or self._ended:
                raise StopAsyncIteration
            with _Watch(self):
                try:
                    while not self._ready and not self._ended:
                        await self._read_on()
                except (openai.OpenAIError, httpx2.HTTPError, ValueError) as error:
                    raise _named(error) from error
            if not self._ready:
                self._check_end()
                raise StopAsyncIteration
        text = "".join(self._ready)
        self._ready.clear()
        return text

    @property
    def _ended(self) -> bool:
        return self._done or self._bytes is None

    async def _read_on(self) -> None:
        """Read one chunk of bytes, and take what it completes."""
        assert self._bytes is not None
        data = await anext(self._bytes, None)
        if data is None:
            self._bytes = None
            return
        self._progress = self._now()
        for field in self._events.feed(data):
            if field == sse.DONE:
                self._done = True
            elif field:
                self._take_chunk(field)

    def _take_chunk(self, field: bytes) -> None:
        chunk = chunks.parsed(field)
        if chunk is None:
            raise AttemptBroken("malformed_event", f"an event of the stream is no JSON object: {field[:80]!r}", retryable=True)
        if chunk.get("error"):
            raise AttemptUnavailable("error_event", f"the stream says: {str(chunk['error'])[:200]}", retryable=True)
        if chunk.get("usage"):
            self._usage = chunks.usage_of(chunk)
        if self.snapshot is None:
            self.snapshot = chunk.get("model") or None
        choices = chunk.get("choices")
        if not choices:
            return
        choice = choices[0]
        delta = choice.get("delta")
        if delta:
            if text := delta.get("content") or delta.get("refusal"):
                self._take(text)
            elif self.first_content_at is None and chunks.has_content(chunk):
                self.first_content_at = self._now()
            if calls := delta.get("tool_calls"):
                self.tool_calls.extend(calls)
        if reason := choice.get("finish_reason"):
            self.finish_reason, self._finished = reason, True

    def _take(self, text: str) -> None:
        if self.first_content_at is None:
            self.first_content_at = self._now()
        if text:
            self._text.append(text)
            self._ready.append(text)

    def _check_end(self) -> None:
        """Raise what the client would have let pass: a reply without its end, or with nothing in it."""
        if not self._finished:
            rest = f" in the middle of an event ({len(self._events.rest)} bytes of it)" if self._events.rest.strip() else ""
            raise AttemptBroken("stream_truncated", f"the stream ended{rest} without a finish_reason", retryable=True)
        if self.finish_reason == "content_filter":
            raise AttemptRefused("content_filter", "the provider's content filter stopped the answer", retryable=False)
        if not self._text and not self.tool_calls:
            raise AttemptBroken("empty", f"the reply holds no text (finish_reason {self.finish_reason!r})", retryable=True)

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(self._text)

    async def close(self, status: str, reason: str = "") -> Attempt:
        """End it and return its event; a second call returns the same event.

        Args:
            status: ok, failed or cancelled.
            reason: Why it is not ok, in a word.
        """
        if self._event is None:
            self._event = self._make_event(status, reason)
            if self._response is not None and not self._response.is_closed:
                await self._response.aclose()
        return self._event

    def _make_event(self, status: str, reason: str) -> Attempt:
        usage, origin, cost = self._usage, Usage.REPORTED, None
        if usage is None and (self.first_content_at is not None or status == "cancelled" or reason in _PAID_FOR):
            usage, origin = chunks.estimated_usage(self._body["messages"], self.text), Usage.ESTIMATED
        model: str = self._body["model"]
        if usage is not None:
            cost = _cost(self.snapshot, model, usage)
        extensions = self._response.extensions if self._response is not None else {}
        return Attempt(
            model=model,
            snapshot=self.snapshot,
            source=extensions.get("llmlab.source") or (self._response.headers.get("x-llmlab-source") if self._response else None),
            status=status,
            reason=reason,
            sent_at=self.sent_at,
            first_content_at=self.first_content_at,
            ended_at=self._now(),
            usage=origin if usage else Usage.UNKNOWN,
            cost_usd=cost,
            price_date=PRICE_DATE if cost is not None else None,
            **(usage or {}),  # type: ignore[arg-type]
            **self._labels,
        )


def _cost(snapshot: str | None, model: str, usage: dict[str, int]) -> Decimal | None:
    counts = {name: usage[name] for name in ("prompt_tokens", "completion_tokens", "cached_tokens")}
    cost = cost_usd(snapshot, **counts) if snapshot else None
    return cost if cost is not None else cost_usd(model, **counts)


class _Watch:
    """Cancels the running task when one of the call's clocks runs out, and turns that into `AttemptTimeout`.

    One timer for all clocks, which looks when it goes off how far things are: chunks cost nothing.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._fired: tuple[str, float] | None = None
        self._handle: asyncio.TimerHandle | None = None

    def _next(self) -> tuple[float, str, float] | None:
        """Return when the next clock runs out, its name, and its length."""
        call, clocks = self._call, self._call._clocks
        ends = []
        if clocks.total_seconds is not None:
            ends.append((call.sent_at + clocks.total_seconds, "total", clocks.total_seconds))
        if call._deadline is not None:
            ends.append((call._deadline, "deadline", call._deadline - call.sent_at))
        if call.first_content_at is None:
            if clocks.first_content_seconds is not None:
                ends.append((call.sent_at + clocks.first_content_seconds, "first_content", clocks.first_content_seconds))
        elif clocks.stall_seconds is not None:
            ends.append((call._progress + clocks.stall_seconds, "stall", clocks.stall_seconds))
        return min(ends) if ends else None

    def _look(self) -> None:
        following = self._next()
        if following is None:
            return
        when, name, length = following
        if when <= self._call._now():
            self._fired = (name, length)
            self._task.cancel()
        else:
            self._handle = self._loop.call_at(when, self._look)

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._loop = task, asyncio.get_running_loop()
        following = self._next()
        if following is not None:
            self._handle = self._loop.call_at(following[0], self._look)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if self._handle is not None:
            self._handle.cancel()
        if self._fired is not None and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            name, length = self._fired
            what = {
                "first_content": "no content came",
                "stall": "the stream stood still",
                "total": "the attempt was not finished",
                "deadline": "the request's deadline passed",
            }[name]
            raise AttemptTimeout(f"timeout_{name}", f"{what} within {length:g} s", retryable=name != "deadline") from error


def _named(error: Exception) -> Exception:
    """Return our error for what the client raised."""
    if isinstance(error, LlmlabError):
        return error
    cause: BaseException | None = error
    while cause is not None:  # what our own transports have to say is not dressed up as weather
        if isinstance(cause, LlmlabError) and not isinstance(cause, AttemptFailed):
            return cause
        cause = cause.__cause__
    detail = str(error)[:300]
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
        connect = isinstance(error.__cause__, httpx2.ConnectTimeout) or isinstance(error, httpx2.ConnectTimeout)
        return AttemptTimeout("timeout_connect" if connect else "timeout_transport", detail, retryable=True)
    if isinstance(error, openai.APIStatusError):
        return _named_status(error, detail)
    if isinstance(error, openai.APIConnectionError | httpx2.HTTPError):
        return AttemptUnavailable("connection", f"{detail} ({error.__cause__ or type(error).__name__})", retryable=True)
    return AttemptBroken("unreadable", f"{type(error).__name__}: {detail}", retryable=True)


def _named_status(error: openai.APIStatusError, detail: str) -> AttemptFailed:
    status = error.status_code
    after = _retry_after(error.response)
    if status == 429:
        no_quota = error.code == "insufficient_quota"
        reason = "insufficient_quota" if no_quota else "rate_limit"
        return AttemptLimited(reason, detail, retryable=not no_quota, retry_after_seconds=after, status_code=status)
    if status >= 500 or status in RETRYABLE:
        return AttemptUnavailable(f"http_{status}", detail, retryable=True, retry_after_seconds=after, status_code=status)
    return AttemptRefused(error.code or f"http_{status}", detail, retryable=False, status_code=status)


def _retry_after(response: httpx2.Response) -> float | None:
    """Return how long the provider asks to wait (in seconds), from retry-after-ms or retry-after (seconds or an HTTP date)."""
    headers = response.headers
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        if "retry-after" not in headers:
            return None
        try:
            return max(0.0, float(headers["retry-after"]))
        except ValueError:
            until = parsedate_to_datetime(headers["retry-after"])
            said = parsedate_to_datetime(headers["date"])
            return max(0.0, (until - said).total_seconds())
    except (ValueError, KeyError, TypeError):
        return None
