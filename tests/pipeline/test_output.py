from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel
from scripted import Wire, ask, good, message, whole

from llmlab.errors import BadInput
from llmlab.pipeline.output import STRUCTURED, check_output, in_words, response_format, root_kinds
from llmlab.pipeline.route import Route


class Refund(BaseModel):
    days: int
    fee: float = 0.0


class Node(BaseModel):
    name: str
    children: list[Node] = []


class Endless(BaseModel):
    inner: Endless


def test_the_answer_is_the_validated_object() -> None:
    wire = Wire(good('{"days"', ": 30}"))
    answer = ask(wire, output=Refund)
    assert ("ok", Refund(days=30)) == (answer.status, answer.data)
    assert '{"days": 30}' == answer.text
    assert response_format(Refund) == wire.bodies[0]["response_format"]


def test_what_does_not_fit_is_a_failed_answer_that_keeps_its_text() -> None:
    answer = ask(Wire(good('{"days": "many"}')), output=Refund)
    assert ("failed", None, '{"days": "many"}') == (answer.status, answer.data, answer.text)
    assert answer.reason.startswith("invalid_output: days: Input should be a valid integer")


def test_what_can_be_mended_without_a_doubt_is_mended() -> None:
    answer = ask(Wire(good("Sure!\n```json\n{'days': 30,}\n```")), output=Refund)
    assert ("ok", Refund(days=30)) == (answer.status, answer.data)


def test_any_type_that_pydantic_knows_will_do() -> None:
    asked: Any = response_format(list[int])
    assert "list" == asked["json_schema"]["name"]
    assert "array" == asked["json_schema"]["schema"]["type"]


def test_tool_calls_are_no_output() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    reply = {"index": 0, "message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}
    answer = ask(Wire(whole(message(choices=[reply]))), stream=False, output=Refund)
    assert ("ok", None, 1) == (answer.status, answer.data, len(answer.tool_calls))


@pytest.mark.parametrize("kind", [7, "Refund", object()])
def test_what_is_no_type_is_refused(kind: Any) -> None:
    with pytest.raises(BadInput, match="output is a pydantic model, or another type that pydantic knows, not "):
        ask(Wire(good()), output=kind)


def test_a_recursive_schema_is_a_schema_even_where_nothing_can_meet_it() -> None:
    check_output(Node)
    check_output(Endless)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Refund, {"object"}),
        (Node, {"object"}),
        (list[Refund], {"array"}),
        (Refund | Node | None, {"object", "null"}),
        (Literal["yes", "no"], {"string"}),
        (Any, {"object", "array", "string", "number", "integer", "boolean", "null"}),
    ],
)
def test_what_the_json_can_be_is_read_from_the_schema(kind: Any, expected: set[str]) -> None:
    assert expected == {*root_kinds(kind)}


@pytest.mark.parametrize("structured", STRUCTURED)
def test_a_route_says_how_it_is_asked_for_json(structured: str) -> None:
    route = Route("main", model="main", structured=structured)
    body = route.body([{"role": "user", "content": "How long?"}], Refund)
    assert response_format(Refund, structured) == body.get("response_format")
    assert [*in_words(Refund, structured), {"role": "user", "content": "How long?"}] == body["messages"]
    assert ("days" in str(body["messages"])) == (structured != "json_schema")
    assert "response_format" not in route.body([])


def test_a_way_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BadInput, match="structured is one of json_schema, json_object, prompt, not 'yaml'"):
        Route("main", model="main", structured="yaml")
