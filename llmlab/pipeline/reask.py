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
from llmlab.pipeline.guardrails.redaction import Vault
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


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads answers: the object in the text, or the arguments of the calls."""

    output: Any
    """What the text is JSON of; None: it is plain text."""
    tools: Sequence[Tool]
    """What the model was told of; without any, calls stay as they are."""
    vault: Vault
    """What was hidden in the request: it is put back before anything is validated, and never goes out again."""

    def read(self, text: str, request: Request) -> Reading:
        """Read an answer.

        Args:
            text: What the model wrote.
            request: What was asked, with who answered.
        """
        made = () if request.winner is None else request.winner[1].tool_calls
        if not made:
            return Reading(text, Parsed() if self.output is None else parse(self.vault.show(text, escaped=True), self.output))
        made = tuple(call._replace(arguments=self.vault.show(call.arguments, escaped=True)) for call in made)
        known = [(call, arguments(call, self.tools)) for call in made] if self.tools else []
        wrong = [f"call of {call.name[:60]!r}: {found.error}" for call, found in known if not found.ok]
        calls = tuple(call._replace(data=found.value, error=found.error) for call, found in known)
        return Reading(text, Parsed(error="; ".join(wrong)), calls or made)

    def ask_again(self, reading: Reading) -> list[dict[str, str]]:
        """Return the messages that ask again for what could not be read."""
        said = reading.text or "; ".join(f"{call.name}({call.arguments})" for call in reading.calls)
        parsed = replace(reading.parsed, error=self.vault.cover(reading.parsed.error))
        return reask_message(parsed, self.vault.cover(said))


async def ask_again(first: Reading, request: Request, router: Router, limit: int, reader: Reader) -> tuple[Reading, Request]:
    """Ask until an answer can be read: at most `limit` times with what was wrong, then once the route after the one that answered.

    Returns the last reading, and the request that gave it. All of it has the same deadline and spends the same budget as retries.

    Args:
        first: What could not be read.
        request: What was asked.
        router: The pipeline's.
        limit: How often to ask again.
        reader: Reads what comes.
    """
    reading, last = first, request
    for number in range(limit + 1):
        if reading.parsed.ok:
            break
        again, ways = replace(request, role="reask", winner=None), router
        if number < limit:
            again.messages = [*request.messages, *reader.ask_again(reading)]
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
        reading, last = reader.read(text, again), again
    return reading, last
