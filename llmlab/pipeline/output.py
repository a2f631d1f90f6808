"""Structured output: the model is asked for JSON of a type. What comes back is read in `parsing`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter

from llmlab.errors import BadInput
from llmlab.protocol import canonical

STRUCTURED = ("json_schema", "json_object", "prompt")
"""How a route is asked for JSON: by the schema, by the provider's JSON mode with the schema in words, or in words alone."""
_ALL = ("object", "array", "string", "number", "integer", "boolean", "null")


def check_output(kind: Any) -> None:
    """Raise `BadInput` where `kind` is no type that an answer can be validated against."""
    try:
        schema(kind)
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError) as error:
        raise BadInput(f"output is a pydantic model, or another type that pydantic knows, not {kind!r}") from error


@lru_cache(maxsize=64)
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return what validates `kind`."""
    return TypeAdapter(kind)


@lru_cache(maxsize=64)
def schema(kind: Any) -> dict[str, Any]:
    """Return the JSON schema of `kind`; it is shared, and not to be changed."""
    return adapter(kind).json_schema()


@lru_cache(maxsize=64)
def root_kinds(kind: Any) -> tuple[str, ...]:
    """Return what JSON of `kind` can be, in JSON Schema's words: object, array, string, ..."""
    root = schema(kind)

    def kinds(node: dict[str, Any], depth: int = 0) -> set[str]:
        while "$ref" in node and depth < len(_ALL):
            node, depth = root.get("$defs", {}).get(node["$ref"].rsplit("/", 1)[-1], {}), depth + 1
        given = node.get("type")
        if given is not None:
            return {given} if isinstance(given, str) else {*given}
        for word in ("anyOf", "oneOf", "allOf"):
            if word in node:
                return set().union(*(kinds(part, depth + 1) for part in node[word]))
        return {*_ALL}

    found = kinds(root)
    return tuple(one for one in _ALL if one in found)


def response_format(kind: Any, structured: str = "json_schema") -> dict[str, Any] | None:
    """Return the part of a request's body that asks for JSON of `kind`, or None where words alone ask for it."""
    if structured != "json_schema":
        return {"type": "json_object"} if structured == "json_object" else None
    name = re.sub(r"[^A-Za-z0-9_-]", "_", getattr(kind, "__name__", "output"))[:64]
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema(kind), "strict": False}}


def in_words(kind: Any, structured: str) -> list[dict[str, str]]:
    """Return the messages that tell the model of the schema; none where `response_format` does."""
    if structured == "json_schema":
        return []
    text = (
        f"Reply with JSON alone: no fence, and no words around it. It must fit this JSON schema:\n{canonical.dumps(schema(kind)).decode()}"
    )
    return [{"role": "system", "content": text}]
