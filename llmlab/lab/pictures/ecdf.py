"""The distribution of the wait: a line an app, with the tail drawn large."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from llmlab.evals.statistics import quantile
from llmlab.lab.pictures.base import (
    BLACK,
    BLUE,
    DASHED,
    FLOOR_SECONDS,
    LINE_INCHES,
    RULE,
    RUST,
    VERMILION,
    WIDTH_INCHES,
    Picture,
    Plot,
    bold,
    by_app,
    in_seconds,
    percent,
    wait_ticks,
    waits,
    width_of,
    wrapped,
)

_LOOKS = (BLUE, "#009E73", "#CC79A7", BLACK, VERMILION)
_DASHES = ("solid", (0, (6, 2)), (0, (6, 2, 1.5, 2)), (0, (1, 1.2)))
_FEW = 4
"""So many apps have their quantiles beside their line; more have them in the table."""
_LEADER_INCHES, _LEFT, _BOTTOM = 0.35, 0.98, 0.62


def ecdf_table(frame: pd.DataFrame, slow_seconds: float = 4.0) -> pd.DataFrame:
    """Return the quantiles of the wait with their distribution-free 95 % intervals (in seconds): a row an app."""
    lines = []
    for app, part in by_app(frame):
        waited = waits(part)
        lines.append(
            {
                "app": app,
                "n": len(waited),
                **{f"p{name} s": quantile(waited, name / 100).text(2) for name in (50, 90, 99)},
                f"after {slow_seconds:g} s or never": percent(sum(wait > slow_seconds for wait in waited), len(waited)),
                "never": percent(sum(map(math.isinf, waited)), len(waited)),
            }
        )
    return pd.DataFrame(lines)


class _Line(NamedTuple):
    """The line of an app."""

    app: str
    waited: list[float]
    """How long each request waited (in seconds), in order; never is infinite."""

    def share(self, count: float, tail: bool) -> float:
        """Return where the share of `count` requests stands: as it is, or by orders of magnitude of what is left."""
        return -math.log10(1 - count / len(self.waited)) if tail else count / len(self.waited)

    def steps(self, left: float, right: float, tail: bool) -> tuple[list[float], list[float]]:
        """Return the line's corners.

        What never comes leads the line to the right. With `tail` 100 % is infinitely high: the last step goes up by half a request.
        """
        finite = [max(left, wait) for wait in self.waited if not math.isinf(wait)]
        n = len(self.waited)
        levels = [self.share(min(count, n - 0.5) if tail else count, tail) for count in range(len(finite) + 1)]
        return ([left, *finite], levels) if len(finite) == n else ([left, *finite, right], [*levels, levels[-1]])

    def words(self, slow_seconds: float, quantiles: bool) -> list[str]:
        """Return what stands below the app's name."""
        n, late, never = len(self.waited), sum(wait > slow_seconds for wait in self.waited), sum(map(math.isinf, self.waited))
        beyond = [f"{percent(late, n)} after {slow_seconds:g} s" + (" or never," if never else "")]
        beyond += [f"{percent(never, n)} never"] if never else []
        if not quantiles:
            return beyond
        last = quantile(self.waited, 0.99)
        p99 = f"p99 {_with_unit(last.value)}" if last.measurable else f"no p99 at n = {n}"
        return [f"p50 {_with_unit(quantile(self.waited, 0.5).value)}, {p99}", *beyond]


