"""Pictures of runs and traces: functions from a frame to a figure, and the tables that say the same.

Nothing here touches pyplot or any other global state. Colors are Okabe and Ito's, which people with color blindness can tell apart. They
never stand alone: outcome is also height, hatching or a word.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from llmlab.evals.statistics import quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, VERMILION, BLACK, GRAY, PALE = "#0072B2", "#D55E00", "#000000", "#6B6B6B", "#CFE3F1"
INK = "#222222"
FONT_POINTS = 12
WIDTH_INCHES = 7.0
COLORS = {"in time": BLUE, "slow": VERMILION, "failed": BLACK}
"""Outcome of a request and its color."""
ANSWERED = ("ok", "degraded", "abstained")
_PIXELS_PER_INCH = 100
_ROW_INCHES = 0.27
_ON_WHITE: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
_GAPS_UP_TO = 120
"""More columns than this stand side by side without a gap: a gap thinner than a pixel would flicker."""


class Picture(Figure):
    """A figure that a notebook shows by itself, with its text 12 pt high on the screen."""

    def __init__(self, height_inches: float) -> None:
        super().__init__(figsize=(WIDTH_INCHES, height_inches), layout=None)
        FigureCanvasAgg(self)

    def png(self) -> bytes:
        """Return it as PNG, with twice the pixels of its size on the screen."""
        data = io.BytesIO()
        self.savefig(data, format="png", dpi=2 * _PIXELS_PER_INCH, metadata={"Software": None})
        return data.getvalue()

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        width, height = (round(inches * _PIXELS_PER_INCH) for inches in self.get_size_inches())
        return self.png(), {"width": width, "height": height}


def outcomes(frame: pd.DataFrame, slow_seconds: float = 4.0) -> pd.Series:
    """Return for each row of `Runs.frame` "in time", "slow" or "failed".

    Args:
        frame: A row a request, with status and wait_seconds.
        slow_seconds: A first word that comes later than this is slow (in seconds).
    """

    def outcome(status: str, wait: float | None) -> str:
        if status not in ANSWERED or wait is None or math.isnan(wait):
            return "failed"
        return "slow" if wait > slow_seconds else "in time"

    made = [outcome(status, wait) for status, wait in zip(frame["status"], frame["wait_seconds"], strict=True)]
    return pd.Series(made, index=frame.index, dtype=object)


def storm_table(frame: pd.DataFrame, slow_seconds: float = 4.0) -> pd.DataFrame:
    """Return what the storm strip shows, as numbers: a row an app."""
    lines = []
    for app, part in _by_app(frame):
        found = outcomes(part, slow_seconds)
        waits = [math.inf if math.isnan(wait) else wait for wait in part["wait_seconds"].astype(float)]
        lines.append(
            {
                "app": app,
                "requests": len(part),
                f"first word within {slow_seconds:g} s": int((found == "in time").sum()),
                "later": int((found == "slow").sum()),
                "failed": int((found == "failed").sum()),
                "median wait s": _seconds(quantile(waits, 0.5).value),
                "longest wait s": _seconds(max(waits)),
            }
        )
    return pd.DataFrame(lines)


def storm_strip(frame: pd.DataFrame, slow_seconds: float = 4.0) -> Picture:
    """Return the storm strip: one column a request, one row an app, the same order of requests in each.

    Height is the wait until the first word, on a square-root scale that ends at three times `slow_seconds`; color is the outcome. A failed
    request is a black column of full height.

    Args:
        frame: `Runs.frame` of one or several apps; requests are matched by case and repetition.
        slow_seconds: Where the line stands (in seconds).
    """
    apps = _by_app(frame)
    keys = list(dict.fromkeys(zip(frame["case"], frame["repetition"], strict=True)))
    place = {key: number for number, key in enumerate(keys)}
    top, bottom, row = 0.42, 0.42, 0.86
    picture = Picture(top + bottom + row * max(1, len(apps)))
    height = picture.get_size_inches()[1]
    clip = 3 * slow_seconds
    for number, (app, part) in enumerate(apps):
        axes = picture.add_axes((0.12, 1 - (top + row * (number + 0.88)) / height, 0.66, row * 0.78 / height))
        found = outcomes(part, slow_seconds)
        _columns(axes, [place[key] for key in zip(part["case"], part["repetition"], strict=True)], part["wait_seconds"], found, clip)
        axes.set(xlim=(-0.6, len(keys) - 0.4), ylim=(0, math.sqrt(clip)), xticks=[], yticks=[])
        axes.axhline(math.sqrt(slow_seconds), color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        _bare(axes)
        axes.text(-0.015, 0.16, app, transform=axes.transAxes, ha="right", va="center", fontsize=FONT_POINTS + 1, weight="bold", color=INK)
        line = math.sqrt(slow_seconds / clip)
        axes.text(-0.015, line, f"{slow_seconds:g} s", transform=axes.transAxes, ha="right", va="center", fontsize=FONT_POINTS, color=GRAY)
        for level, word in enumerate(_shares(found, slow_seconds)):
            axes.text(1.015, line - 0.36 * level, word, transform=axes.transAxes, ha="left", va="center", fontsize=FONT_POINTS, color=INK)
    _key(picture, 0.12, 1 - 0.2 / height, slow_seconds, {outcome for _, part in apps for outcome in outcomes(part, slow_seconds)})
    words = f"{len(keys)} requests, the same in every row; height: wait for the first word" if keys else "no requests"
    picture.text(0.12, 0.14 / height, words, fontsize=FONT_POINTS, color=GRAY, va="center")
    return picture


def _seconds(value: float | None) -> str:
    return "never" if value is None or math.isinf(value) else f"{value:.3f}"


def waterfall_table(traces: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return what the waterfalls show, as numbers: a row a stage or attempt, in seconds since the question came in."""
    lines = []
    for name, trace in traces.items():
        for part in _parts(trace):
            first = part["first_content"]
            lines.append(
                {
                    "request": name,
                    "part": part["label"],
                    "from s": f"{part['start']:.3f}",
                    "first content s": "" if _missing(first) else f"{first:.3f}",
                    "to s": f"{part['end']:.3f}",
                    "outcome": part["outcome"],
                }
            )
    return pd.DataFrame(lines, columns=["request", "part", "from s", "first content s", "to s", "outcome"])


