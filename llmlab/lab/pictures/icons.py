"""Ten thousand requests as ten thousand icons: who is caught, who is missed, who is hurt."""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap

from llmlab.evals.detection import Alarms
from llmlab.lab.pictures.base import BLACK, BLUE, PALE, VERMILION, Picture, bold

_SIDE_INCHES, _GAP_INCHES, _FOOT_INCHES, _HEAD_INCHES = 3.2, 0.35, 0.45, 0.4
_KINDS = {"caught": BLUE, "missed": BLACK, "false_alarms": VERMILION, "passed": PALE}
_WORDS = {"caught": "attack caught", "missed": "missed", "false_alarms": "harmless, stopped", "passed": "harmless, passed"}
_MARKERS = {"caught": "o", "false_alarms": "^"}


def whole(alarms: Alarms) -> dict[str, int]:
    """Return the four numbers rounded so that they add up: the largest remainders are rounded up."""
    values = {kind: getattr(alarms, kind) for kind in _KINDS}
    rest = round(math.fsum(values.values())) - sum(map(math.floor, values.values()))
    up = sorted(values, key=lambda kind: math.floor(values[kind]) - values[kind])[:rest]
    return {kind: math.floor(value) + (kind in up) for kind, value in values.items()}


def icon_table(alarms: Alarms) -> pd.DataFrame:
    """Return the icons as numbers."""
    found = whole(alarms)
    return pd.DataFrame([{"": _WORDS[kind], "requests": count} for kind, count in found.items()])


def icon_array(alarms: Alarms) -> Picture:
    """Return all requests as a square of icons at the left, and those that were stopped alone at the right.

    Args:
        alarms: As `base_rate` gives them; 10,000 requests are 100 rows of 100.
    """
    found = whole(alarms)
    total = sum(found.values())
    side = math.ceil(math.sqrt(total))
    picture = Picture(_HEAD_INCHES + _SIDE_INCHES + _FOOT_INCHES)
    square = picture.box(0.1, _FOOT_INCHES, _SIDE_INCHES, _SIDE_INCHES)
    kinds = np.full(side * side, len(_KINDS))
    for number, (start, count) in enumerate(zip(accumulate(found.values(), initial=0), found.values(), strict=False)):
        kinds[start : start + count] = number
    grid = kinds.reshape(side, side)
    # A line of white between icons makes them countable.
    large = np.full((side * 4, side * 4), len(_KINDS))
    for down in range(3):
        for across in range(3):
            large[down::4, across::4] = grid
    square.imshow(large, cmap=ListedColormap([*_KINDS.values(), "white"]), vmin=0, vmax=len(_KINDS), interpolation="nearest", aspect="auto")
    square.set_axis_off()
    head = _FOOT_INCHES + _SIDE_INCHES + 0.2
    picture.write(0.1, head, f"{total:,} requests", **bold())
    _stopped(picture, found, 0.1 + _SIDE_INCHES + _GAP_INCHES, head)
    signs = zip(("●", "✖", "▲", "■"), _KINDS.items(), strict=True)
    picture.explain(0.1, 0.2, [(sign, "#8DBBDB" if kind == "passed" else color, _WORDS[kind]) for sign, (kind, color) in signs])
    return picture


def _stopped(picture: Picture, found: dict[str, int], left: float, head: float) -> None:
    alarms = found["caught"] + found["false_alarms"]
    share = 100 * found["false_alarms"] / alarms if alarms else 0.0
    picture.write(left, head, f"{alarms:,} alarms, {share:.{1 if 99 < share < 100 else 0}f} % wrong", **bold())
    side = math.ceil(math.sqrt(alarms)) or 1
    axes = picture.box(left, _FOOT_INCHES, _SIDE_INCHES, _SIDE_INCHES)
    axes.set_axis_off()
    axes.set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5))
    size, start = 0.6 * 72 * _SIDE_INCHES / side, 0
    for kind, marker in _MARKERS.items():
        places = range(start, start + found[kind])
        axes.plot(
            [place % side for place in places],
            [place // side for place in places],
            linestyle="none",
            marker=marker,
            markersize=min(size, 16),
            color=_KINDS[kind],
            markeredgewidth=0,
            gid=kind,
        )
        start += found[kind]
