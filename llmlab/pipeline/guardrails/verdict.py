"""What guards make of a text: what may go on, what stands in the place of the rest, and what is said of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from llmlab.errors import AttemptFailed, LlmlabError
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import ROLES, Guard
from llmlab.pipeline.guardrails.redaction import masked
from llmlab.pipeline.route import Route
from llmlab.pipeline.trace import Seen


class Ask(Protocol):
    """Asks a model on behalf of a guard, within the request's deadline."""

    def __call__(
        self, messages: Sequence[dict[str, str]], *, seconds: float, keep: Callable[[str], bool], route: Route | None = None
    ) -> Awaitable[str]:
        """Return the text of the model's answer.

        Args:
            messages: What to ask.
            seconds: How long it may take (in seconds).
            keep: Says of an answer whether it may be remembered.
            route: Where to ask; None: the pipeline's own routes.

        Raises:
            AttemptFailed: There is none.
        """
        ...


_DONE = {"allow": "noted", "flag": "flagged", "redact": "redacted", "abstain": "abstained", "block": "blocked"}
STOPS = {"block": "blocked", "abstain": "abstained"}
"""Actions that end an answer, and its status then."""


def action_of(guard: Guard) -> str:
    """Return what becomes of a guard's findings: "allow", "flag", "redact" or "block"."""
    return str(getattr(guard, "action", "block"))


def looks_at(guard: Guard, role: str) -> bool:
    """Return whether a guard looks at texts of this role."""
    return role in getattr(guard, "roles", ROLES)


@dataclass(slots=True)
class Verdict:
    """What guards have made of one text so far."""

    where: str
    """Which text: "question", "message 2", "document returns", "answer"."""
    looked: bool = False
    """Whether any guard looked."""
    status: str = "ok"
    """ok, blocked, abstained, or failed: a guard broke that lets nothing pass then."""
    reason: str = ""
    found: list[tuple[Guard, Finding]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Guards that broke and let everything pass then."""

    def add(self, found: Sequence[tuple[Guard, Finding]]) -> None:
        """Take note of findings: the first that blocks is the reason."""
        self.found += found
        for guard, finding in found:
            status = STOPS.get(action_of(guard), "ok")
            if (self.status == "ok" and status != "ok") or (self.status == "abstained" and status == "blocked"):
                self.status, self.reason = status, finding.reason

    def crashed(self, guard: Guard, error: Exception) -> None:
        """Take note that a guard broke.

        Raises:
            LlmlabError: It is one of ours, and no failed attempt: it says what was misused.
        """
        if isinstance(error, LlmlabError) and not isinstance(error, AttemptFailed):
            raise error
        if getattr(guard, "on_error", "closed") == "open":
            self.broken.append(f"{type(guard).__name__} crashed and lets pass: {type(error).__name__}")
        else:
            self.status, self.reason = "failed", f"a guard crashed: {type(error).__name__}: {error}"
            self.broken.append(f"crashed: {type(error).__name__}")

    @property
    def findings(self) -> list[Finding]:
        """What the caller is told."""
        return [finding for guard, finding in self.found if action_of(guard) != "allow"]

    @property
    def redactions(self) -> list[Finding]:
        """What must not go on as it stands."""
        return [finding for guard, finding in self.found if action_of(guard) == "redact"]

    @property
    def seen(self) -> list[Seen]:
        """What the trace is told: everything but the reasons, which may quote the text."""
        return [
            Seen(self.where, type(guard).__name__, action_of(guard), one.kind, one.rule, one.start, one.end) for guard, one in self.found
        ]

    @property
    def note(self) -> str:
        """For the trace: what was done, and by which rules."""
        rules: dict[str, dict[str, None]] = {}
        for guard, finding in self.found:
            rules.setdefault(_DONE[action_of(guard)], {})[finding.rule] = None
        said = [f"{done} by {' and '.join(names)}" for done, names in rules.items()]
        return ", ".join([*said, *self.broken]) or ("passed" if self.looked else "none")


async def look(guards: Sequence[Guard], text: str, role: str, verdict: Verdict, ask: Ask) -> Verdict:
    """Let guards look at a whole text: all look, so that all that is wrong is known. Judges come last, and see nothing that is redacted.

    Args:
        guards: Those that look at this role do.
        text: The text.
        role: Whose it is: "user", "document" or "assistant".
        verdict: What they say is added to it, and it is returned.
        ask: Asks a model, for judges.
    """
    judges = [guard for guard in guards if hasattr(guard, "judge")]
    for guard in [*(guard for guard in guards if guard not in judges), *judges]:
        if not looks_at(guard, role):
            continue
        verdict.looked = True
        judge: Any = getattr(guard, "judge", None)
        try:
            found = guard.check(text, role=role) if judge is None else await judge(masked(text, verdict.redactions), role, ask)
            verdict.add([(guard, checked(finding)) for finding in found])
        except Exception as error:
            verdict.crashed(guard, error)
    return verdict


def checked(finding: Any) -> Finding:
    """Return a finding, if it is one.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(finding, Finding):
        raise TypeError(f"a guard gives findings, not {type(finding).__name__}")
    return finding
