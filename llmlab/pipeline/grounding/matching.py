"""Does a sentence of a source say what a claim says: words first, then everything that must not differ."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from rapidfuzz import fuzz, process
from rapidfuzz.distance import Levenshtein, Opcode

from llmlab.pipeline.grounding import polarity
from llmlab.pipeline.grounding.passage import Passage, Sources
from llmlab.pipeline.grounding.polarity import Doubts, Near
from llmlab.pipeline.grounding.values import Value, same
from llmlab.pipeline.grounding.words import OPPOSITE, SYNONYMS

CANDIDATES = 4
"""How many sentences a claim is compared with."""
_SUM = 10
"""How many values may be added up."""
_CLOSE = 0.85
"""A sentence that shares this part of what the best one shares may be the right one too."""
_FEW = 0.55
"""Below this the words alone are too few, whatever else agrees."""
_REPEATED = 0.8
"""A claim of which this part repeats the sentence word by word is compared word by word."""
_FUZZY = 82
"""How alike two words must be to count as one (0 to 100)."""


class Match(NamedTuple):
    """How well a claim fits the best sentence there is."""

    score: float
    """0 to 1."""
    reason: str
    """Why it is not 1, for people; empty: nothing is against it."""
    sentence: int | None
    """Number of the sentence; None: no sentence has anything to do with it."""


def best(claim: Passage, question: Passage, sources: Sources, only: Container[int] | None = None) -> Match:
    """Return the match of `claim` with the sentence that shares most with it, by rare words and values.

    Args:
        claim: What the answer says.
        question: Its words are no news, and help to find the place.
        sources: What the answer should rest on.
        only: The sentences to look at; None: all.
    """
    held: dict[int, float] = {}
    weights: dict[str, float] = {}
    wanted = [(key, 1.0) for key in claim.stems] + [(key, 0.4) for key in question.stems if key not in claim.stems]
    _hold(wanted, held, weights, sources, only)
    by_words = dict(held)
    _hold([(f"{value.number:g}", 0.5) for value in claim.values], held, weights, sources, only)
    ranked = sorted(held, key=lambda sentence: (-held[sentence], sentence))[:CANDIDATES]
    if not ranked:
        return Match(0.0, "no source says anything like it", None)
    known = {key for key in claim.stems if sources.find(key)}
    names = claim.names | (sources.names & claim.stems.keys())
    matches = []
    for sentence in ranked:
        if held[sentence] < _CLOSE * held[ranked[0]]:
            break
        others = [other for other in ranked if other != sentence]
        closer = [other for other in others if by_words.get(other, 0.0) >= by_words.get(sentence, 0.0)]
        near, given = partial(map, sources.passage, others), sources.passage(sentence)
        rivals = _elsewhere(claim, given, question, closer, sources)
        matches.append(Match(*_compare(claim, given, question, near, rivals, weights, known, names), sentence))
    return max(matches, key=lambda match: match.score)


def _hold(
    wanted: Iterable[tuple[str, float]], held: dict[int, float], weights: dict[str, float], sources: Sources, only: Container[int] | None
) -> None:
    """Add to each sentence the weights of the wanted words that it holds: the rarer, the more."""
    for key, share in wanted:
        found = sources.find(key)
        weights[key] = weight = 1 / math.sqrt(len(found)) if found else 1.0
        for sentence in found:
            if only is None or sentence in only:
                held[sentence] = held.get(sentence, 0.0) + share * weight


def _compare(
    claim: Passage,
    given: Passage,
    question: Passage,
    near: Near,
    rivals: Doubts,
    weights: dict[str, float],
    known: set[str],
    names: set[str],
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
    score = 0.45 + 0.55 * min(1.0, inside + 0.6 * asked + 0.4 * about) if total else 0.9
    if hits and hits == len(claim.values):
        score = max(score, 0.6 + 0.4 * score)
    ours = [shared.get(key, key) for key in claim.sequence]
    steps = Levenshtein.opcodes(ours, given.sequence) if shared else ()
    equal = [step for step in steps if step.tag == "equal"]
    repeats = sum(step.src_end - step.src_start for step in equal) > _REPEATED * len(ours)
    runs = [step for step in equal if repeats or step.src_end - step.src_start > 1]
    doubts = [
        *_values(claim, given, question, near, repeats, repeats and len(equal) == 1),
        *rivals,
        *_replaced(claim, given, shared, known, ours, steps, repeats),
        *polarity.turned(claim, given, runs, repeats),
        *polarity.promises(claim, given, near),
        *polarity.sweeps(claim, given, near),
        *(() if repeats else polarity.denials(claim, given, shared)),
        *_names(claim, given, question, near, names),
        *polarity.opposites(claim, given),
        *polarity.conditions(claim, given, shared),
        *_swaps(claim, given, shared),
    ]
    # The worst doubt counts in full, and each (itself again) a little more.
    factor, reason = min(doubts, default=(1.0, ""))
    factor *= math.prod(doubt**0.3 for doubt, _ in sorted(doubts))
    if not reason and score < _FEW:
        reason = "too few of its words are in the sources"
    return round(score * factor, 3), reason


def _twin(key: str, given: Passage) -> str | None:
    """Return the stem of the sentence that says the same as `key`: a synonym, or the same word misspelled."""
    for other in SYNONYMS.get(key, ()):
        if other in given.stems:
            return other
    if len(key) < 5 or key in OPPOSITE:
        return None
    found = process.extractOne(key, given.stems.keys(), scorer=fuzz.ratio, score_cutoff=_FUZZY)
    return found[0] if found and found[0] not in OPPOSITE else None


def _values(claim: Passage, given: Passage, question: Passage, near: Near, repeats: bool, verbatim: bool) -> Doubts:
    """Find the values that are not in the sentence. One of the question may be mentioned, but not stand for another in the same words."""
    doubts = []
    for value in claim.values:
        if any(same(value, other) for other in given.values):
            continue
        rivals = [other for other in given.values if other.dimension == value.dimension]
        holders = [passage for passage in near() if any(same(value, other) for other in passage.values)]
        if any(same(value, other) for other in question.values) and not (verbatim and rivals):
            doubts.append((0.8, f"{_text(value)} is in the question, and not in the source"))
        elif _adds_up(value, claim.values):
            continue
        elif holders:
            fits = any(key in passage.stems and key not in given.stems for passage in holders for key in (*claim.stems, *question.stems))
            doubts.append((0.45 if rivals and (repeats or not fits) else 0.7, f"{_text(value)} is said of something else"))
        else:
            instead = f"; the source says {_text(rivals[0])}" if rivals else ""
            doubts.append((0.2, f"{_text(value)} is in no source{instead}"))
    return doubts


def _adds_up(value: Value, claimed: Sequence[Value]) -> bool:
    """Return whether `value` is the sum of the others of its kind, as in "$20: $14 for the plan and $6 for Alaska"."""
    parts = [other.amount for other in claimed[:_SUM] if other is not value and other.dimension == value.dimension]
    return len(parts) > 1 and math.isclose(math.fsum(parts), value.amount)


def _elsewhere(claim: Passage, given: Passage, question: Passage, closer: Iterable[int], sources: Sources) -> Doubts:
    """Find a sentence that speaks of more of what the claim and the question speak of, and has another value for it."""
    if not claim.values:
        return []
    wanted = claim.stems.keys() | question.stems.keys()
    here = wanted & given.stems.keys()
    more = [sources.passage(other) for other in closer if {key for key in wanted if other in sources.find(key)} > here]
    for value in claim.values:
        for passage in more:
            if any(same(value, other) for other in passage.values):
                continue
            for other in passage.values:
                if other.unit == value.unit and not any(same(one, other) for one in claim.values):
                    return [(0.6, f"{_text(value)} may be said of something else; another sentence says {_text(other)}")]
    return []


def _names(claim: Passage, given: Passage, question: Passage, near: Near, names: set[str]) -> Doubts:
    doubts = []
    for name in sorted(names):
        if name in given.stems or _twin(name, given):
            continue
        if any(name in passage.stems for passage in near()):
            if given.names - claim.stems.keys():
                doubts.append((0.5, f"{claim.written[name]} is not in this sentence of the source"))
        elif name in question.stems:
            if given.names - claim.stems.keys():
                doubts.append((0.9, f"the source does not speak of {claim.written[name]}"))
        else:
            doubts.append((0.4, f"{claim.written[name]} is in no source that fits"))
    return doubts


def _replaced(
    claim: Passage, given: Passage, shared: dict[str, str], known: set[str], ours: Sequence[str], steps: Iterable[Opcode], repeats: bool
) -> Doubts:
    """Find a word that stands in the place of another, in a claim that otherwise repeats the sentence."""
    missing = [key for key in claim.stems if key not in shared]
    if len(shared) < 3 or len(missing) > max(1, len(shared) / 2):
        return []
    for step in steps:
        if step.tag == "replace":
            foreign = [
                claim.sequence[at] for at in range(step.src_start, step.src_end) if ours.count(ours[at]) > given.sequence.count(ours[at])
            ]
            instead = [key for key in given.sequence[step.dest_start : step.dest_end] if key not in ours]
            if foreign and instead:
                reason = f'the source says "{given.written[instead[0]]}", not "{claim.written[foreign[0]]}"'
                return [(0.5 if foreign[0] in known else 0.7, reason)]
    if missing and missing[0] in known:
        return [(0.6, f'"{claim.written[missing[0]]}" is not in this sentence of the source')]
    return []


def _swaps(claim: Passage, given: Passage, shared: dict[str, str]) -> Doubts:
    """Find a value that the source has for something else in the same sentence: another of its kind stands nearer to all of its words."""
    pairs = list(zip(given.places, given.values, strict=True))
    for number, value in enumerate(claim.values):
        own = [place for place, other in pairs if same(value, other)]
        rivals = [(place, other) for place, other in pairs if other.dimension == value.dimension and not same(value, other)]
        if not own or not rivals or _in_order(value, claim, given):
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


def _in_order(value: Value, claim: Passage, given: Passage) -> bool:
    """Return whether all values of this kind stand in both in the same order."""
    kinds = (value.dimension, "")
    mine, theirs = ([one for one in side.values if one.dimension in kinds] for side in (claim, given))
    return len(mine) == len(theirs) > 1 and all(map(same, mine, theirs))


def _distance(places: Sequence[int], others: Sequence[int]) -> int:
    return min(abs(place - other) for place in places for other in others)


def _text(value: Value) -> str:
    return f"{value.number:g} {value.unit}".strip()
