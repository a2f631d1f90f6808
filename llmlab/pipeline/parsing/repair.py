"""What was done to a text to read it as JSON, and what that leaves in doubt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

CERTAIN = {
    "prose": "text stood around the JSON",
    "fence": "the JSON stood in a Markdown fence",
    "whitespace": "there was white space that JSON does not know",
    "comment": "a comment was left out",
    "quotes": "quotes were not those of JSON",
    "unquoted_key": "a name stood without quotes",
    "literal": "True, False or None was written as Python does",
    "control_character": "a string held a raw control character",
    "trailing_comma": "a comma too many was left out",
    "missing_comma": "a comma was put in",
    "missing_bracket": "the last bracket was put in",
    "extra_bracket": "brackets or commas behind the end were left out",
    "same_twice": "a field was given twice, with the same value",
    "in_a_string": "the JSON stood in a JSON string",
    "coerced": "the value was of another type, and stood for the same",
    "extra_field": "a field was left out that nobody asked for",
    "empty": "nothing stood for no arguments",
}
"""Kinds of repair that leave no doubt, and what was done."""
DOUBTFUL = {
    "cut_off": "it is cut off",
    "missing_value": "it has no value",
    "not_a_number": "NaN and Infinity are no JSON",
    "conflict": "it is given twice, with different values",
    "bad_escape": "it holds a backslash that is no JSON escape; write two",
    "brackets": "its brackets do not match",
    "odd_comment": "a comment in it may be a part of it",
    "surrogate": "it holds half of a surrogate pair",
    "several": "there is more than one JSON value, or part of one around it",
    "another_type": "it is of another type, and may not stand for the same",
    "guess": "it is no JSON, and could only be guessed",
}
"""Kinds of repair whose result may not be what the model meant, and what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Something that was done to read a text."""

    kind: str
    """One of `CERTAIN` or `DOUBTFUL`."""
    path: str = ""
    """Which value, as a JSON Pointer (RFC 6901); empty: the whole."""
    start: int = 0
    """Where in the text (in characters)."""

    @property
    def doubtful(self) -> bool:
        """Whether the value may be another than the model meant."""
        return self.kind in DOUBTFUL


def pointer(keys: Iterable[object]) -> str:
    """Return a JSON Pointer; a long name is cut."""
    return "".join(f"/{str(key)[:60].replace('~', '~0').replace('/', '~1')}" for key in keys)
