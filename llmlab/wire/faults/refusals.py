"""Refusals: the provider answers, with an error. Nobody behind is asked.

What an unmodified openai client (3.x) does: 408, 409, 429 and 500 or more it sends again, twice by default, after `retry-after-ms`,
`retry-after`, or 0.5 s x 2^n up to 8 s with jitter; where it is asked to wait for more than 120 s it does not try again. `x-should-retry`
overrides the status, in both directions. Everything else it raises at once, as the error named at each fault.

Header names and shapes are those seen from the providers in 2023-2026.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, NamedTuple

from llmlab.errors import UnknownName
from llmlab.protocol import tokens
from llmlab.protocol.canonical import digest
from llmlab.protocol.models import KNOWN
from llmlab.wire.chat_errors import Refusal
from llmlab.wire.faults.base import Fault, is_number
from llmlab.wire.faults.plan import Header, Plan, Sent
from llmlab.wire.quota import go_duration

DIALECTS = ("openai", "azure", "anthropic", "openrouter")
FORMS = ("seconds", "milliseconds", "date", "none")
_DAWN = 1_735_689_600
"""What `date` says at the first request (2025-01-01, in seconds since 1970): fixed, and past on any machine."""
_LONGEST_SECONDS = 1e8
"""About three years."""
_JSON = (b"content-type", b"application/json")
_HTML = (b"content-type", b"text/html")
_WORDS = {
    500: ("Internal Server Error", "server_error", "api_error", "The server had an error while processing your request. Sorry about that!"),
    502: ("Bad Gateway", "", "", ""),
    503: ("Service Unavailable", "service_unavailable_error", "api_error", "The engine is currently overloaded, please try again later"),
    504: ("Gateway Time-out", "", "", ""),
    529: ("Site is overloaded", "overloaded_error", "overloaded_error", "Overloaded"),
}


class _Refusal(Fault):
    """A fault that answers with an error."""

    seconds: float = 0.05
    """When the refusal comes (in seconds after sending)."""
    should_retry: bool | None = None
    """What the header x-should-retry tells the client, whatever the status; None: there is none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.should_retry, bool | None):
            raise self._bad(f"should_retry is True, False, or None for no such header, not {self.should_retry!r}")

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Refuse."""
        said = self._said(sent)
        more = [] if self.should_retry is None else [(b"x-should-retry", b"true" if self.should_retry else b"false")]
        headers = [(b"x-request-id", _id(sent).encode()), *said.headers, *more]
        return said.effect if plan.answer(said.status, headers, said.body, self.seconds) else ""

    def _said(self, sent: Sent) -> _Said:
        """Return what the provider says."""
        raise NotImplementedError


class _Said(NamedTuple):
    """A refusal, and what the journal says of it."""

    status: int
    effect: str
    body: bytes
    headers: Sequence[Header] = (_JSON,)


def _as_openai(status: int, code: str | None, message: str, param: str | None = None, kind: str = "invalid_request_error") -> _Said:
    return _Said(status, f"{status} {code or kind}", Refusal(message, param, code, status=status, kind=kind).body())


def _as_json(status: int, effect: str, body: dict[str, Any]) -> _Said:
    return _Said(status, effect, json.dumps(body).encode())


def _id(sent: Sent) -> str:
    return f"req_{digest(['refused', sent.seed, *sent.stamp.key], 16)}"


def _prompt_tokens(sent: Sent) -> int:
    body = sent.stamp.body
    messages = body.get("messages") if isinstance(body, dict) else None
    return tokens.count_messages(messages) if isinstance(messages, list) else 0


class RateLimit(_Refusal):
    """429: too many requests or tokens, in the headers of one of four providers.

    The client waits as told, up to 120 s, and tries again; then it raises `RateLimitError`. An HTTP date it compares with the machine's
    clock; in process the dates are of 2025, so that it finds them past and backs off by itself, while `serve` knows the day. `date` stands
    beside them for who reads both.
    """

    retry_after_seconds: float | None = None
    """How long to wait (in seconds); None: the provider does not say."""
    dialect: str = "openai"
    """openai (Go durations), azure (bare numbers, in three shapes), anthropic (RFC 3339), or openrouter (no header at all)."""
    form: str = "seconds"
    """How retry-after is written: seconds, milliseconds (in retry-after-ms), date, or none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for what, name, known in (("header dialect", self.dialect, DIALECTS), ("form of retry-after", self.form, FORMS)):
            if name not in known:
                raise UnknownName(what, name, known)
        if self.retry_after_seconds is None:
            if self.form in ("milliseconds", "date"):
                raise self._bad(f"form={self.form!r} says how a time is written; give one, as in retry_after_seconds=2")
        else:
            if self.retry_after_seconds > _LONGEST_SECONDS:
                raise self._bad(f"retry_after_seconds is at most {_LONGEST_SECONDS:g}, not {self.retry_after_seconds!r}")
            if self.dialect == "openrouter":
                raise self._bad("openrouter sends no retry-after; leave retry_after_seconds out, or take another dialect")

    def _said(self, sent: Sent) -> _Said:
        wait = 6.0 if self.retry_after_seconds is None else self.retry_after_seconds
        now = math.floor(_DAWN + sent.at if sent.dated is None else sent.dated)
        headers = [_JSON, *self._retry_after(now), *getattr(self, f"_{self.dialect}")(sent, now, wait)]
        told = ", no retry-after" if self.retry_after_seconds is None or self.form == "none" else f", retry after {wait:g} s"
        return _Said(429, f"429 of {self.dialect}{told}", self._body(sent, wait), headers)

    def _retry_after(self, now: int) -> list[Header]:
        wait = self.retry_after_seconds
        if wait is None or self.form == "none":
            return []
        if self.form == "milliseconds":
            return [(b"retry-after-ms", b"%d" % math.ceil(wait * 1000))]
        if self.form == "date":
            return [
                (b"date", formatdate(now, usegmt=True).encode()),
                (b"retry-after", formatdate(now + math.ceil(wait), usegmt=True).encode()),
            ]
        return [(b"retry-after", b"%d" % math.ceil(wait))]

    def _openai(self, sent: Sent, now: int, wait: float) -> list[Header]:
        told = {"limit": ("500", "30000"), "remaining": ("499", "0"), "reset": ("120ms", go_duration(wait))}
        return _ratelimit(told)

    def _azure(self, sent: Sent, now: int, wait: float) -> list[Header]:
        left = {"remaining": ("0", "0")}
        period = ("60", "60")
        whole = str(math.ceil(wait))
        full = {"limit": ("120", "-1"), **left, "reset": (whole, whole), "renewalperiod": period}
        shapes: tuple[dict[str, tuple[str, str]], ...] = (full, {"limit": ("100", "100000"), **left}, left)
        return _ratelimit(shapes[int(sent.draw(self.name, "shape") * 3)])

    def _anthropic(self, sent: Sent, now: int, wait: float) -> list[Header]:
        told = []
        for kind, limit in (("requests", "50"), ("input-tokens", "30000"), ("output-tokens", "8000"), ("tokens", "38000")):
            for word, value in (("limit", limit), ("remaining", "0"), ("reset", _rfc3339(now + math.ceil(wait)))):
                told.append((f"anthropic-ratelimit-{kind}-{word}".encode(), value.encode()))
        date = [] if self.form == "date" else [(b"date", formatdate(now, usegmt=True).encode())]
        return [*date, *told]

    def _openrouter(self, sent: Sent, now: int, wait: float) -> list[Header]:
        return []

    def _body(self, sent: Sent, wait: float) -> bytes:
        model, prompt = sent.stamp.model, _prompt_tokens(sent)
        if self.dialect == "openai":
            used = f"Limit 30000, Used {30000 - prompt // 2}, Requested {prompt}. Please try again in {go_duration(wait)}."
            message = f"Rate limit reached for {model} in organization org-llmlab on tokens per min (TPM): {used}"
            return Refusal(message, None, "rate_limit_exceeded", kind="tokens").body()
        if self.dialect == "azure":
            operation = "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21"
            message = (
                f"{operation} have exceeded token rate limit of your current pricing tier. Please retry after {math.ceil(wait)} seconds."
            )
            return json.dumps({"error": {"code": "429", "message": message}}).encode()
        if self.dialect == "anthropic":
            message = "This request would exceed your organization's rate limit of 30,000 input tokens per minute."
            error: dict[str, Any] = {"type": "rate_limit_error", "message": message}
            return json.dumps({"type": "error", "error": error, "request_id": _id(sent)}).encode()
        error = {"message": "Provider returned error", "code": 429, "metadata": {"provider_name": "llmlab"}}
        return json.dumps({"error": error}).encode()


