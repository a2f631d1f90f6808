from __future__ import annotations

import asyncio
import math
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Wire, ask, good, whole

import llmlab
from llmlab.errors import AttemptFailed, AttemptLimited, AttemptUnavailable, BadInput
from llmlab.pipeline.route import Route
from llmlab.pipeline.routing import Hedge, Request, Retry, Router
from llmlab.pipeline.trace import Trace

FAILURE = AttemptUnavailable("http_500", "no", retryable=True)
MESSAGES = [{"role": "user", "content": "Hello?"}]


# --- how long to wait


@given(st.integers(1, 2_000), st.floats(0, 100), st.floats(0, 100), st.text())
def test_a_wait_is_at_most_the_back_off(failed: int, base: float, more: float, key: str) -> None:
    retry = Retry(base_seconds=base, longest_seconds=base + more)
    most = min(base + more, base * 2.0 ** min(failed - 1, 60))
    assert 0 <= retry.wait_seconds(failed, FAILURE, key) <= most + 1e-6


def test_a_wait_is_a_keyed_draw_in_whole_microseconds() -> None:
    waits = [Retry().wait_seconds(1, FAILURE, f"q{number}/0", "main") for number in range(50)]
    assert waits == [Retry().wait_seconds(1, FAILURE, f"q{number}/0", "main") for number in range(50)]
    assert 50 == len(set(waits))
    assert all(wait == round(wait, 6) for wait in waits)
    assert Retry().wait_seconds(1, FAILURE, "q", "main") != Retry().wait_seconds(1, FAILURE, "q", "second")


def test_what_the_provider_asks_for_is_waited_instead() -> None:
    limited = AttemptLimited("rate_limit", "no", retryable=True, retry_after_seconds=17.5)
    assert 17.5 == Retry().wait_seconds(1, limited)


# --- what they refuse


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attempts": 0}, "attempts is a whole number of at least 1"),
        ({"attempts": 1.5}, "attempts is a whole number of at least 1"),
        ({"attempts": True}, "attempts is a whole number of at least 1"),
        ({"base_seconds": -0.1}, "base_seconds is a time of 0 seconds or more"),
        ({"base_seconds": "1"}, "base_seconds is a time of 0 seconds or more"),
        ({"base_seconds": 3.0, "longest_seconds": 2.0}, "longest_seconds is a time of 3 seconds or more"),
        ({"longest_seconds": math.inf}, "longest_seconds is a time"),
    ],
)
def test_a_retry_says_what_is_wrong(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=f"Retry: {message}"):
        Retry(**arguments)


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, "1", None])
def test_a_hedge_says_what_is_wrong(seconds: Any) -> None:
    with pytest.raises(BadInput, match="Hedge: after_seconds is a time of 0 seconds or more"):
        Hedge(after_seconds=seconds)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "a route needs a name"),
        ({"name": 7}, "a route needs a name"),
        ({"model": ""}, "model is the name of a model or an alias"),
        ({"model": None}, "model is the name of a model or an alias"),
        ({"clocks": 5.0}, r"clocks is a Clocks\(...\), not 5.0"),
        ({"max_output_tokens": 0}, "max_output_tokens is a whole number of at least 1"),
        ({"max_output_tokens": 1.5}, "max_output_tokens is a whole number of at least 1"),
        ({"client": openai.OpenAI(api_key="k")}, "not OpenAI; the synchronous client would stop the loop: use llmlab.client"),
        ({"client": "key"}, "the client of route 'main' is an openai.AsyncOpenAI, not str: use llmlab.client"),
        ({"parameters": [1]}, "parameters is a dictionary"),
        ({"parameters": {"messages": []}}, "'messages' is no parameter of a route"),
        ({"parameters": {"stream": True}}, "'stream' is no parameter of a route"),
        ({"parameters": {"n": 2}}, "'n' is no parameter of a route"),
        ({"parameters": {"x": object()}}, "cannot be written as JSON"),
        ({"parameters": {"x": math.nan}}, "cannot be written as JSON"),
    ],
)
def test_a_route_says_what_is_wrong(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Route(**{"name": "main", "model": "main", **arguments})


def test_a_route_can_be_compared_hashed_and_pasted_back() -> None:
    route = Route("main", model="main", parameters={"temperature": 0}, max_output_tokens=50)
    assert route == eval(repr(route), {"Route": Route, "Clocks": llmlab.Clocks})
    assert 1 == len({route, Route("main", model="main", parameters={"temperature": 0}, max_output_tokens=50)})


def test_a_routes_parameters_are_its_own() -> None:
    given_ = {"temperature": 0}
    route = Route("main", model="main", parameters=given_)
    given_["temperature"] = 1
    assert {"temperature": 0} == route.parameters


def test_a_body_holds_what_the_route_says() -> None:
    plain = Route("r", model="fast", stream=False, parameters={"temperature": 0})
    assert {"model": "gpt-4o-mini", "messages": MESSAGES, "temperature": 0} == plain.body(MESSAGES)
    capped = Route("r", model="my-own", max_output_tokens=50)
    streams = {"stream": True, "stream_options": {"include_usage": True}}
    assert {"model": "my-own", "messages": MESSAGES, "max_completion_tokens": 50, **streams} == capped.body(MESSAGES)


# --- the router by itself


def routed(router: Router, request: Request, deliver: bool) -> list[str]:
    async def go() -> list[str]:
        request.trace.began = asyncio.get_running_loop().time()
        return [piece async for piece in router.run(request, deliver=deliver)]

    return llmlab.simulate(go())


@pytest.mark.parametrize(("deliver", "pieces"), [(True, ["Hello", " world."]), (False, ["Hello world."])])
def test_pieces_come_as_they_come_or_as_one(deliver: bool, pieces: list[str]) -> None:
    request = Request(MESSAGES, "v", Trace(), client=llmlab.client(Wire(good())))
    assert pieces == routed(Router([Route("main", model="main")]), request, deliver)
    assert request.winner is not None
    assert ("main", 0) == (request.winner[0].name, request.trace.committed)


def test_a_route_without_a_client_is_misuse_also_where_it_is_a_fallback() -> None:
    routes = [Route("main", model="main", client=llmlab.client(Wire(good()))), Route("spare", model="fast")]
    with pytest.raises(BadInput, match="route 'spare' has no client; give it one"):
        routed(Router(routes), Request(MESSAGES, "v", Trace()), deliver=True)


def test_without_a_retry_nothing_is_tried_again() -> None:
    request = Request(MESSAGES, "v", Trace(), client=llmlab.client(Wire(whole(b"no", status=500))))
    with pytest.raises(AttemptFailed, match="http_500"):
        routed(Router([Route("main", model="main")]), request, deliver=True)
    assert 1 == len(request.trace.attempts)


def test_a_routes_own_client_goes_before_the_pipelines() -> None:
    own, shared = Wire(good("own")), Wire(good("shared"))
    assert "own" == ask(own, client=llmlab.client(shared)).text
    assert [] == shared.requests
