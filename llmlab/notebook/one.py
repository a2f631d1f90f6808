"""One question through a pipeline, in the weather of a lab, and everything that its user heard.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

from contextlib import aclosing
from typing import NamedTuple

from llmlab.data.help_desk import Case
from llmlab.lab.lab import Lab, in_real_time
from llmlab.pipeline.answer import Answer, Delta, Finished
from llmlab.pipeline.pipeline import Pipeline
from llmlab.protocol import identity
from llmlab.protocol.clock import simulate
from llmlab.wire.client import client


class Heard(NamedTuple):
    """An answer as its user heard it."""

    answer: Answer
    pieces: tuple[tuple[float, str], ...]
    """When each piece of text was there (in seconds after the question)."""


def listen(lab: Lab, pipeline: Pipeline, question: Case | str, repetition: int = 0) -> Heard:
    """Ask one question and return the answer with the time of each piece.

    Args:
        lab: Its weather, its seed, and who answers.
        pipeline: Who is asked.
        question: A case, or a question of your own: what no recording holds is simulated.
        repetition: How often the case was asked before: another repetition meets other luck.
    """
    case = question if isinstance(question, Case) else Case(id="own", question=question)
    transport = lab.transport(for_one=not isinstance(question, Case))

    async def go() -> Heard:
        asked = pipeline.replace(client=client(transport))
        pieces: list[tuple[float, str]] = []
        with identity.request(case.id, repetition):
            async with aclosing(asked.stream(case.question)) as events:
                async for event in events:
                    if isinstance(event, Delta):
                        pieces.append((event.at, event.text))
                    elif isinstance(event, Finished):
                        answer = event.answer
        return Heard(answer, tuple(pieces))

    return in_real_time(go()) if lab.source == "live" else simulate(go(), seed=lab.seed)


def ask(lab: Lab, pipeline: Pipeline, question: Case | str) -> Answer:
    """Ask one question and return its answer; the arguments are those of `listen`."""
    return listen(lab, pipeline, question).answer