def ecdf(frame: pd.DataFrame, slow_seconds: float = 4.0, *, tail: bool = True) -> Picture:
    """Return the empirical distribution of the wait: how large a share of requests had their first word within so many seconds.

    Args:
        frame: `Runs.frame` of one or several apps. A request that failed waits for ever: its app's line never reaches the top.
        slow_seconds: Where the slow ones begin (in seconds).
        tail: Whether the vertical axis gives 90, 99 and 99.9 % the same room each, so that p99 can be read; else it is linear.
    """
    lines = [_Line(app, sorted(waits(part))) for app, part in by_app(frame)]
    every = [wait for line in lines for wait in line.waited if not math.isinf(wait)]
    left = min([slow_seconds / 10, *(max(FLOOR_SECONDS, wait) for wait in every)])
    left, right = left * (0.85 if left != FLOOR_SECONDS else 1.0), 1.15 * max([*every, 2 * slow_seconds])
    top = max([math.log10(20), *(math.log10(2 * len(line.waited)) for line in lines)]) * 1.02 if tail else 1.04
    labels, wide, high = _labels(lines, slow_seconds)
    across, up = WIDTH_INCHES - _LEFT - _LEADER_INCHES - wide - 0.12, max(3.0, 0.5 * sum(high))

    corners = [line.steps(left, right, tail) for line in lines]
    ends = [(math.log(xs[-1] / left) / math.log(right / left) * across, _BOTTOM + ys[-1] / top * up) for xs, ys in corners]
    order = sorted(range(len(lines)), key=lambda number: (ends[number][1], -ends[number][0], -number))
    # The lowest label hangs below its line's end, so that no leader passes through the end of another line.
    wanted = [max(ends[number][1] - (0.3 if number == order[0] else 0.0) * high[number], high[number] / 2 + 0.08) for number in order]
    places = dict(zip(order, spread(wanted, [high[number] for number in order]), strict=True))
    picture = Picture(max([_BOTTOM + up + 0.15, *(places[number] + high[number] / 2 + 0.08 for number in order)]))
    axes = picture.box(_LEFT, _BOTTOM, across, up)
    _frame(axes, left, right, top, slow_seconds, tail)
    for number, (xs, ys) in enumerate(corners):
        look: dict[str, Any] = {"color": _LOOKS[number % len(_LOOKS)], "linestyle": _DASHES[number % len(_DASHES)]}
        axes.plot(xs, ys, drawstyle="steps-post", linewidth=1.8 if number else 3.2, clip_on=False, label=lines[number].app, **look)
        where = ((_LEFT + ends[number][0]) / WIDTH_INCHES, ends[number][1] / picture.get_size_inches()[1])
        to = ((WIDTH_INCHES - wide - 0.16) / WIDTH_INCHES, places[number] / picture.get_size_inches()[1])
        axes.plot(*zip(where, to, strict=True), transform=picture.transFigure, clip_on=False, linewidth=1.0, color=look["color"])
        axes.plot(*where, transform=picture.transFigure, clip_on=False, marker="o", markersize=5, color=look["color"])
        name, words = labels[number]
        edge = WIDTH_INCHES - wide - 0.1
        head = LINE_INCHES * (1 + name.count("\n"))
        picture.write(edge, places[number] + high[number] / 2 - head / 2 - 0.05, name, **bold(), linespacing=1.05)
        picture.write(edge, places[number] - head / 2, "\n".join(words), linespacing=1.1)
    if not lines:
        picture.write(_LEFT + across / 2, _BOTTOM + up / 2, "no requests", ha="center")
    return picture


def spread(wanted: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """Return where labels of these sizes stand so that none overlap: where they are wanted, or pushed up by those below.

    Args:
        wanted: Middle of each label, from the lowest to the highest.
        sizes: Height of each, in the same unit.
    """
    places: list[float] = []
    floor = -math.inf
    for middle, size in zip(wanted, sizes, strict=True):
        places.append(max(middle, floor + size / 2))
        floor = places[-1] + size / 2
    return places


def _labels(lines: Sequence[_Line], slow_seconds: float) -> tuple[list[tuple[str, list[str]]], float, list[float]]:
    """Return the name and the words of each label, how wide the widest is and how high each is (in inches)."""
    names, wide = wrapped(line.app for line in lines)
    labels = [(names[line.app], line.words(slow_seconds, len(lines) <= _FEW)) for line in lines]
    wide = max([wide, *(width_of(word) for _, words in labels for word in words)])
    return labels, wide, [LINE_INCHES * (1 + name.count("\n") + len(words)) + 0.14 for name, words in labels]


def _frame(axes: Plot, left: float, right: float, top: float, slow_seconds: float, tail: bool) -> None:
    shares = [0.0, 0.5, *(1 - 10.0**-power for power in range(1, 7))] if tail else [0, 0.25, 0.5, 0.75, 1]
    levels = [-math.log10(1 - share) if tail else share for share in shares]
    shown = shares[: bisect.bisect(levels, top)]
    ticks, words = wait_ticks(left, right)
    axes.set(xscale="log", xlim=(left, right), ylim=(0, top), xlabel="seconds until the first word", ylabel="share of requests")
    axes.set_xticks(ticks, words)
    axes.set_xticks([], minor=True)
    axes.set_yticks(levels[: len(shown)], [f"{100 * share:.6g} %" for share in shown])
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.axvspan(slow_seconds, right, color="#FBE9DD", linewidth=0, zorder=0)
    axes.axvline(slow_seconds, **{**DASHED, "color": VERMILION, "linewidth": 1.0})
    axes.say(slow_seconds * 0.96, 0.025 * top, f"after {slow_seconds:g} s \u25b8", color=RUST, ha="right", zorder=1)


def _with_unit(value: float | None) -> str:
    words = in_seconds(value, 2)
    return words if words == "never" else f"{words} s"
