"""What went wrong: our typed error for whatever the client raises and for whatever a reply admits.

```
the client or the reply                     error                 reason
connection refused, no connection in time   AttemptUnavailable    no_connection         (AttemptTimeout: timeout_connect, timeout_pool)
reset or protocol error                     AttemptUnavailable    connection_lost
the transport's own read timeout            AttemptTimeout        timeout_read
429                                         AttemptLimited        rate_limit | insufficient_quota
413, or 429 "Request too large"             AttemptRefused        request_too_large
408, 409, 5xx                               AttemptUnavailable    http_<status>
other statuses                              AttemptRefused        the provider's code, or http_<status>
{"error": ...} with status 200              by what it says       error_reply           (AttemptLimited and AttemptRefused as above)
the client itself refuses to send           AttemptRefused        not_sent
bytes that cannot be read                   AttemptBroken         unreadable
```
The header x-should-retry says whether it is retryable, whatever the status, as for the client.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import openai

from llmlab.errors import AttemptBroken, AttemptFailed, AttemptLimited, AttemptRefused, AttemptTimeout, AttemptUnavailable, LlmlabError

WEATHER = (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, OSError, EOFError, ValueError)
"""What a provider and the network can make the client raise. Anything else is a mistake in somebody's code, and stays what it is."""
NEVER_BEGUN = frozenset({"no_connection", "not_sent", "timeout_connect", "timeout_pool"})
"""Reasons of attempts that did not reach the provider."""
_RETRYABLE = frozenset({408, 409, 429})
_NO_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_WORD = re.compile(r"[a-z][a-z0-9_.-]{0,39}", re.IGNORECASE)
_TOO_LARGE = re.compile(r"\brequest too large\b", re.IGNORECASE)
"""More than a whole minute's quota: no wait will do."""
_PHASES = {"ConnectTimeout": "connect", "PoolTimeout": "pool", "WriteTimeout": "write"}
_DETAIL_CHARACTERS = 300


def named(error: Exception) -> Exception:
    """Return our error for what the client raised.

    An error of ours that a transport raised (a missing recording, a cap) comes back as it is: it is not dressed up as weather.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, LlmlabError):
            return cause
        cause = cause.__cause__
    detail = str(error)[:_DETAIL_CHARACTERS]
    if isinstance(error, openai.APIStatusError):
        return _named_status(error, detail)
    root = error.__cause__ if isinstance(error, openai.APIConnectionError) and error.__cause__ else error
    detail = f"{type(root).__name__}: {str(root)[:_DETAIL_CHARACTERS]}"
    if isinstance(root, openai.APITimeoutError | httpx2.TimeoutException):
        phase = _PHASES.get(type(root).__name__, "read")
        return AttemptTimeout(f"timeout_{phase}", detail, retryable=True)
    if isinstance(root, httpx2.ConnectError | httpx2.ProxyError | httpx2.UnsupportedProtocol | ConnectionRefusedError):
        return AttemptUnavailable("no_connection", detail, retryable=True)
    if isinstance(root, openai.APIConnectionError | httpx2.TransportError | OSError | EOFError):
        return AttemptUnavailable("connection_lost", detail, retryable=True)
    if isinstance(root, openai.OpenAIError):
        return AttemptRefused("not_sent", detail, retryable=False)
    return AttemptBroken("unreadable", detail, retryable=True)


def _named_status(error: openai.APIStatusError, detail: str) -> AttemptFailed:
    failure = _judged(error, detail)
    told = error.response.headers.get("x-should-retry")
    if told in ("true", "false"):
        failure.retryable = told == "true"
    return failure


def _judged(error: openai.APIStatusError, detail: str) -> AttemptFailed:
    status = error.status_code
    code, kind = _word(error.code), _word(error.type)
    after = retry_after_seconds(error.response.headers)
    if status == 413 or (status == 429 and after is None and _TOO_LARGE.search(detail)):
        return AttemptRefused("request_too_large", detail, retryable=False, status_code=status)
    if status == 429:
        no_quota = bool(_NO_QUOTA & {code, kind})
        reason = "insufficient_quota" if no_quota else "rate_limit"
        return AttemptLimited(reason, detail, retryable=not no_quota, retry_after_seconds=after, status_code=status)
    if status >= 500 or status in _RETRYABLE:
        return AttemptUnavailable(f"http_{status}", detail, retryable=True, retry_after_seconds=after, status_code=status)
    return AttemptRefused(code or f"http_{status}", detail, retryable=False, status_code=status)


def named_reply(error: Any) -> AttemptFailed:
    """Return our error for the `error` that stands in a reply with status 200, whole or streamed."""
    told = error if isinstance(error, dict) else {"message": error}
    words = {_word(told.get("code")), _word(told.get("type"))}
    status = told.get("code") if isinstance(told.get("code"), int) else told.get("status")
    detail = f"the reply says: {str(told.get('message') or error)[:_DETAIL_CHARACTERS]}"
    if words & _NO_QUOTA:
        return AttemptLimited("insufficient_quota", detail, retryable=False)
    if status == 413 or _TOO_LARGE.search(detail):
        return AttemptRefused("request_too_large", detail, retryable=False)
    if status == 429 or words & {"rate_limit_exceeded", "rate_limit_error"}:
        return AttemptLimited("rate_limit", detail, retryable=True)
    if "invalid_request_error" in words or (isinstance(status, int) and 400 <= status < 500 and status not in _RETRYABLE):
        return AttemptRefused(_word(told.get("code")) or "error_reply", detail, retryable=False)
    return AttemptUnavailable("error_reply", detail, retryable=True)


def _word(value: object) -> str:
    """Return `value` if it is a word for tables, and nothing if it is something else: what a provider writes there ends up in traces."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def retry_after_seconds(headers: httpx2.Headers) -> float | None:
    """Return how long the provider asks to wait (in seconds): `retry-after-ms`, else `retry-after` in seconds or as an HTTP date.

    A date is read against the reply's own `date`, for the machine's clock has no place in a simulation.
    """
    for name, scale in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / scale
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        until, said = (parsedate_to_datetime(headers.get(name, "")) for name in ("retry-after", "date"))
        return max(0.0, (until - said).total_seconds())
    except (ValueError, TypeError):  # no date, or one of the two without a zone
        return None
