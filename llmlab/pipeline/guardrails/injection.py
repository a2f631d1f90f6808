"""The guard against injected instructions and jailbreaks: rules with weights, and no model.

The rules stand in `llmlab/data/guardrails/injection.toml`, which says how to write one. A rule that fires is evidence of its weight w, from
0 to 1, and pieces of evidence are put together as if they were independent (noisy-or): score = 1 - product of (1 - w). A rule counts once,
however often it fires. The weights were set by hand.

Whose text it is matters. A task or a question is what users are for, and suspicious inside a document; so a rule has a weight for questions
and one for documents. In a document the evidence of a task grows where it stands apart: it shares no word with the rest (`_FOREIGN`), or it
has a line or the whole document to itself (`_ALONE`).

Notebook: 02_guardrails.ipynb
"""

from __future__ import annotations

import itertools
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import NamedTuple

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
_COMMON = frozenset(
    [
        "about",
        "after",
        "also",
        "another",
        "anything",
        "because",
        "been",
        "before",
        "being",
        "best",
        "between",
        "both",
        "came",
        "can't",
        "come",
        "could",
        "days",
        "does",
        "doing",
        "done",
        "each",
        "even",
        "every",
        "everything",
        "find",
        "from",
        "full",
        "give",
        "good",
        "have",
        "having",
        "help",
        "here",
        "into",
        "just",
        "know",
        "last",
        "like",
        "list",
        "make",
        "many",
        "more",
        "most",
        "much",
        "must",
        "need",
        "next",
        "only",
        "other",
        "over",
        "please",
        "provide",
        "recent",
        "same",
        "short",
        "should",
        "show",
        "some",
        "such",
        "tell",
        "than",
        "thank",
        "thanks",
        "that",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "thing",
        "things",
        "think",
        "this",
        "those",
        "through",
        "time",
        "used",
        "using",
        "very",
        "want",
        "ways",
        "week",
        "well",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "will",
        "with",
        "without",
        "work",
        "would",
        "write",
        "year",
        "years",
        "you're",
        "your",
        "reply",
        "response",
        "answer",
        "output",
        "message",
        "following",
    ]
)
"""Words that say nothing of a topic."""


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
def rules() -> tuple[Rule, ...]:
    """Return the rules, in the order of their file."""
    raw = tomllib.loads(resources.files("llmlab.data").joinpath("guardrails", "injection.toml").read_text(encoding="utf-8"))
    macros: dict[str, str] = raw["words"]
    return tuple(_rule(macros, **row) for row in raw["rule"])


def _rule(
    macros: dict[str, str],
    *,
    id: str,
    pattern: str,
    words: str = "",
    starts: str = "",
    needs: Sequence[str] = (),
    source: bool = False,
    **row: object,
) -> Rule:
    def expand(match: re.Match[str]) -> str:
        return f"(?:{macros[match[1]]})"

    for _ in range(3):
        pattern, words, starts = (re.sub("<([A-Z]+)>", expand, part) for part in (pattern, words, starts))
    if not source:
        pattern = re.sub("[^\0-\x7f]", lambda char: letters(char[0]), pattern).replace(" ", r"\s")
    fields: dict[str, object] = {"kind": id.partition(".")[0], "document": row["weight"], "sentence": False} | row
    needs = tuple(letters(need) for need in needs)
    fields |= {"words": frozenset(_WORD.findall(words or starts)), "needs": needs, "starts": bool(starts), "source": source}
    return Rule(id=id, pattern=re.compile(pattern), **fields)  # type: ignore[arg-type]


class _Index(NamedTuple):
    """What wakes a rule (by its number)."""

    words: dict[str, tuple[int, ...]]
    needs: dict[str, tuple[int, ...]]
    sources: tuple[int, ...]
    """The rules that run on the source."""


@cache
def _index() -> _Index:
    words: dict[str, tuple[int, ...]] = {}
    needs: dict[str, tuple[int, ...]] = {}
    for number, rule in enumerate(rules()):
        for index, keys in ((words, sorted(rule.words)), (needs, rule.needs)):
            for key in keys:
                index[key] = (*index.get(key, ()), number)
    return _Index(words, needs, tuple(number for number, rule in enumerate(rules()) if rule.source))


