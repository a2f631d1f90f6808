"""What is measured for each budget of the bench."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import openai

from llmlab.lab.bench import MEASURES, ROUNDS, Figure, Work, beside, each, measures, medians
from llmlab.pipeline.cache import Cache
from llmlab.pipeline.pipeline import Pipeline
from llmlab.pipeline.route import Route
from llmlab.pipeline.routing import Hedge
from llmlab.protocol import sse
from llmlab.protocol.clock import simulate
from llmlab.wire.chaos import Chaos
from llmlab.wire.client import BASE_URL, client
from llmlab.wire.faults import FAULTS

looptime: Any = import_module("looptime") if find_spec("looptime") else None
QUESTION = "Can I still send back the machine that I bought five weeks ago if I have baked with it twice?"
DOCUMENTS = [" ".join(f"Sentence {part} of document {number} has words in it." for part in range(17)) for number in range(3)]
PIECES = ["You ", *["word "] * 78, "end."]
USAGE = {"prompt_tokens": 640, "completion_tokens": 80, "total_tokens": 720}
HEAD = {"id": "chatcmpl-bench", "created": 1767225600, "model": "gpt-4o-2024-08-06", "system_fingerprint": "fp_bench"}


def _chunk(delta: dict[str, str], finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    choices = [] if usage else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    value = {**HEAD, "object": "chat.completion.chunk", "choices": choices, "usage": usage}
    return sse.encode(json.dumps(value, separators=(",", ":")).encode())


STREAM = [_chunk({"role": "assistant", "content": ""}), *(_chunk({"content": piece}) for piece in PIECES)]
STREAM += [_chunk({}, "stop"), _chunk({}, usage=USAGE), b"data: [DONE]\n\n"]
MESSAGE = {
    "index": 0,
    "message": {"role": "assistant", "content": "".join(PIECES), "refusal": None},
    "logprobs": None,
    "finish_reason": "stop",
}
WHOLE = json.dumps({**HEAD, "object": "chat.completion", "choices": [MESSAGE], "usage": USAGE}).encode()


class _Chunks(httpx2.AsyncByteStream):
    def __aiter__(self) -> _Chunks:
        self._left = iter(STREAM)
        return self

    async def __anext__(self) -> bytes:
        for data in self._left:
            return data
        raise StopAsyncIteration


class _Answers(httpx2.AsyncBaseTransport):
    """Answers at once, with the same bytes each time."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if b'"stream":true' in request.content:
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=_Chunks())
        return httpx2.Response(200, headers={"content-type": "application/json"}, content=WHOLE)


def _messages() -> list[Any]:
    return Pipeline().prompt.messages(QUESTION, DOCUMENTS)


def _numbered(messages: list[Any], number: int) -> list[Any]:
    *first, last = messages
    return [*first, {**last, "content": f"{last['content']} ({number})"}]


def _create(on: httpx2.AsyncBaseTransport) -> Work:
    bare, messages = client(on), _messages()
    return lambda: bare.chat.completions.create(model="gpt-4o", messages=messages)


@measures("pipeline_plain")
def pipeline_plain() -> Figure:
    """The pipeline without guards beside one bare call, on the same transport."""
    on = _Answers()
    pipeline = Pipeline(routes=[Route("main", model="main", stream=False)], guards_in=(), client=client(on))
    ours, theirs, ratio = beside(lambda: pipeline.ask(QUESTION, DOCUMENTS), _create(on), 150)
    return Figure("pipeline_plain", ours * 1e6, "us a request", theirs * 1e6, ratio, 150, "bare create()", "<= 0.8 x")


