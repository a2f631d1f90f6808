"""Numbers with their units, as texts write them: amounts, times of day, dates, money, percentages, number words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple


class Value(NamedTuple):
    """A number in a text."""

    dimension: str
    """What it measures, as in "seconds"; empty for a bare count."""
    amount: float
    """In the base unit of the dimension."""
    unit: str
    """As written, in the singular."""
    number: float
    """As written."""
    first: int
    """Which token of the text it begins at."""
    end: int
    """One past its last token."""


def _split(text: str) -> list[str]:
    return text.split()


_UNITS: dict[str, dict[str, float]] = {
    "seconds": {
        "second": 1,
        "sec": 1,
        "minute": 60,
        "min": 60,
        "hour": 3600,
        "hr": 3600,
        "day": 86400,
        "week": 604800,
        "fortnight": 1209600,
    },
    "months": {"month": 1, "year": 12, "yr": 12, "decade": 120, "century": 1200},
    "grams": {
        "mg": 1e-3,
        "g": 1,
        "gram": 1,
        "kg": 1e3,
        "kilo": 1e3,
        "kilogram": 1e3,
        "ton": 1e6,
        "lb": 453.592,
        "pound": 453.592,
        "oz": 28.3495,
    },
    "meters": {"mm": 1e-3, "cm": 1e-2, "m": 1, "meter": 1, "metre": 1, "km": 1e3, "kilometer": 1e3, "inch": 0.0254}
    | {"foot": 0.3048, "feet": 0.3048, "ft": 0.3048, "yard": 0.9144, "mile": 1609.344},
    "liters": {"ml": 1e-3, "l": 1, "liter": 1, "litre": 1, "gallon": 3.78541},
    "bytes": {"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12},
    "hertz": {"hz": 1, "khz": 1e3, "mhz": 1e6, "ghz": 1e9},
    "watts": {"w": 1, "watt": 1, "kw": 1e3},
    "watt-hours": {"wh": 1, "kwh": 1e3},
    "decibels": {"db": 1, "decibel": 1},
    "volts": {"v": 1, "volt": 1},
    "amperes": {"a": 1, "amp": 1, "ampere": 1},
    "ppm": {"ppm": 1},
    "percent": {"%": 1, "percent": 1},
    "dollars": {"$": 1, "dollar": 1, "usd": 1, "buck": 1, "cent": 0.01},
    "euros": {"€": 1, "euro": 1, "eur": 1},
    "sterling": {"£": 1, "gbp": 1},
    "fahrenheit": {"°f": 1, "fahrenheit": 1},
}
UNITS: dict[str, tuple[str, float]] = {
    name: (dimension, float(size)) for dimension, names in _UNITS.items() for name, size in names.items()
}
_WORDS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
NUMBERS = {word: float(n) for n, word in enumerate(_split(_WORDS))} | {"twice": 2.0, "dozen": 12.0}
_TENS = {word: 10.0 * n for n, word in enumerate(_split("twenty thirty forty fifty sixty seventy eighty ninety"), 2)}
_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "dozen": 12.0}
_ORDINALS = {word: float(n) for n, word in enumerate(_split("fourth fifth sixth seventh eighth ninth tenth"), 4)}
_PARTS = {"half": 0.5, "quarter": 0.25, "third": 1 / 3}
_MONTHS = _split("january february march april may june july august september october november december")
MONTHS = {name: n for n, name in enumerate(_MONTHS, 1)} | {name[:3]: n for n, name in enumerate(_MONTHS, 1)} | {"sept": 9}
_RATES = {"daily": "day", "weekly": "week", "monthly": "month", "yearly": "year", "annual": "year", "annually": "year", "hourly": "hour"}
_EACH = frozenset(_split("a an per each every"))
_BETWEEN = frozenset(_split("business extra more additional full whole calendar working consecutive further"))
_JOINERS = frozenset(_split("to and or - – — through"))
_TIMES = frozenset(("seconds", "months"))


@cache
def _singular(word: str) -> str:
    return "inch" if word == "inches" else word if word in UNITS or word[:-1] not in UNITS or word[-1] != "s" else word[:-1]


_STARTERS = frozenset(NUMBERS) | frozenset(_TENS) | frozenset(_ORDINALS) | frozenset(_PARTS) | frozenset(_RATES) | frozenset(MONTHS) | _EACH
_STARTERS |= {"hundred", "thousand", "million", "noon", "midnight", "fortnight"}


@lru_cache(maxsize=65536)
def _begins(word: str) -> bool:
    return word in _STARTERS or word[0].isdecimal() or word[0] in "$€£"


def values(words: Sequence[str]) -> list[Value]:
    """Return the values in `words`: tokens in lower case, as `text.TOKEN` finds them."""
    found: list[Value] = []
    index, end = 0, len(words)
    while index < end:
        word = words[index]
        value = _value(words, index) if _begins(word) else None
        if value is None:
            index += 1
            continue
        # "3 to 6 days": what has no unit takes that of its neighbor.
        if (
            found
            and value.dimension
            and not found[-1].dimension
            and found[-1].end == value.first - 1
            and words[value.first - 1] in _JOINERS
        ):
            last = found[-1]
            size = value.amount / value.number if value.number and value.dimension in _UNITS else 1.0
            found[-1] = last._replace(dimension=value.dimension, unit=value.unit, amount=last.number * size)
        found.append(value)
        index = value.end
    return found


def _value(words: Sequence[str], index: int) -> Value | None:
    word = words[index]
    if word in MONTHS:
        return _date(words, index)
    if word in _RATES:
        return _made(1.0, _RATES[word], index, index + 1)
    if word in ("noon", "midnight"):
        return Value("clock", 720.0 if word == "noon" else 0.0, "clock", 12.0, index, index + 1)
    if word in _EACH:
        return _article(words, index)
    if word in _PARTS:
        return _part(words, index, index)
    if word == "fortnight":
        return _made(1.0, "fortnight", index, index + 1)
    number, after, money = _number(words, index)
    if number is None:
        return None
    if money:
        return _made(number, money, index, after)
    return _measured(words, index, number, after)


def _number(words: Sequence[str], index: int) -> tuple[float | None, int, str]:
    """Return the number that begins at `index`, one past its last token, and its sign of money."""
    word = words[index]
    money = word[0] if word[0] in "$€£" else ""
    if word[0].isdecimal() or money:
        digits = word[len(money) :].replace(",", "").rstrip("stndrh")
        if ":" in digits:
            hours, _, minutes = digits.partition(":")
            return float(hours) + float(minutes) / 60, index + 1, ""
        number: float | None = float(digits) if digits else None
    else:
        number = NUMBERS.get(word, _TENS.get(word, _ORDINALS.get(word, 1.0 if word in _SCALES else None)))
        if word in _SCALES and word not in NUMBERS:
            return _SCALES[word], index + 1, ""
    after = index + 1
    if word in _TENS:
        following = after + 1 if after < len(words) and words[after] == "-" else after
        if following < len(words) and 0 < NUMBERS.get(words[following], 0) < 10:
            number, after = (number or 0) + NUMBERS[words[following]], following + 1
    while number is not None and after < len(words) and words[after] in _SCALES:
        number, after = number * _SCALES[words[after]], after + 1
    return number, after, money


def _measured(words: Sequence[str], index: int, number: float, after: int) -> Value | None:
    place, business = after, False
    while place < len(words) and place < after + 3:
        unit = _singular(words[place])
        if unit in ("am", "pm"):
            return Value("clock", (number % 12 + (12 if unit == "pm" else 0)) * 60, "clock", number, index, place + 1)
        if unit in MONTHS and place == after:
            return Value("date", MONTHS[unit] * 100 + number, "date", number, index, place + 1)
        if unit == "of" and place + 1 < len(words) and words[place + 1] in MONTHS:
            return Value("date", MONTHS[words[place + 1]] * 100 + number, "date", number, index, place + 2)
        if unit in UNITS or unit == "°c":
            # "5 a day" is no current, and "4 m" is a length: a unit of one letter stands right behind the number.
            if unit == "a" and (words[index][0] not in "123456789" or place + 1 < len(words)):
                break
            if business and unit == "day":
                return Value("business days", number, "business day", number, index, place + 1)
            return _made(number, unit, index, place + 1)
        if unit not in _BETWEEN and unit != "-":
            break
        business = business or unit in ("business", "working")
        place += 1
    return None if words[index] == "one" else Value("", number, "", number, index, after)


def _made(number: float, unit: str, index: int, end: int) -> Value:
    if unit == "°c":
        return Value("fahrenheit", number * 9 / 5 + 32, unit, number, index, end)
    dimension, size = UNITS[unit]
    return Value(dimension, number * size, unit, number, index, end)


def _article(words: Sequence[str], index: int) -> Value | None:
    """Read "a month", "per week", "every other day", "a quarter", "half a dozen"."""
    after = index + 1
    if after >= len(words):
        return None
    word = _singular(words[after])
    if word in UNITS and UNITS[word][0] in _TIMES and word != "second":
        return _made(1.0, word, index, after + 1)
    if word in _PARTS or word in ("dozen", "hundred", "thousand", "million"):
        value = _part(words, index, after) if word in _PARTS else _value(words, after)
        return value and value._replace(first=index)
    return None


def _part(words: Sequence[str], index: int, at: int) -> Value | None:
    """Read "half an hour", "a quarter off", "half a dozen"; "a third one" is none."""
    part, place = _PARTS[words[at]], at + 1
    while place < len(words) and words[place] in ("a", "an", "of", "-"):
        place += 1
    unit = _singular(words[place]) if place < len(words) else ""
    if unit in UNITS and unit != "a":
        return _made(part, unit, index, place + 1)
    if unit == "dozen":
        return Value("", 12 * part, "", 12 * part, index, place + 1)
    before, after = words[at - 1] if at else "", words[at + 1] if at + 1 < len(words) else ""
    if after in ("off", "less", "more", "of", "cheaper") or (before == "a" and index > 0 and words[index - 1] == "by"):
        return Value("percent", 100 * part, "%", 100 * part, index, at + 1)
    return None


def _date(words: Sequence[str], index: int) -> Value | None:
    after = index + 1
    if after < len(words) and words[after][0].isdecimal():
        day = words[after].rstrip("stndrh")
        if day.isdecimal() and 1 <= int(day) <= 31:
            return Value("date", MONTHS[words[index]] * 100.0 + int(day), "date", float(day), index, after + 1)
    return None


def same(claimed: Value, given: Value) -> bool:
    """Return whether two values agree: equal in one unit, or within 2 % of each other where a unit was converted.

    A bare number agrees with any that is written with the same number ("seventy-nine for the drawer").
    """
    if not claimed.dimension:
        return claimed.number == given.number
    if claimed.dimension != given.dimension:
        return False
    return math.isclose(claimed.amount, given.amount, rel_tol=1e-6 if claimed.unit == given.unit or claimed.dimension in _TIMES else 0.02)
