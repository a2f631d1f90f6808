"""The models by name: the one table of aliases, tiers and snapshots that wire and pipeline share."""

from __future__ import annotations

import re
from typing import NamedTuple

from llmlab.errors import UnknownName


class Model(NamedTuple):
    """A model as its provider lists it."""

    name: str
    """The name that callers use; it moves to newer snapshots."""
    tier: str
    """fast, main or strong."""
    snapshots: tuple[str, ...]
    """Dated names, oldest first; `name` means the first until somebody moves it."""
    context_tokens: int
    """Longest prompt and completion together (in tokens)."""
    reasoning: bool = False
    """Whether it thinks before it answers, in tokens that are billed and not shown."""


MODELS = (
    Model("gpt-4o-mini", "fast", ("gpt-4o-mini-2024-07-18",), 128_000),
    Model("gpt-4o", "main", ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20"), 128_000),
    Model("gpt-5.2", "strong", ("gpt-5.2-2025-12-11",), 400_000, reasoning=True),
)
ALIASES = {model.tier: model.name for model in MODELS}
_DATE = re.compile(r"-\d{4}(?:-\d{2}-\d{2})?$")
KNOWN = {name: model for model in MODELS for name in (model.name, *model.snapshots)}


def resolve(name: str) -> str:
    """Return the model that `name` means: an alias's model, or `name` itself, for a live provider may know models that we don't."""
    return ALIASES.get(name, name)


def is_other(asked: str, answered: str) -> bool:
    """Whether a reply is another model's than was asked for. A name that we don't know may stand for any (a deployment's): it is none.

    Args:
        asked: A name, an alias, or a snapshot.
        answered: What the reply says, perhaps with a date, or with a vendor in front (openai/gpt-4o).
    """
    asked, answered = resolve(asked), answered.rpartition("/")[2]
    return asked in KNOWN and asked not in (answered, _DATE.sub("", answered)) and answered != KNOWN[asked].name


def find(name: str) -> Model:
    """Return the entry of a model, a snapshot or an alias.

    Raises:
        UnknownName: There is none.
    """
    try:
        return KNOWN[resolve(name)]
    except (KeyError, TypeError):
        raise UnknownName("model", name, [*ALIASES, *KNOWN]) from None
