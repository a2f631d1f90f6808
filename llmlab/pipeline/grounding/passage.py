"""A sentence as the check sees it: content words by stem, values, names, and what is denied; and a source as a list of sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from llmlab.pipeline.grounding.values import Value, values
from llmlab.pipeline.grounding.words import CONDITIONS, DENYING, NEGATIONS, STOP, stem

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
TOKEN = re.compile(rf"[$€£]?\d+(?:(?:,\d{{3}})+(?!\d))?(?:[.:]\d+)?(?:(?:st|nd|rd|th)\b)?|°\s?[cf]\b|[{_CJK}]|[^\W\d_][^\W_]*(?:'[^\W\d_]+)*|[%,;:.!?()–—-]")
"""A number with its currency, a unit that is a sign, a word, or a mark of punctuation. Chinese, Japanese and Korean go by characters."""
_WORD = re.compile(rf"[{_CJK}]|[^\W_]+(?:'[^\W\d_]+)*")
_NAME = re.compile(r"(?<=[\w,] )[A-Z][^\W_]+")
_PLAIN = str.maketrans("\u2018\u2019\u00a0\u202f", "''  ")
MAX_SENTENCE = 1_000
"""A longer sentence is cut (in characters)."""
_SCOPE = 3
"""How many content words a denial reaches."""
_GAP = 3
"""How many words a mark of punctuation counts for, where distance is measured."""

_ABBREVIATIONS = r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bvs)(?<!\bNo)(?<!\bJr)(?<!\bSr)(?<!\be\.g)(?<!\bi\.e)(?<!\b[A-Z])(?<!\b[ap]\.m)"
_END = re.compile(rf"(?:{_ABBREVIATIONS}\.(?=[\"'”’)\]]*(?:\s|$|[A-Z][a-z]))|[!?](?=[\"'”’)\]]*\s)|[。！？；]|\n)[\"'”’)\]]*\s*")

_PART = re.compile(rf"{_END.pattern}|;\s+")
"""In a source a semicolon ends a sentence, so that a claim is held to the half that it repeats."""


def lower(text: str) -> str:
    """Return `text` in lower case with plain apostrophes and spaces, at the same length."""
    plain = text.translate(_PLAIN)
    small = plain.lower()
    return small if len(small) == len(text) else "".join(part if len(part := char.lower()) == 1 else char for char in plain)


def sentences(text: str, end: re.Pattern[str] = _END) -> list[tuple[int, int]]:
    """Return where the sentences of `text` start and end, without the white space around them; none is longer than `MAX_SENTENCE`.

    Args:
        text: Any text.
        end: What ends a sentence.
    """
    found, start = [], 0
    for match in end.finditer(text):
        found.append((start, match.end()))
        start = match.end()
    found.append((start, len(text)))
    trimmed = []
    for first, last in found:
        while first < last and text[first].isspace():
            first += 1
        while last > first and text[last - 1].isspace():
            last -= 1
        trimmed += [(place, min(place + MAX_SENTENCE, last)) for place in range(first, last, MAX_SENTENCE)]
    return trimmed


@dataclass(slots=True)
class Passage:
    """A sentence or clause, taken apart."""

    stems: dict[str, list[int]] = field(default_factory=dict)
    """Content words, and where they stand (in words; a mark of punctuation counts for `_GAP`)."""
    written: dict[str, str] = field(default_factory=dict)
    """Each stem as the word that stands there first."""
    sequence: list[str] = field(default_factory=list)
    """The stems in order."""
    values: list[Value] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    """Where each value stands, on the same scale."""
    names: set[str] = field(default_factory=set)
    """Stems of words that are written like names."""
    denied: set[str] = field(default_factory=set)
    """Stems within the reach of a denial."""
    heads: set[str] = field(default_factory=set)
    """Of these, the first behind each denial."""
    affirmed: set[str] = field(default_factory=set)
    """Stems that stand outside of every denial."""
    restricts: bool = False
    """Whether a word such as "only" or "unless" stands in it, which may deny in other words."""
    conditions: set[str] = field(default_factory=set)

    def deny(self, key: str) -> None:
        """Note that `key`, affirmed so far, is denied behind it ("a machine may not")."""
        self.affirmed.discard(key)
        self.denied.add(key)
        self.heads.add(key)


def passage(text: str, small: str | None = None) -> Passage:
    """Take a sentence apart.

    Args:
        text: The sentence.
        small: The same by `lower`, where it is known.
    """
    small = lower(text) if small is None else small
    words, starts = [], []
    for match in TOKEN.finditer(small):
        words.append(match.group())
        starts.append(match.start())
    result = Passage(values=values(words))
    taken = {place for value in result.values for place in range(value.index, value.end)}
    position, reach, fresh, after_break, last = 0, 0, False, True, ""
    places = []
    for index, word in enumerate(words):
        places.append(position)
        if not word[0].isalnum() and word[0] not in "$€£°%":
            if word != "-":
                if fresh and last:
                    result.deny(last)
                fresh, last = False, ""
                position, reach, after_break = position + _GAP, 0, word in ".:!?(" or after_break
            continue
        position += 1
        bare = word.replace("'", "")
        if bare in CONDITIONS:
            result.conditions.add(CONDITIONS[bare])
        if bare in NEGATIONS:
            if bare != "no" or index:
                reach, fresh = _SCOPE, True
        elif bare in DENYING:
            result.restricts = True
        elif bare in ("but", "while"):
            reach = 0
        initial, after_break = after_break, False
        char = text[starts[index]]
        if index in taken or (bare in STOP and not (bare == "us" and char == "U")) or bare in DENYING or word[0].isdigit():
            continue
        key = stem(word.partition("'")[0])
        result.stems.setdefault(key, []).append(position)
        result.sequence.append(key)
        result.written.setdefault(key, text[starts[index] : starts[index] + len(word)])
        if char != small[starts[index]] and (not initial or any(sign.isdigit() for sign in word)):
            result.names.add(key)
        if reach:
            result.denied.add(key)
            if fresh:
                result.heads.add(key)
            reach, fresh = reach - 1, False
        else:
            result.affirmed.add(key)
            last = key
    if fresh and last:
        result.deny(last)
    result.places = [places[value.index] for value in result.values]
    return result


class Source:
    """A text with an index of its sentences. Sentences are taken apart when they are first asked for."""

    __slots__ = ("_passages", "names", "small", "spans", "text", "where")

    def __init__(self, text: str) -> None:
        self.text, self.small, self.spans = text, lower(text), sentences(text, _PART)
        self.names = {stem(name.lower()) for name in _NAME.findall(text)}
        self.where: dict[str, list[int]] = {}
        """Stem or number -> sentences that hold it."""
        self._passages: dict[int, Passage] = {}
        for number, (start, end) in enumerate(self.spans):
            for word in {*_WORD.findall(self.small, start, end)} - STOP:
                self.where.setdefault(stem(word.partition("'")[0] if "'" in word else word), []).append(number)

    def passage(self, number: int) -> Passage:
        """Return a sentence, taken apart."""
        if number not in self._passages:
            start, end = self.spans[number]
            self._passages[number] = passage(self.text[start:end], self.small[start:end])
        return self._passages[number]


@lru_cache(maxsize=256)
def source(text: str) -> Source:
    """Return the index of a text; the last 256 are kept."""
    return Source(text)
