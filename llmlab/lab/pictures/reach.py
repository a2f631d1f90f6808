"""What reaches the user: a stacked bar a rung, and the same as a table."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from llmlab.lab.ladder import OUTCOMES, shares
from llmlab.lab.pictures.base import BLACK, BLUE, FONT_POINTS, INK, PALE, RUST, VERMILION, WIDTH_INCHES, Picture, bold, width_of


class _Look(NamedTuple):
    color: str
    hatch: str
    ink: str


_LOOKS = {
    "right": _Look(BLUE, "", "white"),
    "degraded": _Look(PALE, "....", INK),
    "abstained": _Look("#E3E3E3", "", INK),
    "failed": _Look(BLACK, "", "white"),
    "silently wrong": _Look(VERMILION, "", BLACK),
}
"""In the order of drawing: what is wrong ends at the same edge in every bar."""
_ROW_INCHES, _FOOT_INCHES, _HEAD_INCHES = 0.46, 0.42, 0.12


def reach(frame: pd.DataFrame) -> Picture:
    """Return what reaches the user, as a bar a rung: right, degraded, abstained, failed, and at the right end silently wrong.

    Args:
        frame: As `llmlab.lab.ladder.reached` gives it.
    """
    rungs = shares(frame)
    left = max([width_of(app, FONT_POINTS + 1, "bold") for app in rungs], default=0.5) + 0.25
    high = _ROW_INCHES * max(1, len(rungs))
    picture = Picture(_HEAD_INCHES + high + _FOOT_INCHES)
    room = WIDTH_INCHES - left - 0.75
    axes = picture.box(left, _FOOT_INCHES, room, high, sides=())
    for number, (app, found) in enumerate(rungs.items()):
        middle, at = len(rungs) - number - 0.5, 0.0
        for name, look in _LOOKS.items():
            share = found[name].value or 0.0
            if not share:
                continue
            axes.barh(middle, share, left=at, height=0.62, color=look.color, hatch=look.hatch, edgecolor="white", linewidth=0.8, gid=name)
            words = f"{100 * share:.0f} %"
            if name != "silently wrong" and width_of(words) + 0.1 < share * room:
                behind: dict[str, Any] = {"bbox": {"facecolor": look.color, "edgecolor": "none", "pad": 1.0}} if look.hatch else {}
                axes.say(at + share / 2, middle, words, ha="center", color=look.ink, **behind)
            at += share
        axes.say(1.0 + 0.08 / room, middle, f"{100 * (found['silently wrong'].value or 0.0):.1f} %", color=RUST, weight="bold")
        picture.write(left - 0.12, _FOOT_INCHES + _ROW_INCHES * middle, app, **bold(), ha="right")
    axes.set(xlim=(0, 1), ylim=(0, max(1, len(rungs))), xticks=[], yticks=[])
    entries = [("■", look.color, name) for name, look in _LOOKS.items()]
    picture.explain(max(0.1, WIDTH_INCHES - 0.45 - sum(width_of(name) + 0.5 for name in _LOOKS)), 0.19, entries)
    return picture


def reach_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the same for people, in % with 95 % intervals clustered by question: a row a rung.

    Args:
        frame: As `llmlab.lab.ladder.reached` gives it.
    """
    lines = []
    for app, found in shares(frame).items():
        line: dict[str, object] = {"rung": app, "n": int((frame["app"] == app).sum())}
        line |= {f"{name} (%)": found[name].text(1, scale=100) for name in OUTCOMES}
        lines.append(line | {"coverage (%)": found["coverage"].text(1, scale=100)})
    return pd.DataFrame(lines)
