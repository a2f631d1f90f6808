"""A stub."""

from __future__ import annotations

from importlib import import_module

__all__ = ["answer"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("llmlab.wire"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
