"""Guards: the first stage and the last. A guard looks at a text and gives findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding


@runtime_checkable
class Guard(Protocol):
    """Anything with this method can be a guard."""

    def check(self, text: str, role: str = "user") -> list[Finding]:
        """Return what is wrong with `text`; an empty list lets it pass."""
        ...


@dataclass(frozen=True, kw_only=True)
class LengthGuard:
    """Stops questions that are too long to be questions, before they cost anything."""

    max_characters: int = 4_000
    """Longest text that passes (in characters)."""

    def __post_init__(self) -> None:
        if not isinstance(self.max_characters, int) or self.max_characters < 1:
            raise BadInput(f"LengthGuard: max_characters is a whole number of at least 1, not {self.max_characters!r}")

    def check(self, text: str, role: str = "user") -> list[Finding]:
        """Return one finding where `text` is empty or too long."""
        if not text.strip():
            return [Finding("empty", "length.empty", 0, len(text), "the question is empty")]
        if len(text) <= self.max_characters:
            return []
        reason = f"the question has {len(text):,} characters, and {self.max_characters:,} are allowed"
        return [Finding("too_long", "length.max", self.max_characters, len(text), reason)]
