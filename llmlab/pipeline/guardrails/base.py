"""The seam of the guards: a guard looks at a text and gives findings; its action says what becomes of them.

A guard is anything with `check(text, role)`. What else it may have is read where it is there:

- `action`: "allow" notes a finding in the trace, and that is all; "flag" tells the caller too; "redact" puts a placeholder in its place;
  "block" stops the question, leaves the document out, or withholds the answer; "abstain", of an answer, says that there is none. Without
  an action a guard blocks.
- `on_error`: "open" lets a text pass that the guard could not look at; "closed" lets nothing pass, and the answer has failed. Without one
  it is closed.
- `roles`: which texts it looks at. Without it, all.
- `open_from(text)`, for an answer that is still coming: see `Streaming`. The answer of a guard without it is held until its end.
- `judge(text, role, ask)`: a coroutine instead of `check`, for what must ask a model: see `llmlab.pipeline.guardrails.judge`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding

ACTIONS = ("allow", "flag", "redact", "block")
ON_ERROR = ("open", "closed")
ROLES = ("user", "document", "assistant")

HELD_CHARACTERS = 120
"""The most that may be held back: about 30 tokens of English (in characters)."""
CONTEXT_CHARACTERS = 80
"""What a guard may look back at in text that was released already (in characters)."""


@runtime_checkable
class Guard(Protocol):
    """Anything with this method can be a guard."""

    def check(self, text: str, role: str = "user") -> list[Finding]:
        """Return what is wrong with `text`; an empty list lets it pass.

        Args:
            text: A question, a document, or an answer.
            role: Whose text it is: "user", "document" or "assistant".
        """
        ...


@runtime_checkable
class Streaming(Guard, Protocol):
    """A guard that can look at an answer while it comes, and has the same verdict however the answer is split into chunks.

    It promises three things:

    1. What it finds before `open_from(text)` is final: for every continuation, the findings of `check(text + continuation)` that start
       there are those of `check(text)`, spans included.
    2. It holds back little: `open_from(text) >= len(text) - HELD_CHARACTERS`. No pattern is longer than that; what goes on and on (a
       number of 500 digits) is found, or let pass, by its beginning.
    3. It looks back little: what starts at p or later depends on nothing before p - CONTEXT_CHARACTERS, or before p - `looks_back` where it
       has such an attribute. That saves it work: it is shown no more than it needs.
    """

    def open_from(self, text: str) -> int:
        """Return where a finding may still begin, change or end as more text comes; `len(text)`: nothing is open."""
        ...


@dataclass(frozen=True, kw_only=True)
class RuleGuard:
    """What the guards of rules have in common. Their work is linear in the length of the text, so they need no timeout.

    Raises:
        BadInput: An action, an `on_error` or a role that is none.
    """

    action: str = "block"
    """What becomes of a finding: "allow", "flag", "redact" or "block"."""
    on_error: str = "closed"
    """Where the guard itself fails: "open" lets the text pass, "closed" does not."""
    roles: tuple[str, ...] = ROLES
    """Which texts it looks at: "user", "document", "assistant"."""

    allowed_actions: ClassVar[tuple[str, ...]] = ACTIONS

    def __post_init__(self) -> None:
        name = type(self).__name__
        if self.action not in self.allowed_actions:
            raise BadInput(f"{name}: action is one of {', '.join(self.allowed_actions)}, not {self.action!r}")
        if self.on_error not in ON_ERROR:
            raise BadInput(f'{name}: on_error is "open" or "closed", not {self.on_error!r}')
        if isinstance(self.roles, str) or not self.roles or not set(self.roles) <= set(ROLES):
            raise BadInput(f"{name}: roles are some of {', '.join(ROLES)}, in a tuple, not {self.roles!r}")
        object.__setattr__(self, "roles", tuple(self.roles))