def _awake(plain: Normalised, words: list[str]) -> list[int]:
    """Return the numbers of the rules that are worth trying."""
    index = _index()
    awake = set(index.sources if plain.hides else ())
    for word in index.words.keys() & set(words):
        awake.update(index.words[word])
    for need, numbers in index.needs.items():
        if need in plain.text:
            awake.update(numbers)
    return sorted(awake)


def hits(text: str, role: str = "user", *, depth: int = DEPTH) -> list[Hit]:
    """Return every rule that fires on `text` for a text of that role, in the order of the text, whatever its weight."""
    plain, found = _hits(text, role, depth)
    return _placed(plain, found)


def _hits(text: str, role: str, depth: int) -> tuple[Normalised, list[Hit]]:
    """Return the hits, those of the rules for normalized text with offsets in that."""
    plain = normalise(text)
    words = _WORD.findall(plain.text)
    found, counts = [], Counter[str]()
    places: dict[str, list[int]] = dict.fromkeys(words, [])
    for number in _awake(plain, words):
        rule = rules()[number]
        weight = rule.evidence(role)
        if not weight:
            continue
        for match in _starting(rule, plain.text, places) if rule.starts else rule.pattern.finditer(text if rule.source else plain.text):
            start, end = match.span()
            evidence = weight
            if rule.sentence and role == "document":
                counts = counts or Counter(words)
                evidence, end = _in_context(weight, plain.text, start, end, counts)
            found.append(Hit(rule.id, rule.kind, evidence, start, end, rule.reason, rule.source))
    if depth:
        found += _decoded(text, role, depth)
    return plain, found


def _starting(rule: Rule, text: str, places: dict[str, list[int]]) -> Iterator[re.Match[str]]:
    """Yield the matches of a rule at its words; `places` remembers where they stand."""
    last = 0
    for place in sorted(itertools.chain.from_iterable(_find(word, text, places) for word in places.keys() & rule.words)):
        if place >= last and (match := rule.pattern.match(text, place)):
            yield match
            last = match.end()


def _find(word: str, text: str, places: dict[str, list[int]]) -> list[int]:
    if not places[word]:
        found, at = [], text.find(word)
        while at >= 0:
            if not at or not "a" <= text[at - 1] <= "z":
                found.append(at)
            at = text.find(word, at + len(word))
        places[word] = found
    return places[word]


def _placed(plain: Normalised, found: list[Hit]) -> list[Hit]:
    """Return the hits with offsets in the text as it was sent, in its order."""
    placed = [
        hit if hit.placed else hit._replace(**dict(zip(("start", "end"), plain.span(hit.start, hit.end), strict=True)), placed=True)
        for hit in found
    ]
    return sorted(placed, key=lambda hit: (hit.start, hit.end, hit.rule))


def _in_context(weight: float, text: str, start: int, end: int, counts: Counter[str]) -> tuple[float, int]:
    """Return the evidence of the task that starts at `start`, and where its sentence ends (in the normalized text)."""
    stop = _SENTENCE_END.search(text, end, start + _LONGEST)
    end = max(end, min(start + _LONGEST, len(text))) if stop is None else stop.start() if stop[0] in {"\n", "|"} else stop.end()
    own = Counter(_WORD.findall(text, start, end))
    topic = [word for word in own if len(word) > 3 and word not in _COMMON]
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
        _index()  # Reading the rules takes a while: not at the first question.

    def check(self, text: str, role: str = "user") -> list[Finding]:
        """Return everything that is suspicious in `text`, where it amounts to `threshold`; otherwise nothing."""
        plain, found = _hits(text, role, DEPTH)
        if combined(found) < self.threshold:
            return []
        return [Finding(hit.kind, hit.rule, hit.start, hit.end, hit.reason) for hit in _placed(plain, found)]

    def score(self, text: str, role: str = "user") -> float:
        """Return how much speaks for an attack in `text`: 0 (nothing) to 1; see the module."""
        return combined(_hits(text, role, DEPTH)[1])
