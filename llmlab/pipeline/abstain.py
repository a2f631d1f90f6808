"""Abstaining: "I don't know" as an outcome of its own, and what the user is told then."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llmlab.errors import BadInput
from llmlab.pipeline.guardrails.refusal import RefusalGuard
from llmlab.pipeline.prompt import Document

_UNKNOWN = RefusalGuard(kinds=("abstention",))
_SENTENCES = re.compile(r"(?<=[.!?])\s+")
_EMPTY = re.compile(
    r"\b(?:if you tell me more|please (?:contact|get in touch|ask)|let me know|i hope|i will gladly|you can reach)\b", re.IGNORECASE
)


def says_unknown(text: str) -> bool:
    """Return whether an answer says nothing but that it does not know (in English, by its wording).

    One that says so and then claims something all the same is an answer.
    """
    if not _UNKNOWN.check(text):
        return False
    rest = [part for part in _SENTENCES.split(text.strip()) if not _UNKNOWN.check(part) and not _EMPTY.search(part)]
    return not any(re.search(r"\d", part) or len(part.split()) > 5 for part in rest)


@dataclass(frozen=True, kw_only=True)
class Abstain:
    """What the user is told where there is no answer: that there is none, what was looked at, and what is offered instead.

    Raises:
        BadInput: A part that is no text, or an empty message.
    """

    message: str = "I don't know: I found no answer that our help pages support."
    """That there is no answer."""
    offer: str = "A colleague can help you; shall I pass your question on?"
    """What is offered instead; empty: nothing."""
    pages: int = 2
    """How many of the pages that were looked at are named (their titles)."""

    def __post_init__(self) -> None:
        if not isinstance(self.message, str) or not self.message.strip() or not isinstance(self.offer, str):
            raise BadInput(f"Abstain: message is a text that is not empty, and offer a text, not {self.message!r} and {self.offer!r}")
        if not isinstance(self.pages, int) or isinstance(self.pages, bool) or self.pages < 0:
            raise BadInput(f"Abstain: pages is a whole number of at least 0, not {self.pages!r}")

    def words(self, question: str, documents: Sequence[Document]) -> str:
        """Return the text for the user.

        Args:
            question: What was asked.
            documents: What was to be answered from.
        """
        titles = [document.title or document.id for document in documents[: self.pages]]
        return " ".join(filter(None, (self.message, f"Closest: {', '.join(titles)}." if titles else "", self.offer)))
