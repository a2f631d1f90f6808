from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from llmlab.errors import BadInput
from llmlab.pipeline.answer import ToolCall
from llmlab.pipeline.parsing.arguments import Tool, arguments


class Order(BaseModel):
    number: str
    count: int = 1


class Nothing(BaseModel):
    pass


TOOLS = (Tool(name="find_order", arguments=Order, description="Finds an order."), Tool(name="now", arguments=Nothing))


def called(name: str, text: str) -> ToolCall:
    return ToolCall("call_1", name, text)


@pytest.mark.parametrize("text", ['{"number": "A-17"}', "{'number': 'A-17',}", '"{\\"number\\": \\"A-17\\"}"'])
def test_arguments_are_read_as_any_output_is(text: str) -> None:
    assert Order(number="A-17") == arguments(called("find_order", text), TOOLS).value


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("find_order", '{"number": "A-1', "/number: it is cut off"),
        ("find_order", '{"number": 17}', "number: Input should be a valid string"),
        ("find_order", "", "number: Field required"),
        ("find_ordr", "{}", "there is no tool 'find_ordr'; there is: find_order, now"),
    ],
)
def test_a_call_that_cannot_be_made_has_a_reason(name: str, text: str, expected: str) -> None:
    parsed = arguments(called(name, text), TOOLS)
    assert (None, expected) == (parsed.value, parsed.error)


def test_no_arguments_are_an_empty_object() -> None:
    parsed = arguments(called("now", " "), TOOLS)
    assert (Nothing(), ["empty"]) == (parsed.value, [repair.kind for repair in parsed.repairs])
    assert "there is no tool 'now'; there is: none" == arguments(called("now", ""), ()).error


def test_a_tool_is_described_for_the_model() -> None:
    function = {"name": "find_order", "description": "Finds an order.", "parameters": Order.model_json_schema()}
    assert {"type": "function", "function": function} == TOOLS[0].spec


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("", Order, "a tool needs a name, not ''"),
        ("a", 7, "pydantic knows, not 7"),
        ("a", list[int], "are an object, as of a"),
    ],
)
def test_a_tool_that_cannot_be_described_is_refused(name: str, kind: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Tool(name=name, arguments=kind)
