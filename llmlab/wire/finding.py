"""Which sentences of the documents answer the question: the simulated model's understanding, which is none.

Words are cut to a crude stem and weighed by how rare they are among the sentences at hand; a question about a price prefers sentences with a
price, and so on. A second sentence is taken for what it adds. How much of the question is covered is also what tells the model that it does
not know.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

_WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*")
_END = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\bNo)(?<!\bMr)(?<!\bDr)(?<!\bvs)[.!?][\"')\]]*\s+|\n+")
_SUFFIX = re.compile(r"(?<=\w{3})(?:ations?|ments?|ings?|edly|ies|ied|ed|es|ly|e|s|y)$")
STOP = frozenset(
    "a about again all also am an and any are as at be because been before being both but by can could d did do does doing done for from get gets "
    "give go got had has have having he her here him his i if in into is it its itself just let ll may me might more most must my no not now of off "
    "on once one only or our ours out over own please re s say shall she should so some still such t than that the their them then there these they "
    "this those though through to too under up us ve very want was we well were what when where whether which while who whom whose why will with "
    "without would yes yet you your yours hi hello thanks thank tell know need s m".split()
)
_SAME = {
    word: words[0]
    for words in (
        ("cost", "price", "pay", "fee", "charge", "charged", "expensive", "cheap", "money", "dollars", "costs", "priced"),
        ("ship", "deliver", "delivery", "shipping", "send", "sent", "delivered", "mail", "arrive", "arrives", "deliveries"),
        ("return", "back", "refund"),
        ("buy", "bought", "purchase", "order", "ordered"),
        ("broken", "faulty", "damaged", "defective", "fault"),
        ("guarantee", "warranty", "guaranteed", "covered", "covers", "cover", "excluded"),
        ("cancel", "leave", "quit", "stop", "end"),
        ("change", "edit", "switch", "changed"),
        ("phone", "call", "telephone"),
        ("begin", "start", "started"),
        ("long", "time", "duration"),
        ("big", "large", "biggest", "largest"),
        ("contact", "reach"),
        ("password", "login"),
        ("power", "electricity", "lights", "outage", "blackout"),
        ("fall", "drop", "dropped", "fell"),
        ("longer", "long"),
        ("waste", "throw", "discard", "thrown"),
        ("address", "adress"),
    )
    for word in words
}
_KINDS = (
    ("$", re.compile(r"\bhow much\b(?! [a-z]+ (?:and|goes|does|do|should|is|are)\b)|\b(?:costs?|price[ds]?|fees?|expensive|charge me|do (?:i|you|we) pay)\b", re.I),
     re.compile(r"[$€£]\s?\d|\bfree\b|\bfees?\b")),
    ("#time", re.compile(r"\b(?:how (?:long|soon|late|often|much longer)|when|until|(?:how many|last) (?:seconds|minutes|hours|days?|weeks|months|years))\b", re.I),
     re.compile(r"\b\d+ (?:\w+ )?(?:second|minute|hour|day|week|month|year)|\b(?:once|twice|never)\b", re.I)),
    ("#number", re.compile(r"\bhow (?:many|much|big|tall|far|hot|loud|wide|heavy)|\b(?:temperature|degrees|biggest|longest)\b", re.I), re.compile(r"\d")),
    ("#may", re.compile(r"\b(?:can|could|may) (?:i|we|you|my|it|the)\b|\bam i allowed\b|\bis it possible\b", re.I),
     re.compile(r"\b(?:can|cannot|may|must|never|do not|only|allowed)\b")),
)
"""A kind of answer, how questions ask for it, and how sentences give it."""


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
    """The best sentences, best first."""
    also: tuple[Sentence, ...]
    """Sentences that add to the first one what it lacks, most useful first."""
    sure: float
    """How much of the question they cover (0 to 1)."""


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
    found, start = [], 0
    for end in _END.finditer(text):
        found.append(text[start : end.end()].strip())
        start = end.end()
    found.append(text[start:].strip())
    return tuple(sentence for sentence in found if len(sentence) > 2)


@lru_cache(maxsize=512)
def _sentences_of(documents: tuple[Document, ...]) -> tuple[tuple[Sentence, ...], dict[str, float], tuple[frozenset[str], ...]]:
    """Return all sentences, the weight of each stem, and the stems of each title."""
    everything = tuple(
        Sentence(text, stems(text).union(kind for kind, _, gives in _KINDS if gives.search(text)), number, place)
        for number, document in enumerate(documents)
        for place, text in enumerate(sentences(document.text))
    )
    counts: dict[str, int] = {}
    for sentence in everything:
        for word in sentence.words:
            counts[word] = counts.get(word, 0) + 1
    weights = {word: math.log(1 + len(everything) / counts[word]) for word in sorted(counts)}
    return everything, weights, tuple(stems(f"{document.title} {document.id}") for document in documents)


def find(documents: Sequence[Document], question: str) -> Found:
    """Return the sentences of `documents` that fit `question`."""
    everything, weights, titles = _sentences_of(tuple(documents))
    if not everything:
        return Found((), (), 0.0)
    rare = math.log(1 + len(everything))
    whole = _scores(question, everything, weights, titles, rare)
    ranked = sorted(everything, key=lambda sentence: (-whole[sentence], sentence.document, sentence.place))
    picked: list[Sentence] = []
    parts = [part for part in _PARTS.split(question) if len(stems(part)) > 0]
    if len(parts) > 1:
        for part in parts[-3:]:
            own = _scores(part, everything, weights, titles, rare)
            picked.append(max(everything, key=lambda sentence: (own[sentence] + PW * whole[sentence], -sentence.document, -sentence.place)))
    best = ranked[0]
    asked = {word: weights.get(word, rare) for word in sorted(_asked(question, weights))}
    total = math.fsum(asked.values()) or 1.0


    def adds(sentence: Sentence) -> float:
        more = math.fsum(weight for word, weight in asked.items() if word in sentence.words and word not in best.words) / total
        near = NEAR if sentence.document == best.document and abs(sentence.place - best.place) == 1 else 0.0
        return MW * more + SW * whole[sentence] + near + PB * (sentence in picked)

    also = sorted(ranked[1:14], key=lambda sentence: (-adds(sentence), sentence.document, sentence.place))
    return Found(tuple(ranked[:6]), tuple(also[:3]), 0.0)

PW, NEAR, MW, SW, PB = .2, 0.05, 1., 1., .4
DW, TW, LW, FW = .4, .2, .3, .06
_PARTS = re.compile(r"[?!.;:]\s+|,? (?:and|but) |, or |,? (?=(?:how|what|when|where|which|who|until when|by when) )", re.I)

def _scores(question: str, everything: Any, weights: Any, titles: Any, rare: float) -> dict[Sentence, float]:
    asked = {word: weights.get(word, rare) for word in sorted(_asked(question, weights))}
    total = math.fsum(asked.values()) or 1.0
    of = []
    for number, title in enumerate(titles):
        held = set(title).union(*(sentence.words for sentence in everything if sentence.document == number))
        of.append(math.fsum(weight for word, weight in asked.items() if word in held) / total)
    scores = {}
    for sentence in everything:
        own = math.fsum(weight for word, weight in asked.items() if word in sentence.words)
        title = math.fsum(weight for word, weight in asked.items() if word in titles[sentence.document] and word not in sentence.words)
        scores[sentence] = (own / (1 - LW + LW * len(sentence.words) / 9) + TW * title) / total + DW * of[sentence.document] - FW * sentence.document
    return scores


def _asked(question: str, weights: dict[str, float]) -> list[str]:
    return _mended(stems(question), weights) + [kind for kind, asks, _ in _KINDS if asks.search(question)]


def _mended(words: frozenset[str], known: dict[str, float]) -> list[str]:
    """Return `words`, those that nobody knows replaced by the nearest known one: people mistype."""
    strange = [word for word in words if word not in known and len(word) > 3]
    if not strange:
        return list(words)
    from rapidfuzz import process
    from rapidfuzz.distance import DamerauLevenshtein

    mended = [word for word in words if word not in strange]
    for word in sorted(strange):
        near = process.extractOne(
            word, list(known), scorer=DamerauLevenshtein.normalized_similarity, score_cutoff=0.79
        )
        mended.append(near[0] if near else word)
    return list(dict.fromkeys(mended))
