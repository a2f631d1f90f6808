from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest
from pydantic import BaseModel
from scripted import Wire, ask, good, message, pipeline, refusal, told, whole

import llmlab
from llmlab.errors import BadInput
from llmlab.pipeline.answer import Delta, Finished, Partial
from llmlab.pipeline.parsing.arguments import Tool


class Refund(BaseModel):
    days: int
    why: str = ""


RIGHT = '{"days": 30, "why": "so"}'
TOOL = Tool(name="refund", arguments=Refund, description="Pay it back.")


def calling(name: str, arguments: str) -> Any:
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}
    reply = {"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}
    return whole(message(choices=[reply]))


def streamed_events(*wires: Wire, **stages: Any) -> list[Any]:
    async def collect() -> list[Any]:
        async with aclosing(pipeline(*wires, **stages).stream("How long?")) as stream:
            return [event async for event in stream]

    return list(llmlab.simulate(collect()))


def test_an_answer_that_cannot_be_read_is_asked_for_again_with_what_is_wrong() -> None:
    wire = Wire(good("thirty days"), good(RIGHT))
    answer = ask(wire, output=Refund)
    assert ("ok", Refund(days=30, why="so")) == (answer.status, answer.data)
    assert [("primary", "main", "ok", ""), ("reask", "main", "ok", "")] == told(answer)
    first, again = (body["messages"] for body in wire.bodies)
    assert (first, "thirty days") == (again[:-2], again[-2]["content"])
    assert "cannot be used" in again[-1]["content"]
    assert 1 == answer.trace.committed


def test_then_the_next_route_is_asked_once() -> None:
    main, second = Wire(good("no")), Wire(good(RIGHT))
    answer = ask(main, second, output=Refund, reask=2)
    assert (3, 1, Refund(days=30, why="so")) == (len(main.requests), len(second.requests), answer.data)


def test_what_still_cannot_be_read_has_failed_with_the_reason() -> None:
    answer = ask(Wire(good("no")), output=Refund, reask=2)
    assert ("failed", 3, None) == (answer.status, len(answer.attempts), answer.data)
    assert answer.reason.startswith("invalid_output: ")


def test_or_a_message_stands_in() -> None:
    answer = ask(Wire(good("no")), output=Refund, last_resort="Please call us.")
    assert ("degraded", "Please call us.", None) == (answer.status, answer.text, answer.data)
    assert "last resort" in answer.reason


def test_an_attempt_that_fails_meanwhile_is_one_of_those_it_is_asked_again() -> None:
    wire = Wire(good("no"), refusal(401), good(RIGHT))
    assert "ok" == ask(wire, output=Refund, reask=2, retry=None).status
    wire = Wire(good("no"), refusal(401), good(RIGHT))
    assert ("failed", 2) == (ask(wire, output=Refund, reask=1, retry=None).status, len(wire.requests))


def test_asking_again_has_the_budget_of_retries() -> None:
    state, wire = llmlab.State(), Wire(good("no"))
    counts = []
    for _ in range(20):
        before = len(wire.requests)
        answer = ask(wire, output=Refund, state=state, retry=llmlab.Retry(attempts=1, max_extra=0.1))
        counts.append(len(wire.requests) - before)
    assert [2] * 10 == counts[:10]
    assert 20 + 10 + 2 >= sum(counts)
    assert "the budget for retries is spent" in str(answer.trace)


def test_nothing_is_asked_again_where_it_is_not_wanted() -> None:
    assert 1 == len(ask(Wire(good("no")), output=Refund, reask=0).attempts)
    assert 1 == len(ask(Wire(good("no"))).attempts)


def test_asking_again_ends_with_the_deadline() -> None:
    answer = ask(Wire(good("no")), output=Refund, reask=5, deadline_seconds=3.0)
    assert "failed" == answer.status
    assert 3.0 >= answer.timings.total


@pytest.mark.parametrize("reask", [-1, 6, True, "1"])
def test_a_limit_that_is_none_is_refused(reask: Any) -> None:
    with pytest.raises(BadInput, match="reask is a whole number from 0 to 5"):
        pipeline(Wire(good()), reask=reask)


def test_structured_output_is_held_back_until_it_can_be_read() -> None:
    *shown, last = streamed_events(Wire(good("no"), good('{"days":', " 30}")), output=Refund)
    assert [Delta('{"days": 30}', shown[0].at), Partial({"days": 30}, shown[0].at)] == shown
    assert Refund(days=30) == last.answer.data


def test_what_was_mended_goes_on_as_json_that_guards_can_read() -> None:
    page = {"id": "returns", "text": "You can return it within 30 days."}
    for words, status in (("You can return it within 30 days.", "ok"), ("You can return it within 90 days.", "abstained")):
        text = f'Here it is:\n```json\n{{"days": 30, "why": "{words}",}}\n```'
        answer = ask(Wire(good(text)), output=Refund, documents=[page], guards_out=[llmlab.grounding.GroundingGuard()])
        assert status == answer.status
    kept = ask(Wire(good("```json\n" + RIGHT + "\n```")), output=Refund)
    assert RIGHT == kept.text
    assert "after repair: fence" in str(kept.trace.frame["reason"].tolist())


def test_or_it_is_shown_as_it_comes_and_never_asked_for_again() -> None:
    *shown, last = streamed_events(Wire(good('{"days": 3', '0, "why"', ': "so', '"}')), output=Refund, reask=0)
    assert [{"days": 30}, {"days": 30, "why": "so"}] == [dict(event.fields) for event in shown if isinstance(event, Partial)]
    assert RIGHT == "".join(event.text for event in shown if isinstance(event, Delta))
    assert Refund(days=30, why="so") == last.answer.data


def test_the_arguments_of_a_call_are_read_like_structured_output() -> None:
    wire = Wire(calling("refund", "{'days': 30,}"))
    answer = ask(wire, tools=[TOOL], stream=False)
    assert [Refund(days=30)] == [call.data for call in answer.tool_calls]
    assert [TOOL.spec] == wire.bodies[0]["tools"]


@pytest.mark.parametrize(
    ("bad", "wrong"),
    [
        (calling("refund", '{"days": "many"}'), "days"),
        (calling("refund", '{"days": 3'), "refund"),
        (calling("delete_all", "{}"), "there is no tool 'delete_all'; there is: refund"),
    ],
)
def test_a_call_that_cannot_be_made_is_asked_for_again(bad: Any, wrong: str) -> None:
    wire = Wire(bad, calling("refund", '{"days": 30}'))
    answer = ask(wire, tools=[TOOL], stream=False)
    assert ("ok", [Refund(days=30)]) == (answer.status, [call.data for call in answer.tool_calls])
    assert wrong in wire.bodies[1]["messages"][-1]["content"]
    failed = ask(Wire(bad), tools=[TOOL], stream=False, reask=0)
    assert ("failed", [None]) == (failed.status, [call.data for call in failed.tool_calls])
    assert failed.tool_calls[0].error in failed.reason


def test_the_last_event_of_a_stream_is_the_answer() -> None:
    assert isinstance(streamed_events(Wire(good(RIGHT)), output=Refund)[-1], Finished)
