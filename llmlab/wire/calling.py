"""Which tools a simulated model calls, and with what: tools whose words the question shares, arguments that stand in the question."""

from __future__ import annotations

import json
import re
from typing import Any

from llmlab.protocol import tokens
from llmlab.wire.chat_format import ToolCall, letters
from llmlab.wire.chat_request import ChatRequest, Tool
from llmlab.wire.finding import STOP, stems
from llmlab.wire.json_schema import Draw, Facts, fill

_ENOUGH = 2
_NAMED = re.compile(r"\b[A-Z][\w.-]*(?:\s+[A-Z][\w.-]*)*")
_CODE = re.compile(r"\b[A-Za-z]{0,6}-?\d[\w-]*\b")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}")


def calls(request: ChatRequest, question: str, draw: Draw) -> tuple[ToolCall, ...]:
    """Return the calls to make; none if no tool fits and none is required."""
    asked = stems(question)
    scores = {tool.name: len(asked & _words(tool)) for tool in request.tools}
    best = max(scores.values())
    if request.tool_choice.startswith("="):
        chosen = [tool for tool in request.tools if tool.name == request.tool_choice[1:]]
    else:
        fits = [tool for tool in request.tools if scores[tool.name] >= _ENOUGH or (scores[tool.name] == best > 0 and len(asked) <= 3)]
        required = request.tools if request.tool_choice == "required" else ()
        chosen = sorted(fits, key=lambda tool: -scores[tool.name]) or [tool for tool in required if scores[tool.name] == best][:1]
    made = [(tool, arguments) for tool in chosen for arguments in _arguments(tool, question, draw)]
    made = made[: 4 if request.parallel else 1]
    return tuple(
        ToolCall(f"call_{letters(24, draw('call'), number)}", tool.name, tuple(tokens.split(json.dumps(arguments, ensure_ascii=False))))
        for number, (tool, arguments) in enumerate(made)
    )


def _words(tool: Tool) -> frozenset[str]:
    properties: dict[str, Any] = tool.parameters.get("properties") or {}
    described = [str(part.get("description", "")) for part in properties.values() if isinstance(part, dict)]
    return stems(" ".join([tool.name, tool.description, *properties, *described]).replace("_", " "))


def _arguments(tool: Tool, question: str, draw: Draw) -> list[dict[str, Any]]:
    """Return the arguments of each call: several where the question names several things for the one string that is needed."""
    properties: dict[str, Any] = tool.parameters.get("properties") or {}
    needed = [name for name in properties if name in (tool.parameters.get("required") or ())]
    filled = fill(tool.parameters, Facts(text=question, quote=question, question=question), draw)
    if not isinstance(filled, dict):
        return [{}]
    values = {name: _values(name, question) for name, value in filled.items() if isinstance(value, str) and _is_open(properties.get(name))}
    filled |= {name: found[0] for name, found in values.items() if found}
    if len(needed) == 1 and needed[0] in values:
        return [{**filled, needed[0]: value} for value in values[needed[0]] or [filled[needed[0]]]]
    return [filled]


def _is_open(schema: Any) -> bool:
    return isinstance(schema, dict) and not any(schema.get(word) for word in ("enum", "format", "pattern")) and "const" not in schema


def _values(name: str, question: str) -> list[str]:
    """Return what in `question` may be meant by the argument `name`."""
    if "mail" in name.lower():
        return _EMAIL.findall(question)
    quoted: list[str] = re.findall(r"[\"“]([^\"“”]+)[\"”]", question)
    if quoted:
        return quoted
    if re.search(r"(?:^|_)(?:id|number|no|code|order|serial|ref)", name.lower()):
        return _CODE.findall(question)
    if re.search(r"query|question|text|message|search|input", name.lower()):
        return [question]
    first = re.match(r"\s*[\w']+", question)
    begin = first.end() - len(first[0].strip()) if first else -1
    names = [
        match[0].strip(" .-")
        for match in _NAMED.finditer(question)
        if match[0].split()[0].lower() not in STOP and (" " in match[0] or match.start() != begin)
    ]
    return list(dict.fromkeys(names))
