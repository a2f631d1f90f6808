"""One run of one app: the requests, each in a task and an identity of its own, and what became of them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Any

import openai

from llmlab.data.help_desk import Case, grade
from llmlab.errors import BadInput, LlmlabError
from llmlab.lab.load import Load
from llmlab.lab.meter import Meter
from llmlab.lab.runs import Row
from llmlab.pipeline.answer import Delta, Finished
from llmlab.pipeline.pipeline import Pipeline
from llmlab.protocol import identity
from llmlab.protocol.attempt import Attempt
from llmlab.protocol.draws import microseconds
from llmlab.wire.chaos import Chaos
from llmlab.wire.client import client

App = Callable[[openai.AsyncOpenAI, str], Awaitable[str | None]] | Callable[[openai.AsyncOpenAI, str], AsyncIterator[str]] | Pipeline
Progress = Callable[[int, int], None]
_REASON_CHARACTERS = 200


class Run:
    """Sends a plan of questions to one app."""

    def __init__(self, app: App, name: str, plan: Sequence[tuple[Case, int]], load: Load, seed: int, progress: Progress | None) -> None:
        self._app, self._name, self._plan, self._load, self._seed, self._progress = app, name, plan, load, seed, progress
        if isinstance(app, type) or not (isinstance(app, Pipeline) or _takes_two(app)):
            raise BadInput(f"an app is an async callable (client, question) -> text, or a Pipeline, not {app!r}")
        self._times = list(islice(load.intended(seed), len(plan)))
        if len(self._times) < len(plan):
            raise BadInput(f"the trace has {len(self._times)} arrivals, and {len(plan)} requests are asked for")

    async def go(self, transport: Chaos) -> tuple[list[Row], list[tuple[str, Attempt]]]:
        """Send them, on the loop's clock.

        Returns:
            A row a request, and the app's attempts in the order of requests.
        """
        clock = asyncio.get_running_loop().time
        self._meter = Meter(transport)
        self._client = client(self._meter)
        if isinstance(self._app, Pipeline):  # one copy for the whole run: what it remembers begins afresh
            self._app = self._app.replace(client=self._app.client or self._client)
        self._began = clock()
        rows: list[Row | None] = [None] * len(self._plan)
        attempts: list[list[Attempt]] = [[] for _ in self._plan]
        waiting = iter(range(len(self._plan)))
        done = 0

        async def one(number: int) -> None:
            nonlocal done
            rows[number], attempts[number] = await self._request(number, self._times[number])
            done += 1
            if self._progress:
                self._progress(done, len(self._plan))

        async def due(number: int) -> None:
            intended = self._times[number]
            if intended is not None:
                await asyncio.sleep(max(0.0, self._began + intended - clock()))

        async def user(numbers: Iterable[int]) -> None:
            for number in numbers:
                await due(number)
                await asyncio.create_task(one(number), name=f"request-{number}")

        try:
            async with asyncio.TaskGroup() as group:
                if self._load.concurrency is None:
                    for number in waiting:
                        await due(number)
                        group.create_task(one(number), name=f"request-{number}")
                else:
                    users = min(self._load.concurrency, len(self._plan))
                    for place in range(users):  # a schedule is shared in turn; without one, who is free takes what is next
                        numbers = waiting if self._times[place] is None else range(place, len(self._plan), users)
                        group.create_task(user(numbers), name=f"user-{place}")
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        kept = [(self._name, attempt) for some in attempts for attempt in some]
        return [row for row in rows if row is not None], kept

    async def _request(self, number: int, intended: float | None) -> tuple[Row, list[Attempt]]:
        case, repetition = self._plan[number]
        clock = asyncio.get_running_loop().time
        with identity.request(case.id, repetition) as who:
            sent = clock()
            status, reason, text, wait, cached = await self._ask(case.question, sent)
            ended = clock()
            attempts = self._meter.collect(who.name)
        firsts = [attempt.first_content_at for attempt in attempts if attempt.first_content_at is not None]
        costs = [attempt.cost_usd for attempt in attempts if attempt.prompt_tokens is not None]
        answering = [attempt.source or "" for attempt in attempts if attempt.status == "ok"] or [
            attempt.source or "" for attempt in attempts
        ]
        sent_at = microseconds(sent - self._began)
        intended_at = sent_at if intended is None else intended
        row = Row(
            app=self._name,
            number=number,
            case=case.id,
            repetition=repetition,
            status=status,
            reason=reason,
            intended_at=intended_at,
            sent_at=sent_at,
            wait_seconds=wait,
            wait_from_intended_seconds=None if wait is None else microseconds(wait + sent_at - intended_at),
            total_seconds=microseconds(ended - sent),
            first_content_seconds=microseconds(min(firsts) - sent) if firsts else None,
            attempts=len(attempts),
            prompt_tokens=sum(attempt.prompt_tokens or 0 for attempt in attempts),
            completion_tokens=sum(attempt.completion_tokens or 0 for attempt in attempts),
            usd=None if None in costs else float(sum(cost for cost in costs if cost is not None)),
            source="cache" if cached else answering[-1] if answering else "",
            right=grade(case, text if status != "blocked" else "") if case.gradable else None,
            text=text,
        )
        return row, attempts

    async def _ask(self, question: str, sent: float) -> tuple[str, str, str, float | None, bool]:
        """Return status, reason, text, when the first word was there (in seconds after sending), and whether it came from the cache."""
        clock = asyncio.get_running_loop().time
        wait: float | None = None
        shown: list[str] = []
        text: Any
        try:
            if isinstance(self._app, Pipeline):
                async with aclosing(self._app.stream(question)) as events:
                    async for event in events:
                        if isinstance(event, Delta):
                            shown.append(event.text)
                            if wait is None:
                                wait = microseconds(clock() - sent)
                        elif isinstance(event, Finished):
                            answer = event.answer
                text = "".join(shown) if answer.status == "blocked" else answer.text  # what was seen before cannot be taken back
                return answer.status, answer.reason, text, wait, bool(answer.cached)
            given: Any = self._app(self._client, question)
            if inspect.isasyncgen(given):
                text = ""
                async with aclosing(given):
                    async for piece in given:
                        if piece and wait is None:
                            wait = microseconds(clock() - sent)
                        text += piece
            elif inspect.isawaitable(given):
                text = await given
            else:
                raise BadInput("the app is not async: write it as async def app(client, question)")
        except Exception as error:
            _raise_ours(error)
            return "failed", f"{type(error).__name__}: {str(error)[:_REASON_CHARACTERS]}", "", None, False
        if not isinstance(text, str) or not text:
            return "failed", f"the app returned {'no text' if not text else type(text).__name__}", "", None, False
        return "ok", "", text, wait if wait is not None else microseconds(clock() - sent), False


def _takes_two(app: object) -> bool:
    """Whether `app` can be called with a client and a question."""
    if not callable(app):
        return False
    try:
        inspect.signature(app).bind(None, "")
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True


def _raise_ours(error: BaseException) -> None:
    """Raise what is no weather: a missing recording, a cap, misuse."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, LlmlabError):
            raise cause
        cause = cause.__cause__


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
