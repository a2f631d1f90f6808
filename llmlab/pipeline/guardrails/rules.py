"""The rules against injected instructions, from `llmlab/data/guardrails/injection.toml`, which says how to write one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any, NamedTuple

from llmlab.pipeline.guardrails.concepts import DOT, Lexicon, Line
from llmlab.pipeline.guardrails.normalise import letters

_MARKS = "<[{(])#=*_|/\"':.-"
"""What every string that a rule needs has one of, or else a character that is not ASCII."""
_BEYOND = "beyond ASCII"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A pattern, and how much it says."""

    id: str
    kind: str
    """The class of attack."""
    weight: float
    """Evidence of an attack in a question: 0 (none) to 1 (certain)."""
    document: float
    """The same in a document."""
    reason: str
    pattern: re.Pattern[str]
    """Runs on the signs of the words, on the normalized text, or on the source."""
    first: frozenset[str]
    """The signs that a match may start with; empty for a pattern on text."""
    needs: tuple[frozenset[str], ...]
    """Without one of each of these signs, or strings of the normalized text, the pattern is not tried."""
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


class Match(NamedTuple):
    """Where a rule fires."""

    rule: Rule
    start: int
    """Offset in what the rule reads: signs, the normalized text, or the source."""
    end: int
    foreign: bool
    """Whether there is a word of another language than English in it."""


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(resources.files("llmlab.data").joinpath("guardrails", "injection.toml").read_text(encoding="utf-8"))


@cache
def common() -> frozenset[str]:
    """Return words that say nothing of a topic."""
    return frozenset(_file()["common"].split())


@cache
def _lexicon() -> Lexicon:
    concepts, foreign = dict(_file()["concepts"]), _file()["foreign"]
    english = set(" ".join(concepts.values()).split())
    phrases = [row["says"] for row in _file()["rule"] if "says" in row]
    for concept, words in foreign.items():
        concepts[concept] = f"{concepts.get(concept, '')} {words}"
    concepts["foreign"] = " ".join(sorted(set(letters(" ".join(foreign.values())).split()) - english))
    return Lexicon(concepts, phrases)


@cache
def _foreign() -> frozenset[str]:
    return _lexicon().of("foreign")


@cache
def rules() -> tuple[Rule, ...]:
    """Return the rules, in the order of their file."""
    return tuple(_rule(**row) for row in _file()["rule"])


def _rule(*, id: str, says: str = "", pattern: str = "", needs: tuple[str, ...] = (), source: bool = False, **row: Any) -> Rule:  # noqa: A002
    if says:
        compiled, first, wanted = _lexicon().compiled(says)
    else:
        text = pattern if source else re.sub("[^\0-\x7f]", lambda char: letters(char[0]), pattern).replace(" ", r"\s")
        compiled, first, wanted = re.compile(text), frozenset[str](), (frozenset(map(letters, needs)),)
    return Rule(
        id=id,
        kind=id.partition(".")[0],
        pattern=compiled,
        first=first,
        needs=wanted,
        source=source,
        sentence=row.pop("sentence", False),
        document=row.pop("document", row["weight"]),
        **row,
    )


class _Index(NamedTuple):
    """The rules that have a weight for texts of a role; sets of needs and of rules are the bits of a number."""

    meets: dict[str, int]
    """The needs that a sign meets."""
    firsts: dict[str, int]
    """The rules whose match may start with that sign."""
    wants: list[tuple[int, int]]
    """The needs of a rule, and the rule."""
    strings: dict[str, list[tuple[str, int]]]
    """By a sign: a string, and the number of the rule that reads the text where that string is in it."""
    source: list[int]
    """The numbers of the rules that read the source."""
    match: list[Callable[[str, int], re.Match[str] | None]]
    """By the number of a rule."""


@cache
def _index(role: str) -> _Index:
    index = _Index({}, {}, [], {}, [number for number, rule in enumerate(rules()) if rule.source], [rule.pattern.match for rule in rules()])
    needs: dict[frozenset[str], int] = {}
    for number, rule in enumerate(rules()):
        if rule.source or not rule.evidence(role):
            continue
        if rule.first:
            index.wants.append((sum({1 << needs.setdefault(need, len(needs)) for need in rule.needs}), 1 << number))
            for sign in rule.first:
                index.firsts[sign] = index.firsts.get(sign, 0) | 1 << number
        else:
            for need in sorted(rule.needs[0]):
                mark = next((DOT if char == "." else char for char in need if char in _MARKS), _BEYOND)
                index.strings.setdefault(mark, []).append((need, number))
    for met, bit in needs.items():
        for sign in met:
            index.meets[sign] = index.meets.get(sign, 0) | 1 << bit
    return index


@lru_cache(maxsize=4096)
def _numbers(bits: int) -> tuple[int, ...]:
    """Return which bits are set."""
    return tuple(number for number in range(bits.bit_length()) if bits >> number & 1)


def line_of(plain: str) -> Line:
    """Return the signs of a normalized text, for `matches`."""
    return _lexicon().line(plain)


def matches(line: Line, source: str | None, role: str) -> Iterator[Match]:
    """Yield where the rules for texts of that role fire.

    Args:
        line: The normalized text.
        source: The text as it was sent, or None where it hides nothing.
        role: "user" or "document".
    """
    index, signs = _index(role), set(line.signs)
    yield from _over_signs(line.signs, signs, index)
    awake = set[int]()
    for mark in index.strings:
        if mark in signs or (mark == _BEYOND and not line.text.isascii()):
            awake.update(number for need, number in index.strings[mark] if need in line.text)
    for text, numbers in ((line.text, sorted(awake)), (source, index.source)):
        for number in numbers if text else ():
            for match in rules()[number].pattern.finditer(text or ""):
                yield Match(rules()[number], *match.span(), False)


def _over_signs(line: str, signs: set[str], index: _Index) -> Iterator[Match]:
    met = 0
    for sign in signs:
        met |= index.meets.get(sign, 0)
    woken = 0
    for wants, bit in index.wants:
        if wants & met == wants:
            woken |= bit
    awake = {sign: _numbers(some) for sign in signs if (some := index.firsts.get(sign, 0) & woken)}
    ends: dict[int, int] = {}
    for at, sign in enumerate(line):
        if sign in awake:
            for number in awake[sign]:
                if (match := index.match[number](line, at)) and at >= ends.get(number, 0):
                    rule, foreign = rules()[number], not _foreign().isdisjoint(match[0])
                    if foreign or rule.kind != "multilingual":
                        ends[number] = match.end()
                        yield Match(rule, at, at + len(match[0].rstrip("\n")), foreign)
