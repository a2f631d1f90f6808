"""What a failure asks for: the same again, another route, less of it, or an end.

Providers say it in a status, a code, a header, a broken stream, or not at all; `failures` gives each a reason, and this table says what
to do about it. What the openai client lets pass without a word stands beside the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmlab.errors import AttemptFailed

if TYPE_CHECKING:
    import pandas as pd

RETRY, OTHER_ROUTE, SHRINK, STOP = "retry", "other route", "shrink", "stop"


class Advice(NamedTuple):
    """What to do about one reason."""

    reason: str
    """As in `AttemptFailed.reason`."""
    error: str
    """The error's class."""
    action: str
    """retry: the same again, after a while. other route: it will not get better here. shrink: ask for less. stop: nothing will mend it."""
    client: str
    """What an unmodified openai client makes of it."""


def _rows(error: str, action: str, client: str, *reasons: str) -> list[Advice]:
    return [Advice(reason, error, action, client) for reason in reasons]


TAXONOMY = (
    *_rows("AttemptLimited", RETRY, "retries twice, unless asked to wait for more than 120 s", "rate_limit"),
    *_rows("AttemptLimited", OTHER_ROUTE, "retries twice, in vain", "insufficient_quota"),
    *_rows(
        "AttemptUnavailable", RETRY, "retries twice", "http_408", "http_409", "http_500", "http_502", "http_503", "http_504", "http_529"
    ),
    *_rows("AttemptUnavailable", RETRY, "retries twice", "no_connection", "connection_lost"),
    *_rows("AttemptUnavailable", RETRY, "raises APIError in mid-stream", "error_reply"),
    *_rows("AttemptUnavailable", OTHER_ROUTE, "has no such thing", "breaker_open"),
    *_rows("AttemptTimeout", RETRY, "retries twice", "timeout_connect", "timeout_pool", "timeout_write"),
    *_rows(
        "AttemptTimeout", OTHER_ROUTE, "waits for up to 600 s", "timeout_first_content", "timeout_stall", "timeout_total", "timeout_read"
    ),
    *_rows("AttemptTimeout", STOP, "has no such thing", "timeout_deadline"),
    *_rows("AttemptBroken", RETRY, "says nothing", "stream_truncated", "not_a_stream", "empty", "no_choices"),
    *_rows("AttemptBroken", RETRY, "raises JSONDecodeError or UnicodeDecodeError", "malformed_event", "not_json", "unreadable"),
    *_rows("AttemptBroken", RETRY, "leaves it to the caller", "invalid_output"),
    *_rows("AttemptBroken", OTHER_ROUTE, "says nothing", "length"),
    *_rows("AttemptRefused", SHRINK, "raises BadRequestError", "context_length_exceeded"),
    *_rows("AttemptRefused", SHRINK, "retries twice, in vain", "request_too_large"),
    *_rows("AttemptRefused", OTHER_ROUTE, "raises", "http_401", "http_403", "http_404", "invalid_api_key", "model_not_found"),
    *_rows("AttemptRefused", STOP, "raises BadRequestError, or says nothing in a stream", "content_filter"),
    *_rows("AttemptRefused", STOP, "raises", "http_400", "http_422", "not_sent"),
)
"""Every reason that the pipeline gives by itself; providers add codes of their own."""
_BY_REASON = {advice.reason: advice.action for advice in TAXONOMY}


def action(error: AttemptFailed) -> str:
    """Return what a failure asks for; a code that stands in no table is judged by its status."""
    known = _BY_REASON.get(error.reason) or _BY_REASON.get(f"http_{error.status_code}")
    return known or (RETRY if error.retryable else OTHER_ROUTE)


def taxonomy() -> pd.DataFrame:
    """Return the table for people: reason, error, action, and what an unmodified client makes of it."""
    import pandas as pd

    return pd.DataFrame(TAXONOMY)
