"""An answer as a list of claims: sentences, then clauses, without what cites, greets or admits not to know."""

from __future__ import annotations

import re
from typing import NamedTuple

from llmlab.data.help_desk import says_dont_know
from llmlab.pipeline.abstain import says_unknown
from llmlab.pipeline.courtesies import courteous, opened
from llmlab.pipeline.grounding.passage import Passage, lower, passage, sentences

_CLAUSE = re.compile(
    r";\s+|:\s+(?=[a-z])|,\s+(?=(?:and|but|while|whereas|which)\s)|\s+[—–]\s+|\s+(?=(?:while|whereas)\s)|\s{3,}(?=[^\s.,;:!?])"
)
"""Where a sentence may be cut. Where a citation stood there are at least three spaces."""
_LEADING = re.compile(
    r"(?:\s*(?:[-*•]|\d{1,2}[.)])\s+|\s*(?:and|but|while|whereas)\b\s*|\s*(?:yes|no|sure|sorry)[,.:;!]+\s*)*", re.IGNORECASE
)
"""What begins a claim and is no part of it: list marks, conjunctions, and the answer to yes-or-no."""
_AROUND = " \t\n.,;:!?-\u2013\u2014"
_MIN_WORDS = 2
"""A clause with fewer content words and values than this stays with its neighbor."""


class Part(NamedTuple):
    """A claim and where it stands."""

    start: int
    end: int
    sentence: tuple[int, int]
    """Where its sentence starts and ends."""
    content: Passage


def parts(text: str) -> list[Part]:
    """Return what `text` claims: nothing, where a sentence is a courtesy, or admits not to know and says nothing beside it."""
    found: list[Part] = []
    small, admits = lower(text), says_dont_know(text)
    for start, end in sentences(text):
        if not (courteous(text[start:end].strip(_AROUND)) or (admits and says_unknown(text[start:end]))):
            found += _clauses(text, small, start, end)
    return found


def _clauses(text: str, small: str, start: int, end: int) -> list[Part]:
    cuts = [start, *(match.end() for match in _CLAUSE.finditer(text, start, end)), end]
    result: list[Part] = []
    open_from = start
    for cut in cuts[1:]:
        first, content = _claim(text, small, open_from, cut)
        if len(content.stems) + len(content.values) < _MIN_WORDS:
            if cut != end:
                continue
            if result:
                first, content = _claim(text, small, result.pop().start, cut)
        if (content.stems or content.values) and not courteous(text[first:cut].strip(_AROUND)):
            result.append(Part(first, first + len(text[first:cut].rstrip(" \t\n,;:")), (start, end), content))
        open_from = cut
    return result


def _claim(text: str, small: str, start: int, end: int) -> tuple[int, Passage]:
    skipped = _LEADING.match(text, start, end)
    first = skipped.end() if skipped and skipped.end() < end else start
    first = opened(text, first, end)
    return first, passage(text[first:end], small[first:end])
