"""Answers to questions of the help desk of which it is known whether their sources support them.

432 answers in 96 families, one a question; half of them are not supported, and differ from a supported one in one thing: a number, a unit,
a name, a denial, a condition, a citation. Both kinds are alike in length and form, and in how many words are not from the sources. The
check was tuned on the families of the half "open" only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

from llmlab.data.help_desk import Document, documents
from llmlab.errors import UnknownName

HALVES = ("open", "held")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One answer, and whether it is supported."""

    id: str
    question: str
    sources: tuple[str, ...]
    """Ids of the documents that the answer must rest on; what other documents say does not count."""
    answer: str
    supported: bool
    kind: str
    """How it is said (paraphrase, literal, cited, quoted), or what is wrong with it (number, unit, name, swap, negation, condition,
    invented, elsewhere, citation, quote)."""
    family: str
    """Id of the question: answers of one family are not independent."""
    half: str
    """open or held."""

    def documents(self) -> tuple[Document, ...]:
        """Return the documents that the answer must rest on."""
        known = {document.id: document for document in documents()}
        return tuple(known[name] for name in self.sources)


def probes(half: str | None = None) -> tuple[Probe, ...]:
    """Return the probes of one half, or all.

    Raises:
        UnknownName: The half is neither "open" nor "held".
    """
    if half is not None and half not in HALVES:
        raise UnknownName("half of the probes", half, HALVES)
    return tuple(probe for probe in _all() if half in (None, probe.half))


@cache
def _all() -> tuple[Probe, ...]:
    text = resources.files("llmlab.data").joinpath("grounding", "probes.jsonl").read_text(encoding="utf-8")
    rows = map(json.loads, text.splitlines())
    return tuple(Probe(**{**row, "sources": tuple(row["sources"])}) for row in rows)
