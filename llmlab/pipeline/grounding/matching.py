"""Does a sentence of a source say what a claim says: words first, then everything that must not differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from rapidfuzz import fuzz, process
from rapidfuzz.distance import Levenshtein

from llmlab.pipeline.grounding.passage import Passage, Source
from llmlab.pipeline.grounding.values import Value, same
from llmlab.pipeline.grounding.words import OPPOSITE, SYNONYMS

CANDIDATES = 4
"""How many sentences a claim is compared with."""
_FUZZY = 84
"""How alike two words must be to count as one (0 to 100)."""


class Match(NamedTuple):
    """How well a claim fits the best sentence there is."""

    score: float
    """0 to 1."""
    reason: str
    """Why it is not 1, for people; empty: nothing is against it."""
    source: int | None
    """Index of the source; None: no sentence has anything to do with it."""
    sentence: int


NOTHING = Match(0.0, "no source says anything like it", None, 0)


def best(claim: Passage, question: Passage, sources: Sequence[tuple[int, Source]]) -> Match:
    """Return the match of `claim` with the sentence that shares most with it, by rare words and values.

    Args:
        claim: What the answer says.
        question: Its words are no news, and help to find the place.
        sources: Index and text of each source that may be used.
    """
    held: dict[tuple[int, int], float] = {}
    weights: dict[str, float] = {}
    wanted = [(key, 1.0) for key in claim.stems] + [(key, 0.4) for key in question.stems if key not in claim.stems]
    wanted += [(f"{value.number:g}", 0.5) for value in claim.values]
    for key, share in wanted:
        found = [(number, sentence) for number, (_, text) in enumerate(sources) for sentence in text.find(key)]
        weights[key] = 1 / math.sqrt(len(found)) if found else 1.0
        for place in found:
            held[place] = held.get(place, 0.0) + share * weights[key]
    ranked = sorted(held, key=lambda place: (-held[place], place))[:CANDIDATES]
    if not ranked:
        return NOTHING
    near = [sources[number][1].passage(sentence) for number, sentence in ranked]
    known = {key for key in claim.stems if any(text.find(key) for _, text in sources)}
    names = claim.names | {key for key in claim.stems if any(key in text.names for _, text in sources)}
    scored = []
    for (number, sentence), given in zip(ranked, near, strict=True):
        if held[number, sentence] < 0.85 * held[ranked[0]]:
            break
        score, reason = _compare(claim, given, question, near, weights, known, names)
        scored.append(Match(score, reason, sources[number][0], sentence))
    return max(scored, key=lambda match: match.score)


def _compare(
    claim: Passage, given: Passage, question: Passage, near: Sequence[Passage], weights: dict[str, float], known: set[str], names: set[str]
) -> tuple[float, str]:
    shared = {key: key for key in claim.stems if key in given.stems}
    for key in claim.stems:
        if key not in shared and (twin := _twin(key, given)):
            shared[key] = twin
    total = math.fsum(weights[key] for key in claim.stems)
    inside = math.fsum(weights[key] for key in claim.stems if key in shared) / total if total else 0.0
    asked = math.fsum(weights[key] for key in claim.stems if key not in shared and key in question.stems) / total if total else 0.0
    about = math.fsum(weights[key] for key in claim.stems if key in known and key not in shared) / total if total else 0.0
    hits = sum(any(same(value, other) for other in given.values) for value in claim.values)
    score = 0.35 + 0.65 * min(1.0, inside + 0.6 * asked + 0.4 * about) if total else 0.9
    if hits and hits == len(claim.values):
        score = max(score, 0.6 + 0.4 * score)
    doubts = [
        *_values(claim, given, question, near),
        *_elsewhere(claim, given, question, near),
        *_replaced(claim, given, shared, known),
        *_denials(claim, given, shared),
        *_names(claim, given, question, near, names),
        *_opposites(claim, given),
        *_conditions(claim, given, shared),
        *_swaps(claim, given, shared),
    ]
    factor, reason = min(doubts, default=(1.0, ""))
    for other, _ in doubts:
        factor = min(factor, factor * other**0.3) if other < 1 else factor
    if not reason and score < 0.5:
        reason = "too few of its words are in the sources"
    return score * factor, reason


def _twin(key: str, given: Passage) -> str | None:
    """Return the stem of the sentence that says the same as `key`: a synonym, or the same word misspelled."""
    for other in sorted(SYNONYMS.get(key, ())):
        if other in given.stems:
            return other
    if len(key) < 5 or key in OPPOSITE:
        return None
    found = process.extractOne(key, given.stems.keys(), scorer=fuzz.ratio, score_cutoff=_FUZZY)
    return found[0] if found and found[0] not in OPPOSITE else None


def _values(claim: Passage, given: Passage, question: Passage, near: Sequence[Passage]) -> list[tuple[float, str]]:
    doubts = []
    for value in claim.values:
        if any(same(value, other) for other in given.values):
            continue
        rivals = [other for other in given.values if other.dimension == value.dimension]
        holders = [passage for passage in near if passage is not given and any(same(value, other) for other in passage.values)]
        parts = [other.amount for other in claim.values if other is not value and other.dimension == value.dimension]
        if any(same(value, other) for other in question.values):
            doubts.append((0.8, f"{_text(value)} is in the question, and not in the source"))
        elif 1 < len(parts) < 10 and math.isclose(math.fsum(parts), value.amount):
            continue
        elif holders:
            fits = any(key in passage.stems and key not in given.stems for passage in holders for key in (*claim.stems, *question.stems))
            doubts.append((0.7 if fits or not rivals else 0.45, f"{_text(value)} is said of something else"))
        else:
            instead = f"; the source says {_text(rivals[0])}" if rivals else ""
            doubts.append((0.2, f"{_text(value)} is in no source{instead}"))
    return doubts


def _elsewhere(claim: Passage, given: Passage, question: Passage, near: Sequence[Passage]) -> list[tuple[float, str]]:
    """Find a sentence that speaks of more of what the claim and the question speak of, and has another value for it."""
    wanted = claim.stems.keys() | question.stems.keys()
    here = wanted & given.stems.keys()
    for value in claim.values:
        for passage in near:
            if passage is given or any(same(value, other) for other in passage.values):
                continue
            rivals = [other for other in passage.values if other.unit == value.unit]
            there = wanted & passage.stems.keys()
            if rivals and there > here:
                return [(0.6, f"{_text(value)} may be said of something else; another sentence says {_text(rivals[0])}")]
    return []


def _denials(claim: Passage, given: Passage, shared: dict[str, str]) -> list[tuple[float, str]]:
    """Find what one side denies and the other affirms; where both deny something, only what is exchanged counts."""
    backward = {twin: key for key, twin in shared.items()}
    mine = sorted(key for key in claim.heads if shared.get(key) in given.affirmed - given.denied)
    theirs = sorted(key for key in given.heads if backward.get(key) in claim.affirmed - claim.denied)
    if len(shared) < 2:
        return []
    if mine and (theirs or (not given.restricts and all(backward.get(key) in claim.denied for key in given.heads))):
        return [(0.35, f'it denies "{claim.written[mine[0]]}", and the source does not')]
    if theirs and not claim.restricts and all(shared.get(key) in given.denied for key in claim.heads):
        return [(0.35, f'the source denies "{given.written[theirs[0]]}"')]
    return []


def _names(claim: Passage, given: Passage, question: Passage, near: Sequence[Passage], names: set[str]) -> list[tuple[float, str]]:
    doubts = []
    for name in sorted(names):
        if name in given.stems or _twin(name, given):
            continue
        if any(name in passage.stems for passage in near):
            if given.names - claim.stems.keys():
                doubts.append((0.5, f"{claim.written[name]} is not in this sentence of the source"))
        elif name in question.stems:
            if given.names - claim.stems.keys():
                doubts.append((0.9, f"the source does not speak of {claim.written[name]}"))
        else:
            doubts.append((0.4, f"{claim.written[name]} is in no source that fits"))
    return doubts


def _opposites(claim: Passage, given: Passage) -> list[tuple[float, str]]:
    if bool(claim.heads) != bool(given.heads):
        return []
    for key in claim.stems:
        for other in sorted(OPPOSITE.get(key, ())) if key not in given.stems else ():
            if other in given.stems and other not in claim.stems:
                return [(0.35, f'the source says the opposite: "{given.written[other]}", not "{claim.written[key]}"')]
    return []


def _conditions(claim: Passage, given: Passage, shared: dict[str, str]) -> list[tuple[float, str]]:
    if len(shared) >= 3 and claim.conditions and given.conditions and not claim.conditions & given.conditions:
        return [(0.6, "the condition is another one")]
    return []


def _replaced(claim: Passage, given: Passage, shared: dict[str, str], known: set[str]) -> list[tuple[float, str]]:
    """Find a word that stands in the place of another, in a claim that otherwise repeats the sentence."""
    missing = [key for key in claim.stems if key not in shared]
    if len(shared) < 3 or len(missing) > max(1, len(shared) / 2):
        return []
    ours = [shared.get(key, key) for key in claim.sequence]
    for tag, first, last, start, end in Levenshtein.opcodes(ours, given.sequence):
        if tag == "replace":
            foreign = [claim.sequence[at] for at in range(first, last) if ours.count(ours[at]) > given.sequence.count(ours[at])]
            instead = [key for key in given.sequence[start:end] if key not in ours]
            if foreign and instead:
                reason = f'the source says "{given.written[instead[0]]}", not "{claim.written[foreign[0]]}"'
                return [(0.5 if foreign[0] in known else 0.7, reason)]
    if missing and missing[0] in known:
        return [(0.6, f'"{claim.written[missing[0]]}" is not in this sentence of the source')]
    return []


def _swaps(claim: Passage, given: Passage, shared: dict[str, str]) -> list[tuple[float, str]]:
    """Find a value that the source has for something else in the same sentence: another of its kind stands nearer to all of its words."""
    pairs = list(zip(given.places, given.values, strict=True))
    for number, value in enumerate(claim.values):
        own = [place for place, other in pairs if same(value, other)]
        rivals = [(place, other) for place, other in pairs if other.dimension == value.dimension and not same(value, other)]
        if not own or not rivals:
            continue
        others = [place for index, place in enumerate(claim.places) if index != number]
        here = [claim.places[number]]
        context = {key: _distance(here, claim.stems[key]) for key in shared}
        context = {key: gap for key, gap in context.items() if not others or gap < _distance(others, claim.stems[key])}
        nearest = sorted(context, key=lambda key: (context[key], key))[:3]
        for place, other in rivals:
            gains = [_distance(own, given.stems[shared[key]]) - _distance([place], given.stems[shared[key]]) for key in nearest]
            if gains and min(gains) > 0 and max(gains) > 1:
                return [(0.45, f"{_text(value)} is said of something else, and {_text(other)} of this")]
    return []


def _distance(places: Sequence[int], others: Sequence[int]) -> int:
    return min(abs(place - other) for place in places for other in others)


def _text(value: Value) -> str:
    return f"{value.number:g} {value.unit}".strip()
