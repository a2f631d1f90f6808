"""Objects that fit a JSON schema: what structured output and tool arguments are made of.

A field is filled by its name where the name says what it is for (answer, citations, confidence, ...), else by its type. The result fits the
schema's types, enums, bounds, references and alternatives; patterns are met where a common value meets them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

_DEEPEST, _NO_LIMIT = 6, 1 << 30
_SOURCES = re.compile(r"citation|source|reference|document|doc_?ids?\b|^docs?$")
_FACT_OF = {
    "quote": re.compile(r"quote|evidence|excerpt|passage|snippet|support"),
    "question": re.compile(r"question|query|request"),
    "text": re.compile(r"answer|text|reply|response|message|content|summary|explanation|body|output|result|reason|comment|description"),
    "title": re.compile(r"title|subject|topic|category|label|^name$"),
}
"""A field of `Facts`, and how the fields are called that it fills."""
_SURE = re.compile(r"confiden|score|probab|certain|relevan|rating")
_NO = re.compile(r"abstain|unknown|not_|missing|refus|unanswer|escalat|needs_")
NUMBER = re.compile(r"(?<![\d.,])\d(?:[\d,]{0,11}\d)?(?:\.\d{1,6})?(?!\d)")
_FORMATS = {
    "date": "2026-11-02",
    "date-time": "2026-11-02T09:30:00Z",
    "time": "09:30:00Z",
    "email": "help@example.com",
    "uri": "https://example.com/help",
    "uuid": "3f2b8c1e-5d47-4b6a-9c0e-8a1d2f3b4c5d",
    "ipv4": "192.0.2.1",
    "hostname": "example.com",
    "duration": "P3D",
}
_CANDIDATES = "12.50|1|42|2026-11-02|09:30|A1|a|abc|ABC|Abc|AB-1234|ORD-1042|help@example.com|+1 555 0100|"


class Facts(NamedTuple):
    """What is there to say."""

    text: str
    """The answer, as prose."""
    quote: str = ""
    """The sentence it rests on."""
    sources: Sequence[str] = ()
    """Ids of the documents it rests on."""
    title: str = ""
    """Title of the first of them."""
    question: str = ""
    known: bool = True
    """Whether the model thinks that it knows."""


Draw = Callable[..., float]
"""Gives a number in (0, 1) for a purpose, always the same one."""


def strict_violation(node: Any, path: tuple[str, ...] = ()) -> str | None:
    """Return what makes a schema unfit for strict output, in OpenAI's words, or None."""
    if not isinstance(node, dict):
        return None
    properties = node.get("properties") or {}
    if node.get("type") == "object" or "properties" in node:
        if node.get("additionalProperties") is not False:
            return f"In context={path}, 'additionalProperties' is required to be supplied and to be false."
        lacking = [name for name in properties if name not in (node.get("required") or ())]
        if lacking:
            words = "'required' is required to be supplied and to be an array including every key in properties. Missing "
            return f"In context={path}, {words}'{lacking[0]}'."
    inner = [(word, name, part) for word in ("properties", "$defs") for name, part in (node.get(word) or {}).items()]
    places = [(part, (*path, word, name)) for word, name, part in inner] + [(node.get("items"), (*path, "items"))]
    for word in ("anyOf", "oneOf", "allOf"):
        places += [(part, (*path, word, str(index))) for index, part in enumerate(node.get(word) or ())]
    return next((found for part, place in places if (found := strict_violation(part, place))), None)


def fill(schema: dict[str, Any], facts: Facts, draw: Draw) -> Any:
    """Return a value that fits `schema` and says what `facts` hold.

    Args:
        schema: A JSON schema; references point into it.
        facts: What is there to say.
        draw: Decides what the facts leave open.
    """
    return _Filler(schema, facts, draw).value(schema, "", 0)