@measures("pipeline_stream")
def pipeline_stream() -> Figure:
    """The pipeline's stream beside the SDK's, a chunk; hedge, fallback and cache stand ready."""
    on = _Answers()
    routes = [Route("main", model="main"), Route("fast", model="fast")]
    pipeline = Pipeline(routes=routes, hedge=Hedge(), cache=Cache(), guards_in=(), client=client(on))
    bare, messages = client(on), _messages()
    turn = iter(range(10**9))

    async def ours() -> None:
        async for _ in pipeline.stream(f"{QUESTION} ({next(turn)})", DOCUMENTS):
            pass

    async def theirs() -> None:
        stream = await bare.chat.completions.create(model="gpt-4o", messages=messages, stream=True, stream_options={"include_usage": True})
        async for _ in stream:
            pass

    mine, others, ratio = beside(ours, theirs, 30)
    count = len(STREAM)
    return Figure(
        "pipeline_stream", mine / count * 1e6, "us a chunk", others / count * 1e6, ratio, 30 * count, "the SDK's stream", "<= 0.3 x"
    )


def _raw(on: httpx2.AsyncBaseTransport, body: dict[str, Any]) -> Work:
    """Return one request straight to a transport, read to its end: no client, whose cost would drown what is measured."""
    content = json.dumps(body, separators=(",", ":")).encode()

    async def go() -> None:
        request = httpx2.Request("POST", f"{BASE_URL}/chat/completions", content=content)
        response = await on.handle_async_request(request)
        async for _ in response.stream:  # type: ignore[union-attr]
            pass

    return go


_KINDS = ("LatencySpike", "RateLimit", "ServerError", "CutStream", "ChangedNumber")
ARMED = tuple(FAULTS[kind](name=f"{kind} {number}", probability=1e-9) for kind in _KINDS for number in range(4))
"""Faults whose draws are made for every request and that do not fire; with probability 0 they would not even be drawn."""


def _idle(name: str, stream: bool, parts: int, unit: str, budget: str) -> Figure:
    """What Chaos adds to each of `parts` where faults are armed and none fires."""
    body = {"model": "gpt-4o", "messages": _messages(), **({"stream": True} if stream else {})}
    calm = Chaos(_Answers(), *ARMED)
    _, theirs, ratio = beside(_raw(calm, body), _raw(_Answers(), body), 300)
    against = f"the transport without Chaos and its {len(ARMED)} armed faults"
    return Figure(name, theirs * (ratio - 1) / parts * 1e6, unit, theirs / parts * 1e6, ratio, 300 * parts, against, budget)


MEASURES["chaos_request"] = partial(_idle, "chaos_request", False, 1, "us added a request", "<= 50 us, with 20 faults <= 80 us")
MEASURES["chaos_chunk"] = partial(_idle, "chaos_chunk", True, len(STREAM), "us added a chunk", "<= 4 us")


def _cassette(count: int) -> Figure:
    """Replay among `count` interactions beside the bare client."""
    from llmlab.wire.cassette import Cassette

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.json"
        messages = _messages()

        async def record() -> None:
            cassette = Cassette(path, _Answers(), record_mode="all")
            send = client(cassette)
            for number in range(count):
                await send.post(
                    "/chat/completions", body={"model": "gpt-4o", "messages": _numbered(messages, number)}, cast_to=httpx2.Response
                )
            cassette.flush()

        asyncio.run(record())
        replay, bare = client(Cassette(path)), client(_Answers())
        turn = iter(range(10**9))

        def create(on: openai.AsyncOpenAI) -> Work:
            return lambda: on.chat.completions.create(model="gpt-4o", messages=_numbered(messages, next(turn) * 7 % count))

        ours, theirs, ratio = beside(create(replay), create(bare), 100)
    return Figure(f"cassette_{count}", ours * 1e6, "us a request", theirs * 1e6, ratio, 100, "the bare client", "<= 1.3 x, flat")


MEASURES["cassette_10"] = partial(_cassette, 10)
MEASURES["cassette_10000"] = partial(_cassette, 10_000)


