"""What an unmodified openai client makes of each fault: measured, not remembered.

A calm request and a struck one go through the installed client, whole and streamed, in virtual time. What comes back as if nothing had
happened, though it is not what a calm provider says, is *silent*. A fault is met in the first of three scenes where it finds something to
strike: a question answered in JSON; one whose answer holds a name, a number, a choice of values and a character of several bytes; one that
is answered by a call of a tool.
"""

from __future__ import annotations

import asyncio
import csv
from dataclasses import replace
from io import StringIO
from typing import Any, NamedTuple

import httpx2
import openai

from llmlab.protocol import identity
from llmlab.protocol.clock import simulate
from llmlab.wire.chaos import Chaos
from llmlab.wire.client import client
from llmlab.wire.faults import FAULTS, BrownOut, Bursts, ContextLength, Fault, Outage, Quota, RateLimit, ServerError, catalogue
from llmlab.wire.simulator import Simulator

VERSIONS = {"openai": openai.__version__, "httpx2": httpx2.__version__}
"""What was measured."""
_WHO = "In the café, our Jana answers within 30 days."


def _messages(system: str, document: str, question: str) -> list[Any]:
    user = f'<document id="returns" title="Returns">\n{document}\n</document>\nQuestion: {question}'
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


_SYSTEM = "Answer from the documents, in JSON with answer and sources. Cite the document in brackets."
_SCHEMA = _object(answer={"type": "string"}, days={"type": "integer"}, kind={"type": "string", "enum": ["return", "repair"]})
_TOOL = {"name": "order_status", "parameters": _object(question={"type": "string"})}
SCENES: tuple[dict[str, Any], ...] = (
    {
        "messages": _messages(_SYSTEM, "You may return a machine within 30 days.", "How long may I return a machine?"),
        "response_format": {"type": "json_object"},
    },
    {
        "messages": _messages("Answer from the documents.", _WHO, "Who of the café answers within how many days?"),
        "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": _SCHEMA}},
    },
    {
        "messages": [{"role": "user", "content": "Where is my order?"}],
        "tools": [{"type": "function", "function": _TOOL}],
        "tool_choice": "required",
    },
)
"""What is asked: the keywords of `chat.completions.create`."""
AT_ONCE: dict[str, Fault] = {
    "Outage": Outage(start_seconds=0.0),
    "BrownOut": BrownOut(start_seconds=0.0, ramp_seconds=0.0),
    "Bursts": Bursts(mean_good_seconds=0.001, mean_bad_seconds=1e6),
    "Quota": Quota(tokens_per_minute=1),
}
"""Weather over time, such that it strikes the first request."""
VARIANTS: tuple[Fault, ...] = (
    RateLimit(retry_after_seconds=2.0),
    RateLimit(retry_after_seconds=2.0, form="milliseconds"),
    RateLimit(retry_after_seconds=2.0, form="date"),
    RateLimit(retry_after_seconds=200.0),
    RateLimit(should_retry=False),
    ServerError(status=502),
    ServerError(status=529),
    ServerError(should_retry=False),
    ContextLength(should_retry=True),
)
"""Faults that the client treats in more than one way."""


class Cell(NamedTuple):
    """One fault, met once."""

    fault: str
    """As it is written, without empty brackets; its probability is 1."""
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


async def _call(on: openai.AsyncOpenAI, stream: bool, scene: dict[str, Any]) -> str:
    """Return what the client hands to the app: model, message, tokens."""
    create: Any = on.chat.completions.create
    if not stream:
        reply: Any = await create(model="gpt-4o", **scene)
        return reply if isinstance(reply, str) else str(reply.model_dump_json(include={"model", "choices", "usage"}))
    models: set[str] = set()
    said: list[str] = []
    usage: Any = None
    async for chunk in await create(model="gpt-4o", stream=True, stream_options={"include_usage": True}, **scene):
        models.add(chunk.model)
        usage = chunk.usage or usage
        for choice in chunk.choices or ():
            said.append(choice.delta.content or "")
            said += [f"{call.function.name or ''}{call.function.arguments or ''}" for call in choice.delta.tool_calls or ()]
    return f"{sorted(map(str, models))} {''.join(said)} {usage}"


async def _met(fault: Fault | None, stream: bool, scene: dict[str, Any]) -> tuple[str, str, int, float, bool]:
    """Return the outcome, what the app read, the attempts, the wait, and whether the fault struck."""
    chaos = Chaos(Simulator(), *([fault] if fault else []), seed=7)
    counter = _Counter(chaos)
    clock = asyncio.get_running_loop().time
    began, read, outcome = clock(), "", "ok"
    with identity.request("matrix"):
        try:
            read = await _call(client(counter), stream, scene)
        except Exception as error:
            outcome = type(error).__name__
    return outcome, read, counter.sent, round(clock() - began, 1), bool(chaos.journal)


def matrix() -> list[Cell]:
    """Return a cell for each fault of the catalogue and each kind of call that it strikes, by name; then those for its variants."""
    calm = [{stream: simulate(_met(None, stream, scene))[1] for stream in (False, True)} for scene in SCENES]
    faults = [AT_ONCE.get(name) or FAULTS[name]() for name in sorted(entry.name for entry in catalogue())]
    cells = []
    for fault in (*faults, *VARIANTS):
        for scene, usual in zip(SCENES, calm, strict=True):
            found = []
            for stream in (False, True):
                outcome, read, attempts, seconds, struck = simulate(_met(replace(fault, probability=1.0), stream, scene))
                if struck:
                    silent = outcome == "ok" and read != usual[stream]
                    label = repr(fault).removesuffix("()")
                    found.append(Cell(label, "stream" if stream else "plain", outcome, attempts, silent, seconds))
            if found:
                cells += found
                break
    return cells


def as_csv(cells: list[Cell]) -> str:
    """Return the matrix as it is committed, with the versions that it holds for."""
    told = StringIO()
    told.write(f"# {', '.join(' '.join(version) for version in VERSIONS.items())}\n")
    lines = csv.writer(told, lineterminator="\n")
    lines.writerow(Cell._fields)
    lines.writerows([str(value).lower() if isinstance(value, bool) else value for value in cell] for cell in cells)
    return told.getvalue()
