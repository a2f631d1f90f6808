"""The names of `llmlab.wire.faults`, for `from llmlab.faults import ...`."""

from llmlab.wire.faults import *  # noqa: F403
from llmlab.wire.faults import __all__ as __all__
