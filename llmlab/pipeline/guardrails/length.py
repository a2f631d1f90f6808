"""The guard of lengths: what is too long to be a question, and what is no text at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import RuleGuard

_WHAT = {"user": "the question", "document": "the document", "assistant": "the answer"}


@dataclass(frozen=True, kw_only=True)
class LengthGuard(RuleGuard):
    """Stops what is too long to be a question, before it costs anything, and what is no text at all.

    Raises:
        BadInput: `max_characters` is no whole number of at least 1.
    """

    max_characters: int = 4_000
    """Longest text that passes (in characters)."""
    roles: tuple[str, ...] = ("user", "assistant")
    """Documents are as long as they are; name "document" here where they must not be."""

    allowed_actions: ClassVar[tuple[str, ...]] = ("allow", "flag", "block")

    def __post_init__(self) -> None:
        super().__post_init__()
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
