"""Objects that fit a JSON schema: what structured output and tool arguments are made of.

A field is filled by its name where the name says what it is for (answer, citations, confidence, ...), else by its type. The result fits the
schema's types, enums, bounds, references and alternatives; patterns are met where a common value meets them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

_DEEPEST = 6
_TEXT = re.compile(r"answer|text|reply|response|message|content|summary|explanation|body|output|result|reason|comment|description")
_QUOTE = re.compile(r"quote|evidence|excerpt|passage|snippet|support")
_SOURCES = re.compile(r"citation|source|reference|document|doc_?ids?\b|^docs?$")
_TITLE = re.compile(r"title|subject|topic|category|label|^name$")
_QUESTION = re.compile(r"question|query|request")
_SURE = re.compile(r"confiden|score|probab|certain|relevan|rating")
_NO = re.compile(r"abstain|unknown|not_|missing|refus|unanswer|escalat|needs_")
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
_CANDIDATES = (
    "12.50",
    "1",
    "42",
    "2026-11-02",
    "09:30",
    "A1",
    "a",
    "abc",
    "ABC",
    "Abc",
    "AB-1234",
    "ORD-1042",
    "help@example.com",
    "+1 555 0100",
    "",
)


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


def strict_violation(schema: dict[str, Any]) -> str | None:
    """Return what makes `schema` unfit for strict output, in OpenAI's words, or None."""
    return _violation(schema, ())


