"""The trace of one request: its stages and attempts on one clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from llmlab.protocol.attempt import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd


class Stage(NamedTuple):
    """One stage of the pipeline. Times are seconds since the question came in."""

    name: str
    start: float
    end: float
    note: str = ""


@dataclass(slots=True)
class Trace:
    """Stages and attempts of one request. No message content stands in it."""

    began: float = 0.0
    """When the question came in (in seconds on the loop's clock)."""
    stages: list[Stage] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
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
            self.stages.append(Stage(name, start, clock() - self.began, " ".join(note)))

    @property
    def frame(self) -> pd.DataFrame:
        """A row a stage and a row an attempt: kind, name, role, start, first_content, end (in seconds), status, reason, tokens, USD, source."""
        import pandas as pd

        rows: list[dict[str, object]] = [
            {"kind": "stage", "name": stage.name, "start": stage.start, "end": stage.end, "reason": stage.note} for stage in self.stages
        ]
        for attempt in sorted(self.attempts, key=lambda attempt: attempt.ordinal):
            first = attempt.first_content_at
            rows.append(
                {
                    "kind": "attempt",
                    "name": f"{attempt.route} #{attempt.ordinal}",
                    "role": attempt.role,
                    "start": attempt.sent_at - self.began,
                    "first_content": None if first is None else first - self.began,
                    "end": attempt.ended_at - self.began,
                    "status": "won" if attempt.ordinal == self.committed and attempt.status == "ok" else attempt.status,
                    "reason": attempt.reason,
                    "tokens": (attempt.prompt_tokens or 0) + (attempt.completion_tokens or 0),
                    "usd": None if attempt.cost_usd is None else float(attempt.cost_usd),
                    "source": attempt.source,
                }
            )
        columns = ["kind", "name", "role", "start", "first_content", "end", "status", "reason", "tokens", "usd", "source"]
        return pd.DataFrame(rows, columns=columns).astype({"start": float, "first_content": float, "end": float, "usd": float})

    def __str__(self) -> str:
        lines = [f"{stage.name:<16} {stage.start:7.3f} .. {stage.end:7.3f} s  {stage.note}".rstrip() for stage in self.stages]
        for attempt in self.attempts:
            first = attempt.first_content_seconds
            cost = "price unknown" if attempt.cost_usd is None else f"{attempt.cost_usd:.6f} USD"
            lines.append(
                f"  attempt {attempt.ordinal} {attempt.role:<8} {attempt.route}/{attempt.snapshot or attempt.model}: "
                f"{attempt.status}{' ' + attempt.reason if attempt.reason else ''}, first content "
                f"{'never' if first is None else f'{first:.3f} s'}, {attempt.seconds:.3f} s, "
                f"{attempt.prompt_tokens or 0} + {attempt.completion_tokens or 0} tokens, {cost}, {attempt.source or 'source unknown'}"
            )
        return "\n".join(lines)
