"""The arguments of tool calls, by the same path as structured output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmlab.errors import BadInput
from llmlab.pipeline.answer import ToolCall
from llmlab.pipeline.output import check_output, root_kinds, schema
from llmlab.pipeline.parsing.parse import Parsed, parse
from llmlab.pipeline.parsing.repair import Repair


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A function that the model may ask for.

    Raises:
        BadInput: It has no name, or its arguments are no type of objects that pydantic knows.
    """

    name: str
    """As the model calls it."""
    arguments: Any
    """A pydantic model, or another type of objects that pydantic knows."""
    description: str = ""
    """When to call it, for the model."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise BadInput(f"a tool needs a name, not {self.name!r}")
        check_output(self.arguments)
        if root_kinds(self.arguments) != ("object",):
            raise BadInput(f"the arguments of tool {self.name!r} are an object, as of a pydantic model, not {self.arguments!r}")

    @property
    def spec(self) -> dict[str, Any]:
        """What the body of a request says of it, in its list of `tools`."""
        function = {"name": self.name, "description": self.description, "parameters": schema(self.arguments)}
        return {"type": "function", "function": function}


def arguments(call: ToolCall, tools: Sequence[Tool]) -> Parsed:
    """Return the validated arguments of a call, or why it cannot be made.

    Args:
        call: What the model asks for.
        tools: The tools that it was told of.
    """
    tool = next((tool for tool in tools if tool.name == call.name), None)
    if tool is None:
        known = ", ".join(tool.name for tool in tools) or "none"
        return Parsed(error=f"there is no tool {call.name[:60]!r}; there is: {known}")
    if call.arguments.strip():
        return parse(call.arguments, tool.arguments)
    nothing = parse("{}", tool.arguments)  # how providers write that there are none
    return replace(nothing, repairs=(Repair(kind="empty"), *nothing.repairs))
