from __future__ import annotations

from typing import Any

import pytest

from llmlab.wire.chat_errors import Refusal
from llmlab.wire.chat_tools import Tool, tool_choice_in, tools_in

FIND = {
    "type": "function",
    "function": {"name": "find", "description": "Find an order.", "parameters": {"type": "object", "properties": {}}},
}
TOOLS = (Tool(name="find", description="", parameters={}),)


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ("find", "Invalid type for 'tools': expected an array of objects, but got a string instead."),
        ([], "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead."),
        (["find"], "Invalid type for 'tools[0]': expected an object, but got a string instead."),
        ([{"type": "search"}], "Invalid value: 'search'. Supported values are: 'function' and 'custom'."),
        ([{"type": "function"}], "Missing required parameter: 'tools[0].function'."),
        ([{"type": "function", "function": {}}], "Missing required parameter: 'tools[0].function.name'."),
        (
            [{"type": "function", "function": {"name": "find it"}}],
            "Invalid 'tools[0].function.name': string does not match pattern. "
            "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
        ),
        (
            [FIND, {"type": "function", "function": {"name": "x", "parameters": 5}}],
            "Invalid type for 'tools[1].function.parameters': expected an object, but got an integer instead.",
        ),
        (
            [{"type": "function", "function": {"name": "x", "strict": True, "parameters": {"type": "object", "properties": {}}}}],
            "Invalid schema for function 'x': In context=(), 'additionalProperties' is required to be supplied and to be false.",
        ),
    ],
)
def test_wrong_tools_are_refused_in_openais_words(tools: Any, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        tools_in({"tools": tools})
    assert message == caught.value.message


def test_tools_are_read() -> None:
    assert () == tools_in({})
    assert (Tool(name="find", description="Find an order.", parameters={"type": "object", "properties": {}}),) == tools_in(
        {"tools": [FIND]}
    )
    assert {"type": "object", "properties": {}} == tools_in({"tools": [{"type": "function", "function": {"name": "now"}}]})[0].parameters


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, "auto"),
        ("none", "none"),
        ("auto", "auto"),
        ("required", "required"),
        ({"type": "function", "function": {"name": "find"}}, "=find"),
    ],
)
def test_a_choice_of_tool_is_understood(choice: Any, expected: str) -> None:
    assert expected == tool_choice_in({"tool_choice": choice}, TOOLS)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("always", "Invalid value: 'always'. Supported values are: 'none', 'auto', and 'required'."),
        ({"type": "function", "function": {"name": "lose"}}, "Tool choice 'lose' not found in 'tools' parameter."),
    ],
)
def test_a_choice_that_cannot_be_is_refused(choice: Any, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        tool_choice_in({"tool_choice": choice}, TOOLS)
    assert message == caught.value.message


def test_there_is_nothing_to_choose_without_tools() -> None:
    assert "none" == tool_choice_in({}, ())
    with pytest.raises(Refusal, match="'tool_choice' is only allowed when 'tools' are specified"):
        tool_choice_in({"tool_choice": "auto"}, ())
