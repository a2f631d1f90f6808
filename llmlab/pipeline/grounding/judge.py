"""A model that judges whether an answer is grounded: the same place in the pipeline as `GroundingGuard`, at the price of an attempt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.judge import JudgeGuard
from llmlab.pipeline.guardrails.verdict import Ask
from llmlab.pipeline.parsing.prose import prose


@dataclass(frozen=True, kw_only=True)
class GroundingJudge(JudgeGuard):
    """Asks a model whether an answer says more than the documents of its request do.

    It understands paraphrases that `GroundingGuard` does not, and can err, fail and cost. A simulated model cannot tell: it sees
    instructions in a text, and nothing else.
    """

    action: str = "abstain"
    """"allow", "flag", "block", or "abstain": the user is told that there is no answer."""
    roles: tuple[str, ...] = ("assistant",)
    policy: str = "Does the answer state anything that the documents do not state?"
    kind: str = "claim"
    question: str = field(default="", repr=False)
    sources: tuple[Any, ...] = field(default=(), repr=False)
    """The documents of the request: see `for_request`."""

    allowed_actions: ClassVar[tuple[str, ...]] = ("allow", "flag", "block", "abstain")

    def for_request(self, question: str, documents: Iterable[Any] = (), history: Iterable[Mapping[str, str]] = ()) -> GroundingJudge:
        """Return the judge of one request.

        Args:
            question: What the user asks.
            documents: What is to be answered from, each with id, title and text.
            history: Earlier messages; they are no source.
        """
        return replace(self, question=question, sources=tuple(documents))

    async def judge(self, text: str, role: str, ask: Ask) -> list[Finding]:
        """Return one finding where the model says that the answer goes beyond the documents.

        Args:
            text: The answer.
            role: Whose text it is.
            ask: Asks the model.

        Raises:
            AttemptFailed: There was no verdict.
            ValueError: What came is no verdict, or documents and answer are too long to ask about.
        """
        pages = "\n\n".join(f"{page.title}\n{page.text}" for page in self.sources)
        said = "\n".join(one.text for one in prose(text))
        found = await super().judge(f"Documents:\n{pages}\n\nQuestion: {self.question}\n\nAnswer: {said}", role, ask)
        return [one._replace(start=0, end=len(text)) for one in found]
