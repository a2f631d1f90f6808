"""The names of `llmlab.pipeline.grounding`, for `from llmlab.grounding import ...`."""

from llmlab.pipeline.grounding import *  # noqa: F403
from llmlab.pipeline.grounding import __all__ as __all__
