"""llmlab: a workbench and test harness for what breaks when an LLM feature goes to production.

Names load on first use, so that `import llmlab` costs little more than `import openai`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmlab import wire
    from llmlab.lab.apps import careful, naive, stack
    from llmlab.lab.compare import Comparison, compare
    from llmlab.lab.lab import Lab
    from llmlab.lab.load import Arrivals, Closed, Open, Zipf
    from llmlab.lab.runs import Runs
    from llmlab.notebook import check
    from llmlab.pipeline import grounding, guardrails
    from llmlab.pipeline.abstain import Abstain
    from llmlab.pipeline.answer import Answer
    from llmlab.pipeline.breaker import Breaker
    from llmlab.pipeline.cache import Cache
    from llmlab.pipeline.clocks import Clocks
    from llmlab.pipeline.guardrails.length import LengthGuard
    from llmlab.pipeline.parsing.arguments import Tool
    from llmlab.pipeline.pipeline import Pipeline
    from llmlab.pipeline.prompt import Prompt
    from llmlab.pipeline.route import Route
    from llmlab.pipeline.routing import Hedge, Retry
    from llmlab.pipeline.state import State
    from llmlab.protocol.clock import simulate
    from llmlab.wire import faults
    from llmlab.wire.client import client, sync_client

__version__ = "0.1.0"

_HOME = {
    "Abstain": "llmlab.pipeline.abstain",
    "Answer": "llmlab.pipeline.answer",
    "Arrivals": "llmlab.lab.load",
    "Breaker": "llmlab.pipeline.breaker",
    "Cache": "llmlab.pipeline.cache",
    "Clocks": "llmlab.pipeline.clocks",
    "Closed": "llmlab.lab.load",
    "Comparison": "llmlab.lab.compare",
    "Hedge": "llmlab.pipeline.routing",
    "Lab": "llmlab.lab.lab",
    "LengthGuard": "llmlab.pipeline.guardrails.length",
    "Open": "llmlab.lab.load",
    "Pipeline": "llmlab.pipeline.pipeline",
    "Prompt": "llmlab.pipeline.prompt",
    "Retry": "llmlab.pipeline.routing",
    "Route": "llmlab.pipeline.route",
    "Runs": "llmlab.lab.runs",
    "State": "llmlab.pipeline.state",
    "Tool": "llmlab.pipeline.parsing.arguments",
    "Zipf": "llmlab.lab.load",
    "careful": "llmlab.lab.apps",
    "check": "llmlab.notebook.check",
    "client": "llmlab.wire.client",
    "compare": "llmlab.lab.compare",
    "faults": "llmlab.wire.faults",
    "grounding": "llmlab.pipeline.grounding",
    "guardrails": "llmlab.pipeline.guardrails",
    "naive": "llmlab.lab.apps",
    "simulate": "llmlab.protocol.clock",
    "stack": "llmlab.lab.apps",
    "sync_client": "llmlab.wire.client",
    "wire": "llmlab.wire",
}

__all__ = [
    "Abstain",
    "Answer",
    "Arrivals",
    "Breaker",
    "Cache",
    "Clocks",
    "Closed",
    "Comparison",
    "Hedge",
    "Lab",
    "LengthGuard",
    "Open",
    "Pipeline",
    "Prompt",
    "Retry",
    "Route",
    "Runs",
    "State",
    "Tool",
    "Zipf",
    "careful",
    "check",
    "client",
    "compare",
    "faults",
    "grounding",
    "guardrails",
    "naive",
    "simulate",
    "stack",
    "sync_client",
    "wire",
]


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"llmlab has no {name!r}; it has {', '.join(__all__)}")
    module = import_module(home)
    value = (
        module if home.endswith(f".{name}") and name in ("check", "faults", "grounding", "guardrails", "wire") else getattr(module, name)
    )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
