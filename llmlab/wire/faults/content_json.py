"""Faults of content that is JSON: the model says almost what was asked for.

They strike answers whose text is a JSON object or array, whole or streamed, and change nothing else: ids, usage and finish_reason stay.
Where the text is no JSON, they do nothing. An unmodified openai client notices none of them; `chat.completions.parse` raises a pydantic
`ValidationError` where the text is no JSON or does not fit the model class, and does not try again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from llmlab.wire.faults.base import is_number
from llmlab.wire.faults.content_base import Scene, _TextFault

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],]')
_STRING = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:\s*)?')
_decoder = json.JSONDecoder()


class Field(NamedTuple):
    """A field of an object in a JSON text, at any depth."""

    name: str
    key: int
    """Where its name begins in the text, in characters."""
    start: int
    """Where its value begins."""
    end: int
    value: Any


def json_in(text: str) -> Any:
    """Return the JSON object or array that `text` is, or None."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict | list) else None


def fields_of(text: str) -> list[Field]:
    """Return the fields of all objects in a JSON text, in its order."""
    found = []
    for match in _STRING.finditer(text):
        if match[2] is not None:
            value, end = _decoder.raw_decode(text, match.end())
            found.append(Field(json.loads(match[1]), match.start(), match.end(), end, value))
    return found


def _places(text: str, kinds: str) -> list[int]:
    """Return where the brackets and commas of `kinds` stand in a JSON text, outside of its strings."""
    return [match.start() for match in _TOKEN.finditer(text) if match[0] in kinds]


class _JsonFault(_TextFault):
    """A fault that strikes texts that are JSON."""

    syntactic: ClassVar[bool] = True

    def _change(self, text: str, scene: Scene) -> tuple[str, str] | None:
        return None if json_in(text) is None else self._change_json(text, scene)

    def _change_json(self, text: str, scene: Scene) -> tuple[str, str] | None:
        raise NotImplementedError


class JsonInFence(_JsonFault):
    """The JSON stands in a Markdown fence: the client notices nothing, `json.loads` refuses it."""

    def _change_json(self, text: str, scene: Scene) -> tuple[str, str]:
        return f"```json\n{text}\n```", "JSON in a fence"


class JsonInProse(_JsonFault):
    """The JSON stands between two polite sentences: the client notices nothing, `json.loads` refuses it."""

    def _change_json(self, text: str, scene: Scene) -> tuple[str, str]:
        return f"Here is the JSON you asked for:\n\n{text}\n\nLet me know if you need anything else.", "JSON between two sentences"


class TrailingComma(_JsonFault):
    """A comma stands before a closing bracket: the client notices nothing, `json.loads` refuses it."""

    def _change_json(self, text: str, scene: Scene) -> tuple[str, str] | None:
        ends = [len(text[:at].rstrip()) for at in _places(text, "}]") if text[:at].rstrip()[-1] not in "{["]
        if not ends:
            return None
        at = scene.pick(ends, "which bracket")
        return f"{text[:at]},{text[at:]}", f"a comma after character {at}"


class SingleQuotes(_JsonFault):
    """Strings stand in single quotes, as Python prints them: the client notices nothing, `json.loads` refuses it."""

    def _change_json(self, text: str, scene: Scene) -> tuple[str, str] | None:
        new, count = _STRING.subn(lambda match: _single(match[1]) + (match[2] or ""), text)
        return (new, f"{count} strings in single quotes") if count else None


def _single(string: str) -> str:
    return "'" + string[1:-1].replace("'", "\\'").replace('\\"', '"') + "'"


class JsonComments(_JsonFault):
    """A comment stands in the JSON: the client notices nothing, `json.loads` refuses it."""

    def _change_json(self, text: str, scene: Scene) -> tuple[str, str]:
        at = scene.pick(_places(text, "{[,"), "where") + 1
        return f"{text[:at]} // as you asked\n{text[at:]}", f"a comment after character {at}"


class JsonCutOff(_JsonFault):
    """The JSON ends too early, though finish_reason is `stop`: the client notices nothing, `json.loads` refuses it."""

    def _change_json(self, text: str, scene: Scene) -> tuple[str, str]:
        whole = text.strip()
        left = min(len(whole) - 1, int(len(whole) * (0.5 + 0.45 * scene.draw("where"))))
        return whole[:left], f"{left} of {len(whole)} characters"


