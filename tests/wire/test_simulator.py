from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from llmlab.errors import BadInput, UnknownName
from llmlab.protocol.clock import simulate
from llmlab.protocol.identity import request
from llmlab.protocol.sse import Events
from llmlab.wire.habits import HABITS
from llmlab.wire.latency import preset
from llmlab.wire.quota import Limits
from llmlab.wire.simulator import Simulator
from llmlab.wire.transport import SOURCE, TIMED, Reply

T = TypeVar("T")
PAGE = (
    '<document id="fees" title="Fees">Express shipping costs $18, whatever the value of the order.</document>\n'
    "Question: How much is express shipping?"
)
HELLO = [{"role": "user", "content": PAGE}]
KEY = {"authorization": "Bearer k"}


def run(work: Callable[[openai.AsyncOpenAI], Awaitable[T]], simulator: Simulator | None = None, **client: Any) -> T:
    async def main() -> T:
        transport = Simulator() if simulator is None else simulator
        async with openai.AsyncOpenAI(
            api_key="k", http_client=httpx2.AsyncClient(transport=transport), **{"max_retries": 0, **client}
        ) as made:
            return await work(made)

    return simulate(main())


def post(
    simulator: Simulator,
    now: float = 0.0,
    *,
    path: str = "/v1/chat/completions",
    timed: bool = False,
    headers: dict[str, str] = KEY,
    **body: Any,
) -> Reply:
    content = {"model": "gpt-4o", "messages": HELLO, **body}
    extensions = {TIMED: True} if timed else {}
    return simulator.plan(
        httpx2.Request("POST", f"https://api.openai.com{path}", json=content, headers=headers, extensions=extensions), now
    )


def get(simulator: Simulator, path: str, **headers: str) -> Reply:
    return simulator.plan(httpx2.Request("GET", f"https://api.openai.com{path}", headers={**KEY, **headers}), 0.0)


def body(reply: Reply) -> Any:
    return json.loads(b"".join(piece.data for piece in reply.pieces))


def header(reply: Reply, name: str) -> str | None:
    return dict(reply.headers).get(name.encode(), b"").decode() or None


# The client


def test_the_client_reads_a_whole_answer() -> None:
    answer = run(lambda client: client.chat.completions.create(model="gpt-4o", messages=HELLO))
    assert "$18" in (answer.choices[0].message.content or "")
    assert ("gpt-4o-2024-08-06", "stop", "default", "fp_simulated_0") == (
        answer.model,
        answer.choices[0].finish_reason,
        answer.service_tier,
        answer.system_fingerprint,
    )
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_the_client_reads_a_stream() -> None:
    async def work(client: openai.AsyncOpenAI) -> tuple[str, Any]:
        text, last = "", None
        async for chunk in await client.chat.completions.create(
            model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
        ):
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
            last = chunk
        return text, last

    text, last = run(work)
    whole = run(lambda client: client.chat.completions.create(model="gpt-4o", messages=HELLO))
    assert whole.choices[0].message.content == text
    assert whole.usage == last.usage


def test_the_client_parses_structured_output() -> None:
    class Answer(BaseModel):
        answer: str
        sources: list[str]
        sure: bool | None

    made = run(lambda client: client.chat.completions.parse(model="gpt-4o", messages=HELLO, response_format=Answer))
    parsed = made.choices[0].message.parsed
    assert parsed is not None
    assert "$18" in parsed.answer
    assert ["fees"] == parsed.sources


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a location",
        "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
    },
}


def test_the_client_puts_streamed_tool_calls_together() -> None:
    async def work(client: openai.AsyncOpenAI) -> Any:
        messages = [{"role": "user", "content": "What's the current weather in Seattle and San Francisco?"}]
        async with client.chat.completions.stream(model="gpt-4o", messages=messages, tools=[WEATHER]) as stream:
            async for _ in stream:
                pass
            return await stream.get_final_completion()

    choice = run(work).choices[0]
    assert "tool_calls" == choice.finish_reason
    assert ["Seattle", "San Francisco"] == [json.loads(call.function.arguments)["location"] for call in choice.message.tool_calls]


