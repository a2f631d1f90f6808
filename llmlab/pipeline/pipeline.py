"""The pipeline: the stages in the order in which a request meets them.

```
question -> guardrails -> prompt assembly -> [cache] -> routing -> streaming -> post-processing -> guardrails -> Answer
```

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, fields, replace
from typing import Any

import openai

from llmlab.errors import AttemptFailed, BadInput
from llmlab.pipeline.answer import Answer, Delta, Finished
from llmlab.pipeline.breaker import Breaker
from llmlab.pipeline.cache import Cache
from llmlab.pipeline.clocks import check_seconds
from llmlab.pipeline.draft import Draft
from llmlab.pipeline.guardrails.base import Guard
from llmlab.pipeline.guardrails.length import LengthGuard
from llmlab.pipeline.output import check_output
from llmlab.pipeline.parsing.parse import parse
from llmlab.pipeline.prompt import Document, Prompt, as_documents
from llmlab.pipeline.route import Route, check_client, check_routes
from llmlab.pipeline.routing import Hedge, Request, Retry, Router
from llmlab.pipeline.state import State
from llmlab.pipeline.trace import Trace
from llmlab.protocol.canonical import digest
from llmlab.protocol.draws import microseconds
from llmlab.protocol.models import resolve

_BRACKETS = re.compile(r"\[([^\[\]\n]{1,200})\]")


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A feature that answers questions through a model, and says what became of it.

    Every stage is an object that can be left out or put in the place of another. A pipeline never changes; `replace` gives a changed copy.

    Raises:
        BadInput: No route, two routes of one name, a hedge on a route that is not there, or a stage that is none.

    Notebook: 00_start_here.ipynb
    """

    routes: Sequence[Route] = field(default_factory=lambda: (Route("main", model="main"),))
    """The first is taken; the others are its fallbacks, in turn."""
    output: Any = None
    """What the answer is JSON of: a pydantic model, or another type that pydantic knows; None: it is plain text."""
    guards_in: Sequence[Guard] = (LengthGuard(),)
    """Look at the question."""
    prompt: Prompt = field(default_factory=Prompt)
    """Makes messages of question and documents."""
    retrieve: Callable[[str], Iterable[Any]] | None = None
    """Finds documents where `ask` is given none."""
    retry: Retry | None = field(default_factory=Retry)
    """What is tried again; None: nothing."""
    hedge: Hedge | None = None
    """A second attempt in time, or None."""
    breaker: Breaker | None = None
    """When a route is given up for a while; None: never."""
    cache: Cache | None = None
    """Keeps answers for the next who asks the same; None: no answer is kept."""
    before_attempt: Callable[[Route, str, int], None] | None = None
    """Called before each attempt with its route, role and number. An `AttemptFailed` that it raises is a veto: the attempt is not made, as
    if it had failed; anything else ends the request and reaches the caller."""
    guards_out: Sequence[Guard] = ()
    """Look at the answer."""
    last_resort: str | None = None
    """What the user reads when no attempt and no kept answer is left; None: nothing, and the answer has failed."""
    deadline_seconds: float | None = 30.0
    """From the question to the end of the answer (in seconds)."""
    client: openai.AsyncOpenAI | None = field(default=None, repr=False)
    """For routes without a client of their own."""
    state: State | None = field(default=None, repr=False, compare=False)
    """What it remembers of earlier requests; a copy begins with a fresh one unless it is given here, and goes along with copies then."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_passed_on", self.state is not None)
        if self.state is None:
            object.__setattr__(self, "state", State())
        for stage, kind, what in (("routes", Route, "routes"), ("guards_in", Guard, "guards"), ("guards_out", Guard, "guards")):
            object.__setattr__(self, stage, _all_of(stage, getattr(self, stage), kind, what))
        for stage, policy in (
            ("retry", Retry),
            ("hedge", Hedge),
            ("breaker", Breaker),
            ("cache", Cache),
            ("last_resort", str),
            ("state", State),
        ):
            if not isinstance(getattr(self, stage), policy | None):
                raise BadInput(f"{stage} is a {policy.__name__}(...) or None, not {getattr(self, stage)!r}")
        for stage in ("retrieve", "before_attempt"):
            if getattr(self, stage) is not None and not callable(getattr(self, stage)):
                raise BadInput(f"{stage} is a function or None, not {getattr(self, stage)!r}")
        check_routes(self.routes)
        names = [route.name for route in self.routes]
        if self.hedge is not None and self.hedge.route not in (None, *names):
            raise BadInput(f"the hedge goes to route {self.hedge.route!r}, and there is: {', '.join(names)}")
        _check_deadline(self.deadline_seconds)
        if self.hedge is not None and self.deadline_seconds is not None and self.hedge.after_seconds >= self.deadline_seconds:
            raise BadInput(f"a hedge after {self.hedge.after_seconds:g} s never comes: the deadline is {self.deadline_seconds:g} s")
        patience = self.routes[0].clocks.first_content_seconds
        if self.hedge is not None and patience is not None and self.hedge.after_seconds >= patience:
            whose = self.routes[0].name
            raise BadInput(f"a hedge after {self.hedge.after_seconds:g} s never comes: route {whose!r} gives up after {patience:g} s")
        check_client("the pipeline", self.client)
        if self.output is not None:
            check_output(self.output)

    def replace(self, **changes: Any) -> Pipeline:
        """Return a copy with other stages.

        It begins with a fresh state, unless this pipeline was given one, or the copy is: `replace(..., state=pipeline.state)`.

        Raises:
            BadInput: There is no such stage.
        """
        known = [part.name for part in fields(self)]
        for name in changes:
            if name not in known:
                raise BadInput(f"a pipeline has no stage {name!r}; it has: {', '.join(known)}")
        if not getattr(self, "_passed_on"):  # noqa: B009  (no field of the dataclass)
            changes.setdefault("state", None)
        return replace(self, **changes)

    async def ask(
        self,
        question: str,
        documents: Iterable[Any] | None = None,
        history: Iterable[Mapping[str, str]] = (),
        deadline_seconds: float | None = None,
        *,
        tenant: str = "",
    ) -> Answer:
        """Return the answer to `question`.

        Args:
            question: What the user asks.
            documents: What to answer from (texts, mappings, or objects with id, title and text); None: what `retrieve` finds.
            history: Earlier messages (role and content), oldest first.
            deadline_seconds: Instead of the pipeline's own.
            tenant: On whose behalf: nobody is given an answer that was kept for another tenant.

        Raises:
            BadInput: Misuse: a question that is no text, a route without a client, a deadline that is none. Failures are answers.
        """
        async with aclosing(self._events(question, documents, history, deadline_seconds, tenant, deliver=False)) as events:
            finished = await anext(events)  # without delivery it is the only event
        assert isinstance(finished, Finished)
        return finished.answer

    async def stream(
        self,
        question: str,
        documents: Iterable[Any] | None = None,
        history: Iterable[Mapping[str, str]] = (),
        deadline_seconds: float | None = None,
        *,
        tenant: str = "",
    ) -> AsyncGenerator[Delta | Finished, None]:
        """Yield the answer as it comes: `Delta` after `Delta`, then one `Finished` with the whole `Answer`.

        Before the first delta any failure is mended unseen; after it, a failure ends the answer with status "failed" and the text so far.
        Who stops reading early closes the stream, as in `async with contextlib.aclosing(pipeline.stream(question)) as events`.

        Args:
            question: As for `ask`, like the others.
            documents: What to answer from.
            history: Earlier messages.
            deadline_seconds: Instead of the pipeline's own.
            tenant: On whose behalf.

        Raises:
            BadInput: Misuse.
        """
        async with aclosing(self._events(question, documents, history, deadline_seconds, tenant, deliver=True)) as events:
            async for event in events:
                yield event

    async def _events(
        self,
        question: str,
        given: Iterable[Any] | None,
        history: Iterable[Mapping[str, str]],
        deadline_seconds: float | None,
        tenant: str,
        *,
        deliver: bool,
    ) -> AsyncGenerator[Delta | Finished, None]:
        if not isinstance(question, str):
            raise BadInput(f"a question is a text, not {type(question).__name__}")
        if not isinstance(tenant, str):
            raise BadInput(f"a tenant is a text, not {type(tenant).__name__}")
        _check_deadline(deadline_seconds)
        limit = self.deadline_seconds if deadline_seconds is None else deadline_seconds
        state, clock = self._remembered(), asyncio.get_running_loop().time
        state.touch()
        draft = Draft(Trace(began=clock()), self.prompt.version)
        trace = draft.trace
        with trace.stage("guards in", clock) as note:
            note.append(draft.guard(self.guards_in, question, "user"))
        documents: tuple[Document, ...] = ()
        if draft.status == "ok" and given is None and self.retrieve is not None:
            with trace.stage("retrieval", clock) as note:
                try:
                    documents = as_documents(self.retrieve(question))
                    note.append(_counted(len(documents), "document"))
                except Exception as error:
                    note.append(draft.crashed("retrieval", error))
        if draft.status != "ok":
            yield Finished(draft.answer(clock() - trace.began))
            return
        with trace.stage("prompt assembly", clock) as note:
            documents = documents if given is None else as_documents(given)
            messages = self.prompt.messages(question, documents, history)
            note += [f"version {draft.prompt_version}", _counted(len(documents), "document")]
        deadline = None if limit is None else trace.began + limit
        request = Request(messages, draft.prompt_version, trace, deadline, self.client, state, self.output)
        left = list(documents)

        def shrink() -> list[dict[str, str]] | None:
            if not left:
                return None
            left.pop()
            return self.prompt.messages(question, left, history)

        request.shrink = shrink
        async with AsyncExitStack() as stack:
            flight, kept = None, None
            if self.cache is not None:
                with trace.stage("cache", clock) as note:
                    flight = await stack.enter_async_context(
                        state.shelf.flight(self._key(self.routes[0], request, tenant), self.cache, deadline)
                    )
                    kept = draft.looked(flight, clock())
                    note += ["miss" if kept is None else f"{draft.cached}, {clock() - kept.at:.1f} s old"]
                    note += [f"waited {flight.waited_seconds:.1f} s for the same question"] if flight.waited_seconds else []
            if kept is None:
                with trace.stage("routing", clock) as note:
                    router = Router(self.routes, self.retry, self.hedge, self.before_attempt, self.breaker)
                    try:
                        async with aclosing(router.run(request, deliver=deliver)) as run:
                            async for piece in run:
                                at = microseconds(clock() - trace.began)
                                draft.add(piece, at)
                                if deliver:
                                    yield Delta(piece, at)
                    except AttemptFailed as error:
                        kept = draft.instead(error, flight, self.last_resort, clock())
                    note += [_counted(len(trace.attempts), "attempt"), *request.notes]
            if kept is not None:
                at = microseconds(clock() - trace.began)
                for piece in kept.pieces:
                    draft.add(piece, at)
                    if deliver:
                        yield Delta(piece, at)
            with trace.stage("post-processing", clock) as note:
                self._finish(draft, request, documents)
                note += [_counted(len(draft.citations), "citation"), *(["output validated"] if draft.data is not None else [])]
            if draft.text:
                with trace.stage("guards out", clock) as note:
                    note.append(draft.guard(self.guards_out, draft.text, "assistant"))
            # Another route, or a question that was made shorter, has another key: its answer is not kept under this one.
            if flight is not None and draft.keepable and request.winner and self._key(request.winner[0], request, tenant) == flight.key:
                flight.keep(tuple(draft.pieces))
        state.touch()
        yield Finished(draft.answer(clock() - trace.began))

    def _remembered(self) -> State:
        assert self.state is not None, "set when the pipeline was made"
        return self.state

    def _key(self, route: Route, request: Request, tenant: str) -> str:
        """Return what an answer of `route` is kept under: all that could make it another one, streamed or not."""
        whole = route.body(request.messages, request.output)
        body = {name: part for name, part in whole.items() if name not in ("stream", "stream_options")}
        policy = [repr(guard) for guard in (*self.guards_in, *self.guards_out)]
        client = route.client or request.client
        where = str(client.base_url) if client is not None else ""
        return digest([request.prompt_version, body, where, tenant, policy], 16)

    def _finish(self, draft: Draft, request: Request, documents: Sequence[Document]) -> None:
        """Read what came: citations, tool calls, structured output, and whether it is what was meant."""
        draft.text = "".join(draft.pieces)
        draft.citations = _citations(draft.text, documents)
        if draft.status == "failed":
            return
        if request.winner is not None:
            route, call = request.winner
            draft.tool_calls = call.tool_calls
            first = self.routes[0]
            if call.finish_reason == "length":
                draft.status, draft.reason = "degraded", "length: the answer was cut off; allow it more tokens (max_output_tokens)"
            elif resolve(route.model) != resolve(first.model):
                draft.status, draft.reason = (
                    "degraded",
                    f"fallback: {resolve(route.model)} answered, by route {route.name!r}, not {first.name!r}",
                )
        if self.output is not None and not draft.tool_calls:
            parsed = parse(draft.text, self.output)
            draft.data = parsed.value
            if not parsed.ok:
                draft.status, draft.reason = "failed", f"invalid_output: {parsed.error}"


def _all_of(stage: str, given: Any, kind: type, what: str) -> tuple[Any, ...]:
    """Return the parts of a stage as a tuple."""
    parts = () if isinstance(given, str | kind) or not isinstance(given, Iterable) else tuple(given)
    wrong = (
        [given] if not parts and given not in ((), []) else [part for part in parts if isinstance(part, type) or not isinstance(part, kind)]
    )
    if wrong:
        raise BadInput(f"{stage} is a list of {what}, and {wrong[0]!r} is none")
    return parts


def _check_deadline(seconds: float | None) -> None:
    if seconds is not None:
        check_seconds("a deadline", seconds)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _citations(text: str, documents: Sequence[Document]) -> tuple[str, ...]:
    """Return the ids of `documents` that `text` names in square brackets, in order of appearance; commas part several."""
    if not documents or "[" not in text:
        return ()
    known = {document.id for document in documents}
    named = (name for names in _BRACKETS.findall(text) for name in (names, *map(str.strip, re.split("[,;]", names))))
    return tuple(dict.fromkeys(name for name in named if name in known))
