from __future__ import annotations

import asyncio
from typing import Any

import pydantic
import pytest
from scripted import Wire, events, good, pipeline, refusal, silence, streamed

import llmlab
from llmlab.errors import BadInput
from llmlab.pipeline.answer import Delta
from llmlab.pipeline.cache import Cache
from llmlab.pipeline.guardrails.length import LengthGuard
from llmlab.pipeline.routing import Retry
from llmlab.pipeline.state import State

QUESTION = "May I return it?"


def asked(wire: Wire, *calls: Any, **stages: Any) -> list[llmlab.Answer]:
    """The answers to calls of `pipeline.ask`, one after the other; a number waits so many seconds."""

    async def go() -> list[llmlab.Answer]:
        cached = pipeline(wire, **{"cache": Cache(), "retry": None, **stages})
        answers = []
        for call in calls:
            if isinstance(call, dict):
                answers.append(await cached.ask(**{"question": QUESTION, **call}))
            else:
                await asyncio.sleep(call)
        return answers

    return llmlab.simulate(go())


def test_the_second_who_asks_is_answered_at_once_and_for_nothing() -> None:
    wire = Wire(good("Yes, ", "you may."))
    first, second = asked(wire, {}, 60, {})
    assert ("", "fresh") == (first.cached, second.cached)
    assert first.text == second.text == "Yes, you may."
    assert (0.0, 0, 0) == (second.timings.total, second.cost_usd, len(second.attempts))
    assert "cache" in [stage.name for stage in second.trace.stages]
    assert 1 == len(wire.requests)


@pytest.mark.parametrize(
    "other",
    [
        {"question": "May I return it"},
        {"documents": ["Returns within 30 days."]},
        {"history": [{"role": "user", "content": "Hello"}]},
        {"tenant": "another"},
    ],
)
def test_what_could_make_another_answer_is_another_key(other: dict[str, Any]) -> None:
    wire = Wire(good())
    assert ["", ""] == [answer.cached for answer in asked(wire, {}, other)]


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": llmlab.Prompt(system="Be brief.")},
        {"guards_in": (LengthGuard(max_characters=100),)},
        {"guards_out": (LengthGuard(),)},
        {"route": {"parameters": {"temperature": 0}}},
        {"output": str},
    ],
)
def test_another_prompt_policy_or_parameter_shares_no_answers(changes: dict[str, Any]) -> None:
    wire, state = Wire(good('"yes"')), State()

    async def go() -> list[str]:
        one, two = (pipeline(wire, cache=Cache(), state=state, **more) for more in ({}, changes))
        return [(await each.ask(QUESTION)).cached for each in (one, two, one)]

    assert ["", "", "fresh"] == llmlab.simulate(go())


def test_an_answer_grows_old() -> None:
    wire = Wire(good())
    cached = [answer.cached for answer in asked(wire, {}, 5, {}, 10, {}, cache=Cache(fresh_seconds=10))]
    assert ["", "fresh", ""] == cached


def test_the_answer_that_was_used_longest_ago_goes_first() -> None:
    a, b, c = ({"question": letter * 3} for letter in "abc")
    cached = [answer.cached for answer in asked(Wire(good()), a, b, a, c, a, b, cache=Cache(size=2))]
    assert ["", "", "fresh", "", "fresh", ""] == cached


def test_those_who_ask_the_same_at_the_same_time_share_one_answer() -> None:
    wire = Wire(good())

    async def go() -> list[llmlab.Answer]:
        cached = pipeline(wire, cache=Cache())
        return await asyncio.gather(*(cached.ask(QUESTION) for _ in range(5)))

    answers = llmlab.simulate(go())
    assert ["", *["shared"] * 4] == [answer.cached for answer in answers]
    assert {1.75} == {answer.timings.total for answer in answers}
    assert 1 == len(wire.requests)