def test_the_synchronous_client_works_on_the_real_clock() -> None:
    client = openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=Simulator(latency=False)))
    assert "$18" in (client.chat.completions.create(model="gpt-4o", messages=HELLO).choices[0].message.content or "")
    text = "".join(
        chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    )
    assert "$18" in text
    assert "gpt-4o" == client.models.retrieve("gpt-4o").id


def test_the_client_lists_the_models() -> None:
    async def work(client: openai.AsyncOpenAI) -> list[str]:
        return [model.id async for model in client.models.list()]

    assert ["gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-2024-11-20"] == run(work, Simulator(["main"]))


@pytest.mark.parametrize(
    ("error", "settings", "asked"),
    [
        (openai.BadRequestError, {}, {"messages": []}),
        (openai.NotFoundError, {}, {"model": "gpt-9"}),
        (openai.NotFoundError, {"base_url": "https://api.openai.com/v2/nothing"}, {"stream": False, "extra_query": {}, "model": "gpt-9"}),
        (openai.AuthenticationError, {"api_key": "another"}, {}),
        (openai.RateLimitError, {"limits": {"gpt-4o": Limits(tokens_per_minute=5)}}, {}),
    ],
)
def test_the_client_raises_its_own_errors(error: type[openai.APIStatusError], settings: dict[str, Any], asked: dict[str, Any]) -> None:
    limits = settings.pop("limits", None)
    given = {"api_key": "k", **settings}

    async def main() -> None:
        simulator = Simulator(api_key="k", limits=limits)
        client = openai.AsyncOpenAI(http_client=httpx2.AsyncClient(transport=simulator), max_retries=0, **given)
        await client.chat.completions.create(**{"model": "gpt-4o", "messages": HELLO, **asked})

    with pytest.raises(error) as caught:
        simulate(main())
    assert caught.value.request_id


def test_the_client_retries_when_its_quota_is_full_again() -> None:
    async def work(client: openai.AsyncOpenAI) -> float:
        for _ in range(4):
            await client.chat.completions.create(model="gpt-4o", messages=HELLO)
        return asyncio.get_running_loop().time()

    limits = {"gpt-4o": Limits(requests_per_minute=3)}
    assert 20.0 < run(work, Simulator(limits=limits), max_retries=2) < 60.0
    with pytest.raises(openai.RateLimitError, match="Limit 3, Used"):
        run(work, Simulator(limits=limits))


# Bytes


def test_the_same_attempt_gets_the_same_bytes() -> None:
    def once(noise: int) -> bytes:
        simulator = Simulator(seed=3)
        for number in range(noise):
            with request("other", number):
                post(simulator)
        with request("q1", 0):
            return b"".join(piece.data for piece in post(simulator, stream=True).pieces)

    assert once(0) == once(7)


def test_another_attempt_repetition_or_seed_is_another_take() -> None:
    simulator = Simulator()
    with request("q1", 0):
        first, second = post(simulator), post(simulator)
    with request("q1", 1):
        third = post(simulator)
    with request("q1", 0):
        fourth = post(Simulator(seed=1))
    assert 4 == len({body(reply)["id"] for reply in (first, second, third, fourth)})
    assert 4 == len({header(reply, "x-request-id") for reply in (first, second, third, fourth)})


def test_a_seed_in_the_request_makes_takes_alike() -> None:
    simulator = Simulator()
    said = {body(post(simulator, seed=5))["choices"][0]["message"]["content"] for _ in range(30)}
    assert 1 == len(said) < len({body(post(simulator))["choices"][0]["message"]["content"] for _ in range(30)})


def test_streamed_and_whole_answers_say_the_same() -> None:
    for number in range(10):
        with request("q", number):
            whole = body(post(Simulator()))
        with request("q", number):
            pieces = post(Simulator(), stream=True).pieces
        reader = Events()
        chunks = [json.loads(field) for piece in pieces for field in reader.feed(piece.data) if field != b"[DONE]"]
        assert whole["choices"][0]["message"]["content"] == "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
        assert {whole["id"]} == {chunk["id"] for chunk in chunks}


