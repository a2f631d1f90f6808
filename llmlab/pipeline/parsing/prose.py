"""What an answer says in words: all of a plain text, and the texts inside a JSON object."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?', re.DOTALL)
_WORDS = 3
"""A text of fewer words inside JSON is a label or an id, and no sentence."""


class Said(NamedTuple):
    """A text within an answer."""

    text: str
    start: int
    """Where it stands in the answer."""
    end: int


def prose(answer: str) -> list[Said]:
    """Return what `answer` says in words: itself, or where it is JSON the texts of its fields that have at least three words."""
    if not answer.lstrip().startswith(("{", "[")):
        return [Said(answer, 0, len(answer))]
    try:
        json.loads(answer)
    except (ValueError, RecursionError):
        return [Said(answer, 0, len(answer))]
    found = [(json.loads(one[0].removesuffix(one[2] or "")), one) for one in _STRING.finditer(answer) if not one[2]]
    return [Said(text, *one.span(1)) for text, one in found if len(text.split()) >= _WORDS]


def strings(source: str) -> list[str]:
    """Return the texts inside JSON as they read, keys included; what is no JSON is a text itself."""
    try:
        json.loads(source)
    except (ValueError, RecursionError):
        return [source]
    return [json.loads(one[0].removesuffix(one[2] or "")) for one in _STRING.finditer(source)]
