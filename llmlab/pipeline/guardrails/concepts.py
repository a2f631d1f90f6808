"""A text as a line of concepts: one sign for every word, so that a rule says what is done to what, in whatever words and language.

A lexicon gives words their concepts: "ignore", "forget" and "vergiss" are all <ignore>. A word becomes one sign that stands for all its
concepts, and a phrase over concepts becomes a regular expression over signs, where a gap of four words is four signs. Nothing in a phrase
repeats without a bound, so that the work is linear in the length of the text.

A phrase is a line of words and

    <a>, <a|b>   a word of one of these concepts; <any> is any word, <name> one with an underscore in it,
                 <?>, <bar> and <paren> are these marks; other marks stand for themselves
    {4}          up to four words of the same sentence
    ~4           up to four words, of others too
    ^, ^., ^^    where a clause begins, or a sentence, or a line
    ( | ) ?      as in regular expressions, and so are (?! (?<! and their like
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from llmlab.errors import BadInput
from llmlab.pipeline.guardrails.normalise import letters

_TOKEN = re.compile(r"\w+(?:'\w+)?|[^\w\s]|\n")
_LINE_END = re.compile("\n")
_INNER = re.compile(r"\.(?<=\w.)(?=\w)")
_PLAIN, _NUMBER, _NAME, _LONG, DOT = "w", "0", "_", "l", "\u00b7"
_FIRST, _LAST = 0xE000, 0xF8FF
_WORDS = f"{_PLAIN}{_NUMBER}{_NAME}{_LONG}{chr(_FIRST)}-{chr(_LAST)}"
_BREAKS = ".!?;"
_NEAR = 300
"""Words."""
_MOST, _KEPT = 20_000, 40
"""Words that are kept, and from which length on (in characters) one is not kept."""
_STRANGE = re.compile(rf"[{_LONG}%\\]|&#|(?:{_NUMBER}[{_PLAIN}:,]{{0,2}}){{5}}")
_PIECE = re.compile(
    r"\s*(?:<(?P<concept>[\w?|]+)>|\{(?P<gap>\d+)\}|~(?P<far>\d+)|(?P<word>\w[\w']*)|(?P<form>\((?:\?<?[!=])?|[)|?]|\^[.^]?)|(?P<sign>\S))"
)


class Part(NamedTuple):
    """A piece of a phrase as a regular expression, and what is known of its matches."""

    regex: str
    first: frozenset[str]
    """The signs that a match may start with."""
    needs: tuple[frozenset[str], ...]
    """Of each of these sets at least one sign is in a match."""
    empty: bool = False
    """Whether it may match nothing."""


class Phrase(NamedTuple):
    """A compiled phrase."""

    pattern: re.Pattern[str]
    first: frozenset[str]
    needs: tuple[frozenset[str], ...]


class _Known(dict[str, str]):
    """The signs of what was met before."""

    def __init__(self, read: Callable[[str], str]) -> None:
        self._read = read

    def __missing__(self, piece: str) -> str:
        signs = self._read(piece)
        if len(piece) < _KEPT:
            # No text can fill the memory.
            if len(self) >= _MOST:
                self.clear()
            self[piece] = signs
        return signs


@dataclass(frozen=True, kw_only=True)
class Line:
    """The signs of a text."""

    text: str
    """Normalized."""
    signs: str
    """One for every word and mark."""

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        return []

    @cached_property
    def _lines(self) -> tuple[list[int], list[int]]:
        """Where lines start, in signs and in the text."""
        return [0, *(end.end() for end in _LINE_END.finditer(self.signs))], [0, *(end.end() for end in _LINE_END.finditer(self.text))]

    @cached_property
    def strange(self) -> bool:
        """Whether there may be something in another coding."""
        return bool(_STRANGE.search(self.signs))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the offsets in the text of `signs[start:end]`, which is not empty."""
        number = bisect_right(self._lines[0], start) - 1
        first, offset = self._lines[0][number], self._lines[1][number]
        if not self._spans and end - first < _NEAR:
            # A few words of a line are found sooner than all of the text.
            some = [token.span() for token in islice(_TOKEN.finditer(self.text, offset), start - first, end - first)]
            return some[0][0], some[-1][1]
        if not self._spans:
            self._spans.extend(token.span() for token in _TOKEN.finditer(self.text))
        return self._spans[start][0], self._spans[end - 1][1]