def test_the_reply_says_what_it_is() -> None:
    reply = post(Simulator())
    assert "simulator" == header(reply, "x-llmlab-source") == reply.extensions[SOURCE]
    assert ("application/json", "2020-10-01", "10000", "9999") == (
        header(reply, "content-type"),
        header(reply, "openai-version"),
        header(reply, "x-ratelimit-limit-requests"),
        header(reply, "x-ratelimit-remaining-requests"),
    )
    assert str(len(reply.pieces[0].data)) == header(reply, "content-length")
    assert int(header(reply, "openai-processing-ms") or 0) == pytest.approx(reply.headers_at * 1000, abs=1)
    streamed = post(Simulator(), stream=True)
    assert "text/event-stream; charset=utf-8" == header(streamed, "content-type")
    assert header(streamed, "content-length") is None
    assert 1 < len(streamed.pieces)


@pytest.mark.parametrize(
    ("asked", "reason", "check"),
    [
        ({"stop": " costs"}, "stop", lambda text: "costs" not in text and "xpress shipping" in text),
        ({"stop": ["nowhere", "$"]}, "stop", lambda text: "$" not in text),
        ({"max_tokens": 3}, "length", lambda text: text),
        ({"max_completion_tokens": 3}, "length", lambda text: text),
        ({"max_tokens": 500}, "stop", lambda text: "$18" in text),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_answers_end_where_they_are_told_to(asked: dict[str, Any], reason: str, check: Callable[[str], Any], stream: bool) -> None:
    async def work(client: openai.AsyncOpenAI) -> Any:
        if not stream:
            return await client.chat.completions.create(model="gpt-4o", messages=HELLO, seed=1, **asked)
        async with client.chat.completions.stream(
            model="gpt-4o", messages=HELLO, seed=1, stream_options={"include_usage": True}, **asked
        ) as made:
            async for _ in made:
                pass
            return made._state.current_completion_snapshot  # type: ignore[attr-defined]

    made = run(work)
    assert reason == made.choices[0].finish_reason
    assert check(made.choices[0].message.content)
    assert "length" != reason or 3 == made.usage.completion_tokens


def test_hidden_reasoning_counts_and_may_use_up_everything() -> None:
    cut = body(post(Simulator(), model="gpt-5.2", max_completion_tokens=20))
    assert ("", "length") == (cut["choices"][0]["message"]["content"], cut["choices"][0]["finish_reason"])
    assert 20 == cut["usage"]["completion_tokens"] == cut["usage"]["completion_tokens_details"]["reasoning_tokens"]
    usage = body(post(Simulator(), model="gpt-5.2"))["usage"]
    assert 0 < usage["completion_tokens_details"]["reasoning_tokens"] < usage["completion_tokens"]
    thinking = usage["completion_tokens_details"]["reasoning_tokens"]
    short = body(post(Simulator(), model="gpt-5.2", max_completion_tokens=thinking + 2))
    assert thinking + 2 == short["usage"]["completion_tokens"]
    assert short["choices"][0]["message"]["content"]


def test_tool_calls_are_cut_as_well() -> None:
    messages = [{"role": "user", "content": "What's the current weather in Seattle and San Francisco?"}]
    whole = body(post(Simulator(), messages=messages, tools=[WEATHER]))
    size = whole["usage"]["completion_tokens"]
    for limit in (1, 12, size // 2 + 2, size - 1, size):
        cut = body(post(Simulator(), messages=messages, tools=[WEATHER], max_tokens=limit))
        assert ("tool_calls" if limit == size else "length") == cut["choices"][0]["finish_reason"]
        assert limit >= cut["usage"]["completion_tokens"]
    assert 2 == len(whole["choices"][0]["message"]["tool_calls"])


def test_several_choices() -> None:
    made = body(post(Simulator(), n=3))
    assert [0, 1, 2] == [choice["index"] for choice in made["choices"]]
    assert 3 == len(body(post(Simulator(), n=3, model="gpt-5.2"))["choices"])


# Refusals


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/v1/completion", 404, "Invalid URL (POST /v1/completion)"),
        ("GET", "/", 404, "Invalid URL (GET /)"),
        ("GET", "/v1/models/gpt-9", 404, "The model `gpt-9` does not exist or you do not have access to it."),
        (
            "GET",
            "/v1/chat/completions",
            405,
            "Not allowed to GET on /v1/chat/completions. (HINT: Perhaps you meant to use a different HTTP method?)",
        ),
        ("POST", "/v1/models", 405, "Not allowed to POST on /v1/models. (HINT: Perhaps you meant to use a different HTTP method?)"),
        (
            "DELETE",
            "/v1/models/gpt-4o",
            405,
            "Not allowed to DELETE on /v1/models/gpt-4o. (HINT: Perhaps you meant to use a different HTTP method?)",
        ),
    ],
)
def test_addresses_that_are_not_there(method: str, path: str, status: int, message: str) -> None:
    reply = Simulator().plan(httpx2.Request(method, f"https://api.openai.com{path}", headers=KEY), 0.0)
    assert (status, message) == (reply.status, body(reply)["error"]["message"])
    assert header(reply, "x-ratelimit-limit-requests") is None
    assert header(reply, "x-request-id")


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[1]", b'"hello"', b"\xff\xfe"])
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    reply = Simulator().plan(httpx2.Request("POST", "https://api.openai.com/v1/chat/completions", content=content, headers=KEY), 0.0)
    assert 400 == reply.status
    assert body(reply)["error"]["message"].startswith("We could not parse the JSON body of your request.")


@pytest.mark.parametrize("model", [None, "", 5])
def test_a_model_must_be_named(model: Any) -> None:
    reply = post(Simulator(), model=model)
    assert (400, "you must provide a model parameter") == (reply.status, body(reply)["error"]["message"])


def test_models_that_are_not_served_are_unknown() -> None:
    assert 404 == post(Simulator(["fast"])).status
    assert 404 == post(Simulator(), model="main").status
    assert "model_not_found" == body(post(Simulator(), model="gpt-9"))["error"]["code"]


@pytest.mark.parametrize("given", [{}, {"authorization": ""}, {"authorization": "Basic abc"}, {"authorization": "Bearer "}])
def test_without_a_key_nothing_is_answered(given: dict[str, str]) -> None:
    reply = post(Simulator(), headers=given)
    assert 401 == reply.status
    assert body(reply)["error"]["message"].startswith("You didn't provide an API key.")


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("sk-abcdefghijklmnopqrstuvwx", "sk-abcde***************uvwx"),
        ("short", "sh**rt"),
        ("sk-1234567890", "sk*********90"),
    ],
)
def test_a_wrong_key_is_refused_and_masked(key: str, shown: str) -> None:
    reply = post(Simulator(api_key="secret-of-the-test"), headers={"authorization": f"Bearer {key}"})
    assert (401, "invalid_api_key") == (reply.status, body(reply)["error"]["code"])
    page = "https://platform.openai.com/account/api-keys"
    assert f"Incorrect API key provided: {shown}. You can find your API key at {page}." == body(reply)["error"]["message"]
    assert 200 == post(Simulator(api_key="x"), headers={"authorization": "bearer x"}).status


