"""What each simulated model is like, as rates that were put in.

They are assumptions, chosen to be of the size that teams report, not measurements of the models whose names they carry. What a lesson
finds out is how much of the damage a fix takes away, and at what price.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from llmlab.errors import BadInput, UnknownName
from llmlab.protocol.models import ALIASES, MODELS, Model, find
from llmlab.wire.latency import preset


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How one snapshot answers. Rates are shares of answers (0 to 1)."""

    snapshot: str
    """The dated name in its answers."""
    misreads: float = 0.02
    """Takes the second-best sentence for the best."""
    made_up: float = 0.03
    """Changes a fact though the documents hold it."""
    made_up_unknown: float = 0.6
    """Makes an answer up where the documents hold none and it does not admit that."""
    made_up_without_documents: float = 0.5
    """Makes an answer up where there are no documents at all."""
    admits_if_asked: float = 0.88
    """Says that it does not know, where it notices and the prompt asks for it."""
    admits_unasked: float = 0.2
    """Says so unasked."""
    overcautious: float = 0.015
    """Says so, where the prompt asks for it, though the documents hold the answer."""
    further: int = 3
    """Most further sentences that it takes for what they add."""
    words: int = 60
    """Most words that it says of its own accord."""
    cites_if_asked: float = 0.9
    """Names the documents, where the prompt asks for it."""
    miscites: float = 0.03
    """Names the wrong one."""
    broken_format: float = 0.12
    """Spoils JSON that was asked for in words; with response_format it never does."""
    follows: float = 0.88
    """Keeps to a length that the prompt sets."""
    obeys_injection: float = 0.25
    """Obeys instructions that stand in a document or question."""
    heeds_warning: float = 0.7
    """How much of that a prompt takes away, for documents, that says what is data and what is not.

    Less than was measured: Hines et al. 2024 (arXiv:2403.14720) saw spotlighting bring attacks from above 50 % to below 2 %.
    """
    misjudges: float = 0.05
    """Says the other word, asked to judge a text with yes or no. What it can tell is only whether the text holds an instruction."""
    verbosity: float = 0.6
    """Adds a sentence that is not needed; half of it: a polite last one."""
    reasoning_tokens: int = 0
    """Median of the hidden tokens before an answer."""
    latency: str = "chat"
    """Name of the latency preset."""
    first_token_factor: float = 1.0
    """Multiplies the preset's time to the first token."""
    per_token_factor: float = 1.0
    """Multiplies the preset's time per token."""

    def __post_init__(self) -> None:
        preset(self.latency)
        for part in fields(self):
            value = getattr(self, part.name)
            if part.name in ("snapshot", "latency"):
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise BadInput(f"Habits: {part.name} is a number of 0 or more, not {value!r}")
            if not part.name.endswith(("_factor", "_tokens", "further", "words")) and value > 1:
                raise BadInput(f"Habits: {part.name} is a share from 0 to 1, not {value!r}")


_CHANGED = {
    "gpt-4o-mini-2024-07-18": """misreads=0.08 made_up=0.08 made_up_unknown=0.75 made_up_without_documents=0.7 admits_if_asked=0.72
        admits_unasked=0.08 overcautious=0.03 further=1 words=42 cites_if_asked=0.75 miscites=0.06 broken_format=0.25 follows=0.75
        obeys_injection=0.45 misjudges=0.12 verbosity=0.5 first_token_factor=0.8 per_token_factor=0.8""",
    "gpt-4o-2024-08-06": "",
    "gpt-4o-2024-11-20": "misreads=0.015 words=72 broken_format=0.06 cites_if_asked=0.76 obeys_injection=0.2 verbosity=0.9",
    "gpt-5.2-2025-12-11": """misreads=0.01 words=75 made_up=0.02 made_up_unknown=0.45 made_up_without_documents=0.35 admits_if_asked=0.96
        admits_unasked=0.4 overcautious=0.01 cites_if_asked=0.96 miscites=0.01 broken_format=0.03 follows=0.96 obeys_injection=0.1
        heeds_warning=0.9 verbosity=0.65 reasoning_tokens=128""",
}


def _habits(snapshot: str, changed: str) -> Habits:
    pairs = (pair.split("=") for pair in changed.split())
    return Habits(snapshot=snapshot, **{name: json.loads(value) for name, value in pairs})


HABITS: Mapping[str, Habits] = MappingProxyType({snapshot: _habits(snapshot, changed) for snapshot, changed in _CHANGED.items()})
"""Every bundled snapshot's habits by its name; what is not listed is as in `Habits`."""


def served(given: Iterable[str] | Mapping[str, str | Habits] | None) -> tuple[dict[str, Model], dict[str, Habits]]:
    """Return the models that are there, and the habits behind each name."""
    changes = dict(given) if isinstance(given, Mapping) else {}
    if given is None or changes:
        given = [model.name for model in MODELS]
    names = {find(name).name for name in ([given] if isinstance(given, str) else given)}
    if not names:
        raise BadInput("models is empty; leave it out for all bundled models, or name one of: " + ", ".join(ALIASES.values()))
    models = {model.name: model for model in MODELS if model.name in names}
    habits = {snapshot: HABITS[snapshot] for model in models.values() for snapshot in model.snapshots}
    habits |= {model.name: HABITS[model.snapshots[0]] for model in models.values()}
    for name, change in changes.items():
        target = find(name).name if name in ALIASES else name
        if target not in habits:
            raise UnknownName("model", name, habits)
        if not isinstance(change, Habits) and change not in HABITS:
            raise UnknownName("snapshot", change, HABITS)
        habits[target] = change if isinstance(change, Habits) else HABITS[change]
    return models, habits
