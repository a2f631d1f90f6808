"""Does an answer answer the question, and all of it? Without a model, in English only.

The question is cut into what it asks for. For each of these, the sentences that the answer repeats are compared with those that fit best:
by the words that they share with the question, the rarer the more, and by whether they hold what is asked for (an amount of money, a length
of time, a yes or a no). It is a comparison of words: a question that shares no word with its answer looks unanswered, and a sentence that
shares many may still be about something else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from llmlab.errors import BadInput
from llmlab.pipeline.grounding.check import Grounding, check
from llmlab.pipeline.grounding.passage import Passage, Sources, indexed, lower, passage
from llmlab.pipeline.grounding.words import SYNONYMS, stem
from llmlab.pipeline.prompt import Document, as_documents

RELEVANT = 0.8
"""An answer with this score answers the question. Where customers word things unlike the documents, one right answer in eight has less."""
_BACKGROUND, _ELSEWHERE = 0.4, 0.1
"""What a word counts that stands in a part that asks nothing, or asks something else; 1 is a word of the part itself."""
_KIND, _SUBJECT, _PAIR = 0.7, 0.3, 0.3
"""What counts beside words (1 is the rarest word): what is asked for, a sentence that begins with a word of the question, two in a row."""
_MOST_PAIRS = 3
MAX_QUESTION = 1_000
"""What comes behind this is not looked at (in characters)."""
_MOST_PARTS = 8
_CANDIDATES = 4
"""How many sentences are looked at closely."""
_OTHER_KIND = 0.7
"""What is left of the score where nothing in the answer is what is asked for."""
_OWN_WORDS = 0.5
"""How much a better sentence counts against what is said in other words than the documents': it may be said of it all the same."""
_REPEATED = 0.95
"""A claim with this score repeats its sentence."""

_ALIKE = (
    "return back|ship deliver delivery send arrive mail|buy order purchase|broken faulty damaged defective|guarantee warranty cover"
    "|cancel leave quit end stop|change switch edit|phone call contact reach|fall drop|power electricity volt|cover include exclude"
    "|cost price pay charge fee free|sign signature|decline fail|combine merge join put|bag box parcel|smallest minimum least any"
)
_ASK = (
    r"(?:how|what|whats|when|where|which|who|whom|whose|why|can|could|may|do|does|did|is|are|am|was|were|will|would|should|has|have|must"
    r"|by when|until when|at what|in which|for how|with what|from when)\b"
)
_ALSO = r"^(?:(?:and|or|but|so|then|by|since|until) )*"
_ASKS = re.compile(rf"{_ALSO}{_ASK}|\?$")
_CUT = re.compile(rf"(?<=[?!.;])\s+|: (?={_ASK})|,? (?:and|but|or) (?={_ASK})|, (?={_ASK})")
_REFERS = re.compile(r"\b(?:it|that|this|there|them|they|these|those|ones?|him|her|mine)\b")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_WEAK = frozenset(("a", "an", "the", "of", "to", "in", "on", "for", "at", "is", "are", "i", "you", "my"))
_NO = r"|\bnot?\b|\bnever\b|\bnone\b|n't\b|\bcannot\b|\bnothing\b"
_LENGTHS = "seconds months business-days clock date"


class _Kind(NamedTuple):
    """What a question may ask for."""

    name: str
    dimensions: tuple[str, ...]
    """Values that are of this kind."""
    asks: re.Pattern[str]
    says: re.Pattern[str]
    """Words that are of this kind."""
    strict: bool = True
    """Whether an answer without either says nothing to it."""


def _kind(name: str, dimensions: str, asks: str, says: str = "(?!)", strict: bool = True) -> _Kind:
    return _Kind(name, tuple(dimension.replace("-", " ") for dimension in dimensions.split()), re.compile(asks), re.compile(says), strict)