def test_quotas_refuse_with_headers_and_refill() -> None:
    simulator = Simulator(limits={"main": Limits(requests_per_minute=3)})
    assert [200, 200, 200, 429] == [post(simulator).status for _ in range(4)]
    refused = post(simulator)
    expected = {
        "message": "Rate limit reached for gpt-4o in organization org-llmlab on requests per min (RPM): Limit 3, Used 3, Requested 1. "
        "Please try again in 20s. Visit https://platform.openai.com/account/rate-limits to learn more.",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert expected == body(refused)["error"]
    assert ("20", "20000", "0", "1m0s") == tuple(
        header(refused, name) for name in ("retry-after", "retry-after-ms", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")
    )
    assert 200 == post(simulator, 20.0).status


def test_quotas_are_kept_by_key_and_model_and_shared_by_snapshots() -> None:
    simulator = Simulator(limits={"gpt-4o": Limits(requests_per_minute=1)})
    assert [200, 429] == [post(simulator).status, post(simulator, model="gpt-4o-2024-11-20").status]
    assert 200 == post(simulator, model="gpt-4o-mini").status
    assert 200 == post(simulator, headers={"authorization": "Bearer other"}).status


def test_the_answers_tokens_are_charged_as_many_as_may_come() -> None:
    simulator = Simulator(limits={"gpt-4o": Limits(tokens_per_minute=1000)})
    assert 200 == post(simulator, max_tokens=900).status
    assert "tokens" == body(post(simulator, max_tokens=900))["error"]["type"]
    never = post(Simulator(limits={"gpt-4o": Limits(tokens_per_minute=1000)}), max_tokens=5000)
    assert (429, None) == (never.status, header(never, "retry-after"))
    assert "Request too large for gpt-4o" in body(never)["error"]["message"]


def test_what_is_remembered_of_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmlab.wire.simulator._REMEMBERED", 2)
    simulator = Simulator()
    for name in "abc":
        post(simulator, headers={"authorization": f"Bearer {name}"})
    assert 1 == len(simulator._quotas)


# Time


def times(name: str = "q1", model: str = "gpt-4o") -> tuple[float, float]:
    key = (name, "chat", model, 0)
    chat = preset("chat")
    return chat.first_token_seconds(0, "Latency", "first_token", *key), chat.seconds_per_token(0, "Latency", "per_token", *key)


def test_a_whole_answer_comes_after_all_of_its_tokens() -> None:
    with request("q1"):
        reply = post(Simulator())
    first, per_token = times("q1/0")
    expected = first + body(reply)["usage"]["completion_tokens"] * per_token
    assert expected == pytest.approx(reply.headers_at, abs=2e-6)
    assert [reply.headers_at] == [piece.at for piece in reply.pieces]


def test_a_stream_brings_role_and_first_token_with_its_headers_then_a_token_at_a_time() -> None:
    with request("q1"):
        reply = post(Simulator(), stream=True)
    first, per_token = times("q1/0")
    tokens = len(reply.pieces) - 3
    assert first == reply.headers_at == reply.pieces[0].at == reply.pieces[1].at
    assert [pytest.approx(first + number * per_token, abs=2e-6) for number in range(tokens)] == [
        piece.at for piece in reply.pieces[1 : tokens + 1]
    ]
    assert reply.pieces[tokens].at == reply.pieces[-1].at


def test_a_reasoning_model_is_silent_while_it_thinks() -> None:
    reply = post(Simulator(), stream=True, model="gpt-5.2", stream_options={"include_usage": True})
    assert reply.pieces[0].at == reply.headers_at
    assert reply.pieces[1].at - reply.headers_at > 0.3


def test_models_have_times_of_their_own() -> None:
    slow = Simulator({"gpt-4o": replace(HABITS["gpt-4o-2024-08-06"], latency="replicate", first_token_factor=2.0)})
    with request("q1"):
        reply = post(slow, stream=True)
    key = ("q1/0", "chat", "gpt-4o", 0)
    assert 2 * preset("replicate").first_token_seconds(0, "Latency", "first_token", *key) == pytest.approx(reply.headers_at)


@pytest.mark.parametrize("stream", [False, True])
def test_everything_comes_at_once_where_the_weather_sets_the_times(stream: bool) -> None:
    with request("q1"):
        timed = post(Simulator(), timed=True, stream=stream)
    with request("q1"):
        instant = post(Simulator(latency=False), stream=stream)
    with request("q1"):
        normal = post(Simulator(), stream=stream)
    assert 0.0 == timed.headers_at == instant.headers_at
    assert {0.0} == {piece.at for piece in (*timed.pieces, *instant.pieces)}
    assert [piece.data for piece in normal.pieces] == [piece.data for piece in timed.pieces] == [piece.data for piece in instant.pieces]


def test_refusals_and_lists_take_a_moment() -> None:
    assert 0.02 == post(Simulator(), model="gpt-9").headers_at == get(Simulator(), "/v1/models").headers_at
    assert 0.0 == post(Simulator(latency=False), model="gpt-9").headers_at == get(Simulator(latency=False), "/v1/models/gpt-4o").headers_at


def test_a_queue_makes_later_requests_wait() -> None:
    simulator = Simulator(slots=1)
    with request("a"):
        first = post(simulator)
    with request("b"):
        second = post(simulator)
    with request("b"):
        alone = post(Simulator())
    assert first.headers_at + alone.headers_at == pytest.approx(second.headers_at, abs=2e-6)
    assert header(alone, "openai-processing-ms") == header(second, "openai-processing-ms")
    with request("c"):
        later = post(simulator, 1000.0)
    with request("c"):
        assert post(Simulator()).headers_at == later.headers_at


def test_a_queue_delays_streams_and_timed_answers_too_but_nothing_without_latency() -> None:
    simulator = Simulator(slots={"gpt-4o": 1})
    with request("a"):
        first = post(simulator)
    with request("b"):
        streamed = post(simulator, stream=True)
    with request("c"):
        timed = post(simulator, timed=True)
    assert streamed.headers_at > first.headers_at
    assert streamed.pieces[-1].at == pytest.approx(timed.headers_at, abs=0.05)
    with request("d"):
        assert post(simulator, model="gpt-4o-mini").headers_at < first.headers_at + 10
    instant = Simulator(slots=1, latency=False)
    assert [0.0, 0.0] == [post(instant).headers_at, post(instant).headers_at]


def test_reset_and_a_new_clock_empty_the_queue_and_fill_the_buckets() -> None:
    simulator = Simulator(slots=1, limits={"gpt-4o": Limits(requests_per_minute=1)})
    with request("a"):
        first = post(simulator, 5.0)
    assert 429 == post(simulator, 5.0).status
    simulator.reset()
    with request("a"):
        assert (200, first.headers_at) == ((again := post(simulator, 5.0)).status, again.headers_at)
    with request("a"):
        assert (200, first.headers_at) == ((again := post(simulator, 0.0)).status, again.headers_at)


def test_the_longer_the_queue_the_longer_the_wait() -> None:
    async def work(client: openai.AsyncOpenAI) -> list[float]:
        clock = asyncio.get_running_loop().time

        async def one(number: int) -> float:
            with request(f"q{number}"):
                began = clock()
                await client.chat.completions.create(model="gpt-4o", messages=HELLO)
                return clock() - began

        return list(await asyncio.gather(*(one(number) for number in range(30))))

    unlimited, queued = run(work), run(work, Simulator(slots=3))
    assert all(free <= waited + 1e-6 for free, waited in zip(unlimited, queued, strict=True))
    assert max(queued) > sum(unlimited) / 3 * 0.8
    assert queued == run(work, Simulator(slots=3))


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["gpt-4o", "gpt-4o-mini"])), min_size=1, max_size=12))
def test_the_order_of_requests_changes_no_answer(asked: list[tuple[int, str]]) -> None:
    asked = list(dict.fromkeys(asked))

    def answers(order: list[tuple[int, str]]) -> dict[tuple[int, str], tuple[float, bytes]]:
        simulator, made = Simulator(seed=5), {}
        for number, model in order:
            with request(f"q{number}"):
                reply = post(simulator, model=model)
            made[number, model] = (reply.headers_at, reply.pieces[0].data)
        return made

    assert answers(asked) == answers(asked[::-1])