class Lexicon:
    """What words mean to rules.

    Args:
        concepts: The words of each concept; one with a star at its end stands for all that begin like it. The longest entry counts.
            "strange" has the words that give another coding away, "frequent" those that are in most texts.
        phrases: The phrases that will be compiled: words in them are concepts of their own.
    """

    def __init__(self, concepts: Mapping[str, str], phrases: Iterable[str]) -> None:
        entries: dict[str, set[str]] = {}
        for concept, words in concepts.items():
            for word in letters(words).split():
                entries.setdefault(word, set()).add(concept)
        for word in [piece["word"] for phrase in phrases for piece in _PIECE.finditer(phrase) if piece["word"]]:
            entries.setdefault(word, set()).add(f"={word}")
        for word in entries:
            starts = (entries[f"{word[:end]}*"] for end in range(len(word), 2, -1) if f"{word[:end]}*" in entries)
            if not word.endswith("*"):
                entries[word] |= next(starts, set())
        sets = sorted({tuple(sorted(names)) for names in entries.values()})
        signs = {names: chr(_FIRST + number) for number, names in enumerate(sets)}
        self._signs = {word: signs[tuple(sorted(names))] for word, names in entries.items()}
        self._concepts: dict[str, frozenset[str]] = {
            "name": frozenset(_NAME),
            "?": frozenset("?"),
            "bar": frozenset("|"),
            "paren": frozenset("()"),
        }
        for names, sign in signs.items():
            for name in names:
                self._concepts[name] = self._concepts.get(name, frozenset()) | {sign}
        self._signs.update(dict.fromkeys(letters(concepts["strange"]).split(), _LONG))
        stars = sorted(word[:-1] for word in entries if word.endswith("*"))
        self._stars = {start[:3]: [one for one in stars[::-1] if one.startswith(start[:3])] for start in stars}
        self._known = _Known(self._read)

    def of(self, names: str) -> frozenset[str]:
        """Return the signs of the words that have one of the concepts, separated by bars."""
        return frozenset().union(*(self._concepts[name] for name in names.split("|")))

    def line(self, text: str) -> Line:
        """Return the signs of a normalized text."""
        return Line(text=text, signs="".join(map(self._known.__getitem__, text.replace("\n", " \n ").split(" "))))

    def _read(self, piece: str) -> str:
        """Return the signs of what stands between spaces."""
        if piece.isalnum():
            return self._sign(piece)
        if piece[:-1].isalnum() and piece[-1] in ",.?!:;":
            return self._known[piece[:-1]] + piece[-1]
        # A dot inside a word, as in an address, is no end.
        return "".join(map(self._sign, _TOKEN.findall(_INNER.sub(DOT, piece))))

    def _sign(self, token: str) -> str:
        char = token[0]
        if not (char.isalnum() or char == "_"):
            return char
        if sign := self._signs.get(token):
            return sign
        if token.endswith("'s"):
            return self._sign(token[:-2])
        for start in self._stars.get(token[:3], ()):
            if token.startswith(start):
                return self._signs[f"{start}*"]
        if "_" in token[1:]:
            return _NAME
        if len(token) >= (16 if token.isalpha() else 12) and token.isascii():
            return _LONG
        return _NUMBER if char.isdigit() else _PLAIN

    def compiled(self, phrase: str) -> Phrase:
        """Return the phrase over signs.

        Raises:
            BadInput: It starts with a gap, or its parentheses do not match.
        """
        pieces = [piece.groupdict() for piece in _PIECE.finditer(phrase)][::-1]
        part = self._either(pieces)
        if pieces or part.empty or phrase.lstrip()[0] in "{~":
            raise BadInput(f"a phrase starts with a word or a concept, and closes and opens the same, not {phrase!r}")
        return Phrase(re.compile(part.regex), part.first, part.needs)

    def _either(self, pieces: list[dict[str, str]]) -> Part:
        parts = [self._sequence(pieces)]
        while pieces and pieces[-1]["form"] == "|":
            pieces.pop()
            parts.append(self._sequence(pieces))
        if len(parts) == 1:
            return parts[0]
        rarest = [min(part.needs, key=self._frequent, default=frozenset[str]()) for part in parts]
        return Part(
            f"(?:{'|'.join(part.regex for part in parts)})",
            frozenset().union(*(part.first for part in parts)),
            (frozenset().union(*rarest),) if all(rarest) else (),
            any(part.empty for part in parts),
        )

    def _frequent(self, signs: frozenset[str]) -> tuple[int, int]:
        """Return a low number for signs that few texts have."""
        return len(signs & self.of("frequent")), len(signs)

    def _sequence(self, pieces: list[dict[str, str]]) -> Part:
        regex, first, needs, empty = "", frozenset[str](), list[frozenset[str]](), True
        while pieces and pieces[-1]["form"] not in {"|", ")"}:
            part = self._one(pieces)
            if pieces and pieces[-1]["form"] == "?":
                pieces.pop()
                part = Part(f"(?:{part.regex})?", part.first, (), True)
            regex, needs = regex + part.regex, [*needs, *part.needs]
            if empty:
                first, empty = first | part.first, part.empty
        return Part(regex, first, tuple(needs), empty)

    def _one(self, pieces: list[dict[str, str]]) -> Part:
        piece = pieces.pop()
        if gap := piece["gap"]:
            return Part(f"[^{_BREAKS}]{{0,{gap}}}?", frozenset(), (), True)
        if far := piece["far"]:
            return Part(f"[^\0]{{0,{far}}}?", frozenset(), (), True)
        form = piece["form"]
        if form == "^":
            return Part(f"(?:(?<![{_WORDS}{DOT}/])|(?<=[{_class(self.of('lead'))}]))", frozenset(), (), True)
        if form == "^.":
            return Part("(?<![^.!?:;\n\"'(*>|-])", frozenset(), (), True)
        if form == "^^":
            return Part("(?<![^\n#*\\[<>=(-])", frozenset(), (), True)
        if form:
            part = self._either(pieces)
            if not pieces:
                raise BadInput(f"a phrase closes what it opens, not only {form!r}")
            pieces.pop()
            if form == "(":
                return part._replace(regex=f"(?:{part.regex})")
            # What looks behind has one length.
            inside = part.regex.replace("\n?", "") if "<" in form else part.regex
            return Part(f"{form}{inside})", frozenset(), (), True)
        if piece["concept"] == "any":
            return Part(f"[{_WORDS}]", frozenset(), ())
        signs = frozenset(piece["sign"]) if piece["sign"] else self.of(piece["concept"] or f"={piece['word']}")
        # A line may break after any word.
        return Part(f"[{_class(signs)}]\n?", signs, (signs,))


def _class(signs: frozenset[str]) -> str:
    return "".join(re.escape(sign) for sign in sorted(signs))
