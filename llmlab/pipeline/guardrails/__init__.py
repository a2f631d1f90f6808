"""The guards, by the names that users type: `llmlab.guardrails.InjectionGuard()`."""

from llmlab.pipeline.guardrails.base import Guard, RuleGuard, Streaming
from llmlab.pipeline.guardrails.length import LengthGuard

__all__ = ["Guard", "LengthGuard", "RuleGuard", "Streaming"]
