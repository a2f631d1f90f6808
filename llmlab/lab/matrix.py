"""What an unmodified openai client makes of each fault: measured, not remembered.

A calm request and a struck one go through the installed client, whole and streamed, in virtual time. What comes back as if nothing had
happened, though it is not what a calm provider says, is *silent*.
"""

from __future__ import annotations

import asyncio
from dataclasses import fields
from typing import Any, NamedTuple

import httpx2
import openai

from llmlab.protocol import identity
from llmlab.protocol.clock import simulate
from llmlab.wire.chaos import Chaos
from llmlab.wire.client import client
from llmlab.wire.faults import FAULTS, Fault, catalogue
from llmlab.wire.simulator import Simulator

DOCUMENT = '<document id="returns" title="Returns">\nYou may return a machine within 30 days.\n</document>'
MESSAGES: list[Any] = [
    {
        "role": "system",
        "content": "Answer from the documents, in JSON with answer and sources. Cite the document in brackets.",
    },
    {"role": "user", "content": f"{DOCUMENT}\nQuestion: How long may I return a machine?"},
]
FORMAT: Any = {"type": "json_object"}


class Cell(NamedTuple):
    """One fault, met once."""

    fault: str
    call: str
    """plain or stream."""
    outcome: str
    """The exception, or ok."""
    attempts: int
    """What the client sent, its own retries included."""
    silent: bool
    """Whether the app sees no error, and no or another answer than on a calm day."""
    seconds: float
    """How long the app waited (virtual seconds)."""


class _Counter(httpx2.AsyncBaseTransport):
    """Counts what the client sends."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self.inner, self.sent = inner, 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.sent += 1
        return await self.inner.handle_async_request(request)


async def _call(on: openai.AsyncOpenAI, stream: bool) -> str:
    """Return what the client hands to the app: model, message, tokens."""
    if not stream:
        reply: Any = await on.chat.completions.create(model="gpt-4o", messages=MESSAGES, response_format=FORMAT)
        return reply if isinstance(reply, str) else str(reply.model_dump_json(include={"model", "choices", "usage"}))
    models: set[str] = set()
    texts: list[str] = []
    usage: Any = None
    options: Any = {"include_usage": True}
    parts: Any = await on.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, response_format=FORMAT, stream=True, stream_options=options
    )
    async for chunk in parts:
        models.add(chunk.model)
        usage = chunk.usage or usage
        texts += [choice.delta.content or "" for choice in chunk.choices or ()]
    return f"{sorted(map(str, models))} {''.join(texts)} {usage}"


async def _met(fault: Fault | None, stream: bool) -> tuple[str, str, int, float, bool]:
    """Return the outcome, what the app read, the attempts, the wait, and whether the fault struck."""
    chaos = Chaos(Simulator(), *([fault] if fault else []), seed=7)
    counter = _Counter(chaos)
    clock = asyncio.get_running_loop().time
    began, read, outcome = clock(), "", "ok"
    with identity.request("matrix"):
        try:
            read = await _call(client(counter), stream)
        except Exception as error:
            outcome = type(error).__name__
    return outcome, read, counter.sent, round(clock() - began, 1), bool(chaos.journal)


def matrix() -> list[Cell]:
    """Return a cell for each fault of the catalogue and each kind of call that it strikes, by name."""
    calm = {stream: simulate(_met(None, stream))[1] for stream in (False, True)}
    cells = []
    for name in sorted(entry.name for entry in catalogue()):
        kind = FAULTS[name]
        at_once: dict[str, Any] = {"start_seconds": 0.0} if any(part.name == "start_seconds" for part in fields(kind)) else {}
        for stream in (False, True):
            outcome, read, attempts, seconds, struck = simulate(_met(kind(probability=1.0, **at_once), stream))
            if struck:
                cells.append(
                    Cell(name, "stream" if stream else "plain", outcome, attempts, outcome == "ok" and read != calm[stream], seconds)
                )
    return cells


def as_csv(cells: list[Cell]) -> str:
    """Return the matrix as it is committed, with the versions that it holds for."""
    head = f"# openai {openai.__version__}, httpx2 {httpx2.__version__}\n" + ",".join(Cell._fields) + "\n"
    return head + "".join(
        ",".join(str(value).lower() if isinstance(value, bool) else str(value) for value in cell) + "\n" for cell in cells
    )
