"""A sentence as the check sees it: content words by stem, values, names, and what is denied; and a source as a list of sentences."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from itertools import accumulate
from operator import or_

from llmlab.pipeline.grounding.values import Value, values
from llmlab.pipeline.grounding.words import CONDITIONS, DENYING, EVEN, IF, MARKS, NEGATIONS, NOT, STOP, stem

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
TOKEN = re.compile(
    rf"[$€£]?\d+(?:(?:,\d{{3}})+(?!\d))?(?:[.:]\d+)?(?:(?:st|nd|rd|th)\b)?|°\s?[cf]\b|[{_CJK}]|[^\W\d_][^\W_]*(?:'[^\W\d_]+)*|[%,;:.!?()–—-]"
)
"""A number with its currency, a unit that is a sign, a word, or a mark of punctuation. Chinese, Japanese and Korean go by characters."""
_WIDE = re.compile(f"[{_CJK}]")
_WORD = re.compile(rf"[{_CJK}]|[^\W_]+(?:'[^\W\d_]+)*")
_PLAIN = (("\u2018", "'"), ("\u2019", "'"), ("\u00a0", " "), ("\u202f", " "))
MAX_SENTENCE = 1_000
"""A longer sentence is cut (in characters)."""
_KEPT = 200_000
"""Texts that are longer together are not kept (in characters)."""
_JOINS = frozenset(("and", "but", "while"))
_MARKS = frozenset("%,;:.!?()–—-")
_SPECIAL = STOP | DENYING | MARKS.keys()
_MEMORY = 20_000
"""How many look-ups of words in a source are kept."""
_STOPS = frozenset((*".:!?\"'()", ""))
"""A capital behind these may be that of a sentence."""
_BREAKS = frozenset((*",.:;!", ""))
"""A "no" that begins a sentence and stands before these is an answer; any other denies."""
_SCOPE = 3
"""How many content words a denial reaches."""
_GAP = 6
"""How many words a mark of punctuation counts for, where distance is measured."""

_END = r"(?<=[。！？；\n])|(?<=[.!?])[\"'”’)\]]*(?:\s+|$|(?=[A-Z][a-z]))"
_SENTENCE = re.compile(rf"[.!?\n。！？；](?:{_END})")
_PART = re.compile(rf"[.!?;\n。！？；](?:{_END}|(?<=;)\s+)")
"""In a source a semicolon ends a sentence, so that a claim is held to the half that it repeats."""
_ABBREVIATIONS = frozenset("Mr Mrs Ms Dr St vs No Jr Sr Prof etc approx e.g i.e a.m p.m".split(" "))  # noqa: SIM905
"""What may stand before a full stop that ends no sentence, beside a single capital and the number of a list item."""


def lower(text: str) -> str:
    """Return `text` in lower case with plain apostrophes and spaces, at the same length."""
    for odd, plain in _PLAIN:
        text = text.replace(odd, plain)
    small = text.lower()
    return small if len(small) == len(text) else "".join(part if len(part := char.lower()) == 1 else char for char in text)


def _abbreviated(text: str, stop: int) -> bool:
    """Return whether the full stop at `stop` belongs to the word before it."""
    first = text.rfind(" ", max(0, stop - 12), stop) + 1
    word = text[first or max(0, stop - 12) : stop].rpartition("\n")[2].lstrip("(\"'“‘[")
    if word in _ABBREVIATIONS or (len(word) == 1 and word.isupper()):
        return True
    return word.isdecimal() and len(word) < 3 and text[stop - len(word) - 1 : stop - len(word)] in ("", "\n")


def sentences(text: str, end: re.Pattern[str] = _SENTENCE) -> list[tuple[int, int]]:
    """Return where the sentences of `text` start and end, without the white space around them; none is longer than `MAX_SENTENCE`.

    Args:
        text: Any text.
        end: What ends a sentence.
    """
    found, start = [], 0
    for match in end.finditer(text):
        place = match.start()
        if text[place] == "." and _abbreviated(text, place):
            continue
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
    marks: list[int] = field(default_factory=list)
    """What stands right before each of them, or behind it at the end of a clause, and turns what is said: bits of `words.MARKS`."""
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
    restricts: set[str] = field(default_factory=set)
    """Words such as "only" or "unless" in it, which may deny in other words."""
    bound: int = 0
    """To what conditions, as bits of `words.CONDITIONS`; "even if" is another one than "if"."""

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
    tokens = [(match.group(), match.start()) for match in TOKEN.finditer(small)]
    found = values([word for word, _ in tokens])
    result = Passage(values=found)
    stems, taken = result.stems, {place for value in found for place in range(value.first, value.end)}
    places, marks, mark, clause = [], result.marks, 0, 0
    position, reach, fresh, starts, last = 0, 0, False, True, ""
    for index, (word, place) in enumerate([*tokens, (".", len(small))]):
        places.append(position)
        first = word[0]
        if first in _MARKS:
            if first not in "-%":
                if fresh and last:
                    result.deny(last)
                if mark and len(marks) > clause:
                    marks[-1] |= mark
                mark, clause = 0, len(marks)
                fresh, last, starts = False, "", starts or first in ".:!?("
                position, reach = position + _GAP, 0
            continue
        position += 1
        initial, starts = starts, False
        bare = word.replace("'", "") if "'" in word else word
        if bare in _SPECIAL and not (bare == "us" and text[place] == "U"):
            if bare == "no" and not index and small[place + 2 : place + 3] in _BREAKS:
                continue
            if bare == "nothing" and last:
                result.deny(last)
                marks[-1] |= NOT
                continue
            if bare == "not" and index and tokens[index - 1][0] == "or":
                mark |= EVEN
                continue
            mark |= MARKS.get(bare, 0)
            if bare in NEGATIONS:
                reach, fresh = _SCOPE, True
            elif bare in DENYING:
                result.restricts.add(bare)
            elif bare in _JOINS:
                position += _GAP
                reach = reach if bare == "and" else 0
            continue
        if index in taken or not first.isalpha():
            continue
        key = stem(word.partition("'")[0] if "'" in word else word)
        result.sequence.append(key)
        marks.append(mark)
        mark = 0
        if key in stems:
            stems[key].append(position)
        else:
            stems[key] = [position]
            result.written[key] = text[place : place + len(word)]
        if text[place] != first and (not initial or not word.isalpha()):
            result.names.add(key)
        if reach:
            result.denied.add(key)
            if fresh:
                result.heads.add(key)
            reach, fresh = reach - 1, False
        else:
            result.affirmed.add(key)
            last = key
    result.bound = reduce(or_, marks, 0) & CONDITIONS
    if result.bound & EVEN:
        result.bound &= ~IF
    result.places = [places[value.first] for value in found]
    return result


class Sources:
    """Texts that can be asked for the sentences with a word.

    Words are looked up, and sentences taken apart, when they are first asked for: most never are.
    """

    __slots__ = ("_found", "_opens", "_passages", "_small", "_starts", "_text", "names", "spans")

    def __init__(self, texts: tuple[str, ...]) -> None:
        # One text, so that a word is looked up once; a line's end ends a sentence.
        self._text = "\n".join(texts)
        self._small, self.spans = lower(self._text), sentences(self._text, _PART)
        """Where the sentences start and end in all texts together."""
        self.names: set[str] = set()
        """Of the stems that were looked up, those that are written like names within a sentence."""
        self._starts = [start for start, _ in self.spans]
        self._opens = list(accumulate((len(text) + 1 for text in texts), initial=0))
        self._found: dict[str, list[int]] = {}
        self._passages: dict[int, Passage] = {}

    def place(self, number: int) -> tuple[int, int, int]:
        """Return the index of a sentence's text, and where the sentence starts and ends in it."""
        start, end = self.spans[number]
        text = bisect_right(self._opens, start) - 1
        return text, start - self._opens[text], end - self._opens[text]

    def within(self, texts: Iterable[int]) -> set[int]:
        """Return the sentences of some texts."""
        ranges = [(self._opens[text], self._opens[text + 1]) for text in texts]
        return {number for first, last in ranges for number in range(bisect_left(self._starts, first), bisect_left(self._starts, last))}

    def repeated(self, small: str, only: Container[int] | None = None) -> int | None:
        """Return the first of the sentences that `small`, in lower case, repeats to the letter, or None.

        It must begin and end where sentences do: half a sentence may say the opposite of the whole.
        """
        place = self._small.find(small)
        while place >= 0:
            number, last = bisect_left(self._starts, place), place + len(small)
            ends = self.spans[bisect_right(self._starts, last - 1) - 1][1]
            begins = number < len(self._starts) and self._starts[number] == place
            if begins and not self._small[last:ends].strip(".!?;, ") and (only is None or number in only):
                return number
            place = self._small.find(small, place + 1)
        return None

    def find(self, key: str) -> list[int]:
        """Return the sentences that hold a word with the stem `key`, or that number."""
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= _MEMORY:
                self._found.clear()
            found = self._found[key] = self._look_up(key)
        return found

    def _look_up(self, key: str) -> list[int]:
        found: list[int] = []
        text, small = self._text, self._small
        place, alone = small.find(key), not _WIDE.match(key)
        while place >= 0:
            word = None if alone and place and small[place - 1].isalnum() else _WORD.match(small, place)
            if word and stem(word.group().partition("'")[0]) == key:
                number = bisect_right(self._starts, place) - 1
                if not found or found[-1] != number:
                    found.append(number)
                if text[place] != small[place] and text[place - 1 : place] == " " and text[place - 2 : place - 1] not in _STOPS:
                    self.names.add(key)
            place = small.find(key, place + len(key))
        return found

    def passage(self, number: int) -> Passage:
        """Return a sentence, taken apart."""
        found = self._passages.get(number)
        if found is None:
            start, end = self.spans[number]
            found = self._passages[number] = passage(self._text[start:end], self._small[start:end])
        return found


def indexed(texts: tuple[str, ...]) -> Sources:
    """Return the index of some texts; the last 64 are kept, but for very long ones."""
    return _kept(texts) if sum(map(len, texts)) <= _KEPT else Sources(texts)


@lru_cache(maxsize=64)
def _kept(texts: tuple[str, ...]) -> Sources:
    return Sources(texts)


def forget() -> None:
    """Forget the sources that were taken apart before."""
    _kept.cache_clear()
