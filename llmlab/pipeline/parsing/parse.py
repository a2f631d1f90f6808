"""From what a model wrote to a validated object, or a reason why there is none.

Strict JSON comes first. What is not strict is mended where that leaves no doubt; where it does, there is no object, for a number that was
cut off is not a smaller number. Then pydantic validates, and the caller may ask again with what was wrong.

Notebook: 04_hallucination.ipynb
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from llmlab.errors import BadInput
from llmlab.pipeline.output import adapter, root_kinds, schema
from llmlab.pipeline.parsing.repair import DOUBTFUL, Repair, pointer
from llmlab.pipeline.parsing.scan import LONGEST, mended

_MOST_NAMED, _LONGEST_NAMED = 3, 160
_LONGEST_ECHO = 4000
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ].*)?")
_SAME = {
    "int_type": re.compile(r"-?(?:0|[1-9][0-9]{0,299})(?:\.0+)?"),
    "float_type": re.compile(r"-?(?:0|[1-9][0-9]{0,299})(?:\.[0-9]+)?"),
    "bool_type": re.compile("true|false", re.IGNORECASE),
    "date_parsing": _DAY,
    "datetime_parsing": _DAY,
}
"""Which strings stand for the same as a value of the type that pydantic's error asks for."""
_READ_ANYHOW = {*_SAME, "date_type", "datetime_type", "time_type", "time_delta_type"}
"""Errors of strict validation that pydantic otherwise overcomes, sometimes in a surprising way: 2024 is 34 minutes past 1970."""
_INFINITE = (float("inf"), float("-inf"))
_HUGE = re.compile("[0-9]{309}")
"""What no float holds: pydantic makes it infinite."""
_SECONDS = re.compile(r"\s*[+-]?[0-9.]+\s*")


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """What became of a text."""

    value: Any = None
    """The validated object, or None."""
    raw: Any = None
    """What was read before it was validated, guesses included: for people and logs, never as fact."""
    repairs: tuple[Repair, ...] = ()
    """What was done to read it."""
    error: str = ""
    """Why there is no object, in words that a model can be told; empty: there is one."""

    @property
    def ok(self) -> bool:
        """Whether `value` is what the model wrote."""
        return not self.error

    @property
    def doubtful(self) -> tuple[str, ...]:
        """Which values may be others than the model meant, as JSON Pointers; an empty one means the whole."""
        return tuple(dict.fromkeys(repair.path for repair in self.repairs if repair.doubtful))

    @property
    def absent(self) -> tuple[str, ...]:
        """Which fields of a pydantic model the text did not give, as JSON Pointers: their defaults stand there, meant or forgotten."""
        if not isinstance(self.value, BaseModel):
            return ()
        return tuple(pointer([name]) for name in type(self.value).model_fields if name not in self.value.model_fields_set)


def parse(text: str, output: Any) -> Parsed:
    """Return what `text` holds, validated.

    Args:
        text: What the model wrote.
        output: A pydantic model, or another type that pydantic knows.

    Raises:
        BadInput: `text` is no text.
    """
    if not isinstance(text, str):
        raise BadInput(f"what is parsed is a text, not {type(text).__name__}")
    try:
        raw = _strict(text)
    except _TooDeep:
        return Parsed(error="the JSON is nested too deeply")
    except ValueError:
        return _mend(text, output)
    if isinstance(raw, str) and "string" not in root_kinds(output):
        inner = parse(raw, output)
        return replace(inner, repairs=(Repair(kind="in_a_string"), *inner.repairs))
    return _validated(text, raw, output, ())


def reask_message(parsed: Parsed, text: str) -> list[dict[str, str]]:
    """Return the messages that ask again: what the model wrote, shortened, and what is wrong with it.

    Args:
        parsed: What became of it.
        text: What the model wrote.
    """
    shown = text if len(text) <= _LONGEST_ECHO else f"{text[: _LONGEST_ECHO // 2]} ... {text[-_LONGEST_ECHO // 2 :]}"
    wrong = f"Your answer cannot be used. {parsed.error}. Give the whole answer again, as JSON alone: no fence, and no words around it."
    return [{"role": "assistant", "content": shown}, {"role": "user", "content": wrong}]


class _TooDeep(Exception):
    """Nested too deeply."""


def _strict(text: str) -> Any:
    """Return what `text` holds as JSON, with nothing left to doubt.

    Raises:
        ValueError: It is no JSON of RFC 8259, or a name stands twice in an object, or a number is none that Python can hold.
        _TooDeep: It is nested too deeply.
    """
    try:
        from_json(text, allow_inf_nan=False, cache_strings=False)
    except TypeError as error:
        raise ValueError("no valid text") from error
    except ValueError as error:
        if "recursion limit" in str(error):
            raise _TooDeep from error
        raise
    return json.loads(text, object_pairs_hook=_unique, parse_float=_finite)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name stands twice")
    return made


def _finite(number: str) -> float:
    value = float(number)
    if value in _INFINITE:
        raise ValueError("too large")
    return value


