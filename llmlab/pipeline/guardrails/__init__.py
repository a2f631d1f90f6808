"""The guards, by the names that users type: `llmlab.guardrails.InjectionGuard()`."""

from llmlab.pipeline.guardrails.base import Guard, RuleGuard, Streaming
from llmlab.pipeline.guardrails.injection import InjectionGuard
from llmlab.pipeline.guardrails.judge import JudgeGuard
from llmlab.pipeline.guardrails.length import LengthGuard
from llmlab.pipeline.guardrails.personal import PIIGuard
from llmlab.pipeline.guardrails.secrets import SecretsGuard

__all__ = ["Guard", "InjectionGuard", "JudgeGuard", "LengthGuard", "PIIGuard", "RuleGuard", "SecretsGuard", "Streaming"]
