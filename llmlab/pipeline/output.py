"""Structured output: the model is asked for JSON of a type, and what comes is validated. Repair and asking again come on top of this."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError

from llmlab.errors import BadInput


def check_output(kind: Any) -> None:
    """Raise `BadInput` where `kind` is no type that an answer can be validated against."""
    try:
        _adapter(kind).json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError) as error:
        raise BadInput(f"output is a pydantic model, or another type that pydantic knows, not {kind!r}") from error


def response_format(kind: Any) -> dict[str, Any]:
    """Return the part of a request's body that asks for JSON of `kind`."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", getattr(kind, "__name__", "output"))[:64]
    return {"type": "json_schema", "json_schema": {"name": name, "schema": _adapter(kind).json_schema(), "strict": False}}


def validated(kind: Any, text: str) -> tuple[Any, str]:
    """Return the object that `text` holds, and why there is none, for people.

    Args:
        kind: A pydantic model, or another type that pydantic knows.
        text: What the model answered.
    """
    try:
        return _adapter(kind).validate_json(text), ""
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)
        first = wrong[0]
        place = ".".join(map(str, first["loc"]))
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return None, f"invalid_output: {f'{place}: ' if place else ''}{first['msg']}{more}"


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