# Construction


@pytest.mark.parametrize(
    "settings",
    [{"models": ["gpt-9"]}, {"models": {"gpt-4o": "gpt-1"}}, {"limits": {"gpt-9": Limits()}}, {"slots": {"gpt-9": 1}}],
)
def test_unknown_names_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UnknownName, match="there is no"):
        Simulator(**settings)


@pytest.mark.parametrize("settings", [{"slots": 0}, {"slots": {"gpt-4o": -1}}, {"limits": {"gpt-4o": 3}}, {"models": []}])
def test_what_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Simulator(**settings)


def test_a_name_can_be_moved_to_the_newer_snapshot() -> None:
    moved = Simulator({"gpt-4o": "gpt-4o-2024-11-20"})
    assert "gpt-4o-2024-11-20" == body(post(moved))["model"]
    assert "gpt-4o-2024-08-06" == body(post(moved, model="gpt-4o-2024-08-06"))["model"]
    assert "Simulator(['gpt-4o-mini', 'gpt-4o', 'gpt-5.2'], seed=0)" == repr(moved)


def test_a_question_of_a_megabyte_is_refused_for_its_length() -> None:
    reply = post(Simulator(), messages=[{"role": "user", "content": "why " * 262_144}])
    assert (400, "context_length_exceeded") == (reply.status, body(reply)["error"]["code"])
