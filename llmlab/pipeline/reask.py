"""Asking again: an answer that cannot be read is sent back with what is wrong with it, a few times, and then another route is asked.

Notebook: 04_hallucination.ipynb
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from llmlab.errors import AttemptFailed
from llmlab.pipeline.answer import ToolCall
from llmlab.pipeline.parsing.arguments import Tool, arguments
from llmlab.pipeline.parsing.parse import Parsed, parse, reask_message
from llmlab.pipeline.route import fallback_of
from llmlab.pipeline.routing import Request, Router


@dataclass(slots=True)
class Reading:
    """What an answer holds beside its text."""

    text: str
    parsed: Parsed
    """The structured output; its error says what is wrong with the answer, tool calls included."""
    calls: tuple[ToolCall, ...] = ()
    """Calls of tools, their arguments read where the tools are known."""


def read(text: str, request: Request, output: Any, tools: Sequence[Tool]) -> Reading:
    """Read an answer: the object in its text, or the arguments of its calls.

    Args:
        text: What the model wrote.
        request: What was asked, with who answered.
        output: What the text is JSON of; None: it is plain text.
        tools: The tools that the model was told of; without any, calls stay as they are.
    """
    made = () if request.winner is None else request.winner[1].tool_calls
    if not made:
        return Reading(text, Parsed() if output is None else parse(text, output))
    read_calls = [(call, arguments(call, tools)) for call in made] if tools else []
    wrong = [f"call of {call.name[:60]!r}: {found.error}" for call, found in read_calls if not found.ok]
    calls = tuple(call._replace(data=found.value, error=found.error) for call, found in read_calls)
    return Reading(text, Parsed(error="; ".join(wrong)), calls or made)


async def ask_again(
    first: Reading, request: Request, router: Router, limit: int, output: Any, tools: Sequence[Tool]
) -> tuple[Reading, Request]:
    """Ask until an answer can be read: at most `limit` times with what was wrong, then once the route after the one that answered.

    Returns the last reading, and the request that gave it. All of it has the same deadline and spends the same budget as retries.

    Args:
        first: What could not be read.
        request: What was asked.
        router: The pipeline's.
        limit: How often to ask again.
        output: As for `read`.
        tools: As for `read`.
    """
    reading, last = first, request
    for number in range(limit + 1):
        if reading.parsed.ok:
            break
        again, ways = replace(request, role="reask", winner=None), router
        if number < limit:
            said = reading.text or "; ".join(f"{call.name}({call.arguments})" for call in reading.calls)
            again.messages = [*request.messages, *reask_message(reading.parsed, said)]
        else:
            here = last.winner[0] if last.winner is not None else router.routes[0]
            other = fallback_of(router.routes, here) if here in router.routes else None
            if other is None:
                break
            ways = router.only(other)
        if not router.may_ask_again(request.state):
            request.notes.append("not asked again: the budget for retries is spent")
            break
        try:
            async with aclosing(ways.run(again, deliver=False)) as run:
                text = "".join([piece async for piece in run])
        except AttemptFailed as error:
            request.notes.append(f"asked again in vain: {error.reason}")
            continue
        reading, last = read(text, again, output, tools), again
    return reading, last
