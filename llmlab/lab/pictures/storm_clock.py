"""A storm on its clock, and its phase portrait: does the path come home?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmlab.lab.pictures.base import BLACK, BLUE, DASHED, FONT_POINTS, GRAY, INK, RUST, VERMILION, Picture, Plot, bold, width_of

if TYPE_CHECKING:
    from llmlab.lab.storm_run import StormRun

_SHADE = "#F6E7DC"
_BREAKER = {"closed": ("#FFFFFF", ""), "half-open": ("#BDBDBD", "////"), "open": (BLACK, "")}
"""Color and hatching of a breaker's states."""
_STRIPS = (1.5, 0.95, 0.26)
"""Heights of the three strips (in inches)."""
_GAP_INCHES = 0.22


def storm_clock_table(run: StormRun, window_seconds: float = 10.0) -> pd.DataFrame:
    """Return what the strips and the portrait show, as numbers: a row a window of time.

    Args:
        run: Of one policy.
        window_seconds: Length of a window (in seconds).
    """
    frame = run.frame(window_seconds)
    return pd.DataFrame(
        {
            "from s": [f"{start:g}" for start in frame["start"]],
            "to s": [f"{end:g}" for end in frame["end"]],
            "offered/s": [f"{value:.1f}" for value in frame["offered"]],
            "attempts/s": [f"{value:.1f}" for value in frame["attempts"]],
            "capacity/s": [f"{value:.1f}" for value in frame["capacity"]],
            f"within {run.storm.objective_seconds:g} s (%)": [_percent(value) for value in frame["goodput"]],
            "waiting": frame["waiting"],
            "busy slots": frame["busy"],
            "breaker": frame["breaker"],
        }
    )


def storm_clock(run: StormRun, window_seconds: float = 5.0) -> Picture:
    """Return three strips on one clock, with the brown-out shaded.

    Offered load, attempts and capacity of the main model (a second); goodput, the share of the requests sent in a window that were answered
    within the objective; the state of the main route's breaker.

    Args:
        run: Of one policy.
        window_seconds: Length of a window (in seconds).
    """
    frame = run.frame(window_seconds)
    left, right = 0.86, 0.2 + width_of("capacity 00/s")
    picture = Picture(0.5 + sum(_STRIPS) + 2 * _GAP_INCHES + 0.56)
    wide, up = picture.get_size_inches()[0] - left - right, picture.get_size_inches()[1] - 0.5
    strips = []
    for height in _STRIPS:
        up -= height
        strips.append(picture.box(left, up, wide, height))
        up -= _GAP_INCHES
    for axes in strips:
        if run.storm.brown_out:
            axes.axvspan(run.storm.brown_out.start_seconds, run.storm.ends_at, color=_SHADE, linewidth=0, zorder=0)
        axes.set_xlim(0, run.storm.seconds)
        axes.tick_params(axis="x", labelbottom=axes is strips[-1])
    rates, goodput, breaker = strips
    _rates(rates, frame, wide)
    _goodput(goodput, frame, run.storm.objective_seconds, wide)
    _breaker(breaker, run, wide)
    breaker.set_xlabel("seconds on the storm's clock (brown-out shaded)")
    picture.write(0.1, picture.get_size_inches()[1] - 0.2, _title(run), **bold())
    return picture


def phase_portrait(runs: Sequence[StormRun], window_seconds: float = 5.0) -> Picture:
    """Return the path of each policy: attempts a second to the right, attempts that wait upwards, a point a window of time.

    A path that comes home ends where it began, at the left below. One that does not is a storm that keeps itself up. Open squares stand
    where the brown-out ends, crosses where the path ends.

    Args:
        runs: Of one or several policies in the same storm.
        window_seconds: Length of a window (in seconds).
    """
    picture = Picture(3.6)
    right = 0.2 + max(width_of(run.name or "policy", FONT_POINTS + 1, "bold") for run in runs)
    axes = picture.box(0.95, 0.62, picture.get_size_inches()[0] - 0.95 - right - 0.1, 2.72, sides=("bottom", "left"))
    ends: list[tuple[float, str, str]] = []
    peaks: list[float] = []
    for number, run in enumerate(runs):
        frame = run.frame(window_seconds)
        color, style = ((VERMILION, "-"), (BLUE, "-"), (GRAY, "--"), (INK, ":"))[number % 4]
        across, upward = list(frame["attempts"]), [math.sqrt(count) for count in frame["waiting"]]
        peaks.append(max(upward))
        axes.plot(across, upward, color=color, linestyle=style, linewidth=1.6, marker="o", markersize=2.5)
        over = [place for place, end in enumerate(frame["end"]) if run.storm.brown_out and end >= run.storm.ends_at][:1]
        for place in over:
            axes.plot(across[place], upward[place], marker="s", markersize=8, color=color, markerfacecolor="white", zorder=4)
        axes.plot(across[-1], upward[-1], marker="X", markersize=10, color=color, zorder=5, clip_on=False)
        ends.append((upward[-1], run.name or "policy", color))
    top = max([4.0, *peaks]) * 1.06
    ticks = [tick for tick in (0, 10, 100, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000) if math.sqrt(tick) <= top]
    axes.set_yticks([math.sqrt(tick) for tick in ticks], [f"{tick:,}" for tick in ticks])
    axes.set(xlim=(0, None), ylim=(-0.02 * top, top))
    axes.set(xlabel="attempts a second, main model", ylabel="attempts that wait (root scale)")
    low = -1.0
    for height, name, color in sorted(ends):
        at = max(height / top, low + 0.085)  # names that would stand on each other are moved apart
        low = at
        axes.say(1.02, at, name, transform=axes.transAxes, color=RUST if color == VERMILION else color, **bold())
    return picture


