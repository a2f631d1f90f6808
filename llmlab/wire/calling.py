"""Which tools a simulated model calls, and with what: tools whose words the question shares, arguments that stand in the question."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from llmlab.wire.chat_format import letters
from llmlab.wire.chat_request import ChatRequest
from llmlab.wire.chat_tools import Tool
from llmlab.wire.finding import STOP, stems
from llmlab.wire.json_schema import Draw, Facts, fill

_ENOUGH = 2
_NAMED = re.compile(r"\b[A-Z][\w.-]*(?:\s+[A-Z][\w.-]*)*")
_CODE = re.compile(r"\b[A-Za-z]{0,6}-?\d[\w-]*\b")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}")


class Call(NamedTuple):
    """One call of a function."""

    id: str
    name: str
    arguments: str
    """JSON, as text."""


def calls(request: ChatRequest, question: str, draw: Draw) -> tuple[Call, ...]:
    """Return the calls to make; none if no tool fits and none is required."""
    if request.tool_choice.startswith("="):
        chosen = [tool for tool in request.tools if tool.name == request.tool_choice[1:]]
    else:
        asked = stems(question)
        scores = {tool.name: len(asked & _words(tool)) for tool in request.tools}
        best = max(scores.values())
        chosen = [tool for tool in request.tools if scores[tool.name] >= _ENOUGH or (scores[tool.name] == best > 0 and len(asked) <= 3)]
        chosen = sorted(chosen, key=lambda tool: -scores[tool.name])
        if not chosen and request.tool_choice == "required":
            chosen = [max(request.tools, key=lambda tool: scores[tool.name])]
    made = [(tool, arguments) for tool in chosen for arguments in _arguments(tool, question, draw)]
    made = made[: 4 if request.parallel else 1]
    return tuple(
        Call(f"call_{letters(24, draw('call'), number)}", tool.name, json.dumps(arguments, ensure_ascii=False))
        for number, (tool, arguments) in enumerate(made)
    )


def _words(tool: Tool) -> frozenset[str]:
    properties: dict[str, Any] = tool.parameters.get("properties") or {}
    described = [str(part.get("description", "")) for part in properties.values() if isinstance(part, dict)]
    return stems(" ".join([tool.name.replace("_", " "), tool.description, *properties, *described]).replace("_", " "))


def _arguments(tool: Tool, question: str, draw: Draw) -> list[dict[str, Any]]:
    """Return the arguments of each call: several where the question names several things for the one string that is needed."""
    properties: dict[str, Any] = tool.parameters.get("properties") or {}
    needed = [name for name in properties if name in (tool.parameters.get("required") or ())]
    filled = fill(tool.parameters, Facts(text=question, quote=question, question=question), draw)
    if not isinstance(filled, dict):
        return [{}]
    open_texts = [name for name in filled if isinstance(filled[name], str) and _is_open(properties.get(name))]
    for name in open_texts:
        found = _values(name, question)
        if found:
            filled[name] = found[0]
    if len(needed) == 1 and needed[0] in open_texts:
        return [{**filled, needed[0]: value} for value in _values(needed[0], question) or [filled[needed[0]]]]
    return [filled]


def _is_open(schema: Any) -> bool:
    return (
        isinstance(schema, dict)
        and not schema.get("enum")
        and "const" not in schema
        and not schema.get("format")
        and not schema.get("pattern")
    )


def _values(name: str, question: str) -> list[str]:
    """Return what in `question` may be meant by the argument `name`."""
    lowered = name.lower()
    if "mail" in lowered:
        return _EMAIL.findall(question)
    quoted = re.findall(r"[\"“]([^\"“”]+)[\"”]", question)
    if re.search(r"(?:^|_)(?:id|number|no|code|order|serial|ref)", lowered):
        return quoted or _CODE.findall(question)
    if re.search(r"query|question|text|message|search|input", lowered):
        return quoted or [question]
    first = re.match(r"\s*[\w']+", question)
    names = [
        match[0].strip(" .-")
        for match in _NAMED.finditer(question)
        if match[0].split()[0].lower() not in STOP
        and not (first and match.start() == first.end() - len(first[0].strip()) and " " not in match[0])
    ]
    return quoted or list(dict.fromkeys(names))
