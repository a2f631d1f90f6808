"""The tools of a chat request: functions that the model may call, and whether it may, must or must not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from llmlab.wire import chat_errors as say
from llmlab.wire.chat_errors import Refusal
from llmlab.wire.json_schema import strict_violation

_NAME = re.compile(r"[a-zA-Z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that the model may call."""

    name: str
    description: str
    parameters: dict[str, Any]


def tools_in(body: dict[str, Any]) -> tuple[Tool, ...]:
    """Return the tools of a request.

    Raises:
        Refusal: They are no functions.
    """
    given = body.get("tools")
    if given is None:
        return ()
    if not isinstance(given, list):
        raise say.wrong_type("tools", "an array of objects", given)
    if not given:
        raise say.empty_array("tools")
    tools = []
    for number, tool in enumerate(given):
        place = f"tools[{number}]"
        if not isinstance(tool, dict):
            raise say.wrong_type(place, "an object", tool)
        if tool.get("type") != "function":
            raise say.wrong_value(f"{place}.type", tool.get("type"), ("function", "custom"))
        function = tool.get("function")
        if not isinstance(function, dict):
            raise say.missing(f"{place}.function")
        if not isinstance(function.get("name"), str):
            raise say.missing(f"{place}.function.name")
        if not _NAME.fullmatch(function["name"]):
            param = f"{place}.function.name"
            pattern = "'^[a-zA-Z0-9_-]+$'"
            raise Refusal(
                400,
                f"Invalid '{param}': string does not match pattern. Expected a string that matches the pattern {pattern}.",
                param=param,
                code="invalid_value",
            )
        parameters = function.get("parameters") or {"type": "object", "properties": {}}
        if not isinstance(parameters, dict):
            raise say.wrong_type(f"{place}.function.parameters", "an object", parameters)
        if function.get("strict") and (trouble := strict_violation(parameters)):
            raise Refusal(
                400,
                f"Invalid schema for function '{function['name']}': {trouble}",
                param=f"{place}.function.parameters",
                code="invalid_function_parameters",
            )
        tools.append(Tool(name=function["name"], description=function.get("description") or "", parameters=parameters))
    return tuple(tools)


def tool_choice_in(body: dict[str, Any], tools: tuple[Tool, ...]) -> str:
    """Return auto, none, required, or =name for a certain function.

    Raises:
        Refusal: It is none of these, or there are no tools.
    """
    choice = body.get("tool_choice")
    if choice is None:
        return "auto" if tools else "none"
    if not tools:
        raise Refusal(
            400, "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.", param="tool_choice"
        )
    if isinstance(choice, dict):
        name = (choice.get("function") or {}).get("name")
        if name not in [tool.name for tool in tools]:
            raise Refusal(400, f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")
        return f"={name}"
    if choice not in ("none", "auto", "required"):
        raise say.wrong_value("tool_choice", choice, ("none", "auto", "required"))
    return str(choice)
