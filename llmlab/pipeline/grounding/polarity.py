"""What turns a sentence round though its words stay: denials, limits, conditions, opposites, and promises that are added.

Each gives its doubts: a factor for the score of the claim, 0 to 1, and what is different, for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

from rapidfuzz.distance import Opcode

from llmlab.pipeline.grounding.passage import Passage
from llmlab.pipeline.grounding.words import ALSO, CONDITIONS, FREE, IF, NOT, ONLY, OPPOSITE, PRICED, SWEEPING, UNLESS, WITHIN

Doubts = list[tuple[float, str]]
Near = Callable[[], Iterable[Passage]]
"""Gives the other sentences that come into question; they are taken apart only then."""


def turned(claim: Passage, given: Passage, runs: Iterable[Opcode], repeats: bool) -> Doubts:
    """Find where both say the same words in a row, and one of them is denied, limited or bound to a condition on one side only."""
    pairs = [
        (claim.sequence[mine], claim.marks[mine], given.marks[theirs])
        for run in runs
        for mine, theirs in zip(range(run.src_start, run.src_end), range(run.dest_start, run.dest_end), strict=True)
        if claim.marks[mine] != given.marks[theirs]
    ]
    # "Only if it is" says the same as "not unless it is".
    if any((said ^ meant) & NOT for _, said, meant in pairs) and any({said, meant} == {ONLY | IF, UNLESS} for _, said, meant in pairs):
        return []
    for key, said, meant in pairs:
        word, binds, bound = claim.written[key], said & CONDITIONS, meant & CONDITIONS
        denies, other = (claim, given) if said & NOT else (given, claim)
        if (said ^ meant) & NOT and (repeats or not other.restricts - denies.restricts):
            return [(0.3, f'it denies "{word}", and the source does not' if said & NOT else f'the source denies "{word}"')]
        if (said | meant) & ONLY and (said | meant) & ALSO:
            return [(0.4, f'at "{word}" one says "only", and the other "also"')]
        if said & ONLY and not given.restricts and not given.heads:
            return [(0.5, f'the source does not say "only" of "{word}"')]
        if binds and bound and not binds & bound:
            return [(0.4, f'the condition at "{word}" is another one')]
    return []


def denials(claim: Passage, given: Passage, shared: dict[str, str]) -> Doubts:
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


def opposites(claim: Passage, given: Passage) -> Doubts:
    """Find a word of which the source has the opposite; a denial on one side turns it back."""
    if bool(claim.heads) != bool(given.heads):
        return []
    for key in claim.stems:
        for other in OPPOSITE.get(key, ()) if key not in given.stems else ():
            if other in given.stems and other not in claim.stems:
                return [(0.35, f'the source says the opposite: "{given.written[other]}", not "{claim.written[key]}"')]
    return []


def conditions(claim: Passage, given: Passage, shared: dict[str, str]) -> Doubts:
    """Find that both are bound to a condition, and to none of the same kind ("if" and a denial may stand for "unless")."""
    opposed = {claim.bound, given.bound} == {IF, UNLESS} and bool(claim.heads) != bool(given.heads)
    if len(shared) >= 2 and claim.bound and given.bound and not claim.bound & given.bound and not opposed:
        return [(0.6, "the condition is another one")]
    return []


def promises(claim: Passage, given: Passage, near: Near) -> Doubts:
    """Find that something is free in the claim only. Another sentence may say so, if the claim takes more from it."""
    if not _free(claim, FREE) or _free(given, FREE | WITHIN):
        return []
    subject, price = claim.stems.keys() - FREE - claim.denied, claim.denied & PRICED
    for one in near():
        if _free(one, FREE | WITHIN) and (subject if price & one.denied else subject - given.stems.keys()) & one.stems.keys():
            return []
    return [(0.4, "the source does not say that it costs nothing")]


def sweeps(claim: Passage, given: Passage, near: Near) -> Doubts:
    """Find an "always" or "every" that is in the claim only."""
    for key in claim.stems:
        if key in SWEEPING and not any(SWEEPING & one.stems.keys() for one in chain([given], near())):
            return [(0.5, f'the source does not say "{claim.written[key]}"')]
    return []


def _free(one: Passage, words: frozenset[str]) -> bool:
    return not words.isdisjoint(one.stems) or not PRICED.isdisjoint(one.denied)
