from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest

from llmlab.errors import BadInput
from llmlab.protocol import tokens
from llmlab.protocol.clock import simulate
from llmlab.wire.chaos import Chaos
from llmlab.wire.faults import ConnectionRefused, MissingUsage, Quota, ServerError
from llmlab.wire.simulator import Simulator

MESSAGES = [{"role": "user", "content": "May I send it back?"}]
PROMPT = tokens.count_messages(MESSAGES)


def post(
    key: str = "a", model: str = "gpt-4o", most: int | None = 100, stream: bool = False, path: str = "/chat/completions"
) -> httpx2.Request:
    body: dict[str, Any] = {"model": model, "messages": MESSAGES, "stream": stream}
    if most is not None:
        body["max_tokens"] = most
    if stream:
        body["stream_options"] = {"include_usage": True}
    return httpx2.Request("POST", f"https://api.openai.com/v1{path}", json=body, headers={"authorization": f"Bearer {key}"})


async def ask(chaos: Chaos, **asked: Any) -> httpx2.Response:
    response = await chaos.handle_async_request(post(**asked))
    await response.aread()
    await response.aclose()
    return response


def test_requests_are_refused_beyond_their_quota_with_the_true_time_to_wait() -> None:
    async def main() -> None:
        chaos = Chaos(Simulator(latency=False), Quota(requests_per_minute=2))
        statuses = [(await ask(chaos)).status_code for _ in range(2)]
        refused = await ask(chaos)
        assert [200, 200, 429] == [*statuses, refused.status_code]
        assert ("30", "0") == (refused.headers["retry-after"], refused.headers["x-ratelimit-remaining-requests"])
        assert "requests" == refused.json()["error"]["type"]
        await asyncio.sleep(int(refused.headers["retry-after-ms"]) / 1000 - 0.05)
        assert 429 == (await ask(chaos)).status_code, "a moment too early"
        await asyncio.sleep(0.05)
        assert 200 == (await ask(chaos)).status_code
        effects = ["429, requests, retry after 30.000 s", "429, requests, retry after 0.030 s"]
        assert effects == [line.effect for line in chaos.journal], "only refusals, the first of which took 0.02 s"

    simulate(main())


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_charged_and_not_used_comes_back(stream: bool) -> None:
    async def main() -> None:
        chaos = Chaos(Simulator(latency=False), Quota(tokens_per_minute=1000))
        first = await ask(chaos, stream=stream)
        assert str(1000 - PROMPT - 100) == first.headers["x-ratelimit-remaining-tokens"]
        if stream:
            [usage] = [json.loads(line[6:])["usage"] for line in first.text.split("\n\n") if '"usage":{' in line]
        else:
            usage = first.json()["usage"]
        second = await ask(chaos, stream=stream)
        assert str(1000 - usage["total_tokens"] - PROMPT - 100) == second.headers["x-ratelimit-remaining-tokens"]

    simulate(main())


def test_without_usage_the_tokens_are_counted() -> None:
    async def main() -> list[int]:
        left = []
        for more in ([], [MissingUsage()]):
            chaos = Chaos(Chaos(Simulator(latency=False), *more), Quota(tokens_per_minute=1000))
            await ask(chaos, stream=True)
            left.append(int((await ask(chaos)).headers["x-ratelimit-remaining-tokens"]))
        return left

    told, counted = simulate(main())
    assert told == counted


def test_more_than_a_minute_holds_is_never_answered() -> None:
    async def main() -> None:
        chaos = Chaos(Simulator(latency=False), Quota(tokens_per_minute=50))
        refused = await ask(chaos, most=100)
        assert 429 == refused.status_code
        assert "retry-after" not in refused.headers
        assert ["429, tokens"] == [line.effect for line in chaos.journal]

    simulate(main())


def test_so_many_at_once() -> None:
    async def main() -> None:
        chaos = Chaos(Simulator(), Quota(concurrency=2))
        answers = await asyncio.gather(*(ask(chaos, stream=number == 0) for number in range(3)))
        assert [200, 200, 429] == [answer.status_code for answer in answers]
        assert ["429, 2 at once already"] == [line.effect for line in chaos.journal]
        assert [200, 200] == [answer.status_code for answer in await asyncio.gather(ask(chaos), ask(chaos))]

    simulate(main())


def test_however_an_attempt_ends_its_place_is_free_again() -> None:
    async def main() -> None:
        chaos = Chaos(Simulator(), Quota(concurrency=1), ServerError().nth(1), ConnectionRefused().nth(2))
        assert 500 == (await ask(chaos)).status_code
        with pytest.raises(httpx2.ConnectError):
            await ask(chaos)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(chaos), 0.01)
        response = await chaos.handle_async_request(post(stream=True))
        assert 429 == (await ask(chaos)).status_code, "the stream is still open"
        await response.aclose()
        assert 200 == (await ask(chaos)).status_code

    simulate(main())


def test_keys_and_models_have_quotas_of_their_own() -> None:
    async def main() -> list[int]:
        chaos = Chaos(Simulator(latency=False), Quota(requests_per_minute=1))
        asked = [{}, {"key": "b"}, {"model": "gpt-4o-mini"}, {}]
        return [(await ask(chaos, **one)).status_code for one in asked]

    assert [200, 200, 200, 429] == simulate(main())


def test_what_is_refused_already_or_is_no_chat_is_not_charged() -> None:
    async def main() -> None:
        chaos = Chaos(Simulator(latency=False), ServerError().nth(1), Quota(requests_per_minute=1))
        assert 500 == (await ask(chaos)).status_code
        assert "x-ratelimit-remaining-requests" not in (await ask(chaos, path="/embeddings")).headers
        assert 200 == (await ask(chaos, most=None)).status_code
        assert 429 == (await ask(chaos)).status_code
        chaos.reset()
        assert 500 == (await ask(chaos)).status_code
        assert 200 == (await ask(chaos)).status_code

    simulate(main())


@pytest.mark.parametrize(
    ("message", "attributes"),
    [
        ("requests_per_minute is a number of at least 1, not 0", {"requests_per_minute": 0}),
        ("tokens_per_minute is a number of at least 1, not 'many'", {"tokens_per_minute": "many"}),
        ("Quota: concurrency is a whole number of at least 1, not 0", {"concurrency": 0}),
    ],
)
def test_what_cannot_be_is_refused(message: str, attributes: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=message):
        Quota(**attributes)
