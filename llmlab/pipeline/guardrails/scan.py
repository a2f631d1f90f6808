"""How a guard of rules looks at a text in linear time, so that what it finds depends on little around it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from llmlab.pipeline.answer import Finding


class Runs:
    """The unbroken runs of some characters that hold a trigger.

    To look for a rare trigger and then around it is several times faster than to match every word.

    Args:
        characters: What a run is made of, as inside the brackets of a regular expression.
        trigger: A regular expression that begins with such a character; every run of interest holds it.
        within: How far into a run the first trigger may be; another run is passed over (in characters).
    """

    def __init__(self, characters: str, trigger: str, *, within: int) -> None:
        self._within = within
        self._trigger = re.compile(trigger)
        self._before = re.compile(rf"(?s).*[^{characters}]")
        self._rest = re.compile(rf"[{characters}]+")

    def __call__(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield start and end of each run."""
        end = 0
        for trigger in self._trigger.finditer(text):
            at = trigger.start()
            if at < end:
                continue
            lowest = max(end, at - self._within - 1)
            before = self._before.match(text, lowest, at)
            start = before.end() if before else lowest
            rest = self._rest.match(text, at)
            end = rest.end() if rest else at
            if at - start <= self._within:
                yield start, end


def resolved(candidates: Iterable[tuple[int, int, Finding]]) -> list[Finding]:
    """Return one finding a place: the one that begins first, then the one of the lower rank.

    A candidate gives way to every earlier one that it overlaps, even to one that gave way itself: so it depends on its neighbors alone,
    and not on a chain of them back to the beginning of the text.

    Args:
        candidates: Start, rank and finding of each.
    """
    kept, reach = [], 0
    for start, _, finding in sorted(candidates):
        if start >= reach:
            kept.append(finding)
        reach = max(reach, finding.end)
    return kept