def _violation(node: Any, path: tuple[str, ...]) -> str | None:
    if isinstance(node, list):
        return next((found for index, part in enumerate(node) if (found := _violation(part, (*path, str(index))))), None)
    if not isinstance(node, dict):
        return None
    if node.get("type") == "object" or "properties" in node:
        properties = node.get("properties") or {}
        if node.get("additionalProperties") is not False:
            return f"In context={path}, 'additionalProperties' is required to be supplied and to be false."
        lacking = [name for name in properties if name not in (node.get("required") or ())]
        if lacking:
            return (
                f"In context={path}, 'required' is required to be supplied and to be an array including every key in properties. "
                f"Missing '{lacking[0]}'."
            )
    for word in ("properties", "$defs", "definitions"):
        for name, part in (node.get(word) or {}).items():
            if found := _violation(part, (*path, word, name)):
                return found
    for word in ("items", "anyOf", "oneOf", "allOf", "prefixItems"):
        if word in node and (found := _violation(node[word], (*path, word))):
            return found
    return None


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
            return self._string(node, name)
        if kind in ("integer", "number"):
            return self._number(node, name, kind)
        if kind == "boolean":
            return self._facts.known != bool(_NO.search(name.lower()))
        return None

    def _resolved(self, node: Any) -> dict[str, Any]:
        seen = 0
        while isinstance(node, dict) and ("$ref" in node or "allOf" in node) and seen < 32:
            seen += 1
            parts = [self._target(node["$ref"])] if "$ref" in node else list(node["allOf"])
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
        for part in reference.lstrip("#").strip("/").split("/"):
            if part:
                node = node.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(node, dict) else {}
        return node

    def _alternative(self, options: list[Any], name: str, depth: int) -> dict[str, Any]:
        resolved = [self._resolved(option) for option in options]
        nulls = [option for option in resolved if option.get("type") == "null"]
        if nulls and (depth >= _DEEPEST or (not self._facts.known and _SOURCES.search(name.lower()))):
            return nulls[0]
        others = [option for option in resolved if option.get("type") != "null"] or resolved
        if depth >= _DEEPEST:
            others = sorted(others, key=lambda option: option.get("type") in ("object", "array") or "properties" in option)
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
            if "null" in kind and (not usual or depth >= _DEEPEST or (not self._facts.known and _SOURCES.search(name.lower()))):
                return "null"
            kind = usual[0] if usual else "null"
        if kind:
            return str(kind)
        if "properties" in node:
            return "object"
        return "array" if "items" in node or "prefixItems" in node else "string"

    def _object(self, node: dict[str, Any], depth: int) -> dict[str, Any]:
        properties, required = node.get("properties") or {}, node.get("required") or ()
        made = {}
        for name, part in properties.items():
            if name in required or (depth < _DEEPEST and self._draw("optional", name, depth) < 0.8):
                made[name] = self.value(part, name, depth + 1)
        for name in required:
            if name not in made:
                made[name] = self.value({"type": "string"}, name, depth + 1)
        extra = node.get("additionalProperties")
        while len(made) < node.get("minProperties", 0):
            made[f"key_{len(made) + 1}"] = self.value(extra if isinstance(extra, dict) else {}, "", depth + 1)
        return made

    def _array(self, node: dict[str, Any], name: str, depth: int) -> list[Any]:
        first = [self.value(part, name, depth + 1) for part in node.get("prefixItems") or ()]
        if node.get("items") is False:
            return first
        low, high = node.get("minItems", 0), node.get("maxItems", 1 << 30)
        items = self._resolved(node.get("items") or {})
        if _SOURCES.search(name.lower()) and items.get("type", "string") == "string" and not items.get("enum"):
            made: list[Any] = list(self._facts.sources)
        else:
            wanted = 0 if depth >= _DEEPEST else 1
            made = first + [self.value(items, name, depth + 1) for _ in range(len(first), max(low, min(wanted, high)))]
        while len(made) < low:
            made.append(self.value(items, name, depth + 1))
        if node.get("uniqueItems"):
            made = self._unique(made, items, low)
        return made[:high]

    def _unique(self, made: list[Any], items: dict[str, Any], low: int) -> list[Any]:
        pool = [*made, *(items.get("enum") or ())]
        kept: list[Any] = []
        for value in pool:
            if value not in kept and (len(kept) < low or value in made):
                kept.append(value)
        while len(kept) < low:
            last = kept[-1] if kept else 0
            kept.append(last + 1 if isinstance(last, int | float) else f"{last}{len(kept) + 1}")
        return kept

    def _string(self, node: dict[str, Any], name: str) -> str:
        low, high = node.get("minLength", 0), node.get("maxLength", 1 << 30)
        if node.get("format") in _FORMATS:
            return _FORMATS[node["format"]]
        text = self._named(name.lower()) or self._facts.text
        if "pattern" in node and not re.search(node["pattern"], text):
            numbers = re.findall(r"[\w.@+-]*\d[\w.@+-]*", f"{self._facts.question} {self._facts.quote}")
            for candidate in (*numbers, *_CANDIDATES):
                if re.search(node["pattern"], candidate) and low <= len(candidate) <= high:
                    return str(candidate)
        if len(text) > high:
            text = text[:high]
        return text.ljust(low, ".")

    def _named(self, name: str) -> str:
        facts = self._facts
        if _SOURCES.search(name):
            return facts.sources[0] if facts.sources else "none"
        for pattern, text in ((_QUOTE, facts.quote), (_QUESTION, facts.question), (_TEXT, facts.text), (_TITLE, facts.title)):
            if pattern.search(name):
                return text
        return ""

    def _number(self, node: dict[str, Any], name: str, kind: str) -> float | int:
        low, high = node.get("minimum"), node.get("maximum")
        step = node.get("multipleOf") or (1 if kind == "integer" else None)
        if node.get("exclusiveMinimum") is not None:
            low = node["exclusiveMinimum"] + (step or 1e-3)
        if node.get("exclusiveMaximum") is not None:
            high = node["exclusiveMaximum"] - (step or 1e-3)
        if _SURE.search(name.lower()):
            share = (0.7 if self._facts.known else 0.1) + 0.28 * self._draw("number", name)
            bottom, top = low or 0, high if high is not None else (1 if kind == "number" else 100)
            value: float = bottom + share * (top - bottom)
        else:
            value = self._number_in_text(low, high)
        if step and float(step).is_integer():
            step = int(step)
        if step:
            value = round(value / step) * step
            if low is not None and value < low:
                value += step
            if high is not None and value > high:
                value -= step
        return int(value) if kind == "integer" else round(value, 4)

    def _number_in_text(self, low: float | None, high: float | None) -> float:
        for found in re.findall(r"(?<![\d.,])\d(?:[\d,]{0,11}\d)?(?:\.\d{1,6})?(?!\d)", f"{self._facts.quote} {self._facts.question}"):
            value = float(found.replace(",", ""))
            if (low is None or value >= low) and (high is None or value <= high):
                return value
        if low is not None and high is not None:
            return low + self._draw("number") * (high - low)
        return low if low is not None else min(1, high) if high is not None else 1
