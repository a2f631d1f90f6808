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
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import RuleGuard
from llmlab.pipeline.guardrails.decode import DEPTH, payloads
from llmlab.pipeline.guardrails.normalise import Normalised, letters, normalise

KINDS = (
    "override",
    "persona",
    "extraction",
    "indirect",
    "encoded",
    "multilingual",
    "forged_turn",
    "exfiltration",
    "tool_hijack",
    "hidden_text",
)
"""The classes of attack. An attack in another language than English is "multilingual", whatever it is after."""

_FOREIGN = 0.35
_ALONE = 0.3
_ENCODED = 0.5
"""Extra evidence: of a task in a document without a common word with it, or on a line of its own; of an attack that somebody encoded."""

_WORD = re.compile("[a-z]{2,}")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|[\n|]|$")
_LONGEST = 400
"""Where a sentence ends that does not end (in characters)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A pattern, and how much it says."""

    id: str
    kind: str
    """One of `KINDS`."""
    weight: float
    """Evidence of an attack in a question: 0 (none) to 1 (certain)."""
    document: float
    """The same in a document."""
    reason: str
    pattern: re.Pattern[str]
    """Runs on the normalized text, or on the source."""
    words: frozenset[str]
    """The pattern is only tried on a text with one of these words, or one of `needs`."""
    needs: tuple[str, ...]
    """Strings in the normalized text, for what has no words."""
    starts: bool
    """A match starts with one of the words, so that it needs to be looked for nowhere else."""
    source: bool
    """Runs on the text as it was sent, where something invisible is in it."""
    sentence: bool
    """It is about a task in a sentence: the evidence grows where that stands apart from its document."""
    catch: str
    """An example that it must catch."""
    spare: str
    """A similar one that it must not."""

    def evidence(self, role: str) -> float:
        """Return the weight for a text of that role."""
        return self.document if role == "document" else self.weight


class Hit(NamedTuple):
    """A rule that fired, with its evidence."""

    rule: str
    kind: str
    evidence: float
    start: int
    end: int
    reason: str
    placed: bool
    """Whether the offsets are those of the text as it was sent."""


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(resources.files("llmlab.data").joinpath("guardrails", "injection.toml").read_text(encoding="utf-8"))


@cache
def rules() -> tuple[Rule, ...]:
    """Return the rules, in the order of their file."""
    return tuple(_rule(_file()["words"], **row) for row in _file()["rule"])


@cache
def _common() -> frozenset[str]:
    """Return words that say nothing of a topic."""
    return frozenset(_file()["common"].split())


def _rule(macros: dict[str, str], *, id: str, pattern: str, **row: Any) -> Rule:  # noqa: A002
    def expand(text: str) -> str:
        for _ in range(3):
            text = re.sub("<([A-Z]+)>", lambda macro: f"(?:{macros[macro[1]]})", text)
        return text

    words, source = expand(row.pop("words", "") or row.get("starts", "")), row.pop("source", False)
    pattern = expand(pattern)
    if not source:
        pattern = re.sub("[^\0-\x7f]", lambda char: letters(char[0]), pattern).replace(" ", r"\s")
    return Rule(
        id=id,
        kind=id.partition(".")[0],
        pattern=re.compile(pattern),
        words=frozenset(_WORD.findall(words)),
        needs=tuple(letters(need) for need in row.pop("needs", ())),
        starts=bool(row.pop("starts", "")),
        source=source,
        sentence=row.pop("sentence", False),
        document=row.pop("document", row["weight"]),
        **row,
    )


class _Index(NamedTuple):
    """What wakes a rule (by its number)."""

    starts: dict[str, tuple[int, ...]]
    """The rules whose match may start with that word."""
    words: dict[str, tuple[int, ...]]
    needs: dict[str, tuple[int, ...]]
    source: tuple[int, ...]


@cache
def _index(role: str) -> _Index:
    """Return the index of the rules that have a weight for texts of that role."""
    index = _Index({}, {}, {}, tuple(number for number, rule in enumerate(rules()) if rule.source))
    for number, rule in enumerate(rules()):
        if rule.evidence(role):
            for wakes, keys in ((index.starts if rule.starts else index.words, sorted(rule.words)), (index.needs, rule.needs)):
                for key in keys:
                    wakes[key] = (*wakes.get(key, ()), number)
    return index


