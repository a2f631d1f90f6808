"""The guards, by the names that users type: `llmlab.guardrails.InjectionGuard()`."""

from llmlab.pipeline.guardrails.base import Guard, RuleGuard, Streaming
from llmlab.pipeline.guardrails.injection import InjectionGuard
from llmlab.pipeline.guardrails.length import LengthGuard

__all__ = ["Guard", "InjectionGuard", "LengthGuard", "RuleGuard", "Streaming"]