def _rates(axes: Plot, frame: pd.DataFrame, wide: float) -> None:
    """Draw offered load, attempts and capacity, each with its name at its end."""
    top = max(1.0, *frame["attempts"], *frame["capacity"], *frame["offered"]) * 1.1
    edges = [*frame["start"], frame["end"].iloc[-1]]
    look: dict[str, Any] = {"baseline": None}
    axes.stairs(frame["capacity"], edges, color=GRAY, linestyle="--", linewidth=1.4, **look)
    axes.stairs(frame["attempts"], edges, color=VERMILION, linewidth=2.0, **look)
    axes.stairs(frame["offered"], edges, color=BLUE, linewidth=1.4, **look)
    axes.set(ylim=(0, top), yticks=[])
    named = [("attempts", "attempts", RUST), ("capacity", "capacity", GRAY), ("offered", "offered", BLUE)]
    last = frame.iloc[-1]
    placed, low = [], -1.0
    for column, word, color in sorted(named, key=lambda one: (last[one[0]], one[1])):
        low = max(last[column] / top, low + 0.145)
        placed.append((low, f"{word} {last[column]:.0f}/s", color))
    over = max(0.0, low - 1.0)
    for at, words, color in placed:
        _beside(axes, wide, at - over, words, color=color)
    axes.say(-0.08 / wide, 0.5, "rates", transform=axes.transAxes, ha="right")


def _goodput(axes: Plot, frame: pd.DataFrame, objective: float, wide: float) -> None:
    edges = [*frame["start"], frame["end"].iloc[-1]]
    axes.stairs(frame["goodput"], edges, color=BLUE, fill=True, alpha=0.35, linewidth=0)
    axes.stairs(frame["goodput"], edges, color=BLUE, linewidth=1.4, baseline=None)
    axes.axhline(0.95, **DASHED)
    axes.set_yticks([0, 0.95], ["0", "95 %"])
    axes.set_ylim(0, 1.08)
    _beside(axes, wide, 0.55, f"answered\nwithin {objective:g} s", color=BLUE, linespacing=1.1)


def _breaker(axes: Plot, run: StormRun, wide: float) -> None:
    """Draw the breaker's states, as long as each lasted."""
    changes = [(0.0, "closed"), *((at, state) for at, state in run.changes if at < run.storm.seconds), (run.storm.seconds, "")]
    for (start, state), (end, _) in pairwise(changes):
        color, hatch = _BREAKER[state]
        if state != "closed":
            axes.axvspan(start, end, facecolor=color, hatch=hatch, edgecolor=INK, linewidth=0)
    first = next(((at, state) for at, state in run.changes if state == "open"), None)
    axes.set(ylim=(0, 1), yticks=[])
    word = "never opened" if first is None else "black: open"
    if not run.breaks:
        word = "none"
    _beside(axes, wide, 0.5, word)
    axes.say(-0.08 / wide, 0.5, "breaker", transform=axes.transAxes, ha="right")


def _beside(axes: Plot, wide: float, height: float, words: str, **look: Any) -> None:
    """Write words to the right of axes that are so `wide` (in inches), at a share of their height."""
    axes.say(1 + 0.08 / wide, height, words, transform=axes.transAxes, **look)


def _title(run: StormRun) -> str:
    name = f"{run.name}: " if run.name else ""
    return f"{name}{100 * run.share():.0f} % in time in the {run.storm.after_seconds:g} s after, {run.amplification:.1f} attempts a request"


def _percent(share: float) -> str:
    return "no request" if math.isnan(share) else f"{100 * share:.1f}"
