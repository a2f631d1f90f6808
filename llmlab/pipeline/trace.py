"""The trace of one request: its stages and attempts on one clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from llmlab.protocol.attempt import Attempt, Usage
from llmlab.protocol.draws import microseconds

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd


class Stage(NamedTuple):
    """One stage of the pipeline. Times are seconds since the question came in, in whole microseconds."""

    name: str
    start: float
    end: float
    note: str = ""


class Seen(NamedTuple):
    """What a guard found. Its reason may quote the text, so it stands with the answer and not here."""

    where: str
    """In which text: "question", "message 2", "document returns", "answer"."""
    guard: str
    """Class of the guard."""
    action: str
    """What became of it: "allow", "flag", "redact" or "block"."""
    kind: str
    rule: str
    start: int
    """First character of the span (an offset in that text)."""
    end: int
    """One past its last character."""


@dataclass(slots=True)
class Trace:
    """Stages and attempts of one request. No message content stands in it."""

    began: float = 0.0
    """When the question came in (in seconds on the loop's clock)."""
    stages: list[Stage] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    """In the order in which they ended."""
    seen: list[Seen] = field(default_factory=list)
    """What the guards found, in the order in which they looked."""
    committed: int | None = None
    """Ordinal of the attempt whose content was delivered."""
    committed_at: float | None = None
    """When its first content arrived (in seconds since the question came in)."""

    @contextmanager
    def stage(self, name: str, clock: Callable[[], float]) -> Iterator[list[str]]:
        """Time a stage; what is put into the list that this gives becomes its note."""
        note: list[str] = []
        start = clock() - self.began
        try:
            yield note
        finally:
            self.stages.append(Stage(name, microseconds(start), microseconds(clock() - self.began), ", ".join(note)))

    @property
    def sent(self) -> list[Attempt]:
        """The attempts in the order of sending."""
        return sorted(self.attempts, key=lambda attempt: attempt.ordinal)

    @property
    def frame(self) -> pd.DataFrame:
        """A row a stage, then a row an attempt.

        Columns: kind, name, role, start, first_content, end (in seconds since the question came in), status ("won" for the attempt that was
        delivered), reason, tokens, usd, source. What is unknown is missing, never 0.
        """
        import pandas as pd

        rows: list[dict[str, object]] = [
            {"kind": "stage", "name": stage.name, "start": stage.start, "end": stage.end, "reason": stage.note} for stage in self.stages
        ]
        rows += [
            {
                "kind": "attempt",
                "name": f"{attempt.route} #{attempt.ordinal}",
                "role": attempt.role,
                "start": self._since(attempt.sent_at),
                "first_content": None if attempt.first_content_at is None else self._since(attempt.first_content_at),
                "end": self._since(attempt.ended_at),
                "status": "won" if attempt.ordinal == self.committed and attempt.status == "ok" else attempt.status,
                "reason": attempt.reason,
                "tokens": _tokens(attempt),
                "usd": None if attempt.cost_usd is None else float(attempt.cost_usd),
                "source": attempt.source,
            }
            for attempt in self.sent
        ]
        columns = ["kind", "name", "role", "start", "first_content", "end", "status", "reason", "tokens", "usd", "source"]
        numbers = {"start": float, "first_content": float, "end": float, "tokens": float, "usd": float}
        return pd.DataFrame(rows, columns=columns).astype(numbers)

    def __str__(self) -> str:
        wide = max((len(stage.name) for stage in self.stages), default=0)
        lines = [f"{stage.name:<{wide}}  {stage.start:7.3f} .. {stage.end:7.3f} s  {stage.note}".rstrip() for stage in self.stages]
        lines += [self._line(attempt) for attempt in self.sent]
        return "\n".join(lines)

    def _line(self, attempt: Attempt) -> str:
        first = attempt.first_content_seconds
        word = f"{attempt.status} ({attempt.reason})" if attempt.reason else attempt.status
        parts = [word, "no content" if first is None else f"first content after {first:.3f} s"]
        if attempt.prompt_tokens is not None:
            about = "~" if attempt.usage == Usage.ESTIMATED else ""
            cost = "price unknown" if attempt.cost_usd is None else f"{about}{attempt.cost_usd:.6f} USD"
            parts += [f"{about}{attempt.prompt_tokens} + {attempt.completion_tokens} tokens", cost]
        parts.append(attempt.source or "source unknown")
        return (
            f"  #{attempt.ordinal} {attempt.role:<8}  {self._since(attempt.sent_at):7.3f} .. {self._since(attempt.ended_at):7.3f} s  "
            f"{attempt.route}/{attempt.snapshot or attempt.model}: {', '.join(parts)}"
        )

    def _since(self, at: float) -> float:
        return microseconds(at - self.began)


def _tokens(attempt: Attempt) -> int | None:
    return None if attempt.prompt_tokens is None else attempt.prompt_tokens + (attempt.completion_tokens or 0)
