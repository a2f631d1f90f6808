"""A streamed answer on the clock of its tokens: delivered, held back, or leaked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llmlab.lab.exposure import Exposure
from llmlab.lab.pictures.base import BLACK, GRAY, PALE, VERMILION, WIDTH_INCHES, Picture, width_of

_ROW_INCHES, _FOOT_INCHES, _HEAD_INCHES = 0.62, 0.62, 0.4
_WORD = 12
"""The last word waits for its end, as a rule; that is not drawn (in characters)."""
_LOOKS = {"delivered": (PALE, ""), "held back": ("#FFFFFF", "/////"), "leaked": (VERMILION, "")}


def exposure(runs: Sequence[Exposure]) -> Picture:
    """Return a row a run: what is on the screen while the model writes.

    Args:
        runs: At least one, as `check_every` and `hold_back` give them. A row ends where the answer was broken off.
    """
    names = [run.name.replace(", ", ",\n") for run in runs]
    left = max(map(width_of, names)) + 0.3
    picture = Picture(_HEAD_INCHES + _ROW_INCHES * len(runs) + _FOOT_INCHES)
    axes = picture.box(left, _FOOT_INCHES, WIDTH_INCHES - left - 0.25, _ROW_INCHES * len(runs))
    longest = max(run.moments[-1].tokens for run in runs)
    axes.set(xlim=(0, longest * 1.02), ylim=(len(runs), 0), yticks=[])
    axes.set_xlabel("tokens that the model has written")
    for row, run in enumerate(runs):
        last = run.moments[-1].tokens
        for state, start, end in _stretches(run):
            color, hatch = _LOOKS[state]
            edge = GRAY if hatch else color
            axes.barh(row + 0.5, end - start, 0.5, start, color=color, hatch=hatch, edgecolor=edge, linewidth=0, gid=state)
        if run.stopped:
            axes.plot(last, row + 0.5, marker="X", markersize=10, color=BLACK, clip_on=False)
        height = _FOOT_INCHES + _ROW_INCHES * (len(runs) - row - 0.5)
        picture.write(left - 0.12, height, names[row], ha="right", linespacing=1.05)
    top = _FOOT_INCHES + _ROW_INCHES * len(runs) + 0.22
    picture.explain(
        0.1,
        top,
        [("■", "#8DBBDB", "delivered"), ("▨", GRAY, "held back"), ("■", VERMILION, "leaked"), ("✖", BLACK, "answer stopped")],
    )
    return picture


def _stretches(run: Exposure) -> Iterator[tuple[str, int, int]]:
    """Yield what the screen shows, from one chunk to the next: its state, start and end (in tokens)."""
    state, since = "", 0
    for moment in run.moments:
        now = "leaked" if moment.leaked else "held back" if moment.came - moment.shown > _WORD else "delivered"
        if now != state:
            if state:
                yield state, since, moment.tokens
            state, since = now, moment.tokens
    yield state, since, run.moments[-1].tokens