class _Filler:
    def __init__(self, root: dict[str, Any], facts: Facts, draw: Draw) -> None:
        self._root, self._facts, self._draw = root, facts, draw

    def value(self, node: Any, name: str, depth: int) -> Any:
        """Return a value for the schema `node` of the field `name`."""
        node = self._resolved(node)
        if "const" in node:
            return node["const"]
        if node.get("enum"):
            return self._one_of(node["enum"], name)
        for word in ("anyOf", "oneOf"):
            if node.get(word):
                rest = {key: part for key, part in node.items() if key != word}
                return self.value({**rest, **self._alternative(node[word], name, depth)}, name, depth)
        kind = self._type(node, name, depth)
        if kind == "object":
            return self._object(node, depth)
        if kind == "array":
            return self._array(node, name, depth)
        if kind == "string":
            return self._string(node, name.lower())
        if kind in ("integer", "number"):
            return self._number(node, name, kind)
        return self._facts.known != bool(_NO.search(name.lower())) if kind == "boolean" else None

    def _resolved(self, node: Any) -> dict[str, Any]:
        """Return `node` with what its references and allOf say."""
        for _ in range(32):
            if not isinstance(node, dict) or not node.keys() & {"$ref", "allOf"}:
                break
            parts = [self._target(node["$ref"])] if "$ref" in node else node["allOf"]
            merged: dict[str, Any] = {key: part for key, part in node.items() if key not in ("$ref", "allOf")}
            for part in parts:
                for key, value in (part if isinstance(part, dict) else {}).items():
                    if key == "properties":
                        merged[key] = {**value, **merged.get(key, {})}
                    elif key == "required":
                        merged[key] = [*merged.get(key, []), *value]
                    else:
                        merged.setdefault(key, value)
            node = merged
        return node if isinstance(node, dict) else {}

    def _target(self, reference: str) -> Any:
        node: Any = self._root
        for part in filter(None, reference.lstrip("#").split("/")):
            node = node.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(node, dict) else {}
        return node

    def _is_null(self, name: str, depth: int) -> bool:
        """Whether a field that may be null is: to end a recursion, and where there is no source to name."""
        return depth >= _DEEPEST or bool(not self._facts.known and _SOURCES.search(name.lower()))

    def _alternative(self, options: list[Any], name: str, depth: int) -> dict[str, Any]:
        resolved = [self._resolved(option) for option in options]
        others = [option for option in resolved if option.get("type") != "null"]
        if len(others) < len(resolved) and (not others or self._is_null(name, depth)):
            return {"type": "null"}
        if depth >= _DEEPEST:
            others.sort(key=lambda option: option.get("type") in ("object", "array") or "properties" in option)
        return others[0]

    def _one_of(self, options: list[Any], name: str) -> Any:
        said = f" {self._facts.question} {self._facts.text} ".lower()
        for option in options:
            if isinstance(option, str) and re.search(rf"\b{re.escape(option.lower().replace('_', ' '))}\b", said):
                return option
        return options[int(self._draw("enum", name) * len(options))]

    def _type(self, node: dict[str, Any], name: str, depth: int) -> str:
        kind = node.get("type")
        if isinstance(kind, list):
            usual = [word for word in kind if word != "null"]
            kind = "null" if not usual or (len(usual) < len(kind) and self._is_null(name, depth)) else usual[0]
        return str(kind) if kind else "object" if "properties" in node else "array" if "items" in node else "string"

    def _object(self, node: dict[str, Any], depth: int) -> dict[str, Any]:
        properties, required = node.get("properties") or {}, node.get("required") or ()
        made = {
            name: self.value(part, name, depth + 1)
            for name, part in properties.items()
            if name in required or (depth < _DEEPEST and self._draw("optional", name, depth) < 0.8)
        }
        return made | {name: self.value({"type": "string"}, name, depth + 1) for name in required if name not in made}

    def _array(self, node: dict[str, Any], name: str, depth: int) -> list[Any]:
        low, high = node.get("minItems", 0), node.get("maxItems", _NO_LIMIT)
        items = self._resolved(node.get("items") or {})
        made: list[Any] = []
        wanted = max(low, min(high, 0 if depth >= _DEEPEST else 1))
        if _SOURCES.search(name.lower()) and items.get("type", "string") == "string" and not items.get("enum"):
            made, wanted = list(self._facts.sources), low
        return [*made, *(self.value(items, name, depth + 1) for _ in range(len(made), wanted))][:high]

    def _string(self, node: dict[str, Any], name: str) -> str:
        low, high = node.get("minLength", 0), node.get("maxLength", _NO_LIMIT)
        facts = self._facts
        if node.get("format") in _FORMATS:
            return _FORMATS[node["format"]]
        if _SOURCES.search(name):
            text = facts.sources[0] if facts.sources else "none"
        else:
            text = next((str(getattr(facts, part)) for part, names in _FACT_OF.items() if names.search(name)), "") or facts.text
        if "pattern" in node and not re.search(node["pattern"], text):
            numbers = re.findall(r"[\w.@+-]*\d[\w.@+-]*", f"{facts.question} {facts.quote}")
            for candidate in (*numbers, *_CANDIDATES.split("|")):
                if re.search(node["pattern"], candidate) and low <= len(candidate) <= high:
                    return str(candidate)
        return text[:high].ljust(low, ".")

    def _number(self, node: dict[str, Any], name: str, kind: str) -> float | int:
        low, high = node.get("minimum"), node.get("maximum")
        step = node.get("multipleOf") or (1 if kind == "integer" else None)
        if node.get("exclusiveMinimum") is not None:
            low = node["exclusiveMinimum"] + (step or 1e-3)
        if node.get("exclusiveMaximum") is not None:
            high = node["exclusiveMaximum"] - (step or 1e-3)
        value: float
        if _SURE.search(name.lower()):
            share = (0.7 if self._facts.known else 0.1) + 0.28 * self._draw("number", name)
            bottom, top = low or 0, high if high is not None else (1 if kind == "number" else 100)
            value = bottom + share * (top - bottom)
        else:
            value = self._number_in_text(low, high)
        if step:
            value = round(value / step) * step
            value += step if low is not None and value < low else 0
            value -= step if high is not None and value > high else 0
        return int(value) if kind == "integer" else round(value, 4)

    def _number_in_text(self, low: float | None, high: float | None) -> float:
        for found in NUMBER.findall(f"{self._facts.quote} {self._facts.question}"):
            value = float(found.replace(",", ""))
            if (low is None or value >= low) and (high is None or value <= high):
                return value
        if low is not None and high is not None:
            return low + self._draw("number") * (high - low)
        return low if low is not None else min(1, high) if high is not None else 1
