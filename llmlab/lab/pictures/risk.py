"""How much is wrong among what is answered, and how much is answered, at every threshold."""

from __future__ import annotations

import math

import pandas as pd

from llmlab.lab.pictures.base import BLUE, FONT_POINTS, INK, PALE, RULE, RUST, VERMILION, Picture, bold

_TICKS = (0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0)


def at_threshold(frame: pd.DataFrame, threshold: float) -> pd.Series:
    """Return the row of `risk_coverage` that holds at a threshold."""
    return frame[frame["threshold"] >= threshold].iloc[-1]


def risk_curve(frame: pd.DataFrame, threshold: float) -> Picture:
    """Return risk against coverage with its 95 % band, and a dot at one threshold.

    Args:
        frame: As `llmlab.evals.abstention.risk_coverage` gives it.
        threshold: Where the dot stands.
    """
    picture = Picture(3.3)
    axes = picture.box(0.9, 0.6, 3.5, 2.5, sides=("left", "bottom"))
    shown = frame.dropna(subset=["risk"])
    axes.fill_between(shown["coverage"], shown["risk_low"], shown["risk_high"], color=PALE, linewidth=0)
    axes.plot(shown["coverage"], shown["risk"], color=BLUE, linewidth=2.2)
    here = at_threshold(frame, threshold)
    if not math.isnan(here["risk"]):
        axes.plot(here["coverage"], here["risk"], marker="o", markersize=11, color=VERMILION, clip_on=False, gid="dot")
    top = next(tick for tick in _TICKS if tick >= min(1.0, shown["risk_high"].max() if len(shown) else 1.0))
    left = min(0.75, math.floor(4 * shown["coverage"].min()) / 4) if len(shown) else 0.0
    axes.set(
        xlim=(left, 1),
        ylim=(0, top),
        xticks=[left + (1 - left) * part / 5 for part in range(6)],
        yticks=[top * part / 5 for part in range(6)],
    )
    axes.set_xticklabels([f"{100 * tick:.0f} %" for tick in axes.get_xticks()])
    axes.set_yticklabels([f"{100 * tick:g} %" for tick in axes.get_yticks()])
    axes.set_xlabel("coverage: requests answered", fontsize=FONT_POINTS, color=INK)
    axes.set_ylabel("risk: answers wrong", fontsize=FONT_POINTS, color=INK)
    axes.grid(color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    if math.isnan(here["risk"]):
        words = ["nothing is answered"]
    else:
        words = [
            f"answers {100 * here['coverage']:.0f} % of requests;",
            f"{here['wrong']:,.0f} of {here['answered']:,.0f} are wrong:",
            f"{100 * here['risk']:.1f} % [{100 * here['risk_low']:.1f}, {100 * here['risk_high']:.1f}]",
        ]
    picture.write(4.6, 2.8, f"● threshold {threshold:.2f}", **{**bold(), "color": RUST})
    picture.write(4.6, 2.6, "\n".join([*words, "", "band: 95 %, by question"]), va="top", linespacing=1.3)
    return picture


def risk_table(frame: pd.DataFrame, thresholds: tuple[float, ...] = (0.0, 0.2, 0.4, 0.55, 0.7, 0.85, 1.0)) -> pd.DataFrame:
    """Return the same for people, at some thresholds.

    Args:
        frame: As for `risk_curve`.
        thresholds: Those that are shown.
    """
    lines = []
    for threshold in thresholds:
        here = at_threshold(frame, threshold)
        risk = "" if math.isnan(here["risk"]) else f"{100 * here['risk']:.1f} [{100 * here['risk_low']:.1f}, {100 * here['risk_high']:.1f}]"
        covered = f"{100 * here['coverage']:.1f}"
        lines.append(
            {"threshold": f"{threshold:.2f}", "answered": int(here["answered"]), "coverage (%)": covered, "wrong": int(here["wrong"])}
        )
        lines[-1]["wrong of answered (%)"] = risk
    return pd.DataFrame(lines)
