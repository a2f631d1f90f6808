"""The storm's provider, light enough for thousands of attempts a second: slots, a queue, and always the same short answer.

What an attempt says is of no interest in a storm; when it is answered is all. So there is no simulator here, and no HTTP: a client that
hands the pipeline's request straight to the queue. The same run through an unmodified client (`sdk=True`) gives the same rows and takes
three times as long; a test holds that.

Notebook: 03_retries_and_fallbacks.ipynb
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx2
import openai
from pydantic_core import to_json

from llmlab.protocol import identity
from llmlab.protocol.draws import exponential, microseconds, uniform
from llmlab.protocol.models import resolve
from llmlab.wire.client import DUMMY_KEY, client
from llmlab.wire.faults import BrownOut
from llmlab.wire.queueing import Closure, Slots
from llmlab.wire.transport import Piece, Planned, Reply

FLOOR_SECONDS, MEAN_BEYOND_SECONDS = 0.5, 0.5
"""An answer takes a floor and an exponential part (in seconds)."""
MEAN_SECONDS = FLOOR_SECONDS + MEAN_BEYOND_SECONDS
MAIN, FAST = resolve("main"), resolve("fast")
_JSON = [(b"content-type", b"application/json")]


class Served(NamedTuple):
    """One attempt, as the provider saw it. Times are seconds since the provider was made."""

    request: str
    model: str
    sent_at: float
    wait: float
    """In the queue (in seconds)."""
    service: float
    """In its slot (in seconds), whether or not anybody still waits for it."""


class Provider(Planned):
    """Answers from slots, first come, first served. Who has given up still takes its slot: the provider does not know.

    Args:
        slots: Answers at once, by model.
        brown_out: When the main model loses capacity, or None. The other one is a provider of its own, and stays well.
        seed: Of the service times, which belong to request, model and attempt.
    """

    def __init__(self, slots: Mapping[str, int], brown_out: BrownOut | None, seed: int) -> None:
        self._slots = {model: Slots(count) for model, count in slots.items()}
        self._closures: tuple[Closure, ...] = (brown_out.closure(0.0),) if brown_out else ()
        self._closed_until = brown_out.start_seconds + brown_out.duration_seconds if brown_out else 0.0
        self._seed = seed
        self._sent: dict[tuple[str, str], int] = {}
        self.served: list[Served] = []
        """Every attempt, in the order of sending."""

    def admit(self, model: str, now: float) -> float:
        """Take an attempt in and return how long it takes, queue and all (in seconds)."""
        request = identity.current()
        ordinal = self._sent[request, model] = self._sent.get((request, model), -1) + 1
        beyond = exponential(uniform(self._seed, "storm", request, model, ordinal), mean=MEAN_BEYOND_SECONDS)
        service = microseconds(FLOOR_SECONDS + beyond)
        closures = self._closures if model == MAIN and now < self._closed_until else ()
        wait = microseconds(self._slots[model].take(now, service, closures))
        self.served.append(Served(request, model, now, wait, service))
        return wait + service

    def plan(self, request: httpx2.Request, now: float) -> Reply:
        """Answer a request that came through an unmodified client."""
        model = identity.Stamper().stamp(request).model
        at = self.admit(model, now)
        return Reply(headers=[*_JSON], headers_at=at, pieces=[Piece(at, _answer(model))])

    def client(self, *, sdk: bool = False) -> openai.AsyncOpenAI:
        """Return a client of this provider: a light one, or an unmodified one."""
        return client(self) if sdk else _Direct(self)


class _Direct(openai.AsyncOpenAI):
    """A client without HTTP, for pipelines alone: they ask for the reply's bytes, and keep the time themselves."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(api_key=DUMMY_KEY, http_client=httpx2.AsyncClient(transport=provider, trust_env=False))
        self._storm = provider

    async def post(self, path: str, *, body: Any = None, **_: Any) -> Any:
        model = body["model"]
        await asyncio.sleep(self._storm.admit(model, asyncio.get_running_loop().time()))
        return httpx2.Response(200, headers=_JSON, content=_answer(model))


def _answer(model: str) -> bytes:
    message = {"role": "assistant", "content": "Your parcel comes on Tuesday."}
    usage = {"prompt_tokens": 40, "completion_tokens": 6, "total_tokens": 46}
    return to_json({"model": model, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage})


def capacity(slots: int, brown_out: BrownOut | None, seconds: float) -> float:
    """Return how many answers a second the main model can give at a time: open slots / mean service time."""
    share = brown_out.capacity_at(seconds) if brown_out else 1.0
    return math.ceil(round(slots * share, 9)) / MEAN_SECONDS
