"""The guard of phrases: block lists, the policy of a house, and its tone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import HELD_CHARACTERS, RuleGuard

TONE = (
    *("ugh", "duh", "lol", "lmao", "omg", "wtf", "meh", "yikes", "stupid", "idiot", "idiotic", "moron", "dumb", "crap", "damn", "shut up"),
    *("seriously?", "you obviously", "didn't bother", "did not bother", "not my problem", "not our problem", "your own fault"),
    *("as I already said", "as I already told you", "calm down", "get over it", "stop whining", "!!!", "?!"),
)
"""Words that no help desk says to a customer: slang, insults, blame."""
PROMISES = (
    *("I guarantee", "we guarantee", "I promise", "we promise", "legally binding", "risk-free", "100% safe"),
    *("we accept liability", "we are liable", "you should sue", "guaranteed refund", "full refund no questions asked"),
    *("my medical advice", "my legal advice", "my financial advice", "you should invest", "stop taking your medication"),
)
"""What an answer must not commit a house to: promises, liability, advice that takes a license."""

_TOKEN = re.compile(r"\w+|[^\w\s]")
_IN_WORD = re.compile(r"\w\Z")


class Hit(NamedTuple):
    """A phrase in a text."""

    start: int
    end: int
    phrase: str
    """As it was given."""


class Phrases:
    """Finds phrases in a text: whole words, in any case, with any white space between them, at most `HELD_CHARACTERS` from end to end.

    From each word on, the longest phrase counts; phrases may overlap. The work is linear in the text, however many phrases there are: a
    phrase is its words in one string, and the beginnings of all these strings are kept.
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        self._whole = {"".join(f"{token} " for token in _TOKEN.findall(_folded(phrase)[0])): phrase for phrase in phrases}
        self._starts = frozenset(phrase[:size] for phrase in self._whole for size in range(1, len(phrase)))
        self._first = frozenset(phrase.partition(" ")[0] for phrase in self._whole)

    def find(self, text: str) -> Iterator[Hit]:
        """Yield the phrases in `text`, in order."""
        folded, origin = _folded(text)
        for token in _TOKEN.finditer(folded):
            if token[0] not in self._first:
                continue
            key, end, hit, start = f"{token[0]} ", token.end(), None, origin[token.start()]
            while key in self._starts or key in self._whole:
                if key in self._whole and (stop := origin[end - 1] + 1) - start <= HELD_CHARACTERS:
                    hit = Hit(start, stop, self._whole[key])
                if (more := _TOKEN.search(folded, end)) is None:
                    break
                key, end = f"{key}{more[0]} ", more.end()
            if hit:
                yield hit

    def open_from(self, text: str) -> int:
        """Return where a phrase may still begin, become longer, or turn out to be part of a longer word."""
        base = max(0, len(text) - HELD_CHARACTERS - 1)  # one more, to see whether a word begins there
        folded, origin = _folded(text[base:])
        tokens = list(_TOKEN.finditer(folded))
        in_word = _IN_WORD.search(folded)
        for number, token in enumerate(tokens):
            if token[0] not in self._first and token is not tokens[-1]:
                continue
            start = origin[token.start()]
            key = " ".join(more[0] for more in tokens[number:]) + ("" if in_word else " ")
            if key in self._starts and not (base and not start):
                return base + start
        return len(text)


def _folded(text: str) -> tuple[str, Sequence[int]]:
    """Return `text` without case, and for each character of that its place in `text`: a sharp s becomes two."""
    plain = text.replace("’", "'")
    folded = plain.casefold()
    if len(folded) == len(plain):
        return folded, range(len(plain))
    return folded, [place for place, character in enumerate(plain) for _ in character.casefold()]


def check_texts(what: str, given: Any) -> tuple[str, ...]:
    """Return several texts as a tuple.

    Raises:
        BadInput: It is one text instead of several, there are none, or one of them is no text or empty.
    """
    if isinstance(given, str) or not isinstance(given, Iterable) or not (texts := tuple(given)):
        raise BadInput(f"{what} are several texts, as in a tuple, not {given!r}")
    if wrong := [text for text in texts if not isinstance(text, str) or not text.strip()]:
        raise BadInput(f"{what} are texts, and {wrong[0]!r} is none")
    return texts


@dataclass(frozen=True, kw_only=True)
class PhraseGuard(RuleGuard):
    """Finds the phrases of a list: what may not be asked, or not be said.

    It takes words as they are written: it knows no synonyms and no disguises.

    Raises:
        BadInput: There are no phrases, or one is no text or longer than `HELD_CHARACTERS`.
    """

    phrases: tuple[str, ...]
    """Whole words, in any case; the white space between them does not matter."""
    kind: str = "blocked_phrase"
    """Of its findings."""

    looks_back: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "phrases", check_texts("PhraseGuard: phrases", self.phrases))
        if long := [phrase for phrase in self.phrases if len(phrase) > HELD_CHARACTERS]:
            raise BadInput(f"PhraseGuard: a phrase has at most {HELD_CHARACTERS} characters, and {long[0]!r} has {len(long[0])}")
        if not isinstance(self.kind, str) or not self.kind:
            raise BadInput(f"PhraseGuard: kind is a text, not {self.kind!r}")

    @classmethod
    def tone(cls, *more: str, **fields: Any) -> PhraseGuard:
        """Return a guard of answers that are off-brand: `TONE` and `more`, of kind "tone"."""
        return cls(**{"phrases": (*TONE, *more), "kind": "tone", "roles": ("assistant",), **fields})

    @classmethod
    def promises(cls, *more: str, **fields: Any) -> PhraseGuard:
        """Return a guard of answers that promise too much: `PROMISES` and `more`, of kind "policy"."""
        return cls(**{"phrases": (*PROMISES, *more), "kind": "policy", "roles": ("assistant",), **fields})

    @cached_property
    def _phrases(self) -> Phrases:
        return Phrases(self.phrases)

    def check(self, text: str, role: str = "user") -> list[Finding]:
        """Return a finding for each phrase in `text`."""
        return [
            Finding(self.kind, f"{self.kind}.{'-'.join(hit.phrase.lower().split())}", hit.start, hit.end, f"it says {hit.phrase!r}")
            for hit in self._phrases.find(text)
        ]

    def open_from(self, text: str) -> int:
        """Return where a phrase may still begin or go on."""
        return self._phrases.open_from(text)
