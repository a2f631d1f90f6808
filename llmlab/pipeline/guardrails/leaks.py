"""The guard of leaks: personal data in the answer that was not in the request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import CONTEXT_CHARACTERS, RuleGuard, Streaming

_WORD = re.compile(r"[^\W_]+")
_PARTED = re.compile("[.@:]")
"""What parts a name, or an address of the internet; a number or a code is only grouped."""
_DIGITS = 9
"""The last digits that tell two long numbers apart, whether they are written with a country's code or not."""


@dataclass(frozen=True, kw_only=True)
class LeakGuard(RuleGuard):
    """Lets a detector look at the answer, and reports what does not occur in the request: question, documents, history.

    Values are compared as whole words, without case, spaces and punctuation. Numbers and codes may be grouped in another way; of numbers of
    more than 9 digits, the last 9 count. So a customer may be told their own address, and nobody else's. Without a request all counts as
    leaked.

    Raises:
        BadInput: The detector cannot look at an answer while it comes.
    """

    detector: Any
    """A guard with `check` and `open_from`, as in `PIIGuard()`; its action does not matter."""
    request: tuple[str, ...] = field(default=(), repr=False)
    """What was said, normalized: see `for_request`."""
    roles: tuple[str, ...] = ("assistant",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.detector, type) or not isinstance(self.detector, Streaming):
            raise BadInput(f"LeakGuard: the detector is a guard with check and open_from, and {self.detector!r} is none")

    def for_request(self, question: str, documents: Iterable[Any] = (), history: Iterable[Mapping[str, str]] = ()) -> LeakGuard:
        """Return the guard of one request.

        Args:
            question: What the user asks.
            documents: What it is answered from, each with title and text.
            history: Earlier messages (role and content).
        """
        said = [question, *(part for document in documents for part in (document.title, document.text))]
        said += [message["content"] for message in history]
        return replace(self, request=tuple(map(_words, said)))

    @property
    def looks_back(self) -> int:
        """As far as the detector does (in characters)."""
        return int(getattr(self.detector, "looks_back", CONTEXT_CHARACTERS))

    def check(self, text: str, role: str = "assistant") -> list[Finding]:
        """Return what the detector finds in `text` and the request does not hold."""
        found = self.detector.check(text, role=role)
        return [finding for finding in found if not self._said(text[finding.start : finding.end], finding.kind)]

    def open_from(self, text: str) -> int:
        """Return where the detector may still find something."""
        return int(self.detector.open_from(text))

    def _said(self, value: str, kind: str) -> bool:
        words = _words(value)
        bare = words.replace(" ", "")
        if kind == "IP_ADDRESS" or (not bare.isdecimal() and _PARTED.search(value)):
            return bool(bare) and any(words in text for text in self.request)
        long = bare.isdecimal() and len(bare) > _DIGITS
        part = bare[-_DIGITS:] if long else bare
        grouped = f"{'' if long else ' '}{' ?'.join(part)} "
        return bool(part) and any(part in text.replace(" ", "") and re.search(grouped, text) for text in self.request)


def _words(text: str) -> str:
    """Return the words and numbers of a text, each between two spaces."""
    return f" {' '.join(_WORD.findall(text.casefold()))} "
