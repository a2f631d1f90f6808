"""What stands below the openai client: transports that answer, and weather before them. Names load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmlab.wire.cassette import Cassette
    from llmlab.wire.chaos import Chaos
    from llmlab.wire.live import Live
    from llmlab.wire.serving.server import serve
    from llmlab.wire.simulator import Simulator

_HOME = {
    "Cassette": "llmlab.wire.cassette",
    "Chaos": "llmlab.wire.chaos",
    "Live": "llmlab.wire.live",
    "Simulator": "llmlab.wire.simulator",
    "serve": "llmlab.wire.serving.server",
}

__all__ = ["Cassette", "Chaos", "Live", "Simulator", "serve"]


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"llmlab.wire has no {name!r}; it has {', '.join(__all__)}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
