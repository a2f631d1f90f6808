"""What a fix costs: attempts and money, beside those of the first app."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from llmlab.lab.pictures.base import (
    BLUE,
    DASHED,
    GRAY,
    LINE_INCHES,
    WIDTH_INCHES,
    Picture,
    bold,
    by_app,
    missing,
    percent,
    width_of,
    wrapped,
)

_PANELS = {"attempts": "attempts a request", "usd": "USD per 1,000 requests"}
_ROW_INCHES, _HEAD_INCHES = 0.42, 0.42


class _Price(NamedTuple):
    """What one app took for a request, on average; None where a part of it is unknown."""

    app: str
    n: int
    cached: int
    """How many requests the app served from its own cache."""
    attempts: float | None
    usd: float | None
    """For 1,000 requests."""
    bought_attempts: float | None
    """The same without the requests that its cache served; None where there is nothing else."""
    bought_usd: float | None


def price_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return attempts a request and USD per 1,000 requests, and how much more than the first app's that is: a row an app."""
    prices = _prices(frame)
    return pd.DataFrame(
        {
            "app": price.app,
            "n": price.n,
            "attempts a request": _number(price.attempts),
            "more attempts": _more(price.attempts, prices[0].attempts) if number else "",
            "USD per 1,000": _number(price.usd),
            "more USD": _more(price.usd, prices[0].usd) if number else "",
            "from its own cache": percent(price.cached, price.n),
            "USD per 1,000 not from the cache": _number(price.bought_usd) if price.cached < price.n else "",
        }
        for number, price in enumerate(prices)
    )


def price_bar(frame: pd.DataFrame) -> Picture:
    """Return attempts a request and USD per 1,000 requests of each app, as bars, with how much more than the first app's that is.

    Requests that an app served from its own cache count as what they cost; the hatched part is what its cache saved, if each of them had
    cost as much as the others on average. A price of which a part is unknown is "unknown".

    Args:
        frame: `Runs.frame` of one or several apps; the first one is what the others are compared with.
    """
    prices = _prices(frame)
    names, wide = wrapped(price.app for price in prices)
    notes = {price.app: f"{percent(price.cached, price.n)} cached" for price in prices if price.cached}
    left = 0.22 + max([0.62, wide, *map(width_of, notes.values())])
    sizes = [max(_ROW_INCHES, LINE_INCHES * (1 + names[price.app].count("\n") + (price.app in notes)) + 0.12) for price in prices]
    foot = 0.42 if notes else 0.1
    picture = Picture(_HEAD_INCHES + sum(sizes or [_ROW_INCHES]) + foot)
    top, across = picture.get_size_inches()[1] - _HEAD_INCHES, (WIDTH_INCHES - left - 0.3) / 2
    for panel, (what, title) in enumerate(_PANELS.items()):
        start = left + panel * (across + 0.2)
        axes = picture.box(start, foot, across, top - foot, sides=("left",))
        known = [(getattr(price, what), getattr(price, f"bought_{what}")) for price in prices]
        words = [_end(number, value, known[0][0], what) for number, (value, _) in enumerate(known)]
        longest = max([value for pair in known for value in pair if value] or [1.0])
        room = max([width_of(word) for word in words], default=0.0) + 0.12
        scale = longest * across / max(0.4, across - room)
        at = top - foot
        for size, word, (value, bought) in zip(sizes, words, known, strict=True):
            at -= size
            axes.barh(at + size / 2, value or 0.0, height=0.24, color=BLUE, linewidth=0)
            ends = max(value or 0.0, bought or 0.0) if value is not None else 0.0
            if value is not None and ends > value:
                axes.barh(at + size / 2, ends - value, left=value, height=0.24, color="white", edgecolor=BLUE, hatch="/////", linewidth=1.0)
            axes.say(ends + 0.06 / across * scale, at + size / 2, word)
        if known and known[0][0]:
            axes.axvline(known[0][0], **{**DASHED, "color": GRAY}, zorder=0)
        axes.set(xlim=(0, scale), ylim=(0, top - foot), xticks=[], yticks=[])
        picture.write(start, top + 0.22, title)
    at = top
    for price, size in zip(prices, sizes, strict=True):
        middle = at - size / 2
        note = notes.get(price.app, "")
        picture.write(left - 0.12, middle + (LINE_INCHES / 2 if note else 0), names[price.app], **bold(), ha="right", linespacing=1.05)
        if note:
            picture.write(left - 0.12, middle - LINE_INCHES * (1 + names[price.app].count("\n")) / 2, note, ha="right", color=GRAY)
        at -= size
    if notes:
        picture.write(left, 0.18, "hatched: saved by the app's own cache", color=GRAY)
    if not prices:
        picture.write(left + 0.1, top - _ROW_INCHES / 2, "no requests")
    return picture


def _prices(frame: pd.DataFrame) -> list[_Price]:
    prices = []
    for app, part in by_app(frame):
        cached = part["source"] == "cache"
        bought = part[~cached]
        usd, bought_usd = _mean(part["usd"]), _mean(bought["usd"])
        thousands = [None if value is None else 1000 * value for value in (usd, bought_usd)]
        prices.append(
            _Price(app, len(part), int(cached.sum()), _mean(part["attempts"]), thousands[0], _mean(bought["attempts"]), thousands[1])
        )
    return prices


def _mean(values: pd.Series) -> float | None:
    known = [float(value) for value in values if not missing(value)]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _more(value: float | None, first: float | None) -> str:
    """Return how much more than the first app's that is, as in "+6.6 %"; nothing where either is unknown or the first is 0."""
    return f"{100 * (value / first - 1):+.1f} %" if value is not None and first else ""


def _end(number: int, value: float | None, first: float | None, what: str) -> str:
    """Return what stands at the end of a bar."""
    more = _more(value, first) if number else ""
    words = "unknown" if value is None else f"{value:.2f}"
    return f"{words}  {more}" if more else words
