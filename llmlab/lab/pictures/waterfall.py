"""Waterfalls: what happened in a request, stage by stage and attempt by attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.patches import Rectangle

from llmlab.lab.pictures.base import (
    BLUE,
    GRAY,
    INK,
    ON_WHITE,
    PALE,
    RULE,
    RUST,
    VERMILION,
    WIDTH_INCHES,
    Picture,
    Plot,
    bold,
    missing,
    width_of,
)

_ROW_INCHES = 0.27
_HEAD_INCHES, _GAP_INCHES, _FOOT_INCHES, _MARGIN = 0.54, 0.1, 0.55, 0.08


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
                    "first content s": "" if missing(first) else f"{first:.3f}",
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
    every = [part for rows in parts.values() for part in rows]
    picture = Picture(_FOOT_INCHES + sum(_HEAD_INCHES + _GAP_INCHES + _ROW_INCHES * len(rows) for rows in parts.values()))
    at, left = picture.get_size_inches()[1], max([1.82, *(_MARGIN + 0.1 + width_of(part["label"]) for part in every)])
    axis = _Axis(max((part["end"] for part in every), default=0.0) or 1.0, WIDTH_INCHES - _MARGIN - 0.06 - left)
    for number, (name, rows) in enumerate(parts.items(), 1):
        picture.write(_MARGIN, at - 0.16, name, **bold())
        at -= _HEAD_INCHES + _ROW_INCHES * len(rows)
        axes = picture.box(left, at, axis.inches, _ROW_INCHES * len(rows))
        axes.set(xlim=(0, axis.right), ylim=(len(rows) - 0.5, -0.5), yticks=[])
        axes.grid(axis="x", color=RULE, linewidth=0.8)
        axes.set_axisbelow(True)
        if number == len(parts):
            axes.set_xlabel("seconds since the question came in")
        else:
            axes.tick_params(length=0, labelbottom=False)
        commit = _commit(rows)
        for row, part in enumerate(rows):
            picture.write(_MARGIN, at + _ROW_INCHES * (len(rows) - row - 0.5), part["label"])
            _bar(axes, row, part, axis, commit)
        if commit is not None:
            axes.axvline(commit, color=VERMILION, linewidth=1.6, zorder=4)
            words = f"commit point: first word at {commit:.2f} s"
            fits = commit + axis.seconds(words) < axis.right
            x = left + commit / axis.right * axis.inches + (0.04 if fits else -0.04)
            picture.write(x, at + _ROW_INCHES * len(rows) + 0.13, words, color=RUST, ha="left" if fits else "right")
        at -= _GAP_INCHES
    return picture


class _Axis(NamedTuple):
    """The time axis that all requests share."""

    longest: float
    """When the last of them ended (in seconds)."""
    inches: float

    @property
    def right(self) -> float:
        """Where the axis ends (in seconds): behind the last bar its seconds are written."""
        return self.longest * 1.15

    def seconds(self, words: str) -> float:
        """Return how wide `words` and a space before them are (in seconds)."""
        return (width_of(words) + 0.1) / self.inches * self.right


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
            made.append({**row, "label": row["name"], "outcome": "" if missing(row["reason"]) else row["reason"], "lost": False})
            if row["name"] == "routing":
                made += attempts
    return made if any(row["kind"] == "stage" and row["name"] == "routing" for row in rows) else made + attempts


def _commit(parts: Sequence[Mapping[str, Any]]) -> float | None:
    """Return when the user saw the first word (in seconds): of the winner, or of the attempt that broke off after it; else None."""
    seen = [part for part in parts if part["kind"] == "attempt" and part["status"] != "cancelled" and not missing(part["first_content"])]
    return min(seen, key=lambda part: part["lost"])["first_content"] if seen else None


def _bar(axes: Plot, number: int, part: Mapping[str, Any], axis: _Axis, commit: float | None) -> None:
    start, end, first = part["start"], part["end"], part["first_content"]
    space = 0.015 * axis.longest
    look: dict[str, Any] = {"zorder": 6, "bbox": ON_WHITE}
    if part["kind"] == "stage":
        _box(axes, number, start, max(end - start, axis.longest * 0.005), GRAY, GRAY, "")
        words = f"{end - start:.2f} s"
        crossed = commit is not None and end <= commit < end + axis.seconds(words)  # the number would hide a piece of the commit point
        axes.say((commit if commit is not None and crossed else end) + space, number, words, **look, color=GRAY)
        return
    if part["lost"]:
        _box(axes, number, start, end - start, "white", VERMILION, "/////")
    else:
        shown = end if missing(first) else first
        _box(axes, number, start, shown - start, PALE, BLUE, "")
        _box(axes, number, shown, end - shown, BLUE, BLUE, "")
    if not missing(first):
        axes.plot([first], [number], marker="D", markersize=6, color="white", markeredgecolor=INK, zorder=5)
    fits = end + axis.seconds(part["outcome"]) < axis.right
    axes.say(end + (space if fits else -space), number, part["outcome"], **look, ha="left" if fits else "right")


def _box(axes: Plot, number: int, start: float, seconds: float, face: str, edge: str, hatch: str) -> None:
    look: dict[str, Any] = {"facecolor": face, "edgecolor": edge, "hatch": hatch or None, "linewidth": 1.0, "zorder": 3}
    axes.add_patch(Rectangle((start, number - 0.34), seconds, 0.68, **look))
