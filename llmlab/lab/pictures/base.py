"""What all pictures share: the figure, its colors and words, and what an outcome is."""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import TextToPath

from llmlab.lab.runs import ANSWERED

BLUE, VERMILION, BLACK, GRAY, PALE = "#0072B2", "#D55E00", "#000000", "#6B6B6B", "#CFE3F1"
INK, RUST, RULE = "#222222", "#A84300", "#E3E3E3"
FONT_POINTS = 12
LINE_INCHES = 0.2
"""Height of a line of text."""
WIDTH_INCHES = 7.0
COLORS = {"in time": BLUE, "slow": VERMILION, "failed": BLACK}
"""Outcome of a request and its color."""
MARKERS = {"in time": "o", "slow": "^", "failed": "X"}
GLYPHS = {"in time": "\u25cf", "slow": "\u25b2", "failed": "\u2716"}
"""The markers as text, for keys."""
DASHED: dict[str, Any] = {"color": INK, "linewidth": 0.8, "linestyle": (0, (4, 3))}
"""The line of an objective."""
ON_WHITE: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
"""The box of a text that stands on lines."""
WAITS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Where a logarithmic axis has its ticks (in seconds)."""
FLOOR_SECONDS = 0.05
"""What is faster, as an answer from a cache, stands at the left end of a logarithmic axis."""
_TENS_BEYOND = 500
"""A wider range has ticks at powers of ten only."""
_PIXELS_PER_INCH = 100
_NAME_CHARACTERS = 16
_UNIT = re.compile(r"(\d) (s|ms|%)(?![a-z])")
"""A number and its unit stay on one line."""


class Plot(Axes):
    """Axes with a frame on some sides only, the bottom unless they are told otherwise."""

    def __init__(self, *args: Any, sides: Sequence[str] = ("bottom",), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for side, spine in self.spines.items():
            spine.set(visible=side in sides, color="#9A9A9A")
        self.tick_params(labelsize=FONT_POINTS, labelcolor=INK, color="#9A9A9A", length=3)
        for axis in (self.xaxis, self.yaxis):
            axis.label.set(fontsize=FONT_POINTS, color=INK)

    def say(self, x: float, y: float, words: str, **look: Any) -> None:
        """Write words at a place."""
        self.text(x, y, words, **{**plain(), **look})


class Picture(Figure):
    """A figure that a notebook shows by itself, with its text 12 pt high on the screen.

    Args:
        height_inches: Its height.
        width_inches: Its width.
    """

    def __init__(self, height_inches: float, width_inches: float = WIDTH_INCHES) -> None:
        super().__init__(figsize=(width_inches, height_inches), layout=None)
        FigureCanvasAgg(self)

    def box(self, left: float, bottom: float, width: float, height: float, sides: Sequence[str] = ("bottom",)) -> Plot:
        """Return axes at this place, all in inches from the lower left corner; `sides` have a frame."""
        across, up = self.get_size_inches()
        plot = Plot(self, (left / across, bottom / up, width / across, height / up), sides=sides)
        self.add_axes(plot)
        return plot

    def write(self, left: float, bottom: float, words: str, **look: Any) -> Text:
        """Write words at a place in inches from the lower left corner."""
        across, up = self.get_size_inches()
        return self.text(left / across, bottom / up, words, **{**plain(), **look})

    def key(self, left: float, bottom: float, found: Iterable[str], slow_seconds: float, glyphs: Mapping[str, str]) -> None:
        """Say what the colors of outcomes mean, in one line.

        Args:
            left: Where the line begins (in inches).
            bottom: At what height its middle is (in inches).
            found: Outcomes; "failed" is left out where there is none.
            slow_seconds: Where the slow ones begin (in seconds).
            glyphs: Of each outcome.
        """
        words = {"in time": f"first word within {slow_seconds:g} s", "slow": "later", "failed": "failed"}
        shown = [outcome for outcome in words if outcome != "failed" or outcome in found]
        self.explain(left, bottom, [(glyphs[outcome], COLORS[outcome], words[outcome]) for outcome in shown])

    def explain(self, left: float, bottom: float, entries: Iterable[tuple[str, str, str]]) -> None:
        """Say what glyphs mean, in one line: glyph, color and word of each, from a place in inches on."""
        for glyph, color, word in entries:
            self.write(left, bottom, glyph, color=color, fontsize=FONT_POINTS + 2)
            self.write(left + 0.2, bottom, word)
            left += 0.2 + width_of(word) + 0.3

    def png(self) -> bytes:
        """Return it as PNG, with twice the pixels of its size on the screen."""
        data = io.BytesIO()
        self.savefig(data, format="png", dpi=2 * _PIXELS_PER_INCH, metadata={"Software": None})
        return data.getvalue()

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        width, height = (round(inches * _PIXELS_PER_INCH) for inches in self.get_size_inches())
        return self.png(), {"width": width, "height": height}


def plain() -> dict[str, Any]:
    """Return how text looks unless it is told otherwise; a dollar is a dollar."""
    return {"fontsize": FONT_POINTS, "color": INK, "va": "center", "parse_math": False}


def bold() -> dict[str, Any]:
    """Return how the name of an app or a request looks."""
    return {"fontsize": FONT_POINTS + 1, "weight": "bold"}


@lru_cache(maxsize=1024)
def width_of(words: str, points: float = FONT_POINTS, weight: str = "normal") -> float:
    """Return how wide the widest line of `words` is (in inches)."""
    font = FontProperties(size=points, weight=weight)
    widths = (TextToPath().get_text_width_height_descent(line, font, False)[0] for line in words.split("\n"))
    return float(max(widths)) / 72


def wrapped(names: Iterable[str]) -> tuple[dict[str, str], float]:
    """Return each name broken into short lines, and how wide the widest is in bold (in inches)."""
    whole = {name: _UNIT.sub("\\1\u00a0\\2", name) for name in names}
    lines = {name: "\n".join(textwrap.wrap(text, _NAME_CHARACTERS)) or " " for name, text in whole.items()}
    return lines, max((width_of(text, FONT_POINTS + 1, "bold") for text in lines.values()), default=0.0)


def outcomes(frame: pd.DataFrame, slow_seconds: float = 4.0) -> pd.Series:
    """Return for each row of `Runs.frame` "in time", "slow" or "failed".

    Args:
        frame: A row a request, with status and wait_seconds.
        slow_seconds: A first word that comes later than this is slow (in seconds).
    """
    made = ["failed" if math.isinf(wait) else "slow" if wait > slow_seconds else "in time" for wait in waits(frame)]
    return pd.Series(made, index=frame.index, dtype=object)


def waits(frame: pd.DataFrame) -> list[float]:
    """Return for each row of `Runs.frame` the wait for the first word (in seconds), infinite where the request failed or none came."""

    def wait(status: str, seconds: float | None) -> float:
        return math.inf if status not in ANSWERED or missing(seconds) else float(seconds or 0.0)

    return [wait(status, seconds) for status, seconds in zip(frame["status"], frame["wait_seconds"], strict=True)]


def missing(value: Any) -> bool:
    """Whether a cell of a frame is empty."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def by_app(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the rows of each app, in the order of running."""
    return [(str(app), frame[frame["app"] == app]) for app in dict.fromkeys(frame["app"])]


def in_seconds(value: float | None, digits: int = 3) -> str:
    """Return a time for people; one that never comes is "never"."""
    return "never" if value is None or math.isinf(value) else f"{value:.{digits}f}"


def percent(part: int, whole: int) -> str:
    """Return a share for people, as in "4.4 %"."""
    return f"{100 * part / whole:.1f} %"


def wait_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Return the ticks of a logarithmic axis from `low` to `high` seconds, and their labels."""
    wide = high / low > _TENS_BEYOND
    ticks = [tick for tick in WAITS if low <= tick <= high and not (wide and math.log10(tick) % 1)]
    if low == FLOOR_SECONDS:  # its label is long
        ticks = [low, *(tick for tick in ticks if tick > 2 * low)]
    return ticks, [f"\u2264 {tick:g}" if tick == low == FLOOR_SECONDS else f"{tick:g}" for tick in ticks]