def _matches(text: str, plain: Normalised, words: Iterable[str], role: str) -> Iterator[tuple[Rule, re.Match[str]]]:
    """Yield the matches of every rule, rule by rule; `words` are those of the normalized text."""
    index, found = _index(role), dict[int, list[re.Match[str]]]()
    awake = set(index.source if plain.hides else ())
    for word in words:
        if word in index.words:
            awake.update(index.words[word])
        if word in index.starts:
            for place in _places(word, plain.text):
                for number in index.starts[word]:
                    if match := rules()[number].pattern.match(plain.text, place):
                        found.setdefault(number, []).append(match)
    for need, numbers in index.needs.items():
        if need in plain.text:
            awake.update(numbers)
    for number in awake:
        found[number] = list(rules()[number].pattern.finditer(text if rules()[number].source else plain.text))
    for number in sorted(found):
        last = 0
        for match in sorted(found[number], key=re.Match.start):
            if match.start() >= last:
                yield rules()[number], match
                last = match.end()


def _places(word: str, text: str) -> Iterator[int]:
    """Yield where words start with `word` in `text`."""
    place = text.find(word)
    while place >= 0:
        if not place or not "a" <= text[place - 1] <= "z":
            yield place
        place = text.find(word, place + len(word))


def hits(text: str, role: str = "user", *, depth: int = DEPTH) -> list[Hit]:
    """Return every rule that fires on `text` for a text of that role, in the order of the text, whatever its weight."""
    plain, found = _hits(text, role, depth)
    return _placed(plain, found)


def _hits(text: str, role: str, depth: int) -> tuple[Normalised, list[Hit]]:
    """Return the hits, those of the rules for normalized text with offsets in that."""
    plain = normalise(text)
    words = _WORD.findall(plain.text)
    found, counts = [], Counter[str]()
    for rule, match in _matches(text, plain, dict.fromkeys(words), role):
        evidence, (start, end) = rule.evidence(role), match.span()
        if rule.sentence and role == "document":
            counts = counts or Counter(words)
            evidence, end = _in_context(evidence, plain.text, start, end, counts)
        found.append(Hit(rule.id, rule.kind, evidence, start, end, rule.reason, rule.source))
    if depth:
        found += _decoded(text, role, depth)
    return plain, found


def _placed(plain: Normalised, found: list[Hit]) -> list[Hit]:
    """Return the hits with offsets in the text as it was sent, in its order."""
    placed = []
    for hit in found:
        start, end = (hit.start, hit.end) if hit.placed else plain.span(hit.start, hit.end)
        placed.append(hit._replace(start=start, end=end, placed=True))
    return sorted(placed, key=lambda hit: (hit.start, hit.end, hit.rule))


def _in_context(weight: float, text: str, start: int, end: int, counts: Counter[str]) -> tuple[float, int]:
    """Return the evidence of the task in `text[start:end]`, of `weight` by itself, and where its sentence ends."""
    stop = _SENTENCE_END.search(text, end - 1, start + _LONGEST)
    end = max(end, min(start + _LONGEST, len(text))) if stop is None else stop.start() if stop[0] in {"\n", "|"} else stop.end()
    own = Counter(_WORD.findall(text, start, end))
    topic = [word for word in own if len(word) > 3 and word not in _common()]
    if topic and not any(counts[form] > own[form] for word in topic for form in (word, f"{word}s", word.removesuffix("s"))):
        weight = 1 - (1 - weight) * (1 - _FOREIGN)
    before, after = text[max(0, start - 2) : start].rstrip(" ")[-1:], text[end : end + 2].lstrip(" ")[:1]
    if before in {"", "\n"} and after in {"", "\n"}:
        weight = 1 - (1 - weight) * (1 - _ALONE)
    return weight, end


def _decoded(text: str, role: str, depth: int) -> Iterator[Hit]:
    """Yield a hit for every payload that holds an attack; it is worth more than the same in the open."""
    for payload in payloads(text):
        _, inside = _hits(payload.text, role, depth - 1)
        if inside:
            evidence = 1 - (1 - combined(inside)) * (1 - _ENCODED)
            reason = f"says in {payload.coding}: {max(inside, key=lambda hit: hit.evidence).reason}"
            yield Hit(f"encoded.{payload.coding}", "encoded", evidence, payload.start, payload.end, reason, True)


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
        for role in self.roles:  # Reading the rules takes a while: not at the first question.
            _index(role)

    def check(self, text: str, role: str = "user") -> list[Finding]:
        """Return everything that is suspicious in `text`, where it amounts to `threshold`; otherwise nothing."""
        plain, found = _hits(text, role, DEPTH)
        if combined(found) < self.threshold:
            return []
        return [Finding(hit.kind, hit.rule, hit.start, hit.end, hit.reason) for hit in _placed(plain, found)]

    def score(self, text: str, role: str = "user") -> float:
        """Return how much speaks for an attack in `text`: 0 (nothing) to 1; see the module."""
        return combined(_hits(text, role, DEPTH)[1])
