"""An answer as a list of claims: sentences, then clauses, without what cites, greets or admits not to know."""

from __future__ import annotations

import re
from typing import NamedTuple

from llmlab.data.help_desk import says_dont_know
from llmlab.pipeline.grounding.passage import Passage, lower, passage, sentences

_CLAUSE = re.compile(r";\s+|:\s+(?=[a-z])|,\s+(?=(?:and|but|while|whereas|which)\s)|\s+[—–]\s+|\s+(?=(?:while|whereas)\s)")
_LEADING = re.compile(r"(?:\s*(?:[-*•]|\d{1,2}[.)])\s+|\s*(?:and|but|while|whereas|yes|no|sure|sorry)\b[,.:;]?\s*)*", re.IGNORECASE)
_MIN_WORDS = 2
"""A clause with fewer content words and values than this stays with its neighbor."""


class Part(NamedTuple):
    """A claim and where it stands."""

    start: int
    end: int
    sentence: int
    """Number of its sentence."""
    content: Passage


def parts(text: str) -> list[Part]:
    """Return what `text` claims. A sentence that says "I don't know" claims nothing, unless it holds a value."""
    found: list[Part] = []
    small = lower(text)
    for number, (start, end) in enumerate(sentences(text)):
        if says_dont_know(text[start:end]) and not passage(text[start:end], small[start:end]).values:
            continue
        found += _clauses(text, small, start, end, number)
    return found


def _clauses(text: str, small: str, start: int, end: int, number: int) -> list[Part]:
    cuts = [start, *(match.end() for match in _CLAUSE.finditer(text, start, end)), end]
    result: list[Part] = []
    open_from = start
    for cut in cuts[1:]:
        content = passage(text[open_from:cut], small[open_from:cut])
        if len(content.stems) + len(content.values) < _MIN_WORDS and cut != end:
            continue
        if len(content.stems) + len(content.values) < _MIN_WORDS and result:
            open_from = result.pop().start
            content = passage(text[open_from:cut], small[open_from:cut])
        if content.stems or content.values:
            skipped = _LEADING.match(text, open_from, cut)
            first = skipped.end() if skipped and skipped.end() < cut else open_from
            last = cut
            while last > first and text[last - 1] in " \t\n,;:":
                last -= 1
            result.append(Part(first, last, number, content))
        open_from = cut
    return result
