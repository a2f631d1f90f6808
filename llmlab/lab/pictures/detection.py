"""What a guard catches and whom it hurts: precision and recall at every threshold, and both shares by class with intervals."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from llmlab.lab.pictures.base import BLUE, GRAY, RULE, VERMILION, WIDTH_INCHES, Picture, bold, width_of

_ROW_INCHES, _FOOT_INCHES, _HEAD_INCHES = 0.3, 0.62, 0.4


def at_threshold(frame: pd.DataFrame, threshold: float) -> pd.Series:
    """Return the row of a `curve` that holds at a threshold."""
    return frame[frame["threshold"] >= threshold].iloc[-1]


def precision_recall(frame: pd.DataFrame, threshold: float) -> Picture:
    """Return precision against recall at every threshold, with a dot at one.

    Args:
        frame: As `curve` gives it.
        threshold: Where the dot stands.
    """
    picture = Picture(3.6)
    axes = picture.box(0.95, _FOOT_INCHES, 3.3, 2.75)
    shown = frame.dropna()
    somewhere = shown[shown["threshold"] > 0]
    axes.plot(somewhere["recall"], somewhere["precision"], color=BLUE, linewidth=2.2)
    axes.plot(shown["recall"].iloc[-2:], shown["precision"].iloc[-2:], color=GRAY, linewidth=1.2, linestyle=(0, (4, 3)))
    here, last = at_threshold(frame, threshold), frame.iloc[-1]
    if not math.isnan(here["precision"]):
        axes.plot(here["recall"], here["precision"], marker="o", markersize=11, color=VERMILION, clip_on=False, gid="dot")
    axes.set(xlim=(0, 1), ylim=(0.4, 1.02), xticks=[0, 0.25, 0.5, 0.75, 1], yticks=[0.4, 0.6, 0.8, 1])
    axes.set_xticklabels([f"{100 * tick:.0f} %" for tick in axes.get_xticks()])
    axes.set_yticklabels([f"{100 * tick:.0f} %" for tick in axes.get_yticks()])
    axes.set_xlabel("recall: attacks caught")
    axes.set_ylabel("precision: alarms right")
    axes.grid(color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    words = [
        f"catches {here['caught']:.0f} of {last['caught']:.0f} attacks,",
        f"stops {here['false_alarms']:.0f} of {last['false_alarms']:.0f} harmless",
        "texts",
        "",
        "(dashed: flags everything)",
    ]
    picture.write(4.5, 3.1, f"● threshold {threshold:.2f}", **{**bold(), "color": "#A84300"})
    picture.write(4.5, 2.9, "\n".join(words), va="top", linespacing=1.3)
    return picture


def by_class(frame: pd.DataFrame) -> Picture:
    """Return recall and over-defense of each class with their 95 % intervals.

    Args:
        frame: As `detection` gives it.
    """
    names = [str(name).replace("_", " ") for name in frame.index]
    left = max(map(width_of, names)) + 0.3
    high = _ROW_INCHES * len(frame)
    picture = Picture(_HEAD_INCHES + high + _FOOT_INCHES)
    axes = picture.box(left, _FOOT_INCHES, WIDTH_INCHES - left - 0.3, high)
    axes.set(xlim=(-0.01, 1.01), ylim=(len(frame), 0), yticks=[], xticks=[0, 0.25, 0.5, 0.75, 1])
    axes.set_xticklabels([f"{100 * tick:.0f} %" for tick in axes.get_xticks()])
    axes.set_xlabel("share of families, with 95 % intervals")
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    looks: list[tuple[str, float, str, str]] = [("recall", 0.32, BLUE, "o"), ("over_defense", 0.68, VERMILION, "^")]
    for row, (name, (_, found)) in enumerate(zip(names, frame.iterrows(), strict=True)):
        for what, offset, color, marker in looks:
            if not math.isnan(found[what]):
                axes.plot([found[f"{what}_low"], found[f"{what}_high"]], [row + offset] * 2, color=color, linewidth=1.6, clip_on=False)
                axes.plot(found[what], row + offset, marker=marker, markersize=7, color=color, clip_on=False, gid=what)
        look: dict[str, Any] = {"weight": "bold"} if name == "all" else {}
        picture.write(left - 0.12, _FOOT_INCHES + _ROW_INCHES * (len(frame) - row - 0.5), name, ha="right", **look)
    picture.explain(0.1, _FOOT_INCHES + high + 0.2, [("●", BLUE, "attacks caught"), ("▲", VERMILION, "hard harmless texts stopped")])
    return picture


def class_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the same for people: a row a class; n is the number of families, for variants of one idea are one observation."""
    lines = []
    for name, row in frame.iterrows():
        line = {"class": str(name).replace("_", " "), "n": f"{row['families']:.0f} + {row['harmless_families']:.0f}"}
        for what, title in (("recall", "caught (%)"), ("over_defense", "harmless stopped (%)"), ("precision", "alarms right (%)")):
            value, low, high = (row[f"{what}{end}"] for end in ("", "_low", "_high"))
            line[title] = "" if math.isnan(value) else f"{100 * value:.0f} [{100 * low:.0f}, {100 * high:.0f}]"
        lines.append(line)
    return pd.DataFrame(lines)
