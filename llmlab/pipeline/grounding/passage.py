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
_SPECIAL = _JOINS | DENYING | MARKS.keys()
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

_TAILS = frozenset(word[-2:] for word in _ABBREVIATIONS)


def lower(text: str) -> str:
    """Return `text` in lower case with plain apostrophes and spaces, at the same length."""
    for odd, plain in _PLAIN:
        text = text.replace(odd, plain)
    small = text.lower()
    return small if len(small) == len(text) else "".join(part if len(part := char.lower()) == 1 else char for char in text)


def _abbreviated(text: str, stop: int) -> bool:
    """Return whether the full stop at `stop` belongs to the word before it."""
    tail = text[stop - 2 : stop]
    if tail not in _TAILS and tail[-1:].islower():
        return False
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
        if 0 < last - first <= MAX_SENTENCE:
            trimmed.append((first, last))
        else:
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


@lru_cache(maxsize=65536)
def _read(word: str) -> tuple[str, str]:
    """Return what sort of token this is, and how it is compared: by its stem, or without its apostrophe."""
    if word[0] in _MARKS:
        return ("", "") if word in "-%" else ("mark", "")
    bare = word.replace("'", "")
    if bare in _SPECIAL:
        return "special", bare
    if bare in STOP or not word[0].isalpha():
        return "other", ""
    return "word", stem(word.partition("'")[0])


def passage(text: str, small: str | None = None) -> Passage:
    """Take a sentence apart.

    Args:
        text: The sentence.
        small: The same by `lower`, where it is known.
    """
    small = lower(text) if small is None else small
    words = TOKEN.findall(small)
    found = values(words)
    result = Passage(values=found)
    stems, marks, taken = result.stems, result.marks, {place for value in found for place in range(value.first, value.end)}
    places, place, position, clause = [], 0, 0, 0
    reach, fresh, starts, last, mark = 0, False, True, "", 0
    for index, word in enumerate([*words, "."]):
        places.append(position)
        # No character of a word is skipped between tokens: the next one found is the token.
        place = small.find(word, place)
        sort, key = ("word", word) if word == "us" and text[place] == "U" else _read(word)
        if sort == "mark":
            if fresh and last:
                result.deny(last)
            if mark and len(marks) > clause:
                marks[-1] |= mark
            mark, clause = 0, len(marks)
            fresh, last, starts = False, "", starts or word in ".:!?("
            position, reach = position + _GAP, 0
        elif sort:
            position += 1
            if sort == "word" and index not in taken:
                result.sequence.append(key)
                marks.append(mark)
                if key in stems:
                    stems[key].append(position)
                else:
                    stems[key] = [position]
                    result.written[key] = text[place : place + len(word)]
                if text[place] != word[0] and (not starts or not word.isalpha()):
                    result.names.add(key)
                if reach:
                    result.denied.add(key)
                    if fresh:
                        result.heads.add(key)
                    reach, fresh = reach - 1, False
                else:
                    result.affirmed.add(key)
                    last = key
                mark = 0
                if word == "free" and words[index + 1 : index + 2] == ["of"]:
                    reach, fresh, mark = _SCOPE, True, NOT
            elif sort == "special":
                if key in _JOINS:
                    position += _GAP
                    reach = reach if key == "and" else 0
                elif key == "nothing" and last:
                    result.deny(last)
                    marks[-1] |= NOT
                elif key == "not" and index and words[index - 1] == "or":
                    mark |= EVEN
                elif key != "no" or index or small[place + 2 : place + 3] not in _BREAKS:
                    mark |= MARKS.get(key, 0)
                    if key in NEGATIONS:
                        reach, fresh = _SCOPE, True
                    elif key in DENYING:
                        result.restricts.add(key)
            starts = False
        place += len(word)
    result.places = [places[value.first] for value in found]
    result.bound = reduce(or_, marks, 0) & CONDITIONS
    if result.bound & EVEN:
        result.bound &= ~IF
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