def together(wire: Wire, count: int, **stages: Any) -> list[llmlab.Answer]:
    """The answers to so many of the same question at the same time."""

    async def go() -> list[llmlab.Answer]:
        cached = pipeline(wire, **{"cache": Cache(), "retry": None, **stages})
        return await asyncio.gather(*(cached.ask(QUESTION) for _ in range(count)))

    return llmlab.simulate(go())


def test_where_the_first_fails_all_the_others_ask_at_once() -> None:
    answers = together(Wire(refusal(500, at=1.0)), 6)
    assert ["failed"] * 6 == [answer.status for answer in answers]
    assert [1.0] + [2.0] * 5 == [answer.timings.total for answer in answers]


def test_where_the_first_fails_the_others_take_an_old_answer_without_asking_again() -> None:
    wire = Wire(good("old"), refusal(500, at=1.0))

    async def go() -> list[llmlab.Answer]:
        cached = pipeline(wire, cache=Cache(fresh_seconds=5), retry=None)
        await cached.ask(QUESTION)
        await asyncio.sleep(10)
        return await asyncio.gather(*(cached.ask(QUESTION) for _ in range(5)))

    answers = llmlab.simulate(go())
    assert [("degraded", "stale", 1.0)] * 5 == [(answer.status, answer.cached, answer.timings.total) for answer in answers]
    assert 2 == len(wire.requests)
    assert "another request has just failed" in answers[1].reason


def test_where_the_first_leaves_the_others_ask() -> None:
    wire = Wire(silence(), good())

    async def go() -> list[Any]:
        cached = pipeline(wire, cache=Cache(), retry=None)
        tasks = [asyncio.create_task(cached.ask(QUESTION)) for _ in range(3)]
        await asyncio.sleep(1.5)
        tasks[0].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    left, *others = llmlab.simulate(go())
    assert isinstance(left, asyncio.CancelledError)
    assert [("ok", "", 3.25)] * 2 == [(answer.status, answer.cached, answer.timings.total) for answer in others]


def test_nobody_waits_for_another_longer_than_a_while() -> None:
    first, second = together(Wire(silence(), good()), 2, cache=Cache(share_seconds=2.0), deadline_seconds=10.0)
    assert ("stale", "ok", "") == (first.cached, second.status, second.cached)
    assert 3.75 == second.timings.total
    note = next(stage.note for stage in second.trace.stages if stage.name == "cache")
    assert "miss, waited 2.0 s for the same question" == note


def test_the_answer_of_another_route_is_not_kept_under_this_one() -> None:
    state = State()

    async def go() -> list[str]:
        spare = llmlab.Route("spare", model="main", parameters={"temperature": 1.5}, client=llmlab.client(Wire(good("spare"))))
        main = llmlab.Route("main", model="main", client=llmlab.client(Wire(refusal(500), good("main"))))
        asked = llmlab.Pipeline(routes=[main, spare], cache=Cache(), retry=None, state=state)
        return [(await asked.ask(QUESTION)).text for _ in range(3)]

    assert ["spare", "main", "main"] == llmlab.simulate(go())


def test_a_streamed_and_an_unstreamed_route_share_answers_and_two_providers_do_not() -> None:
    state = State()

    async def go() -> list[str]:
        wire = Wire(good(), good())
        one = pipeline(wire, cache=Cache(), state=state)
        whole = pipeline(wire, cache=Cache(), state=state, stream=False)
        other = llmlab.client(wire, base_url="https://provider.invalid/v1")
        elsewhere = llmlab.Pipeline(routes=[llmlab.Route("main", model="main", client=other)], cache=Cache(), state=state)
        return [(await asked.ask(QUESTION)).cached for asked in (one, whole, elsewhere)]

    assert ["", "fresh", ""] == llmlab.simulate(go())


def test_who_waits_for_another_keeps_its_own_deadline() -> None:
    async def go() -> list[llmlab.Answer]:
        cached = pipeline(Wire(good()), cache=Cache())
        return await asyncio.gather(cached.ask(QUESTION), cached.ask(QUESTION, deadline_seconds=1.0))

    first, second = llmlab.simulate(go())
    assert ("ok", "failed") == (first.status, second.status)
    assert 1.0 == second.timings.total


