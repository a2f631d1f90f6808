"""What a pipeline gives back: an answer, and the events of a streamed one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from llmlab.pipeline.trace import Trace
from llmlab.protocol.attempt import Attempt

STATUSES = ("ok", "degraded", "abstained", "blocked", "failed")


class Tokens(NamedTuple):
    """Token counts of all attempts of a request together, as far as they are known."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Part of the prompt's."""
    reasoning_tokens: int = 0
    """Part of the completion's."""


class Timings(NamedTuple):
    """Seconds since the question came in, in whole microseconds; None where it never came to that."""

    first_content: float | None
    """When the first content of the answer arrived from the provider: text, reasoning or a tool delta."""
    delivered_first_content: float | None
    """When the first text was handed to the caller; without streaming that is the end."""
    total: float


class Finding(NamedTuple):
    """What a guard saw."""

    kind: str
    """Class of the finding, as in "too_long"."""
    rule: str
    """Id of the rule that fired."""
    start: int
    """First character of the span (an offset in the text)."""
    end: int
    """One past its last character."""
    reason: str
    """For people: what was seen. It may quote the text, so it stays out of the trace."""


def moved(finding: Finding, by: int) -> Finding:
    """Return a finding whose span is moved by so many characters."""
    return finding._replace(start=finding.start + by, end=finding.end + by) if by else finding


class ToolCall(NamedTuple):
    """A call that the model asks for."""

    id: str
    name: str
    """Of the function."""
    arguments: str
    """JSON as the model wrote it."""
    data: Any = None
    """The arguments, validated; None where they could not be, or where the pipeline has no tools to validate them with."""
    error: str = ""
    """Why the call cannot be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The end of a request. It is always given; `status` says what it is worth."""

    status: str
    """ok, degraded (usable, not as meant: cut off, or from another model), abstained (it does not know), blocked (by a guard) or failed."""
    text: str = ""
    """What the user may read. Empty where the model answers with tool calls alone, which is ok; a failed stream keeps what it showed."""
    data: Any = None
    """The validated object, or None."""
    tool_calls: tuple[ToolCall, ...] = ()
    reason: str = ""
    """Why it is not ok, for people."""
    usage: Tokens = field(default_factory=Tokens)
    cost_usd: Decimal | None = None
    """All attempts together (in USD); None where the price of one of them is unknown. An attempt that a provider refused costs nothing."""
    timings: Timings
    attempts: tuple[Attempt, ...] = ()
    """In the order of sending, the cancelled ones included."""
    cached: str = ""
    """Where it comes from the cache: fresh, shared (another request was asking the same) or stale; empty: a model was asked."""
    findings: tuple[Finding, ...] = ()
    citations: tuple[str, ...] = ()
    """Ids of the given documents that the text cites, in order of appearance."""
    prompt_version: str = ""
    trace: Trace = field(default_factory=Trace, repr=False)


class Delta(NamedTuple):
    """A piece of text, delivered."""

    text: str
    at: float
    """Seconds since the question came in."""


class Partial(NamedTuple):
    """The fields of the structured output that can no longer change; not validated before the end."""

    fields: Mapping[str, Any]
    at: float
    """Seconds since the question came in."""


class Finished(NamedTuple):
    """The last event of a stream."""

    answer: Answer
