"""A text as a model reads it: without what hides its words from a pattern.

Two kinds of steps, so that what is found can be shown in the text as it was sent. Folding puts one character in the place of one: lower
case, no accents, plain letters for fullwidth, mathematical and circled ones, for tag characters, for look-alikes of other alphabets, and
for the digits of leetspeak. Squeezing takes characters away: zero-width and bidi controls, stacked marks, the gaps of s p a c e d words.
All of it is linear in the length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

_GONE = "\x00"
"""Stands for a character that is not to be seen, until it is taken away."""
_INVISIBLE = re.compile(
    "[\u00ad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180e\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u20d0-\u20ff\u3164\ufe00-\ufe0f\ufe20-\ufe2f\ufeff\uffa0\U000e0001\U000e007f\U000e0100-\U000e01ef]"
)
"""Zero-width and bidi controls, fillers, variation selectors, and the combining marks that can be heaped on any letter."""
_TAGS = range(0xE0020, 0xE007F)
"""Tag characters: a hidden copy of ASCII."""
_TAG_SIGNS = "".join(chr(0xE0000 + ord(char)) for char in " aeiounrst")
"""Without any of these no words are hidden."""
_ASIAN = range(0x3040, 0xD800)
"""Kana, ideographs and Hangul have no simpler form that a rule needs."""
_LETTERS = ((0x1F150, 26), (0x1F170, 26), (0x1F1E6, 26))
"""Where further alphabets of symbols start: white on black circles and squares, regional indicators."""
_PLAIN = dict(
    zip(
        "‘’‚‛′“”„″«»‐‑‒–—−…\u2028\u2029ıłøđɑɡɩᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ",
        '\'\'\'\'\'""""""------.\n\nilodagiabcdefghijklmnoprstuvwyz',
        strict=True,
    )
)
"""Quotes, dashes, line separators, and letters that have no decomposition."""

_BEYOND = re.compile("[^\0-\x7f]+")
_ALIEN = re.compile("[\u0370-\u052f\u0561-\u0587]")
_MIXED = re.compile("[a-z\u0370-\u052f\u0561-\u0587]{2,64}")
_ALIKE = str.maketrans("авекмнорстухіјѕԁԛԝһӏгпьαβεηικνορτυχγωօսհո", "abekmhopctyxijsdqwhlrnbabenikvoptuxywouhn")
"""Cyrillic, Greek and Armenian letters that look like Latin ones."""

_LEET_HINT = re.compile("[013457$][a-z]")
_LEET = re.compile(r"(?<![\w$])[a-z]{0,12}[013457$][a-z][a-z0-9$]{2,24}(?![\w$])")
_LEET_WORD = re.compile(r"(?<![\w$])(?=[0-9$]{0,4}[a-z])[a-z0-9$]{2,24}(?![\w$])")
_LEET_MANY = 3
_LEET_LETTERS = str.maketrans("013457$", "oieasts")

_SPACED = re.compile(r"(?<![a-z0-9])[a-z]([ \n.\-_*|/,+~·•])[a-z](?:\1[a-z])+(?![a-z0-9])")
_SPACED_HINT = re.compile(r"[ \n.\-_*|/,+~·•][a-z][ \n.\-_*|/,+~·•][a-z](?![a-z])")
_ZERO = re.compile(f"{_GONE}+")


class _Fold(dict[int, str]):
    """What stands for a character, worked out when it is met first."""

    def __missing__(self, code: int) -> str:
        plain = _fold(code)
        # What is rare is not kept, so that no text can fill the memory.
        if code < 0x20000:
            self[code] = plain
        return plain


def _fold(code: int) -> str:
    char = chr(code)
    if code in _ASIAN:
        return char
    if code in _TAGS:
        return chr(code - 0xE0000).lower()
    if _INVISIBLE.match(char):
        return _GONE
    if char in _PLAIN:
        return _PLAIN[char]
    for first, count in _LETTERS:
        if first <= code < first + count:
            return chr(ord("a") + code - first)
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", char).lower())
    if len(plain) == 1 or all(unicodedata.category(mark) == "Mn" for mark in plain[1:]):
        return _PLAIN.get(plain[0], plain[0])
    return " " if plain.isspace() else char


_FOLD = _Fold()


def letters(text: str) -> str:
    """Return `text` in lower case without accents, each alphabet for itself; of the same length, as `fold`."""
    if text.isascii():
        return text.lower()
    lower = _BEYOND.sub(_folded, text).lower()
    return lower if len(lower) == len(text) else text.translate(_FOLD)


def _folded(match: re.Match[str]) -> str:
    return match[0].translate(_FOLD)


def fold(text: str) -> str:
    """Return `text` in plain lower-case letters, of the same length; NUL stands for what cannot be seen."""
    text = letters(text)
    if not text.isascii() and _ALIEN.search(text):
        text = _alike(text)
    if not _LEET_HINT.search(text):
        return text
    text, times = _LEET.subn(_unleet, text)
    # Who writes some words so writes all of them so.
    return _LEET_WORD.sub(_unleet, text) if times >= _LEET_MANY else text


def _unleet(match: re.Match[str]) -> str:
    return match[0].translate(_LEET_LETTERS)


def _alike(text: str) -> str:
    """Fold look-alikes: in words of two alphabets, and everywhere in a text without a letter that has no Latin twin."""
    words = _MIXED.findall(text)
    if not any(_ALIEN.search(word.translate(_ALIKE)) for word in words):
        return text.translate(_ALIKE)
    return _MIXED.sub(lambda match: match[0].translate(_ALIKE) if any("a" <= char <= "z" for char in match[0]) else match[0], text)


def _nothing(match: re.Match[str]) -> str:
    return ""


def _joined(match: re.Match[str]) -> str:
    return match[0][::2]


def _starts(pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str], text: str, step: int = 1) -> tuple[list[int], list[int]]:
    """Return where the pieces of `pattern.sub(replace, text)` begin, in the result and in `text`, in order.

    Of a match that is replaced by k characters, every `step`th character is one of them, from the first on.
    """
    new, old, at, last = [0], [0], 0, 0
    for match in pattern.finditer(text):
        at += match.start() - last
        for number in range(len(replace(match))):
            new.append(at)
            old.append(match.start() + number * step)
            at += 1
        last = match.end()
        new.append(at)
        old.append(last)
    return new, old


@dataclass(frozen=True, kw_only=True)
class Normalised:
    """A normalized text that remembers where its characters come from."""

    text: str
    """What rules read."""
    folded: str
    """Of the length of the original: the state before characters were taken away."""
    hides: bool
    """Whether there was something that people do not see."""

    @cached_property
    def _maps(self) -> list[tuple[list[int], list[int]]]:
        """The way from the folded text to the squeezed one, last step first."""
        maps, text = [], self.folded
        if _GONE in text:
            maps.append(_starts(_ZERO, _nothing, text))
            text = _ZERO.sub("", text)
        if _SPACED_HINT.search(text):
            maps.append(_starts(_SPACED, _joined, text, step=2))
            text = _SPACED.sub(_joined, text)
        return maps[::-1]

    def origin(self, offset: int) -> int:
        """Return the offset in the original of the character at `offset` in `text`, or of the first that it stands for."""
        for new, old in self._maps:
            piece = bisect_right(new, offset) - 1
            offset = old[piece] + offset - new[piece]
        return offset

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the offsets in the original text for `text[start:end]`, which is not empty."""
        return self.origin(start), self.origin(end - 1) + 1


def normalise(text: str) -> Normalised:
    """Return `text` as rules read it: lower case, plain letters, nothing hidden; see the module.

    It is meant for rules, not for people: accents are lost, and "4ever" becomes "aever".
    """
    folded = fold(text)
    plain = _ZERO.sub("", folded) if _GONE in folded else folded
    hides = plain is not folded or (not text.isascii() and any(tag in text for tag in _TAG_SIGNS))
    if _SPACED_HINT.search(plain):
        plain = _SPACED.sub(_joined, plain)
    return Normalised(text=plain, folded=folded, hides=hides)