def _ratelimit(told: dict[str, tuple[str, str]]) -> list[Header]:
    kinds = ("requests", "tokens")
    return [
        (f"x-ratelimit-{word}-{kind}".encode(), value.encode())
        for word, pair in told.items()
        for kind, value in zip(kinds, pair, strict=True)
    ]


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class InsufficientQuota(_Refusal):
    """429 because the account has no money left: the client tries again, in vain, and raises `RateLimitError`."""

    def _said(self, sent: Sent) -> _Said:
        message = (
            "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the "
            "docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
        )
        return _as_openai(429, "insufficient_quota", message, kind="insufficient_quota")


class ServerError(_Refusal):
    """The provider fails, or the proxy before it (HTML): the client tries again, then raises `InternalServerError`."""

    status: int = 500
    """500, 502 (HTML), 503, 504 (HTML) or 529."""
    dialect: str = "openai"
    """Whose body: openai or anthropic."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_number(self.status) or self.status not in _WORDS:
            raise UnknownName("status of a server's error", self.status, map(str, _WORDS))
        if self.dialect not in ("openai", "anthropic"):
            raise UnknownName("dialect of a server's error", self.dialect, ("openai", "anthropic"))

    def _said(self, sent: Sent) -> _Said:
        phrase, kind, anthropic, message = _WORDS[self.status]
        if not kind:
            title = f"{self.status} {phrase}"
            page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>"
            return _Said(self.status, f"{self.status}, a page", page.encode() + b"\r\n</body>\r\n</html>\r\n", [_HTML])
        if self.dialect == "openai":
            return _as_openai(self.status, None, message, kind=kind)
        error = {"type": anthropic, "message": message}
        return _as_json(self.status, f"{self.status} {anthropic}", {"type": "error", "error": error, "request_id": _id(sent)})


class Unauthorized(_Refusal):
    """401: the key was revoked. The client raises `AuthenticationError` at once."""

    def _said(self, sent: Sent) -> _Said:
        message = "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys."
        return _as_openai(401, "invalid_api_key", message)


class ModelGone(_Refusal):
    """404: the model was retired. The client raises `NotFoundError` at once."""

    def _said(self, sent: Sent) -> _Said:
        learn = "has been deprecated, learn more here: https://platform.openai.com/docs/deprecations"
        return _as_openai(404, "model_not_found", f"The model `{sent.stamp.model}` {learn}")


class ContextLength(_Refusal):
    """400: the prompt is longer than the model can read. The client raises `BadRequestError` at once."""

    def _said(self, sent: Sent) -> _Said:
        model = KNOWN.get(sent.stamp.model)
        longest = model.context_tokens if model else 128_000
        message = (
            f"This model's maximum context length is {longest} tokens. However, your messages resulted in {longest + _prompt_tokens(sent)} "
            "tokens. Please reduce the length of the messages."
        )
        return _as_openai(400, "context_length_exceeded", message, param="messages")


class ContentFilter(_Refusal):
    """400: the provider's filter objects to the prompt, as Azure's does. The client raises `BadRequestError` at once."""

    def _said(self, sent: Sent) -> _Said:
        hate = {"filtered": True, "severity": "medium"}
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": hate}}
        error = {
            "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. "
            "Please modify your prompt and retry.",
            "type": None,
            "param": "prompt",
            "code": "content_filter",
            "status": 400,
            "innererror": inner,
        }
        return _as_json(400, "400 content_filter", {"error": error})