CUT_OFF = streamed(events("Yes, y", finish="length"))


@pytest.mark.parametrize(
    ("reply", "stages", "status"),
    [
        (CUT_OFF, {}, "degraded"),
        (refusal(401), {}, "failed"),
        (good("much too long"), {"guards_out": (LengthGuard(max_characters=3),)}, "blocked"),
        (good("no JSON"), {"output": int, "reask": 0}, "failed"),
    ],
)
def test_only_whole_answers_that_are_as_meant_are_kept(reply: Any, stages: dict[str, Any], status: str) -> None:
    wire = Wire(reply)
    assert [(status, "")] * 2 == [(answer.status, answer.cached) for answer in asked(wire, {}, {}, **stages)]
    assert 2 == len(wire.requests)


def test_the_answer_of_a_fallback_is_not_kept() -> None:
    async def go() -> list[llmlab.Answer]:
        routes = [
            llmlab.Route("main", model="main", client=llmlab.client(Wire(refusal(500), good()))),
            llmlab.Route("fast", model="fast", client=llmlab.client(Wire(good()))),
        ]
        cached = llmlab.Pipeline(routes=routes, cache=Cache(), retry=None)
        return [await cached.ask(QUESTION) for _ in range(3)]

    assert [("degraded", ""), ("ok", ""), ("ok", "fresh")] == [(answer.status, answer.cached) for answer in llmlab.simulate(go())]


def test_where_every_attempt_fails_an_old_answer_is_better_than_none_and_says_so() -> None:
    wire = Wire(good("Yes."), refusal(500))
    _, answer, later = asked(wire, {}, 100, {}, 1000, {}, cache=Cache(fresh_seconds=10, stale_seconds=500), deadline_seconds=10.0)
    assert ("degraded", "stale", "Yes.") == (answer.status, answer.cached, answer.text)
    assert "stale: an answer of 100 s ago" in answer.reason
    assert "http_500" in answer.reason
    assert ("failed", "") == (later.status, later.cached)


def test_a_stream_that_broke_off_gets_no_old_answer_spliced_on() -> None:
    wire = Wire(good("Yes."), streamed(events("No, ")[:2], breaks="ReadError"))

    async def go() -> list[Any]:
        cached = pipeline(wire, cache=Cache(fresh_seconds=1), retry=None)
        await cached.ask(QUESTION)
        await asyncio.sleep(10)
        return [event async for event in cached.stream(QUESTION)]

    *deltas, last = llmlab.simulate(go())
    assert ["No, "] == [delta.text for delta in deltas]
    assert ("failed", "") == (last.answer.status, last.answer.cached)


def test_a_stream_is_replayed_as_a_stream() -> None:
    async def go() -> list[list[str]]:
        cached = pipeline(Wire(good("Yes, ", "you ", "may.")), cache=Cache())
        return [[event.text async for event in cached.stream(QUESTION) if isinstance(event, Delta)] for _ in range(2)]

    first, second = llmlab.simulate(go())
    assert ["Yes, ", "you ", "may."] == first == second


class Item(pydantic.BaseModel):
    tags: list[str]


def test_everybody_gets_an_object_of_its_own() -> None:
    first, second = asked(Wire(good('{"tags": ["a"]}')), {}, {}, output=Item)
    first.data.tags.append("b")
    assert Item(tags=["a"]) == second.data


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 0}, "leave it out"),
        ({"size": 1.5}, "whole number"),
        ({"fresh_seconds": 0}, "fresh_seconds is a time above 0"),
        ({"stale_seconds": -1}, "stale_seconds is a time of 0 seconds or more"),
    ],
)
def test_a_cache_that_is_none_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Cache(**options)


def test_a_retry_comes_before_an_old_answer() -> None:
    _, answer = asked(Wire(good("old"), refusal(500), good("new")), {}, 20, {}, cache=Cache(fresh_seconds=1), retry=Retry())
    assert ("new", "") == (answer.text, answer.cached)
