"""The guard against injected instructions and jailbreaks: rules with weights, and no model.

The rules stand in `llmlab/data/guardrails/injection.toml`, which says how to write one. A rule that fires is evidence of its weight w, from
0 to 1, and pieces of evidence are put together as if they were independent (noisy-or): score = 1 - product of (1 - w). A rule counts once,
however often it fires. The weights were set by hand.

Whose text it is matters. A task or a question is what users are for, and suspicious inside a document; so a rule has a weight for questions
and one for documents. In a document the evidence of a task grows where it stands apart: it shares no word with the rest (`_FOREIGN`), or it
has a line or the whole document to itself (`_ALONE`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from llmlab.data.probes import ATTACKS
from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import RuleGuard
from llmlab.pipeline.guardrails.concepts import Line
from llmlab.pipeline.guardrails.decode import DEPTH, payloads
from llmlab.pipeline.guardrails.normalise import Normalised, normalise
from llmlab.pipeline.guardrails.rules import common, line_of, matches, rules

KINDS = ATTACKS
"""The classes of attack. An attack in another language than English is "multilingual", whatever it is after."""

_FOREIGN = 0.35
_ALONE = 0.3
_ENCODED = 0.5
"""Extra evidence: of a task in a document without a common word with it, or on a line of its own; of an attack that somebody encoded."""
_HINT = 0.25
"""Evidence from which on somebody had a reason to encode it."""

_WORD = re.compile("[a-z]{2,}")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|[\n|]|$")
_LOOKS = 64
"""Tasks of a document that are compared with the rest of it: each takes a look through all of the text."""
_LONGEST = 400
"""Where a sentence ends that does not end (in characters)."""


class Hit(NamedTuple):
    """A rule that fired, with its evidence."""

    rule: str
    kind: str
    evidence: float
    start: int
    end: int
    reason: str
    within: str = "sent"
    """What the offsets count in: "signs", "plain" (the normalized text), or "sent" (the text as it was)."""


def hits(text: str, role: str = "user", *, depth: int = DEPTH) -> list[Hit]:
    """Return every rule that fires on `text` for a text of that role, in the order of the text, whatever its weight."""
    return _placed(*_hits(text, role, depth))


def _hits(text: str, role: str, depth: int) -> tuple[Normalised, Line, list[Hit]]:
    """Return the hits, with offsets in what their rules read."""
    plain = normalise(text)
    line, found, looked = line_of(plain.text), [], 0
    for rule, start, end, foreign in matches(line, text if plain.hides else None, role):
        evidence, within = rule.evidence(role), "signs" if rule.first else "sent" if rule.source else "plain"
        if rule.sentence and role == "document" and looked < _LOOKS:
            looked += 1
            evidence, start, end = _in_context(evidence, plain.text, *line.span(start, end))
            within = "plain"
        found.append(Hit(rule.id, "multilingual" if foreign else rule.kind, evidence, start, end, rule.reason, within))
    if depth and line.strange:
        found += _decoded(text, role, depth)
    return plain, line, found


def _placed(plain: Normalised, line: Line, found: list[Hit]) -> list[Hit]:
    """Return the hits with offsets in the text as it was sent, in its order."""
    placed = []
    for hit in found:
        start, end = line.span(hit.start, hit.end) if hit.within == "signs" else (hit.start, hit.end)
        if hit.within != "sent":
            start, end = plain.span(start, end)
        placed.append(hit._replace(start=start, end=end, within="sent"))
    return sorted(placed, key=lambda hit: (hit.start, hit.end, hit.rule))


def _in_context(weight: float, text: str, start: int, end: int) -> tuple[float, int, int]:
    """Return the evidence of the task in `text[start:end]`, of `weight` by itself, and where its sentence is."""
    stop = _SENTENCE_END.search(text, end - 1, start + _LONGEST)
    end = max(end, min(start + _LONGEST, len(text))) if stop is None else stop.start() if stop[0] in {"\n", "|"} else stop.end()
    topic = {word.removesuffix("s") for word in _WORD.findall(text, start, end) if len(word) > 3 and word not in common()}
    if len(topic) > 1 and not any(text.find(word, 0, start) >= 0 or text.find(word, end) >= 0 for word in topic):
        weight = 1 - (1 - weight) * (1 - _FOREIGN)
    before, after = text[max(0, start - 2) : start].rstrip(" ")[-1:], text[end : end + 2].lstrip(" ")[:1]
    if before in {"", "\n"} and after in {"", "\n"}:
        weight = 1 - (1 - weight) * (1 - _ALONE)
    return weight, start, end


def _decoded(text: str, role: str, depth: int) -> Iterator[Hit]:
    """Yield a hit for every payload that holds an attack; it is worth more than the same in the open."""
    for payload in payloads(text):
        *_, inside = _hits(payload.text, role, depth - 1)
        if combined(inside) >= _HINT:
            evidence = 1 - (1 - combined(inside)) * (1 - _ENCODED)
            reason = f"says in {payload.coding}: {max(inside, key=lambda hit: hit.evidence).reason}"
            yield Hit(f"encoded.{payload.coding}", "encoded", evidence, payload.start, payload.end, reason)


def combined(found: list[Hit]) -> float:
    """Return the score of hits, from 0 to 1: 1 - product of (1 - evidence), with the strongest hit of every rule."""
    best: dict[str, float] = {}
    for hit in found:
        best[hit.rule] = max(hit.evidence, best.get(hit.rule, 0.0))
    return round(1 - math.prod(1 - best[rule] for rule in sorted(best)), 9)


@dataclass(frozen=True, kw_only=True)
class InjectionGuard(RuleGuard):
    """Finds instructions where none should be: overrides, jailbreaks, forged turns, and tasks inside documents.

    It reads the text normalized, and what is encoded in it decoded; findings point at the text as it was sent.

    Raises:
        BadInput: `threshold` is not above 0 and at most 1.
    """

    threshold: float = 0.5
    """Score from which on there are findings: 0 to 1. At 0.5 one strong rule is enough, or two to four weak ones together; 0.8 wants
    several, and 0.3 takes every hint."""
    roles: tuple[str, ...] = ("user", "document")

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.threshold, bool) or not isinstance(self.threshold, int | float) or not 0 < self.threshold <= 1:
            raise BadInput(f"InjectionGuard: threshold is above 0 and at most 1, not {self.threshold!r}")
        # Reading them takes a while: not at the first question.
        rules()

    def check(self, text: str, role: str = "user") -> list[Finding]:
        """Return everything that is suspicious in `text`, where it amounts to `threshold`; otherwise nothing."""
        read = _hits(text, role, DEPTH)
        if combined(read[-1]) < self.threshold:
            return []
        return [Finding(hit.kind, hit.rule, hit.start, hit.end, hit.reason) for hit in _placed(*read)]

    def score(self, text: str, role: str = "user") -> float:
        """Return how much speaks for an attack in `text`: 0 (nothing) to 1; see the module."""
        return combined(_hits(text, role, DEPTH)[-1])
