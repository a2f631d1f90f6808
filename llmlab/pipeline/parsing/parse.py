"""From what a model wrote to a validated object, or a reason why there is none.

Strict JSON comes first. What is not strict is mended where that leaves no doubt; where it does, there is no object, for a number that was
cut off is not a smaller number. Then pydantic validates, and the caller may ask again with what was wrong.

Notebook: 04_hallucination.ipynb
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from llmlab.errors import BadInput
from llmlab.pipeline.output import adapter, root_kinds
from llmlab.pipeline.parsing.repair import DOUBTFUL, Repair, pointer
from llmlab.pipeline.parsing.scan import LONGEST, mended

_MOST_NAMED, _LONGEST_NAMED = 3, 160
_LONGEST_ECHO = 4000


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
    if value in (float("inf"), float("-inf")):
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
    """Validate strict JSON: first to the letter, then as pydantic usually does; what differs is a repair."""
    try:
        return Parsed(value=adapter(output).validate_json(text, strict=True, extra="forbid"), raw=raw, repairs=repairs)
    except ValidationError as error:
        more = tuple(
            Repair(kind="extra_field" if wrong["type"] == "extra_forbidden" else "coerced", path=_place(wrong["loc"], raw))
            for wrong in error.errors(include_url=False, include_context=False, include_input=False)
        )
    except Exception as error:  # a validator of the user's own
        return Parsed(raw=raw, repairs=repairs, error=f"the validator crashed: {type(error).__name__}")
    try:
        return Parsed(value=adapter(output).validate_json(text), raw=raw, repairs=(*repairs, *dict.fromkeys(more)))
    except ValidationError as error:
        wrongs = error.errors(include_url=False, include_context=False, include_input=False)
        words = [f"{_dotted(wrong['loc'])}{wrong['msg']}" for wrong in wrongs]
        return Parsed(raw=raw, repairs=repairs, error=_listed(words))
    except Exception as error:
        return Parsed(raw=raw, repairs=repairs, error=f"the validator crashed: {type(error).__name__}")


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
