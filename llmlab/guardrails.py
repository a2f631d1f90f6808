"""The names of `llmlab.pipeline.guardrails`, for `from llmlab.guardrails import ...`."""

from llmlab.pipeline.guardrails import *  # noqa: F403
from llmlab.pipeline.guardrails import __all__ as __all__
