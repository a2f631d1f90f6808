"""The pipeline: the stages in the order in which a request meets them.

```
question -> guardrails -> prompt assembly -> routing -> streaming -> post-processing -> guardrails -> Answer
```

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, fields, replace
from typing import Any

import openai

from llmlab.errors import AttemptFailed, BadInput
from llmlab.pipeline.answer import Answer, Delta, Finding, Finished, Timings, Tokens
from llmlab.pipeline.guards import Guard, LengthGuard
from llmlab.pipeline.prompt import Prompt, document_id
from llmlab.pipeline.routing import Hedge, Request, Retry, Route, Router
from llmlab.pipeline.trace import Trace
from llmlab.protocol.draws import microseconds

_CITATION = re.compile(r"\[([A-Za-z0-9][A-Za-z0-9_.:-]*)\]")


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A feature that answers questions through a model, and says what became of it.

    Every stage is an object that can be left out or put in the place of another. A pipeline never changes; `replace` gives a changed copy.

    Raises:
        BadInput: No route, two routes of one name, a hedge on a route that is not there, or a time that is none.

    Notebook: 00_start_here.ipynb
    """

    routes: Sequence[Route] = field(default_factory=lambda: [Route("main", model="main")])
    """The first is taken; the others are its fallbacks, in turn."""
    guards_in: Sequence[Guard] = (LengthGuard(),)
    """Look at the question."""
    prompt: Prompt = field(default_factory=Prompt)
    """Makes messages of question and documents."""
    retrieve: Callable[[str], Sequence[Any]] | None = None
    """Finds documents where `ask` is given none."""
    retry: Retry = field(default_factory=Retry)
    hedge: Hedge | None = None
    before_attempt: Callable[[Route, str, int], None] | None = None
    """Called before each attempt with its route, role and number; what it raises ends the request."""
    guards_out: Sequence[Guard] = ()
    """Look at the answer."""
    deadline_seconds: float | None = 30.0
    """From the question to the end of the answer (in seconds)."""
    client: openai.AsyncOpenAI | None = field(default=None, repr=False)
    """For routes without a client of their own."""

    def __post_init__(self) -> None:
        if not self.routes:
            raise BadInput("a pipeline needs a route: Pipeline(routes=[Route('main', model='main')])")
        names = [route.name for route in self.routes]
        if len({*names}) < len(names):
            raise BadInput(f"routes need names of their own, and these are {', '.join(names)}")
        if self.hedge is not None and self.hedge.route not in (None, *names):
            raise BadInput(f"the hedge goes to route {self.hedge.route!r}, and there is: {', '.join(names)}")
        _check_deadline(self.deadline_seconds)
        if self.hedge is not None and self.deadline_seconds is not None and self.hedge.after_seconds >= self.deadline_seconds:
            raise BadInput(f"a hedge after {self.hedge.after_seconds:g} s never comes: the deadline is {self.deadline_seconds:g} s")

    def replace(self, **changes: Any) -> Pipeline:
        """Return a copy with other stages.

        Raises:
            BadInput: There is no such stage.
        """
        known = [part.name for part in fields(self)]
        for name in changes:
            if name not in known:
                raise BadInput(f"a pipeline has no stage {name!r}; it has: {', '.join(known)}")
        return replace(self, **changes)

    async def ask(
        self,
        question: str,
        documents: Sequence[Any] | None = None,
        history: Sequence[Mapping[str, str]] = (),
        deadline_seconds: float | None = None,
    ) -> Answer:
        """Return the answer to `question`.

        Args:
            question: What the user asks.
            documents: What to answer from (texts, mappings, or objects with id, title and text); None: what `retrieve` finds.
            history: Earlier messages (role and content), oldest first.
            deadline_seconds: Instead of the pipeline's own.

        Raises:
            BadInput: Misuse: a question that is no text, a route without a client, a deadline that is none. Failures are answers.
        """
        finished: Answer | None = None
        async with aclosing(self._events(question, documents, history, deadline_seconds, deliver=False)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    finished = event.answer
        assert finished is not None
        return finished

    async def stream(
        self,
        question: str,
        documents: Sequence[Any] | None = None,
        history: Sequence[Mapping[str, str]] = (),
        deadline_seconds: float | None = None,
    ) -> AsyncIterator[Delta | Finished]:
        """Yield the answer as it comes: `Delta` after `Delta`, then one `Finished` with the whole `Answer`.

        Before the first delta any failure is mended unseen; after it, a failure ends the answer with status "failed" and the text so far.
        """
        async with aclosing(self._events(question, documents, history, deadline_seconds, deliver=True)) as events:
            async for event in events:
                yield event

    async def _events(
        self,
        question: str,
        documents: Sequence[Any] | None,
        history: Sequence[Mapping[str, str]],
        deadline_seconds: float | None,
        *,
        deliver: bool,
    ) -> AsyncIterator[Any]:
        if not isinstance(question, str):
            raise BadInput(f"a question is a text, not {type(question).__name__}")
        _check_deadline(deadline_seconds)
        limit = self.deadline_seconds if deadline_seconds is None else deadline_seconds
        clock = asyncio.get_running_loop().time
        began = clock()
        trace = Trace(began=began)
        findings: list[Finding] = []
        with trace.stage("guards in", clock) as note:
            for guard in self.guards_in:
                findings += guard.check(question, role="user")
            note.append(findings[0].reason if findings else "passed")
        if findings:
            reason = findings[0].reason
            yield Finished(self._answer(trace, "blocked", "", reason, None, clock() - began, findings, ()))
            return
        with trace.stage("prompt assembly", clock) as note:
            if documents is None:
                documents = self.retrieve(question) if self.retrieve else ()
            messages = self.prompt.messages(question, documents, history)
            note.append(f"version {self.prompt.version}, {len(documents)} documents")
        request = Request(messages, self.prompt.version, trace, None if limit is None else began + limit, self.client)
        router = Router(self.routes, self.retry, self.hedge, self.before_attempt)
        pieces: list[str] = []
        delivered_at: float | None = None
        status, reason = "ok", ""
        with trace.stage("routing", clock) as note:
            try:
                async with aclosing(router.run(request, deliver=deliver)) as run:
                    async for piece in run:
                        if delivered_at is None:
                            delivered_at = clock() - began
                        pieces.append(piece)
                        if deliver:
                            yield Delta(piece, clock() - began)
            except AttemptFailed as error:
                status, reason = "failed", str(error)
            count = len(trace.attempts)
            note.append(f"{count} attempt{'s' if count != 1 else ''}")
        text = "".join(pieces)
        with trace.stage("post-processing", clock) as note:
            citations = _citations(text, documents)
            note.append(f"{len(citations)} citations")
        with trace.stage("guards out", clock) as note:
            for guard in self.guards_out:
                findings += guard.check(text, role="assistant")
            note.append(findings[0].reason if findings else "passed")
        if findings:
            status, reason = "blocked", findings[0].reason
        yield Finished(
            self._answer(trace, status, text if status != "blocked" else "", reason, delivered_at, clock() - began, findings, citations)
        )

    def _answer(
        self,
        trace: Trace,
        status: str,
        text: str,
        reason: str,
        delivered_at: float | None,
        total: float,
        findings: list[Finding],
        citations: tuple[str, ...],
    ) -> Answer:
        attempts = tuple(sorted(trace.attempts, key=lambda attempt: attempt.ordinal))
        usage = Tokens(
            sum(attempt.prompt_tokens or 0 for attempt in attempts),
            sum(attempt.completion_tokens or 0 for attempt in attempts),
            sum(attempt.cached_tokens for attempt in attempts),
            sum(attempt.reasoning_tokens for attempt in attempts),
        )
        costs = [attempt.cost_usd for attempt in attempts if attempt.prompt_tokens is not None or attempt.status == "ok"]
        cost = None if None in costs else sum(cost for cost in costs if cost is not None)
        return Answer(
            status=status,
            text=text,
            reason=reason,
            usage=usage,
            cost_usd=cost or None,
            timings=Timings(*(None if at is None else microseconds(at) for at in (trace.committed_at, delivered_at)), microseconds(total)),
            attempts=attempts,
            findings=tuple(findings),
            citations=citations,
            prompt_version=self.prompt.version,
            trace=trace,
        )


def _check_deadline(seconds: float | None) -> None:
    if seconds is not None and (not isinstance(seconds, int | float) or not 0 < seconds < math.inf):
        raise BadInput(f"a deadline is a time above 0 seconds, or None, not {seconds!r}")


def _citations(text: str, documents: Sequence[Any]) -> tuple[str, ...]:
    """Return the ids of `documents` that `text` names in square brackets, in order of appearance."""
    if not documents or "[" not in text:
        return ()
    known = {document_id(number, document) for number, document in enumerate(documents, 1)}
    return tuple(dict.fromkeys(name for name in _CITATION.findall(text) if name in known))
