"""An answer in the making: what the stages have found so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from llmlab.errors import AttemptFailed, LlmlabError
from llmlab.pipeline.answer import Answer, Finding, Timings, Tokens, ToolCall
from llmlab.pipeline.cache import Flight, Kept
from llmlab.pipeline.guardrails.verdict import Verdict
from llmlab.pipeline.trace import Trace
from llmlab.protocol.draws import microseconds


@dataclass(slots=True)
class Draft:
    """An answer in the making."""

    trace: Trace
    prompt_version: str
    status: str = "ok"
    reason: str = ""
    text: str = ""
    data: Any = None
    tool_calls: tuple[ToolCall, ...] = ()
    citations: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    cached: str = ""
    read: list[str] = field(default_factory=list)
    """How the structured output was read, for the trace."""
    repairs: list[str] = field(default_factory=list)
    """Kinds of what was done to the text before it was shown, so that it is JSON."""
    stands_in: bool = False
    """Whether the text is the last resort, and no answer."""
    withheld: str = ""
    """Which documents the guards left out, for people."""
    pieces: list[str] = field(default_factory=list)
    """Of the text, as they came from the model."""
    delivered_at: float | None = None

    def shown(self, at: float) -> None:
        """Take note that some of the text was handed to the caller, `at` seconds after the question."""
        if self.delivered_at is None:
            self.delivered_at = at

    @property
    def keepable(self) -> bool:
        """Whether it may be given to the next who asks the same: a new answer, whole and as meant, that asks for no deed."""
        return self.status == "ok" and not self.cached and bool(self.text) and not self.tool_calls

    def looked(self, flight: Flight, now: float) -> Kept | None:
        """Return what the cache gives: a fresh answer, or a stale one where another request has just asked the same in vain."""
        if flight.found is not None:
            self.cached = "shared" if flight.waited_seconds else "fresh"
            return flight.found
        kept = flight.stale() if flight.hopeless else None
        return None if kept is None else self._stale(kept, now, "another request has just failed")

    def instead(self, error: AttemptFailed, flight: Flight | None, last_resort: str | None, now: float) -> Kept | None:
        """Return what stands in for an answer when there is none: a stale one, the last resort, or nothing. The reason says which."""
        if self.delivered_at is None and (kept := self.stand_in(error, flight, last_resort, now)) is not None:
            return kept
        self.status, self.reason = "failed", f"partial: the answer broke off ({error})" if self.pieces else str(error)
        return None

    def stand_in(self, error: AttemptFailed, flight: Flight | None, last_resort: str | None, now: float) -> Kept | None:
        """Return a stale answer or the last resort, where nothing was shown yet: two answers are never spliced."""
        if flight is not None:
            flight.hopeless = True
            if (kept := flight.stale()) is not None:
                return self._stale(kept, now, str(error))
        if last_resort is None:
            return None
        self.stands_in = True
        self.status, self.reason = "degraded", f"last resort: a message, for there is no answer ({error})"
        return Kept(now, (last_resort,))

    def _stale(self, kept: Kept, now: float, why: str) -> Kept:
        self.status, self.cached = "degraded", "stale"
        self.reason = f"stale: an answer of {now - kept.at:.0f} s ago, for there is no new one ({why})"
        return kept

    def note(self, verdict: Verdict) -> None:
        """Take note of what guards said of a text."""
        self.trace.seen += verdict.seen
        self.findings += verdict.findings

    def take(self, verdict: Verdict) -> bool:
        """Take note of what guards said of a text without which there is no answer, and return whether it may go on.

        An answer that has failed does not abstain: that would call an outage a doubt.
        """
        self.note(verdict)
        if verdict.status == "ok":
            return True
        self.text, self.data, self.tool_calls, self.citations = "", None, (), ()
        if not (self.status == "failed" and verdict.status == "abstained"):
            self.status, self.reason = verdict.status, verdict.reason
        return False

    def crashed(self, what: str, error: Exception) -> str:
        """Take note that a stage of the user's own crashed; errors of ours say what was misused, and are raised.

        Raises:
            LlmlabError: It is one of ours.
        """
        if isinstance(error, LlmlabError):
            raise error
        self.status, self.reason = "failed", f"{what} crashed: {type(error).__name__}: {error}"
        return f"crashed: {type(error).__name__}"

    def answer(self, total: float) -> Answer:
        """Return the finished answer.

        Args:
            total: How long it took (in seconds).
        """
        attempts = tuple(self.trace.sent)
        first = self.trace.committed_at
        costs = [attempt.cost_usd for attempt in attempts if attempt.prompt_tokens is not None]
        return Answer(
            status=self.status,
            text=self.text,
            data=self.data,
            tool_calls=self.tool_calls,
            reason=self.reason,
            usage=Tokens(
                sum(attempt.prompt_tokens or 0 for attempt in attempts),
                sum(attempt.completion_tokens or 0 for attempt in attempts),
                sum(attempt.cached_tokens for attempt in attempts),
                sum(attempt.reasoning_tokens for attempt in attempts),
            ),
            cost_usd=None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0)),
            timings=Timings(None if first is None else microseconds(first), self.delivered_at, microseconds(total)),
            attempts=attempts,
            cached=self.cached,
            findings=tuple(self.findings),
            citations=self.citations,
            prompt_version=self.prompt_version,
            trace=self.trace,
        )
