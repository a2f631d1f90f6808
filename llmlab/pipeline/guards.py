"""Guards: the first stage and the last. A guard looks at a text and gives findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding

_WHAT = {"user": "the question", "assistant": "the answer"}


@runtime_checkable
class Guard(Protocol):
    """Anything with this method can be a guard."""

    def check(self, text: str, role: str = "user") -> list[Finding]:
        """Return what is wrong with `text`; an empty list lets it pass.

        Args:
            text: A question, or an answer.
            role: Who wrote it: "user" or "assistant".
        """
        ...


@dataclass(frozen=True, kw_only=True)
class LengthGuard:
    """Stops what is too long to be a question, before it costs anything, and what is no text at all.

    Raises:
        BadInput: `max_characters` is no whole number of at least 1.
    """

    max_characters: int = 4_000
    """Longest text that passes (in characters)."""

    def __post_init__(self) -> None:
        if not isinstance(self.max_characters, int) or isinstance(self.max_characters, bool) or self.max_characters < 1:
            raise BadInput(f"LengthGuard: max_characters is a whole number of at least 1, not {self.max_characters!r}")

    def check(self, text: str, role: str = "user") -> list[Finding]:
        """Return one finding where `text` is empty or too long."""
        what = _WHAT.get(role, "the text")
        if len(text) > self.max_characters:
            reason = f"{what} has {len(text):,} characters, and {self.max_characters:,} are allowed"
            return [Finding("too_long", "length.max", self.max_characters, len(text), reason)]
        if not text or text.isspace():
            return [Finding("empty", "length.empty", 0, len(text), f"{what} is empty")]
        return []
