"""The guards, by the names that users type: `llmlab.guardrails.InjectionGuard()`.

Notebook: 02_guardrails.ipynb
"""

from llmlab.pipeline.guardrails.base import Guard, RuleGuard, Streaming
from llmlab.pipeline.guardrails.canary import CanaryGuard
from llmlab.pipeline.guardrails.injection import InjectionGuard
from llmlab.pipeline.guardrails.judge import JudgeGuard
from llmlab.pipeline.guardrails.leaks import LeakGuard
from llmlab.pipeline.guardrails.length import LengthGuard
from llmlab.pipeline.guardrails.links import LinkGuard
from llmlab.pipeline.guardrails.markup import FormatGuard
from llmlab.pipeline.guardrails.personal import PIIGuard
from llmlab.pipeline.guardrails.phrases import PhraseGuard
from llmlab.pipeline.guardrails.refusal import RefusalGuard
from llmlab.pipeline.guardrails.secrets import SecretsGuard
from llmlab.pipeline.guardrails.topic import LanguageGuard, Topic, TopicGuard

__all__ = [
    "CanaryGuard",
    "FormatGuard",
    "Guard",
    "InjectionGuard",
    "JudgeGuard",
    "LanguageGuard",
    "LeakGuard",
    "LengthGuard",
    "LinkGuard",
    "PIIGuard",
    "PhraseGuard",
    "RefusalGuard",
    "RuleGuard",
    "SecretsGuard",
    "Streaming",
    "Topic",
    "TopicGuard",
]
