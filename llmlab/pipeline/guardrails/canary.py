"""The guard of one request's canary: a token of the system message that no answer has any business to hold."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import RuleGuard

_BETWEEN = r"[\W_]{0,2}+"
"""What may part two characters of the token, as in "3 f" and "3, f"."""


@dataclass(frozen=True, kw_only=True)
class CanaryGuard(RuleGuard):
    """Finds a canary in an answer: whole, in any case, or spelled out. Where it stands, the system message leaked.

    It sees a leak that holds the token, and none that leaves it out, encodes it or breaks off before it.

    Raises:
        BadInput: The token is no word of 8 to 40 letters and digits.
    """

    canary: str = field(repr=False)
    """The token, as `Prompt.canary_of` gives it."""
    roles: tuple[str, ...] = ("assistant",)

    looks_back: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.canary, str) or not (self.canary.isalnum() and self.canary.isascii() and 8 <= len(self.canary) <= 40):
            raise BadInput("CanaryGuard: canary is a word of 8 to 40 ASCII letters and digits")
        object.__setattr__(self, "canary", self.canary.lower())

    def check(self, text: str, role: str = "assistant") -> list[Finding]:
        """Return a finding where the canary stands."""
        reason = "the answer gives the system message away"
        return [Finding("canary", "canary.leaked", *match.span(1), reason) for match in self._whole.finditer(text)]

    def open_from(self, text: str) -> int:
        """Return where the canary has begun and not ended."""
        begun = self._begun.search(text, max(0, len(text) - 3 * len(self.canary)))
        return begun.start() if begun else len(text)

    @cached_property
    def _whole(self) -> re.Pattern[str]:
        return re.compile(f"(?=({_BETWEEN.join(self.canary)}))", re.IGNORECASE)

    @cached_property
    def _begun(self) -> re.Pattern[str]:
        *rest, last = (character + _BETWEEN for character in self.canary[:-1])
        for character in reversed(rest):
            last = f"{character}(?:{last})?"
        return re.compile(rf"{last}\Z", re.IGNORECASE)
