from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from llmlab.protocol.draws import uniform
from llmlab.wire.calling import calls
from llmlab.wire.chat_format import ToolCall
from llmlab.wire.chat_request import ChatRequest, Tool


def tool(name: str, description: str, required: tuple[str, ...] = (), **properties: Any) -> Tool:
    return Tool(name=name, description=description, parameters={"type": "object", "properties": properties, "required": list(required)})


WEATHER = tool(
    "get_weather",
    "Get the current weather in a given location",
    ("location",),
    location={"type": "string"},
    unit={"enum": ["celsius", "fahrenheit"]},
)
ORDER = tool("find_order", "Find an order of the customer by its number", ("order_id",), order_id={"type": "string"})
MAIL = tool(
    "send_mail",
    "Send an email to the customer",
    ("email", "text"),
    email={"type": "string"},
    text={"type": "string"},
    copies={"type": "integer"},
)


def made(question: str, *tools: Tool, choice: str = "auto", parallel: bool = True, seed: int = 0) -> tuple[ToolCall, ...]:
    request = ChatRequest(messages=[], prompt_tokens=0, tools=tools, tool_choice=choice, parallel=parallel)
    return calls(request, question, partial(uniform, seed))


def arguments(*found: ToolCall) -> list[dict[str, Any]]:
    return [json.loads("".join(call.arguments)) for call in found]


def test_the_tool_that_fits_the_question_is_called() -> None:
    (call,) = made("Where is my order ORD-1042, can you find it?", WEATHER, ORDER)
    assert ("find_order", {"order_id": "ORD-1042"}) == (call.name, arguments(call)[0])
    assert call.id.startswith("call_")
    assert 29 == len(call.id)


def test_a_question_about_two_things_makes_two_calls() -> None:
    found = made("What's the current weather in Seattle and San Francisco today?", WEATHER)
    assert ["Seattle", "San Francisco"] == [one["location"] for one in arguments(*found)]
    assert 2 == len({call.id for call in found})


def test_one_at_a_time_if_calls_may_not_be_parallel() -> None:
    assert 1 == len(made("What's the current weather in Seattle and San Francisco?", WEATHER, parallel=False))


def test_no_tool_is_called_where_none_fits() -> None:
    assert () == made("Do you like bread and butter on a sunny morning?", WEATHER, ORDER)


def test_a_tool_that_is_required_or_named_is_called_all_the_same() -> None:
    assert ["get_weather"] == [
        call.name for call in made("Do you like bread and butter on a sunny morning?", WEATHER, ORDER, choice="required")
    ]
    assert ["find_order"] == [call.name for call in made("What's the weather in Rome?", WEATHER, ORDER, choice="=find_order")]


def test_a_short_question_needs_one_word_in_common() -> None:
    assert ["get_weather"] == [call.name for call in made("Weather in Rome?", WEATHER, ORDER)]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ('Send an email to anna@example.com: "We are open."', {"email": "anna@example.com", "text": "We are open."}),
        ("Please send an email to the customer anna@example.com", {"email": "anna@example.com"}),
    ],
)
def test_arguments_stand_in_the_question(question: str, expected: dict[str, str]) -> None:
    (call,) = made(question, MAIL)
    assert expected.items() <= arguments(call)[0].items()


def test_what_the_question_does_not_hold_is_filled_in() -> None:
    (call,) = made("What's the current weather?", WEATHER)
    assert arguments(call)[0]["location"]
    assert [{}] == arguments(*made("Find the order of the customer", tool("find_order", "Find an order of the customer")))
    odd = Tool(name="find_order", description="Find an order", parameters={"type": "string"})
    assert [{}] == arguments(*made("Find the order", odd))


def test_the_same_draw_gives_the_same_call() -> None:
    assert made("Weather in Rome?", WEATHER, seed=1) == made("Weather in Rome?", WEATHER, seed=1)
    assert made("Weather in Rome?", WEATHER, seed=1)[0].id != made("Weather in Rome?", WEATHER, seed=2)[0].id