def _vcrpy(count: int) -> Figure:
    """What the library vcrpy takes among `count` interactions, matched on the body as ours is, for comparison."""
    import vcr

    messages = _messages()

    def handle(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "application/json"}, content=WHOLE)

    recorder = vcr.VCR(match_on=["method", "uri", "body"], record_mode="new_episodes")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "bench.yaml")

        async def go() -> tuple[float, float]:
            on, bare = client(httpx2.MockTransport(handle)), client(_Answers())
            with recorder.use_cassette(path, allow_playback_repeats=True):
                for number in range(count):
                    await on.chat.completions.create(model="gpt-4o", messages=_numbered(messages, number))
                turn = iter(range(10**9))
                ours = await each(
                    lambda: on.chat.completions.create(model="gpt-4o", messages=_numbered(messages, next(turn) * 7 % count)), 30
                )
            return ours, await each(lambda: bare.chat.completions.create(model="gpt-4o", messages=messages), 30)

        ours, theirs = asyncio.run(go())
    return Figure(f"vcrpy_{count}", ours * 1e6, "us a request", theirs * 1e6, ours / theirs, 30, "the bare client", "(for comparison)")


MEASURES["vcrpy_10"] = partial(_vcrpy, 10)
MEASURES["vcrpy_300"] = partial(_vcrpy, 300)


@measures("clock")
def clock() -> Figure:
    """A bare timer of the virtual clock beside looptime's (or, without it, beside asyncio's own real loop)."""
    times = 5_000

    async def sleeps(seconds: float) -> None:
        for _ in range(times):
            await asyncio.sleep(seconds)

    def reference() -> None:
        if looptime is None:
            asyncio.run(sleeps(1e-9))
            return
        loop = looptime.patch_event_loop(asyncio.SelectorEventLoop(), _enabled=True)
        try:
            loop.run_until_complete(sleeps(1))
        finally:
            loop.close()

    def each_takes(run: Callable[[], None]) -> float:
        started = time.perf_counter()
        run()
        return (time.perf_counter() - started) / times

    pairs = [(each_takes(lambda: simulate(sleeps(1))), each_takes(reference)) for _ in range(ROUNDS)]
    ours, theirs, ratio = medians(pairs)
    against = "looptime" if looptime else "asyncio's own loop (looptime is not installed)"
    return Figure("clock", ours * 1e6, "us a timer", theirs * 1e6, ratio, times, against, "<= 0.5 x")


@measures("serve")
def served() -> Figure:
    """What a simulator behind a real port answers to another process, on one core."""
    from llmlab.lab.port_load import requests_per_second

    rate = requests_per_second({"model": "gpt-4o", "messages": _messages()}, 3_000)
    return Figure("serve", rate, "requests/s", None, None, 3_000, "", ">= 1,000")


@measures("gameday")
def gameday() -> Figure:
    """The whole game day, on real seconds."""
    from llmlab.lab.gameday import play

    started = time.perf_counter()
    play(requests=500)
    return Figure("gameday", time.perf_counter() - started, "s", None, None, 1, "", "<= 30 s")


@measures("memory")
def memory() -> Figure:
    """What a run keeps for each request: what is freed when it is thrown away."""
    import tracemalloc

    from llmlab.lab.apps import naive
    from llmlab.lab.lab import Lab

    lab, requests = Lab(source="simulator"), 1000
    lab.run(naive, requests=200)
    tracemalloc.start()
    try:
        runs = [lab.run(naive, requests=requests)]
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        runs.clear()
        gc.collect()
        kept = before - tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    return Figure("memory", kept / requests, "bytes a request", None, None, requests, "", "< 2,048")


@measures("import")
def import_() -> Figure:
    """Importing llmlab beside importing openai, each in a process of its own."""

    def seconds(module: str) -> float:
        code = f"import time; s = time.perf_counter(); import {module}; print(time.perf_counter() - s)"
        return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

    ours, theirs, ratio = medians([(seconds("openai, llmlab"), seconds("openai")) for _ in range(ROUNDS)])
    return Figure("import", ours * 1e3, "ms", theirs * 1e3, ratio, ROUNDS, "import openai", "<= 1.15 x")