class JsonNaN(_JsonFault):
    """A number is NaN, which RFC 8259 does not know: the client notices nothing, Python's `json.loads` lets it pass, others don't."""

    def _change_json(self, text: str, scene: Scene) -> tuple[str, str] | None:
        return _replaced(text, [field for field in fields_of(text) if is_number(field.value)], scene, lambda field: "NaN")


class _FieldFault(_JsonFault):
    """A fault that leaves JSON, which no longer fits its schema."""

    syntactic: ClassVar[bool] = False
    field: str = ""
    """Which field is changed (by its name); empty: a draw says."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.field, str):
            raise self._bad(f"field is the name of a field, not {self.field!r}")

    def _fields(self, text: str) -> list[Field]:
        return [field for field in fields_of(text) if self.field in ("", field.name)]


class WrongType(_FieldFault):
    """A value is of another type, as "30" for 30: the client notices nothing, it is JSON; only a schema tells."""

    def _change_json(self, text: str, scene: Scene) -> tuple[str, str] | None:
        def other(field: Field) -> str:
            raw = text[field.start : field.end]
            return f"[{raw}]" if isinstance(field.value, str) else json.dumps(raw)

        return _replaced(text, self._fields(text), scene, other)


class MissingField(_FieldFault):
    """A field is not there: the client notices nothing, it is JSON; only a schema tells."""

    def _change_json(self, text: str, scene: Scene) -> tuple[str, str] | None:
        found = self._fields(text)
        if not found:
            return None
        field = scene.pick(found, "which field")
        before, after = text[: field.key].rstrip(), text[field.end :].lstrip()
        is_last = not after.startswith(",")
        new = before.removesuffix(",") + text[field.end :] if is_last else text[: field.key] + after[1:].lstrip()
        return new, f"no field {field.name!r}"


class ExtraField(_JsonFault):
    """A field is there that nobody asked for: the client notices nothing, it is JSON; only a strict schema tells."""

    syntactic: ClassVar[bool] = False
    field: str = "additional_info"
    """Its name."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.field, str) or not self.field:
            raise self._bad(f"field is the name of a field, not {self.field!r}")

    def _change_json(self, text: str, scene: Scene) -> tuple[str, str] | None:
        value = json_in(text)
        if not isinstance(value, dict) or self.field in value:
            return None
        at = len(text.rstrip()[:-1].rstrip())
        comma = ", " if value else ""
        return f"{text[:at]}{comma}{json.dumps(self.field)}: true{text[at:]}", f"a field {self.field!r}"


class WrongEnum(_FieldFault):
    """A value is none of those allowed: the client notices nothing, it is JSON; only a schema tells.

    Without a `field` it strikes those that have an `enum` in the request's schema; where there is none, it does nothing.
    """

    def _change_json(self, text: str, scene: Scene) -> tuple[str, str] | None:
        listed = {self.field} if self.field else _with_enum(scene.asked.get("response_format"))
        found = [field for field in self._fields(text) if field.name in listed and isinstance(field.value, str)]
        return _replaced(text, found, scene, lambda field: json.dumps(f"{field.value}_other"))


def _replaced(text: str, found: Sequence[Field], scene: Scene, new: Any) -> tuple[str, str] | None:
    """Put `new(field)` for the value of one of the fields in `found`, if there is any."""
    if not found:
        return None
    field = scene.pick(found, "which field")
    value = new(field)
    return text[: field.start] + value + text[
        field.end :
    ], f"field {field.name!r}: {value[:40]} instead of {text[field.start : field.end][:40]}"


def _with_enum(node: Any) -> set[str]:
    """Return the names of the properties that have an `enum`, anywhere in a JSON schema."""
    if isinstance(node, list):
        return set().union(*map(_with_enum, node))
    if not isinstance(node, dict):
        return set()
    properties = node.get("properties")
    own = (
        {name for name, part in properties.items() if isinstance(part, dict) and "enum" in part} if isinstance(properties, dict) else set()
    )
    return own.union(*map(_with_enum, node.values()))