def _mend(text: str, output: Any) -> Parsed:
    if len(text) > LONGEST:
        return Parsed(error=f"it is no strict JSON, and with {len(text):,} characters too long to be mended")
    raw, repairs = mended(text, root_kinds(output))
    if any(repair.kind == "guess" for repair in repairs) and raw in (None, "", [], {}):
        return Parsed(raw=raw, repairs=repairs, error="there is no JSON in it")
    doubts = [f"{repair.path or 'the answer'}: {DOUBTFUL[repair.kind]}" for repair in repairs if repair.doubtful]
    if doubts:
        return Parsed(raw=raw, repairs=repairs, error=_listed(doubts))
    return _validated(json.dumps(raw), raw, output, repairs)


def _validated(text: str, raw: Any, output: Any, repairs: tuple[Repair, ...]) -> Parsed:
    """Validate strict JSON: first to the letter, then as pydantic usually does; what differs is a repair, or leaves a doubt."""
    wrongs: list[Any] = []
    try:
        try:
            value = adapter(output).validate_json(text, strict=True, extra="forbid")
        except ValidationError as error:
            wrongs = [(one, _kind(one)) for one in error.errors(include_url=False, include_context=False)]
            value = adapter(output).validate_json(text)
    except ValidationError as error:
        wrongs = error.errors(include_url=False, include_context=False, include_input=False)
        return Parsed(raw=raw, repairs=repairs, error=_listed([f"{_dotted(wrong['loc'])}{wrong['msg']}" for wrong in wrongs]))
    except Exception as error:  # a validator of the user's own
        return Parsed(raw=raw, repairs=repairs, error=f"the validator crashed: {type(error).__name__}")
    if wrongs and not any(kind for _, kind in wrongs):
        wrongs = [(one, "another_type") for one, _ in wrongs]
    made = [Repair(kind=kind, path=_place(one["loc"], raw)) for one, kind in wrongs if kind]
    doubts = [(one["loc"], one["msg"]) for one, kind in wrongs if kind == "another_type"]
    for loc, words in _misread(raw, value) if _has_times(output) or _HUGE.search(text) else ():
        made.append(Repair(kind="another_type", path=pointer(loc)))
        doubts.append((loc, words))
    repairs = (*repairs, *dict.fromkeys(made))
    if doubts:
        return Parsed(raw=raw, repairs=repairs, error=_listed([f"{_dotted(loc)}{words}" for loc, words in doubts]))
    return Parsed(value=value, raw=raw, repairs=repairs)


def _kind(wrong: Mapping[str, Any]) -> str:
    """Return which repair a strict error stands for; empty: none, as where a member of a union did not fit."""
    kind, given = wrong["type"], wrong["input"]
    if kind == "extra_forbidden":
        return "extra_field"
    if isinstance(given, str) and kind in _SAME and _SAME[kind].fullmatch(given):
        return "coerced"
    if kind == "int_type" and isinstance(given, float) and abs(given) < 2**53:
        return "coerced"
    return "another_type" if kind in _READ_ANYHOW else ""


@lru_cache(maxsize=64)
def _has_times(output: Any) -> bool:
    return '"date' in json.dumps(schema(output))


def _misread(raw: Any, value: Any) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Yield where pydantic is surprising to the letter too: it takes digits for the seconds since 1970, and huge numbers for infinite."""
    found, left = set(), [value]
    while left:
        one = left.pop()
        if isinstance(one, date) or (isinstance(one, float) and one in _INFINITE):
            found.add(one)
        elif isinstance(one, BaseModel):
            left += vars(one).values()
        elif is_dataclass(one) and not isinstance(one, type):
            left += [getattr(one, field.name) for field in fields(one)]
        elif isinstance(one, Mapping):
            left += one.values()
        elif isinstance(one, list | tuple | set | frozenset):
            left += one
    places: list[tuple[tuple[int | str, ...], Any]] = [((), raw)]
    while places and found:
        loc, one = places.pop()
        if isinstance(one, dict | list):
            places += [((*loc, key), part) for key, part in (one.items() if isinstance(one, dict) else enumerate(one))]
        elif isinstance(one, str) and _SECONDS.fullmatch(one) and not found.isdisjoint(map(_moment, (date, datetime), (one, one))):
            yield loc, "Input should be a valid date, as in 2024-01-31, or a time of one, as in 2024-01-31T12:00:00"
        elif isinstance(one, int) and abs(one) >= 2**1024 and not found.isdisjoint(_INFINITE):
            yield loc, "Input should be a number that is not so large"


def _moment(kind: Any, text: str) -> Any:
    try:
        return adapter(kind).validate_python(text)
    except ValidationError:
        return None


def _dotted(place: Sequence[int | str]) -> str:
    return f"{'.'.join(str(part)[:60] for part in place)}: " if place else ""


def _place(loc: Sequence[int | str], raw: Any) -> str:
    """Return the part of pydantic's location that leads into the value; tags of unions do not."""
    path: list[int | str] = []
    for part in loc:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            continue
        path.append(part)
    return pointer(path)


def _listed(words: list[str]) -> str:
    """Return the first few, shortened, and how many more there are."""
    named = "; ".join(f"{one[:_LONGEST_NAMED]}..." if len(one) > _LONGEST_NAMED else one for one in words[:_MOST_NAMED])
    return named + (f"; and {len(words) - _MOST_NAMED} more" if len(words) > _MOST_NAMED else "")
