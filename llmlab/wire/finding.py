"""Which sentences of the documents answer the question: what the simulated model has for an understanding.

Words are cut to a crude stem and weighed by how rare they are among the sentences at hand; a question about a price prefers sentences with
a price, and so on. Further sentences are taken for what they add. How much of the question they cover is also what tells the model whether
it knows, and it tells little: a question that the documents just miss shares its words with them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

_WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*")
_END = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\bNo)(?<!\bMr)(?<!\bDr)(?<!\bvs)[.!?][\"')\]]*\s+|\n+")
_SUFFIX = re.compile(r"(?<=\w{3})(?:ations?|ments?|ings?|edly|ies|ied|ed|es|ly|e|s|y)$")
_STOP = """
a about again all also am an and any are as at be because been before being both but by can could d did do does doing done for from get gets
give go got had has have having he her here him his i if in into is it its itself just let ll may me might more most must my no not now
of off on once one only or our ours out over own please re s say shall she should so some still such t than that the their them then there
these they this those though through to too under up us ve very want was we well were what when where whether which while who whom whose why
will with without would yes yet you your yours hi hello thanks thank tell know need m
"""
STOP = frozenset(_STOP.split())
_GROUPS = """
cost price pay fee charge charged expensive cheap money dollars costs priced | return back refund | buy bought purchase order ordered
ship deliver delivery shipping send sent delivered mail arrive arrives deliveries | broken faulty damaged defective fault
guarantee warranty guaranteed covered covers cover excluded | cancel leave quit stop end | change edit switch changed
phone call telephone | begin start started | long time duration longer | big large biggest largest | contact reach | password login
power electricity lights outage blackout | fall drop dropped fell | waste throw discard thrown | address adress
"""
_SAME = {word: group.split()[0] for line in _GROUPS.splitlines() for group in line.split(" | ") for word in group.split()}
_KINDS = tuple(
    (kind, re.compile(asks, re.IGNORECASE), re.compile(gives))
    for kind, asks, gives in (
        (
            "$",
            r"\bhow much\b(?! [a-z]+ (?:and|goes|does|do|should|is|are)\b)"
            r"|\b(?:costs?|price[ds]?|fees?|expensive|charge me|do (?:i|you|we) pay)\b",
            r"[$€£]\s?\d|\bfree\b|\bfees?\b",
        ),
        (
            "#time",
            r"\b(?:how (?:long|soon|late|often|much longer)|when|until"
            r"|(?:how many|last) (?:seconds|minutes|hours|days?|weeks|months|years))\b",
            r"(?i)\b\d+ (?:\w+ )?(?:second|minute|hour|day|week|month|year)|\b(?:once|twice|never)\b",
        ),
        ("#number", r"\bhow (?:many|much|big|tall|far|hot|loud|wide|heavy)|\b(?:temperature|degrees|biggest|longest)\b", r"\d"),
        (
            "#may",
            r"\b(?:can|could|may) (?:i|we|you|my|it|the)\b|\bam i allowed\b|\bis it possible\b",
            r"\b(?:can|cannot|may|must|never|do not|only|allowed)\b",
        ),
    )
)
"""A kind of answer (it counts as one more word), how questions ask for it, and how sentences give it."""
_FOCUS = re.compile(r"\b(?:which|whats?|how many|how much)\s+(?:is the |the |kinds? of |grams of )?([a-z]+)", re.IGNORECASE)
_PARTS = re.compile(r"[?!.;:]\s+|,? (?:and|but) |, or |,? (?=(?:how|what|when|where|which|who|until when|by when) )", re.IGNORECASE)
_PER_TITLE, _PER_DOCUMENT, _PER_PLACE, _LENGTH, _MEAN_WORDS = 0.2, 0.4, 0.06, 0.3, 9
"""What a word in the title counts, what the whole document counts, what a later place costs, and what a long sentence loses."""
_ADDED, _NEXT, _BEST_FOR_PART, _WHOLE = 1.0, 0.05, 0.4, 0.2
"""What counts for a further sentence: new words, standing beside the best one, being best for a part of the question (beside the whole)."""


class Document(NamedTuple):
    """A text that the prompt offers."""

    id: str
    title: str
    text: str


class Sentence(NamedTuple):
    """A sentence of a document."""

    text: str
    words: frozenset[str]
    document: int
    """Place of its document in the prompt, from 0."""
    place: int
    """Place in its document, from 0."""


class Found(NamedTuple):
    """What the documents say to the question."""

    ranked: tuple[Sentence, ...]
    """All sentences, best first."""
    also: tuple[tuple[Sentence, float], ...]
    """Sentences that add to the first one what it lacks, with their use (about 0 to 2; the first one's own is `best`), best first."""
    best: float
    sure: float
    """How much of the question they cover (0 to 1)."""


class _Shelf(NamedTuple):
    """Documents made ready for search."""

    sentences: tuple[Sentence, ...]
    weights: dict[str, float]
    """Weight of each stem: rarer is heavier."""
    titles: tuple[frozenset[str], ...]
    words: tuple[frozenset[str], ...]
    """All stems of each document."""


def stem(word: str) -> str:
    """Return the crude stem of a word in lower case."""
    word = _SAME.get(word, word)
    if word.isalpha():
        word = _SUFFIX.sub("", word)
    return _SAME.get(word, word)


@lru_cache(maxsize=4096)
def stems(text: str) -> frozenset[str]:
    """Return the stems of the words in `text` that mean something."""
    return frozenset(stem(word) for word in _WORD.findall(text.lower().replace("'", "").replace("\u2019", "")) if word not in STOP)


@lru_cache(maxsize=1024)
def sentences(text: str) -> tuple[str, ...]:
    """Return the sentences of `text`."""
    ends = [0, *(end.end() for end in _END.finditer(text)), len(text)]
    parts = (text[start:end].strip() for start, end in pairwise(ends))
    return tuple(part for part in parts if len(part) > 2)


@lru_cache(maxsize=8192)
def _marked(text: str) -> frozenset[str]:
    """Return the stems of a sentence, and the kinds of answer that it gives."""
    return stems(text).union(kind for kind, _, gives in _KINDS if gives.search(text))


@lru_cache(maxsize=512)
def _shelf(documents: tuple[Document, ...]) -> _Shelf:
    held = tuple(
        Sentence(text, _marked(text), number, place)
        for number, document in enumerate(documents)
        for place, text in enumerate(sentences(document.text))
    )
    counts = Counter(word for sentence in held for word in sorted(sentence.words))
    weights = {word: math.log(1 + len(held) / count) for word, count in counts.items()}
    titles = tuple(stems(f"{document.title} {document.id}") for document in documents)
    words = [title.union(*(one.words for one in held if one.document == number)) for number, title in enumerate(titles)]
    return _Shelf(held, weights, titles, tuple(words))


@lru_cache(maxsize=512)
def find(documents: tuple[Document, ...], question: str) -> Found:
    """Return the sentences of `documents` that fit `question`."""
    shelf = _shelf(documents)
    if not shelf.sentences:
        return Found((), (), 0.0, 0.0)
    asked = _asked(question, shelf)
    total = math.fsum(asked.values()) or 1.0
    whole = _scores(asked, shelf)
    ranked = _best(shelf.sentences, whole)
    best = ranked[0]
    winners = set()
    parts = [part for part in _PARTS.split(question) if stems(part)]
    for part in parts[-3:] if len(parts) > 1 else ():
        own = _scores(_asked(part, shelf), shelf)
        winners.add(_best(shelf.sentences, {sentence: own[sentence] + _WHOLE * whole[sentence] for sentence in shelf.sentences})[0])

    def use(sentence: Sentence) -> float:
        follows = sentence.document == best.document and abs(sentence.place - best.place) == 1
        new = math.fsum(weight for word, weight in asked.items() if word in sentence.words and word not in best.words) / total
        return round(_ADDED * new + whole[sentence] + _NEXT * follows + _BEST_FOR_PART * (sentence in winners), 9)

    uses = {sentence: use(sentence) for sentence in ranked[1:14]}
    also = _best(uses, uses)[:3]
    said = shelf.titles[best.document].union(best.words, *(sentence.words for sentence in also[:2]))
    sure = math.fsum(weight for word, weight in asked.items() if word in said) / total
    for match in _FOCUS.finditer(question):
        if match[1].lower() not in STOP and stem(match[1].lower()) not in said:
            sure *= 0.6
    return Found(tuple(ranked), tuple((sentence, uses[sentence]) for sentence in also), whole[best], sure)


def _best(held: Iterable[Sentence], scores: Mapping[Sentence, float]) -> list[Sentence]:
    """Return the sentences, best first; ties go to the earlier one."""
    return sorted(held, key=lambda sentence: (-scores[sentence], sentence.document, sentence.place))


def _scores(asked: Mapping[str, float], shelf: _Shelf) -> dict[Sentence, float]:
    """Return how well each sentence fits the words that are `asked` for (about 0 to 2)."""
    total = math.fsum(asked.values()) or 1.0
    documents = [math.fsum(weight for word, weight in asked.items() if word in words) / total for words in shelf.words]
    scores = {}
    for sentence in shelf.sentences:
        own = math.fsum(weight for word, weight in asked.items() if word in sentence.words)
        titled = shelf.titles[sentence.document]
        title = math.fsum(weight for word, weight in asked.items() if word in titled and word not in sentence.words)
        long = 1 - _LENGTH + _LENGTH * len(sentence.words) / _MEAN_WORDS
        place = _PER_DOCUMENT * documents[sentence.document] - _PER_PLACE * sentence.document
        scores[sentence] = round((own / long + _PER_TITLE * title) / total + place, 9)
    return scores


def _asked(question: str, shelf: _Shelf) -> dict[str, float]:
    """Return what `question` asks for, with weights; a word that nobody knows is taken for the nearest known one, for people mistype."""
    words = []
    for word in sorted(stems(question)):
        if word not in shelf.weights and len(word) > 3:
            near = process.extractOne(word, shelf.weights.keys(), scorer=DamerauLevenshtein.normalized_similarity, score_cutoff=0.79)
            word = near[0] if near else word
        words.append(word)
    words += [kind for kind, asks, _ in _KINDS if asks.search(question)]
    rare = math.log(1 + len(shelf.sentences))
    return {word: shelf.weights.get(word, rare) for word in words}
