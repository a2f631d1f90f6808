from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from scripted import Wire, ask, good, message, whole

from llmlab.errors import BadInput
from llmlab.pipeline.output import response_format, validated


class Refund(BaseModel):
    days: int
    fee: float = 0.0


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


def test_the_first_mistake_is_named_and_the_others_are_counted() -> None:
    assert (None, "invalid_output: days: Field required, and 1 more") == validated(Refund, '{"fee": "x"}')
    data, reason = validated(Refund, "I don't know.")
    assert data is None
    assert reason.startswith("invalid_output: Invalid JSON")


def test_any_type_that_pydantic_knows_will_do() -> None:
    assert ([1, 2], "") == validated(list[int], "[1, 2]")
    assert "list" == response_format(list[int])["json_schema"]["name"]
    assert "array" == response_format(list[int])["json_schema"]["schema"]["type"]


def test_tool_calls_are_no_output() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    reply = {"index": 0, "message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}
    answer = ask(Wire(whole(message(choices=[reply]))), stream=False, output=Refund)
    assert ("ok", None, 1) == (answer.status, answer.data, len(answer.tool_calls))


@pytest.mark.parametrize("kind", [7, "Refund", object()])
def test_what_is_no_type_is_refused(kind: Any) -> None:
    with pytest.raises(BadInput, match="output is a pydantic model, or another type that pydantic knows, not "):
        ask(Wire(good()), output=kind)
