"""Grounding as a guard of the answer: what the documents do not say is flagged, or the pipeline abstains.

Notebook: 04_hallucination.ipynb
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding, moved
from llmlab.pipeline.grounding.check import THRESHOLD, check
from llmlab.pipeline.grounding.relevance import relevance
from llmlab.pipeline.guardrails.base import RuleGuard
from llmlab.pipeline.parsing.prose import prose


@dataclass(frozen=True, kw_only=True)
class GroundingGuard(RuleGuard):
    """Compares each claim of an answer with the documents of its request, without a model.

    Where `relevant` is above 0, it also asks whether the answer fits the question. It needs the whole answer, so a streamed one is held
    until its end. In structured output it looks at every text of three words or more.

    Raises:
        BadInput: A threshold is not between 0 and 1.
    """

    action: str = "abstain"
    """"allow", "flag", "block", or "abstain": the user is told that there is no answer."""
    threshold: float = THRESHOLD
    """Least score of a supported claim, 0 to 1: see `llmlab.grounding.check`."""
    relevant: float = 0.0
    """Least score of an answer to the question, 0 to 1, as in `llmlab.grounding.relevance` (English only); 0: anything is one."""
    roles: tuple[str, ...] = ("assistant",)
    question: str = field(default="", repr=False)
    sources: tuple[Any, ...] = field(default=(), repr=False)
    """The documents of the request: see `for_request`."""

    allowed_actions: ClassVar[tuple[str, ...]] = ("allow", "flag", "block", "abstain")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("threshold", self.threshold), ("relevant", self.relevant)):
            if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1:
                raise BadInput(f"GroundingGuard: {name} lies between 0 and 1, not at {least!r}")

    def for_request(self, question: str, documents: Iterable[Any] = (), history: Iterable[Mapping[str, str]] = ()) -> GroundingGuard:
        """Return the guard of one request.

        Args:
            question: What the user asks.
            documents: What is to be answered from.
            history: Earlier messages; they are no source.
        """
        return replace(self, question=question, sources=tuple(documents))

    def check(self, text: str, role: str = "assistant") -> list[Finding]:
        """Return the claims, citations and quotes that the documents do not support, and what of the question is not answered."""
        found: list[Finding] = []
        texts = list(prose(text))
        for said in texts:
            grounding = check(said.text, sources=self.sources, question=self.question, threshold=self.threshold)
            within = said.end - said.start == len(said.text)  # nothing in it is escaped
            found += [moved(one, said.start) if within else one._replace(start=said.start, end=said.end) for one in grounding.findings]
        if self.relevant and texts:
            whole = "\n".join(said.text for said in texts)
            fit = relevance(self.question, whole, sources=self.sources, grounding=grounding if len(texts) == 1 else None)
            if fit.score < self.relevant:
                found.append(Finding("question", "grounding.question", texts[0].start, texts[-1].end, fit.reason))
        return found
