"""The storm strip: every request of every app at one glance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd
from matplotlib.collections import PolyCollection

from llmlab.evals.statistics import quantile
from llmlab.lab.pictures.base import (
    COLORS,
    DASHED,
    GRAY,
    LINE_INCHES,
    WIDTH_INCHES,
    Picture,
    bold,
    by_app,
    in_seconds,
    outcomes,
    percent,
    waits,
    width_of,
    wrapped,
)

_GAPS_UP_TO = 120
"""More columns than this stand side by side without a gap: a gap thinner than a pixel would flicker."""
_SEEN_INCHES = 0.015
"""A slow or failed request is at least this wide: 3 pixels."""


def storm_table(frame: pd.DataFrame, slow_seconds: float = 4.0) -> pd.DataFrame:
    """Return what the storm strip shows, as numbers: a row an app."""
    lines = []
    for app, part in by_app(frame):
        found, waited = outcomes(part, slow_seconds), waits(part)
        lines.append(
            {
                "app": app,
                "requests": len(part),
                f"first word within {slow_seconds:g} s": int((found == "in time").sum()),
                "later": int((found == "slow").sum()),
                "failed": int((found == "failed").sum()),
                "median wait s": in_seconds(quantile(waited, 0.5).value),
                "longest wait s": in_seconds(max(waited)),
            }
        )
    return pd.DataFrame(lines)


def storm_strip(frame: pd.DataFrame, slow_seconds: float = 4.0, *, width_inches: float = WIDTH_INCHES) -> Picture:
    """Return the storm strip: one column a request, one row an app, the same order of requests in each.

    Height is the wait until the first word, on a square-root scale that ends at three times `slow_seconds`; color is the outcome. A failed
    request is a black column of full height.

    Args:
        frame: `Runs.frame` of one or several apps; requests are matched by case and repetition.
        slow_seconds: Where the line stands (in seconds).
        width_inches: How wide the picture is; a page can have a wider one than a notebook.
    """
    apps = [(app, part, outcomes(part, slow_seconds)) for app, part in by_app(frame)]
    keys = list(dict.fromkeys(zip(frame["case"], frame["repetition"], strict=True)))
    place = {one: number for number, one in enumerate(keys)}
    shares = {app: _shares(found, slow_seconds) for app, _, found in apps}
    names, names_wide = wrapped(shares)
    left, right = 0.22 + max(0.62, names_wide), 0.22 + max((width_of(word) for words in shares.values() for word in words), default=1.3)
    rows = [max(0.86, 0.15 + LINE_INCHES * (1 + names[app].count("\n"))) for app in shares]
    picture = Picture(0.84 + sum(rows or [0.86]), width_inches)
    at, clip = picture.get_size_inches()[1] - 0.38, 3 * slow_seconds
    wide = width_inches - left - right
    for (app, part, found), row in zip(apps, rows, strict=True):
        at -= row
        axes = picture.box(left, at + 0.06, wide, row - 0.19)
        places = [place[one] for one in zip(part["case"], part["repetition"], strict=True)]
        axes.add_collection(_columns(places, waits(part), found, clip, wide / len(keys)))
        axes.set(xlim=(-0.6, len(keys) - 0.4), ylim=(0, math.sqrt(clip)), xticks=[], yticks=[])
        axes.axhline(math.sqrt(slow_seconds), **DASHED)
        axes.say(-0.1 / wide, 0.5, names[app], transform=axes.transAxes, **bold(), ha="right", linespacing=1.05)
        for level, word in enumerate(shares[app]):
            height = math.sqrt(slow_seconds / clip) - LINE_INCHES * 1.2 / (row - 0.19) * level
            axes.say(1 + 0.1 / wide, height, word, transform=axes.transAxes)
    every = [outcome for _, _, found in apps for outcome in found]
    picture.key(left, picture.get_size_inches()[1] - 0.2, every, slow_seconds, dict.fromkeys(COLORS, "\u25a0"))
    count = f"{len(keys)} request{'' if len(keys) == 1 else 's'}"
    words = f"{count}, the same in every row; height: wait for the first word" if keys else "no requests"
    picture.write(min(left, width_inches - width_of(words) - 0.1), 0.2, words, color=GRAY)
    return picture


def _columns(places: Sequence[int], waited: Sequence[float], found: Iterable[str], clip: float, inches: float) -> PolyCollection:
    """Return a column a request; those that are not in time stand in front and are wide enough to be seen."""
    half = 0.4 if len(places) <= _GAPS_UP_TO else 0.5
    shapes, colors = [], []
    for place, wait, outcome in sorted(zip(places, waited, found, strict=True), key=lambda column: column[2] != "in time"):
        side = half if outcome == "in time" else max(half, _SEEN_INCHES / 2 / inches)
        level = math.sqrt(min(wait, clip))
        shapes.append([(place - side, 0), (place - side, level), (place + side, level), (place + side, 0)])
        colors.append(COLORS[outcome])
    return PolyCollection(shapes, facecolors=colors, edgecolors="none", antialiaseds=half < 0.5)


def _shares(found: pd.Series, slow_seconds: float) -> list[str]:
    """Return the label of a row: how many waited, and how many failed if any did."""
    n, slow, failed = len(found), int((found == "slow").sum()), int((found == "failed").sum())
    words = [f"{percent(slow, n)} after {slow_seconds:g} s"]
    return [*words, f"{percent(failed, n)} failed"] if failed else words
