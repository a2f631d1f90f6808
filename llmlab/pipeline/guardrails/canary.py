"""The guard of one request's canary: a token of the system message that no answer has any business to hold."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import RuleGuard

_BETWEEN = 2
"""Most characters that may part two of the token's, as in "3 f" and "3, f"."""


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
        spans = ((start, self._end(text, start)) for start in self._starts(text, 0))
        return [Finding("canary", "canary.leaked", start, end, reason) for start, end in spans if 0 < end <= len(text)]

    def open_from(self, text: str) -> int:
        """Return where the canary has begun and not ended."""
        longest = len(self.canary) * (_BETWEEN + 1)
        starts = self._starts(text, max(0, len(text) - longest))
        return next((start for start in starts if self._end(text, start) > len(text)), len(text))

    def _starts(self, text: str, begin: int) -> list[int]:
        return [match.start() for match in re.compile(self.canary[0], re.IGNORECASE).finditer(text, begin)]

    def _end(self, text: str, start: int) -> int:
        """Return where the canary that begins at `start` ends; more than the text's length if the text ends before; 0 if there is none."""
        place = start + 1
        for character in self.canary[1:]:
            between = next(size for size in count() if size == _BETWEEN or not _parts(text, place + size))
            place += between
            if place >= len(text):
                return len(text) + 1
            if text[place].lower() != character:
                return 0
            place += 1
        return place


def _parts(text: str, place: int) -> bool:
    return place < len(text) and not text[place].isalnum()
