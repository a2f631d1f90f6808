"""Below the openai client: what the network and the provider do to you. Everything here is an httpx2 transport, and they nest."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmlab.wire.cassette import Cassette
    from llmlab.wire.chaos import Chaos
    from llmlab.wire.live import Live
    from llmlab.wire.simulator import Simulator

_HOME = {"Cassette": "cassette", "Chaos": "chaos", "Live": "live", "Simulator": "simulator"}
__all__ = ["Cassette", "Chaos", "Live", "Simulator"]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f"llmlab.wire.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
