"""Each request before a change against the same request after it."""

from __future__ import annotations

import math
import textwrap
from typing import Any, NamedTuple

import pandas as pd

from llmlab.errors import BadInput, UnknownName
from llmlab.lab.pictures.base import (
    BLACK,
    BLUE,
    DASHED,
    FLOOR_SECONDS,
    GRAY,
    INK,
    LINE_INCHES,
    ON_WHITE,
    RUST,
    VERMILION,
    Picture,
    Plot,
    by_app,
    in_seconds,
    wait_ticks,
    waits,
)


class _Kind(NamedTuple):
    """How what became of a request is drawn."""

    marker: str
    glyph: str
    color: str
    ink: str
    """Color of its count."""


KINDS = {
    "in time in both": _Kind("o", "\u25cf", GRAY, GRAY),
    "mended": _Kind("D", "\u25c6", BLUE, BLUE),
    "made slower": _Kind("^", "\u25b2", VERMILION, RUST),
    "still slow": _Kind("X", "\u2716", BLACK, INK),
}
"""What became of a request; slow means too late or never."""
_SIDE_INCHES, _TOP, _TICK_INCHES = 4.05, 0.12, 0.64
_LABEL_CHARACTERS = 40


def paired_scatter_table(frame: pd.DataFrame, before: str, after: str, slow_seconds: float = 4.0) -> pd.DataFrame:
    """Return how many requests were mended, made slower, still slow or in time in both, and the longest wait of each kind."""
    pairs = _pairs(frame, before, after)
    lines = []
    for kind in KINDS:
        some = [pair for pair in pairs if _kind(*pair, slow_seconds) == kind]
        longest = [in_seconds(max(side)) for side in zip(*some, strict=True)] or ["", ""]
        lines.append({"requests": kind, "n": len(some), "longest wait before s": longest[0], "longest wait after s": longest[1]})
    return pd.DataFrame(lines)


def paired_scatter(frame: pd.DataFrame, before: str, after: str, slow_seconds: float = 4.0) -> Picture:
    """Return a dot a request: to the right its wait before the change, upwards its wait after it.

    What lies below the diagonal became faster. A request that failed stands in the margin, at "never".

    Args:
        frame: `Runs.frame` of both apps; requests are matched by case and repetition.
        before: The app before the change.
        after: The app after it.
        slow_seconds: Where the slow ones begin (in seconds).

    Raises:
        BadInput: There is no such app, or the two have no request in common.
    """
    pairs = _pairs(frame, before, after)
    finite = [max(FLOOR_SECONDS, wait) for pair in pairs for wait in pair if not math.isinf(wait)]
    low, high = min([*finite, slow_seconds / 20]), 1.2 * max([*finite, 2 * slow_seconds])
    low *= 0.85 if low > FLOOR_SECONDS else 1.0
    never = high * (high / low) ** 0.05 if len(finite) < 2 * len(pairs) else None
    labels = [f"{textwrap.fill(name, _LABEL_CHARACTERS)}\nseconds until the first word" for name in (before, after)]
    across, up = (LINE_INCHES * (1 + label.count("\n")) for label in labels)
    left, bottom = _TICK_INCHES + up + 0.05, 0.35 + across + 0.05
    picture = Picture(bottom + _SIDE_INCHES + _TOP)
    axes = picture.box(left, bottom, _SIDE_INCHES, _SIDE_INCHES)
    _frame(axes, low, high, never, slow_seconds)
    picture.write(left + _SIDE_INCHES / 2, across / 2 + 0.05, labels[0], ha="center")
    picture.write(up / 2 + 0.05, bottom + _SIDE_INCHES / 2, labels[1], ha="center", rotation=90)
    right, top = left + _SIDE_INCHES + 0.14, bottom + _SIDE_INCHES - 0.16
    line = bottom + axes.transAxes.inverted().transform(axes.transData.transform((low, slow_seconds)))[1] * _SIDE_INCHES
    places = [(left + 0.1, line - 0.18), (right, bottom + 0.18), (left + 0.1, top), (right, top)]
    for (kind, look), corner in zip(KINDS.items(), places, strict=True):
        some = [pair for pair in pairs if _kind(*pair, slow_seconds) == kind]
        at = [[never or high if math.isinf(wait) else max(low, wait) for wait in side] for side in zip(*some, strict=True)] or [[], []]
        small = kind == "in time in both"
        size: dict[str, Any] = {"s": 14, "edgecolors": "none"} if small else {"s": 46, "edgecolors": "white", "linewidths": 0.6}
        axes.scatter(*at, marker=look.marker, color=look.color, zorder=3 + (not small), label=kind, clip_on=False, **size)
        picture.write(*corner, f"{look.glyph} {len(some)} {kind}", color=look.ink, weight="bold", bbox=ON_WHITE if small else None)
    words = f"n = {len(pairs)}\nrequests;\nbelow the\ndiagonal:\nfaster"
    picture.write(right, bottom + _SIDE_INCHES / 2, words, color=GRAY, linespacing=1.3)
    return picture


def _pairs(frame: pd.DataFrame, before: str, after: str) -> list[tuple[float, float]]:
    """Return the wait before and after of each request that both apps had (in seconds), infinite where it never ended."""
    apps = dict(by_app(frame))
    sides = []
    for name in (before, after):
        if name not in apps:
            raise UnknownName("app", name, apps)
        part = apps[name]
        sides.append(dict(zip(zip(part["case"], part["repetition"], strict=True), waits(part), strict=True)))
    first, then = sides
    pairs = [(wait, then[one]) for one, wait in first.items() if one in then]
    if not pairs:
        raise BadInput(f"{before!r} and {after!r} have no request in common: run both on the same cases")
    return pairs


def _kind(before: float, after: float, slow_seconds: float) -> str:
    if before > slow_seconds:
        return "still slow" if after > slow_seconds else "mended"
    return "made slower" if after > slow_seconds else "in time in both"


def _frame(axes: Plot, low: float, high: float, never: float | None, slow_seconds: float) -> None:
    end = never * (high / low) ** 0.04 if never else high
    ticks, words = wait_ticks(low, high)
    if never:
        ticks = [tick for tick in ticks if tick < 0.75 * high]
        ticks, words = [*ticks, never], [*words[: len(ticks)], "never"]
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        axes.set(**{f"{name}scale": "log", f"{name}lim": (low, end)})
        axis.set_ticks(ticks, labels=words)
        axis.set_ticks([], minor=True)
    axes.tick_params(axis="x", pad=7)  # the lowest labels of both axes stand side by side
    axes.set_aspect("equal")
    axes.axvspan(slow_seconds, end, ymax=math.log(slow_seconds / low) / math.log(end / low), color="#E4EFF7", linewidth=0, zorder=0)
    axes.axhspan(slow_seconds, end, xmax=math.log(slow_seconds / low) / math.log(end / low), color="#FBE9DD", linewidth=0, zorder=0)
    axes.plot([low, high], [low, high], color=INK, linewidth=1.0, zorder=2)
    axes.axvline(slow_seconds, **DASHED, zorder=1)
    axes.axhline(slow_seconds, **DASHED, zorder=1)
    at = low * (end / low) ** 0.15
    axes.say(at, at, "no change", ha="center", rotation=45, bbox=ON_WHITE, zorder=5)