def waterfall(traces: Mapping[str, pd.DataFrame]) -> Picture:
    """Return the traces of requests below each other, on one time axis.

    A stage is a gray bar. An attempt is pale until its first content (a white diamond) and solid after it; one that lost is hatched. The
    vertical line is the commit point: what happens after it, the user sees.

    Args:
        traces: Title and `Trace.frame` of each request.
    """
    parts = {name: _parts(trace) for name, trace in traces.items()}
    heads, foot, gap = 0.54, 0.55, 0.1
    picture = Picture(foot + sum(heads + gap + _ROW_INCHES * len(rows) for rows in parts.values()))
    height = picture.get_size_inches()[1]
    longest = max((part["end"] for rows in parts.values() for part in rows), default=0.0) or 1.0
    at = height
    for name, rows in parts.items():
        at -= heads + _ROW_INCHES * len(rows)
        axes = picture.add_axes((0.26, at / height, 0.72, _ROW_INCHES * len(rows) / height))
        at -= gap
        axes.set(xlim=(0, longest * 1.15), ylim=(len(rows) - 0.5, -0.5), yticks=[])
        axes.tick_params(axis="x", labelsize=FONT_POINTS, colors=INK, length=0 if name != next(reversed(parts)) else 3)
        axes.grid(axis="x", color="#E3E3E3", linewidth=0.8)
        axes.set_axisbelow(True)
        _bare(axes)
        if name == next(reversed(parts)):
            axes.set_xlabel("seconds since the question came in", fontsize=FONT_POINTS, color=INK)
        else:
            axes.set_xticklabels([])
        for number, part in enumerate(rows):
            _bar(axes, number, part, longest)
        title: dict[str, Any] = {"fontsize": FONT_POINTS + 1, "weight": "bold", "color": INK, "va": "center"}
        axes.text(-0.345, 1 + 0.38 / (_ROW_INCHES * len(rows)), name, transform=axes.transAxes, **title)
        commit = _commit(rows)
        if commit is not None:
            axes.axvline(commit, color=VERMILION, linewidth=1.6, zorder=4)
            side: Any = "left" if commit < 0.7 * longest else "right"
            axes.annotate(
                f"commit point: first word at {commit:.2f} s",
                (commit, 1),
                (3 if side == "left" else -3, 5),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha=side,
                fontsize=FONT_POINTS,
                color="#A84300",
            )
    return picture


def _by_app(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(app), frame[frame["app"] == app]) for app in dict.fromkeys(frame["app"])]


def _columns(axes: Axes, places: Sequence[int], waits: Iterable[float | None], found: Iterable[str], clip: float) -> None:
    shapes, colors = [], []
    half = 0.4 if len(places) <= _GAPS_UP_TO else 0.5
    for place, wait, outcome in zip(places, waits, found, strict=True):
        seconds = clip if outcome == "failed" or wait is None else min(float(wait), clip)
        level = math.sqrt(seconds)
        shapes.append([(place - half, 0), (place - half, level), (place + half, level), (place + half, 0)])
        colors.append(COLORS[outcome])
    axes.add_collection(PolyCollection(shapes, facecolors=colors, edgecolors="none", antialiaseds=half < 0.5))


