"""A run on its clock: when each request was sent, how long it waited, and how many were under way at once."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

import pandas as pd

from llmlab.errors import BadInput
from llmlab.lab.pictures.base import (
    COLORS,
    DASHED,
    GLYPHS,
    GRAY,
    LINE_INCHES,
    MARKERS,
    WIDTH_INCHES,
    Picture,
    bold,
    by_app,
    outcomes,
    waits,
    wrapped,
)

_ROW_INCHES, _BAND_INCHES, _GAP_INCHES = 0.85, 0.36, 0.2
_SMALL_BEYOND = 100
"""More requests than this have small dots."""
_HEAD_INCHES, _FOOT_INCHES = 0.42, 0.58


def timeline_table(frame: pd.DataFrame, slow_seconds: float = 4.0, window_seconds: float | None = None) -> pd.DataFrame:
    """Return what the timeline shows, as numbers: a row an app and window of time.

    Args:
        frame: `Runs.frame` of one or several apps.
        slow_seconds: A first word that comes later is slow (in seconds).
        window_seconds: Length of a window (in seconds); None: about ten windows of a round length.
    """
    if window_seconds is not None and not 0 < window_seconds < math.inf:
        raise BadInput(f"a window lasts longer than 0 s, not {window_seconds!r}")
    at, _ = _times(frame)
    window = window_seconds or _round(max(at, default=0.0) / 10)
    lines = []
    for app, part in by_app(frame):
        found, counted = outcomes(part, slow_seconds), [math.floor(time / window) for time in at[part.index]]
        moments, flying = _in_flight(part)
        for number in range(max(counted) + 1):
            low, high = number * window, (number + 1) * window
            here = [outcome for outcome, place in zip(found, counted, strict=True) if place == number]
            before = [count for moment, count in zip(moments, flying, strict=True) if moment <= low][-1:]
            within = [count for moment, count in zip(moments, flying, strict=True) if low < moment < high]
            lines.append(
                {
                    "app": app,
                    "from s": f"{low:g}",
                    "to s": f"{high:g}",
                    "requests": len(here),
                    "in flight at most": max([*before, *within], default=0),
                    "slow": here.count("slow"),
                    "failed": here.count("failed"),
                }
            )
    return pd.DataFrame(lines)


def timeline(frame: pd.DataFrame, slow_seconds: float = 4.0) -> Picture:
    """Return a run on its clock: a row an app, a dot a request, and below it how many requests were in flight.

    A dot's height is the wait until the first word, on a square-root scale that ends at three times `slow_seconds`; a request that failed
    stands at the top. It stands at its intended time; where all were intended at once (a closed loop), at the time of sending.

    Args:
        frame: `Runs.frame` of one or several apps.
        slow_seconds: Where the slow ones begin (in seconds).
    """
    at, what = _times(frame)
    apps = [(app, part, outcomes(part, slow_seconds), _in_flight(part)) for app, part in by_app(frame)]
    names, wide = wrapped(app for app, *_ in apps)
    left, right, clip = 0.75 + max(0.62, wide), 1.02, 3 * slow_seconds
    rows = [max(_ROW_INCHES, LINE_INCHES * (1 + names[app].count("\n"))) for app, *_ in apps]
    picture = Picture(_HEAD_INCHES + _FOOT_INCHES + sum(row + _BAND_INCHES + _GAP_INCHES for row in rows or [_ROW_INCHES]))
    end = max([1e-3, *(moments[-1] for *_, (moments, _) in apps)])
    most = max([1, *(max(flying) for *_, (_, flying) in apps)])
    up, across = picture.get_size_inches()[1] - _HEAD_INCHES, WIDTH_INCHES - left - right
    for number, ((app, part, found, (moments, flying)), row) in enumerate(zip(apps, rows, strict=True), 1):
        up -= row
        dots, band = picture.box(left, up, across, row), picture.box(left, up - _BAND_INCHES - 0.05, across, _BAND_INCHES)
        heights = [math.sqrt(min(wait, clip)) for wait in waits(part)]
        for outcome in COLORS:
            here = [(x, y) for x, y, one in zip(at[part.index], heights, found, strict=True) if one == outcome]
            size = (9 if len(part) > _SMALL_BEYOND else 20) if outcome == "in time" else 36
            look: dict[str, Any] = {"marker": MARKERS[outcome], "color": COLORS[outcome], "linewidths": 0, "clip_on": False}
            dots.scatter([x for x, _ in here], [y for _, y in here], s=size, zorder=3 + (size == 36), label=outcome, **look)
        dots.set(ylim=(0, math.sqrt(clip)), yticks=[0, math.sqrt(slow_seconds), math.sqrt(clip)])
        dots.set_yticklabels(["0", f"{slow_seconds:g} s", f"{clip:g} s"])
        dots.axhline(math.sqrt(slow_seconds), **DASHED)
        band.fill_between(moments, flying, step="post", color="#BDBDBD", linewidth=0)
        band.set(ylim=(0, most * 1.05), yticks=[])
        picture.write(left - 0.62, up + row / 2, names[app], **bold(), ha="right", linespacing=1.05)
        words = f"at most\n{max(flying)} in flight"
        band.say(1 + 0.08 / across, 0.5, words, transform=band.transAxes, color=GRAY, linespacing=1.1)
        for axes in (dots, band):
            axes.set_xlim(-0.01 * end, end * 1.01)
            axes.tick_params(axis="x", labelbottom=number == len(apps) and axes is band, length=3 if axes is band else 0)
        up -= _BAND_INCHES + _GAP_INCHES
    if apps:
        band.set_xlabel(f"when it was {what} (seconds on the run's clock)")
    else:
        picture.write(left, up - 0.3, "no requests")
    every = [outcome for _, _, found, _ in apps for outcome in found]
    picture.key(left, picture.get_size_inches()[1] - 0.18, every, slow_seconds, GLYPHS)
    return picture


def _times(frame: pd.DataFrame) -> tuple[pd.Series, str]:
    """Return where on the clock each request stands (in seconds), and whether that is when it was intended or sent."""
    intended = frame["intended_at"].astype(float)
    return (intended, "meant to be sent") if intended.min() < intended.max() else (frame["sent_at"].astype(float), "sent")


def _in_flight(part: pd.DataFrame) -> tuple[list[float], list[int]]:
    """Return when the number of requests in flight changed (in seconds), and to how many."""
    changes: dict[float, int] = {}
    for sent, seconds in zip(part["sent_at"], part["total_seconds"], strict=True):
        changes[sent] = changes.get(sent, 0) + 1
        changes[sent + seconds] = changes.get(sent + seconds, 0) - 1
    moments = sorted(changes)
    return moments, list(accumulate(changes[moment] for moment in moments))


def _round(seconds: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten, at least 1."""
    power = 10.0 ** math.floor(math.log10(max(1.0, seconds)))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= max(1.0, seconds))