_KINDS = (
    _kind(
        "a length of time",
        _LENGTHS,
        r"\bhow (?:much )?(?:long|soon|often|fast|late|quickly)(?:er)?\b|\bthe longest\b|\bhow old\b|\bhow much time\b"
        r"|\bhow many (?:[a-z]+ )?(?:seconds|minutes|hours|days|weeks|months|years)\b",
        r"\b(?:once|twice|always|forever|at once|immediately|any time|day|overnight|until|as long as|every)\b" + _NO,
    ),
    _kind("a temperature", "fahrenheit", r"\bhow (?:hot|cold|warm)\b|\btemperature\b|\bdegrees\b"),
    _kind("a level of noise", "decibels", r"\bhow (?:loud|noisy|quiet)\b|\bdecibels?\b"),
    _kind(
        "a weight or a size",
        "grams meters liters",
        r"\bhow (?:heavy|big|large|small|tall|wide|high|deep)\b|\b(?:biggest|largest|heaviest|weighs?)\b"
        r"|\bhow much (?:free )?(?:space|room)\b",
        r"\bsizes?\b",
    ),
    _kind("a distance", "meters", r"\bhow (?:far|close|near)\b", r"\banywhere\b"),
    _kind(
        "an amount of money",
        "dollars euros sterling",
        r"\bhow much(?: money|$|\?)|\b(?:costs?|price of|fees?|expensive|what price|what deposit)\b"
        r"|\bhow much (?:more |extra )?(?:is|are|does|do|did|will|would|for|to)\b(?!.*\b(?:draw|use|hold|need|take))"
        r"|\b(?:what|how much).* (?:pay|charged?)\b|^(?:[a-z]+ )?price\b|\bprice$",
        r"\bfree\b" + _NO,
    ),
    _kind(
        "a number",
        "",
        r"\bhow (?:many|much)\b",
        r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|any number|unlimited|half|once|twice)\b" + _NO,
    ),
    _kind(
        "a time",
        _LENGTHS,
        rf"{_ALSO}(?:when|what time|what (?:day|date)|which (?:day|date))\b|\bwhat time\b",
        r"\b(?:when|once|before|after|until|as soon as|day|any time|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|weekends?)\b",
        strict=False,
    ),
    _kind(
        "a yes or a no",
        "",
        rf"{_ALSO}(?:can|could|may|am|is|are|does|do|did|was|were|will|would|should|has|have|must)\b",
        r"\b(?:yes|can|may|must|only|unless|except|even|allowed|possible|offered|available|if|excluded|included|needs?|also)\b" + _NO,
        strict=False,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relevance:
    """How well an answer fits its question."""

    score: float
    """0 to 1: the least of what is asked for. An answer that claims nothing ("I don't know") has 1."""
    missing: tuple[str, ...] = ()
    """What was asked and seems not to be answered, in the words of the question (in lower case)."""
    reason: str = ""
    """Why the score is not 1, for people; empty: nothing is against it."""


class _Part(NamedTuple):
    """One thing that is asked for."""

    text: str
    words: frozenset[str]
    kind: _Kind | None


class _Read(NamedTuple):
    """A sentence or claim, taken apart."""

    content: Passage
    small: str
    pairs: frozenset[tuple[str, str]]
    """Words that follow each other there and in the question."""


class _Said(NamedTuple):
    """A claim of the answer, and the sentence that it rests on."""

    sentence: int
    read: _Read
    repeated: bool


def relevance(question: str, answer: str, *, sources: Iterable[Any], grounding: Grounding | None = None) -> Relevance:
    """Say whether `answer` answers `question` as well as the best sentences of `sources` do, and all of it.

    What it says may be wrong all the same: see `llmlab.grounding.check`.

    Args:
        question: What was asked, in English.
        answer: What a model said.
        sources: As for `check`.
        grounding: What `check` found in this answer, where it is known.

    Raises:
        BadInput: The question is no text, and as `check` does.
    """
    if not isinstance(question, str):
        raise BadInput(f"relevance: the question is a text, not {type(question).__name__}")
    question = question[:MAX_QUESTION]
    documents = as_documents(sources)
    found = check(answer, sources=documents, question=question) if grounding is None else grounding
    texts = indexed(tuple(document.text for document in documents))
    view = _View(question, texts, documents)
    said = view.said(found)
    if not said:
        return Relevance(score=1.0)
    parts, background = _parts(question)
    score, missing, reason = 1.0, [], ""
    for part in parts:
        own, why = view.fit(part, background, said)
        if part.kind and part.kind.strict and not any(_gives(part.kind, one.read) for one in said):
            own, why = _OTHER_KIND * own, f'"{part.text}" asks for {part.kind.name}'
        if own < RELEVANT:
            missing.append(part.text)
        if own < score:
            score, reason = own, why
    return Relevance(score=round(score, 3), missing=tuple(missing), reason=reason)


class _View:
    """The documents, seen from a question."""

    def __init__(self, question: str, texts: Sources, documents: Sequence[Document]) -> None:
        self._texts, self._documents = texts, documents
        self._places = [texts.place(number) for number in range(len(texts.spans))]
        asked = passage(question).stems
        self._like = frozenset(asked).union(*(_LIKE.get(key, ()) for key in asked))
        self._pairs = _pairs(lower(question))
        self._seen: dict[int, _Read] = {}
        self._weights: dict[str, float] = {}
        self._held: dict[str, set[int]] = {}
        """Which sentences hold a word of the question, or one like it."""
        self._alias: dict[str, str] = {}
        for key in asked:
            here, like = set(texts.find(key)), _LIKE.get(key, frozenset())
            twin = next((other for other in self._held if other in like), None)
            if twin is not None:
                self._held[twin] |= here
                self._alias[key] = twin
                continue
            held = here.union(*(texts.find(other) for other in sorted(like)))
            if held:
                self._held[key], self._weights[key] = held, math.log(1 + len(self._places) / len(here or held))
        ends = [number for number, (text, _, end) in enumerate(self._places) if documents[text].text[end - 1 : end] == ";"]
        for held in self._held.values():
            held |= {end + 1 for end in ends if end in held} | {end for end in ends if end + 1 in held}

    def said(self, grounding: Grounding) -> list[_Said]:
        """Return the claims that have something to do with a sentence."""
        numbers = {place[:2]: number for number, place in enumerate(self._places)}
        found = []
        for claim in grounding.claims:
            number = None if claim.source is None else numbers.get((claim.source, claim.source_start))
            if number is not None:
                repeated = claim.score >= _REPEATED
                found.append(_Said(number, self._read(number) if repeated else self._apart(claim.text), repeated))
        return found

    def fit(self, part: _Part, background: frozenset[str], said: Sequence[_Said]) -> tuple[float, str]:
        """Return how well the best of what is said fits a part of the question, beside the best sentence there is (0 to 1), and why."""
        weights = self._weighed(part, background)
        scale = max(weights.values(), default=1.0)
        fits: dict[int, float] = {}
        for key, weight in weights.items():
            for number in sorted(self._held[key]):
                fits[number] = fits.get(number, 0.0) + weight
        ranked = sorted(fits, key=lambda number: (-fits[number], number))[:_CANDIDATES]
        rated = [(fits[number] + scale * self._extra(part, self._read(number)), -number) for number in ranked]
        best, place = max(rated, default=(0.0, 0))
        score = 0.0 if best else 1.0
        for one in said if best else ():
            held = math.fsum(weight for key, weight in weights.items() if one.sentence in self._held[key] or key in one.read.content.stems)
            held += scale * max(self._extra(part, self._read(one.sentence)), self._extra(part, one.read))
            score = max(score, 1 - max(0.0, 1 - held / best) * (1.0 if one.repeated else _OWN_WORDS))
        text, start, end = self._places[-place]
        better = self._documents[text].text[start:end]
        return score, "" if score == 1 else f'to "{part.text}", another sentence fits better: "{better}"'

    def _weighed(self, part: _Part, background: frozenset[str]) -> dict[str, float]:
        own, around = (frozenset(self._alias.get(key, key) for key in words) for words in (part.words, background))
        refers, thin = bool(_REFERS.search(part.text)), len(own & self._weights.keys()) < 2
        nearby = 1.0 if refers or thin else _BACKGROUND
        far = 1.0 if refers or (thin and not around & self._weights.keys() - own) else _ELSEWHERE
        return {key: weight * (1.0 if key in own else nearby if key in around else far) for key, weight in self._weights.items()}

    def _read(self, number: int) -> _Read:
        found = self._seen.get(number)
        if found is None:
            text, start, end = self._places[number]
            found = self._seen[number] = self._apart(self._documents[text].text[start:end], self._texts.passage(number))
        return found

    def _apart(self, text: str, content: Passage | None = None) -> _Read:
        small = lower(text)
        return _Read(passage(text, small) if content is None else content, small, self._pairs & _pairs(small))

    def _extra(self, part: _Part, read: _Read) -> float:
        found = _PAIR * min(_MOST_PAIRS, len(read.pairs)) + _SUBJECT * any(key in self._like for key in read.content.sequence[:1])
        return found + _KIND if part.kind and _gives(part.kind, read) else found


def _parts(question: str) -> tuple[list[_Part], frozenset[str]]:
    """Return what a question asks for, and the words of what it only tells."""
    small = lower(question).strip()
    cut = [part for piece in _CUT.split(small) if (part := piece.strip(" ,"))]
    asking = [part for part in cut if _ASKS.search(part)] or [small]
    asking = asking[:_MOST_PARTS]
    parts = [_Part(part, _stems(part), next((kind for kind in _KINDS if kind.asks.search(part)), None)) for part in asking]
    return parts, frozenset().union(*(_stems(part) for part in cut if part not in asking))


def _stems(small: str) -> frozenset[str]:
    return frozenset(stem(word.partition("'")[0]) for word in _WORD.findall(small))


def _gives(kind: _Kind, read: _Read) -> bool:
    return any(value.dimension in kind.dimensions for value in read.content.values) or kind.says.search(read.small) is not None


def _pairs(small: str) -> frozenset[tuple[str, str]]:
    """Return the words that follow each other, but for those that mean nothing."""
    return frozenset(pair for pair in pairwise(_WORD.findall(small)) if not _WEAK.issuperset(pair))


def _alike() -> Mapping[str, frozenset[str]]:
    found = {key: frozenset(others) for key, others in SYNONYMS.items()}
    for group in _ALIKE.split("|"):
        keys = frozenset(map(stem, group.split()))
        found |= {key: found.get(key, frozenset()) | keys - {key} for key in keys}
    return found


_LIKE = _alike()
"""Stem -> stems of words that may stand for it in a question."""