def _shares(found: pd.Series, slow_seconds: float) -> list[str]:
    """Return the label of a row: how many waited, and how many failed if any did."""
    n, slow, failed = len(found), int((found == "slow").sum()), int((found == "failed").sum())
    words = [f"{100 * slow / n:.1f} % after {slow_seconds:g} s"]
    return [*words, f"{100 * failed / n:.1f} % failed"] if failed else words


def _key(picture: Picture, left: float, level: float, slow_seconds: float, present: set[str]) -> None:
    """Say what the colors mean, in one line above the rows."""
    words = {"in time": f"first word within {slow_seconds:g} s", "slow": "later", "failed": "failed"}
    width = picture.get_size_inches()[0]
    for outcome, word in words.items():
        if outcome not in present and outcome == "failed":
            continue
        picture.text(left, level, "\u25a0", fontsize=FONT_POINTS + 2, color=COLORS[outcome], va="center")
        picture.text(left + 0.2 / width, level, word, fontsize=FONT_POINTS, color=INK, va="center")
        left += (0.2 + 0.085 * len(word) + 0.35) / width


def _bare(axes: Axes) -> None:
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#9A9A9A")


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _parts(trace: pd.DataFrame) -> list[dict[str, Any]]:
    """Return stages and attempts in the order of drawing: the attempts stand below the stage that made them."""
    rows = [dict(zip(trace.columns, row, strict=True)) for row in trace.itertuples(index=False, name=None)]
    attempts = []
    for row in rows:
        if row["kind"] == "attempt":
            role = row["role"]
            lost = row["status"] not in ("won", "ok")
            words = "won" if not lost else f"{row['status']}: {row['reason']}" if row["reason"] else str(row["status"])
            attempts.append({**row, "label": f"   {row['name']} {role}", "outcome": words, "lost": lost})
    made = []
    for row in rows:
        if row["kind"] == "stage":
            made.append({**row, "label": row["name"], "outcome": "" if _missing(row["reason"]) else row["reason"], "lost": False})
            if row["name"] == "routing":
                made += attempts
    return made if any(row["kind"] == "stage" and row["name"] == "routing" for row in rows) else made + attempts


def _commit(parts: Sequence[Mapping[str, Any]]) -> float | None:
    """Return when the user saw the first word (in seconds): of the winner, or of the attempt that broke off after it; else None."""
    seen = [part for part in parts if part["kind"] == "attempt" and part["status"] != "cancelled" and not _missing(part["first_content"])]
    return min(seen, key=lambda part: part["lost"])["first_content"] if seen else None


def _bar(axes: Axes, number: int, part: Mapping[str, Any], longest: float) -> None:
    start, end, first = part["start"], part["end"], part["first_content"]
    axes.text(-0.345, number, part["label"], transform=axes.get_yaxis_transform(), fontsize=FONT_POINTS, color=INK, va="center")
    if part["kind"] == "stage":
        _box(axes, number, start, max(end - start, longest * 0.005), GRAY, GRAY, "")
        words = f"{end - start:.2f} s"
        axes.text(end + longest * 0.015, number, words, fontsize=FONT_POINTS, color=GRAY, va="center", zorder=6, bbox=_ON_WHITE)
        return
    if part["lost"]:
        _box(axes, number, start, end - start, "white", VERMILION, "/////")
    else:
        shown = end if _missing(first) else first
        _box(axes, number, start, shown - start, PALE, BLUE, "")
        _box(axes, number, shown, end - shown, BLUE, BLUE, "")
    if not _missing(first):
        axes.plot([first], [number], marker="D", markersize=6, color="white", markeredgecolor=INK, zorder=5)
    late = part["lost"] and end > 0.6 * longest
    look: dict[str, Any] = {"ha": "right" if late else "left", "va": "center", "zorder": 6, "bbox": _ON_WHITE}
    axes.text(end + (-0.015 if late else 0.015) * longest, number, part["outcome"], fontsize=FONT_POINTS, color=INK, **look)


def _box(axes: Axes, number: int, start: float, seconds: float, face: str, edge: str, hatch: str) -> None:
    look: dict[str, Any] = {"facecolor": face, "edgecolor": edge, "hatch": hatch or None, "linewidth": 1.0, "zorder": 3}
    axes.add_patch(Rectangle((start, number - 0.34), seconds, 0.68, **look))
