"""Grounding, by the name that users type: `llmlab.grounding.check(answer, sources=[...])`."""

from llmlab.pipeline.grounding.check import THRESHOLD, Claim, Grounding, check
from llmlab.pipeline.grounding.citations import Citation, Quote
from llmlab.pipeline.grounding.guard import GroundingGuard
from llmlab.pipeline.grounding.judge import GroundingJudge
from llmlab.pipeline.grounding.relevance import RELEVANT, Relevance, relevance

__all__ = [
    "RELEVANT",
    "THRESHOLD",
    "Citation",
    "Claim",
    "Grounding",
    "GroundingGuard",
    "GroundingJudge",
    "Quote",
    "Relevance",
    "check",
    "relevance",
]
