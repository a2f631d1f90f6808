"""The way of one request through the stages of a pipeline, in their order."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any

from llmlab.errors import AttemptBroken, AttemptFailed
from llmlab.pipeline.abstain import Abstain, says_unknown
from llmlab.pipeline.answer import Delta, Finished, Partial
from llmlab.pipeline.cache import Cache, Flight, Kept
from llmlab.pipeline.draft import Draft
from llmlab.pipeline.guardrails.base import Guard
from llmlab.pipeline.guardrails.delivery import Delivery
from llmlab.pipeline.intake import Intake
from llmlab.pipeline.parsing.parse import parse
from llmlab.pipeline.parsing.partial import PartialObject
from llmlab.pipeline.parsing.prose import prose, strings
from llmlab.pipeline.prompt import Document, as_messages
from llmlab.pipeline.reask import Reader, ask_again
from llmlab.pipeline.route import Route
from llmlab.pipeline.routing import Request, Router
from llmlab.pipeline.state import State
from llmlab.pipeline.trace import Trace
from llmlab.protocol.canonical import digest
from llmlab.protocol.draws import microseconds
from llmlab.protocol.models import resolve

if TYPE_CHECKING:
    from llmlab.pipeline.pipeline import Pipeline

_BRACKETS = re.compile(r"\[([^\[\]\n]{1,200})\]")
_VERDICTS = Cache(fresh_seconds=3600, stale_seconds=0, size=1_000)
"""How long a judge's words are remembered."""
_Events = AsyncGenerator[Delta | Partial | Finished, None]


class Passage:
    """One request on its way.

    Args:
        pipeline: Whose stages it passes.
        state: What the pipeline remembers.
        limit_seconds: From the question to the end of the answer; None: no limit.
        tenant: On whose behalf.
        deliver: Whether the answer is shown as it comes.
    """

    def __init__(self, pipeline: Pipeline, state: State, limit_seconds: float | None, *, tenant: str, deliver: bool) -> None:
        self._clock = asyncio.get_running_loop().time
        self._pipeline, self._state, self._tenant, self._deliver = pipeline, state, tenant, deliver
        self._draft = Draft(Trace(began=self._clock()), pipeline.prompt.version)
        self._trace = self._draft.trace
        self._deadline = None if limit_seconds is None else self._trace.began + limit_seconds
        self._intake = Intake(pipeline.guards_in, self._draft, lambda name: self._trace.stage(name, self._clock), self._ask)
        self._vault = self._intake.vault
        self._reader = Reader(pipeline.output, pipeline.tools, self._vault)
        self._sent: list[tuple[list[dict[str, str]], tuple[Document, ...]]] = []
        """Messages that were made, and the documents in them."""
        self._unforeseen: Exception | None = None
        self._documents: tuple[Document, ...] = ()
        self._early = deliver and (pipeline.output is None or not pipeline.reask)
        self._partial = PartialObject(pipeline.output) if deliver and pipeline.output is not None else None

    async def events(self, question: str, given: Iterable[Any] | None, history: Iterable[Mapping[str, str]]) -> _Events:
        """Yield a `Delta` for each piece that can be shown, if it is to be delivered as it comes, and `Finished` at the end."""
        draft, trace, self._question = self._draft, self._trace, question
        question, messages = await self._intake.question(question, as_messages(history))
        if draft.status == "ok":
            self._documents = await self._intake.documents(question, given, self._pipeline.retrieve)
        self._raise_unforeseen()
        if draft.status == "ok":
            with trace.stage("prompt assembly", self._clock) as note:
                request = self._assemble(question, messages)
                note += [f"version {draft.prompt_version}", _counted(len(self._documents), "document")]
            delivery = self._outlet(question, messages)
        if draft.status == "ok":
            async with AsyncExitStack() as stack, aclosing(self._answered(request, delivery, stack)) as deltas:
                async for delta in deltas:
                    yield delta
        self._state.touch()
        yield Finished(draft.answer(self._clock() - trace.began))

    def _assemble(self, question: str, history: list[dict[str, str]]) -> Request:
        pipeline, documents = self._pipeline, self._documents
        full = pipeline.prompt.messages(question, documents, history)
        left = list(documents)

        def shrink() -> list[dict[str, str]] | None:
            if request.messages is full:  # another route begins with all of them
                left[:] = documents
            if not left:
                return None
            left.pop()
            shorter = pipeline.prompt.messages(question, left, history)
            self._sent.append((shorter, tuple(left)))
            return shorter

        self._sent = [(full, documents)]
        request = Request(
            full,
            self._draft.prompt_version,
            self._trace,
            self._deadline,
            pipeline.client,
            self._state,
            pipeline.output,
            tuple(tool.spec for tool in pipeline.tools),
            shrink,
        )
        return request

    def _outlet(self, question: str, history: list[dict[str, str]]) -> Delivery:
        """Return the guards of the answer, as this request needs them."""
        guards: list[Guard] = []
        for guard in self._pipeline.guards_out:
            fitted = getattr(guard, "for_request", None)
            try:
                guards.append(guard if fitted is None else fitted(question, self._documents, history))
            except Exception as error:
                self._draft.crashed("a guard", error)
        return Delivery(
            [*guards, *self._pipeline.prompt.guards(question, self._documents)], self._vault, escaped=self._pipeline.output is not None
        )

    async def _answered(self, request: Request, delivery: Delivery, stack: AsyncExitStack) -> AsyncGenerator[Delta | Partial, None]:
        """Answer: from the cache or through the routes, behind the guards of the answer; yield what is shown as it comes."""
        pipeline, draft, trace, clock = self._pipeline, self._draft, self._trace, self._clock
        flight, kept, final = None, None, request
        if pipeline.cache is not None:
            with trace.stage("cache", clock) as note:
                key = self._key(pipeline.routes[0], request)
                flight = await stack.enter_async_context(self._state.shelf.flight(key, pipeline.cache, self._deadline))
                kept = draft.looked(flight, clock())
                note += ["miss" if kept is None else f"{draft.cached}, {clock() - kept.at:.1f} s old"]
                note += [f"waited {flight.waited_seconds:.1f} s for the same question"] if flight.waited_seconds else []
        if kept is None:
            with trace.stage("routing", clock) as note:
                router = Router(pipeline.routes, pipeline.retry, pipeline.hedge, pipeline.before_attempt, pipeline.breaker)
                try:
                    async with aclosing(router.run(request, deliver=self._early)) as run:
                        async for piece in run:
                            draft.pieces.append(piece)
                            for event in self._shown(delivery.feed(piece)) if self._early else ():
                                yield event
                            if delivery.stopped:
                                break
                    if draft.delivered_at is None and not delivery.stopped:
                        final, kept = await self._read_or_ask_again(request, router, flight)
                except AttemptFailed as error:
                    kept = draft.instead(error, flight, pipeline.last_resort, clock())
                asked = next((documents for messages, documents in self._sent if messages is request.messages), self._documents)
                self._documents = asked
                note += [_counted(len(trace.attempts), "attempt"), *request.notes]
        if kept is not None:
            draft.pieces[:] = kept.pieces
        if draft.delivered_at is None and not delivery.stopped:
            delivery = delivery.again()
            if draft.stands_in:  # it is the pipeline's own message, and no answer to look at
                delivery = Delivery((), self._vault)
            for piece in draft.pieces:
                for event in self._shown(delivery.feed(piece)):
                    yield event
        if not delivery.stopped:
            with trace.stage("post-processing", clock) as note:
                self._finish(final)
                note += [_counted(len(draft.citations), "citation"), *draft.read]
        if draft.text or draft.tool_calls or delivery.stopped:
            with trace.stage("guards out", clock) as note:
                rest = await delivery.finish(self._ask)
                note.append(delivery.verdict.note)
                beside = await delivery.beside(self._beside_the_text(), self._ask)
                note += [f"{beside.where} {beside.note}"] if beside.found or beside.broken else []
                self._raise_unforeseen()
                note += [f"held back at most {delivery.most_held} characters"] if delivery.most_held and self._deliver else []
            if draft.take(delivery.verdict) and draft.take(beside):
                if delivery.text != draft.text:
                    self._read(delivery.text, final)
            elif draft.status == "abstained":
                rest = (pipeline.abstain or Abstain()).words(self._question, self._documents)
                draft.text = rest = self._vault.show(rest)
            elif beside.status != "ok":
                rest = ""
            for event in self._shown(rest):
                yield event
        # Another route, or a question that was made shorter, has another key: its answer is not kept under this one.
        if flight is not None and draft.keepable and final.winner and self._key(final.winner[0], request) == flight.key:
            flight.keep(tuple(draft.pieces))

    async def _read_or_ask_again(self, request: Request, router: Router, flight: Flight | None) -> tuple[Request, Kept | None]:
        """Read an answer that nobody has seen yet, and ask again where it cannot be read.

        Return the request that gave the answer, and what stands in for one that still cannot be read.
        """
        pipeline, draft = self._pipeline, self._draft
        if pipeline.output is None and not pipeline.tools:
            return request, None
        reading, final = self._reader.read("".join(draft.pieces), request), request
        if pipeline.reask and not reading.parsed.ok:
            router.earn(self._state)
            reading, final = await ask_again(reading, request, router, pipeline.reask, self._reader)
            draft.pieces[:] = [reading.text] if reading.text else []
        if reading.parsed.ok:
            if reading.parsed.repairs and not reading.calls:  # who reads on, guards first of all, reads what was meant
                draft.repairs = [repair.kind for repair in reading.parsed.repairs]
                draft.pieces[:] = [json.dumps(parse(reading.text, pipeline.output).raw, ensure_ascii=False)]
            return final, None
        error = AttemptBroken("invalid_output", reading.parsed.error, retryable=False)
        return final, draft.stand_in(error, flight, pipeline.last_resort, self._clock())

    def _shown(self, text: str) -> list[Delta | Partial]:
        """Take note of text that may be seen, and return the events that show it, if it is to be shown now."""
        if not text:
            return []
        at = microseconds(self._clock() - self._trace.began)
        self._draft.shown(at)
        if not self._deliver:
            return []
        if self._partial is None:
            return [Delta(text, at)]
        before = self._partial.fields
        fields = self._partial.feed(text)
        return [Delta(text, at), *([] if fields is before else [Partial(fields, at)])]

    def _key(self, route: Route, request: Request) -> str:
        """Return what an answer of `route` is kept under: all that could make it another one, streamed or not."""
        whole = route.body(request.messages, request.output, request.tools)
        body = {name: part for name, part in whole.items() if name not in ("stream", "stream_options")}
        policy = [repr(guard) for guard in (*self._pipeline.guards_in, *self._pipeline.guards_out)]
        client = route.client or request.client
        where = str(client.base_url) if client is not None else ""
        return digest([request.prompt_version, body, where, self._tenant, policy], 16)

    async def _ask(
        self, messages: Sequence[dict[str, str]], *, seconds: float, keep: Callable[[str], bool], route: Route | None = None
    ) -> str:
        """Ask a model on behalf of a guard; see `Ask`. What it said once, and may be kept, is remembered."""
        pipeline, state = self._pipeline, self._state
        until = self._clock() + seconds
        deadline = until if self._deadline is None else min(until, self._deadline)
        request = Request(list(messages), "", self._trace, deadline, pipeline.client, state, role="judge")
        routes = [route] if route is not None else pipeline.routes
        async with state.verdicts.flight(self._key(routes[0], request), _VERDICTS, request.deadline) as flight:
            if flight.found is not None:
                return "".join(flight.found.pieces)
            router = Router(routes, pipeline.retry, None, pipeline.before_attempt, pipeline.breaker)
            try:
                async with aclosing(router.run(request, deliver=False)) as run:
                    said = "".join([piece async for piece in run])
            except AttemptFailed:
                raise
            except Exception as error:
                self._unforeseen = error
                raise
            if keep(said):
                flight.keep((said,))
            return said

    def _finish(self, request: Request) -> None:
        """Say whether what came is what was meant."""
        draft, first = self._draft, self._pipeline.routes[0]
        reasons = [draft.withheld] if draft.withheld and draft.status != "failed" else []
        if request.winner is not None and draft.status != "failed":
            route, call = request.winner
            other = next((one.other_model for one in self._trace.attempts if one.ordinal == call.ordinal), "")
            if call.finish_reason == "length":
                reasons.append("length: the answer was cut off; allow it more tokens (max_output_tokens)")
            elif resolve(route.model) != resolve(first.model):
                reasons.append(f"fallback: {resolve(route.model)} answered, by route {route.name!r}, not {first.name!r}")
            elif other:
                reasons.append(f"other model: {other} answered, not {resolve(route.model)}")
        if reasons:
            draft.status, draft.reason = "degraded", "; ".join([*reasons, *filter(None, [draft.reason])])
        self._read("".join(draft.pieces), request)

    def _read(self, text: str, request: Request) -> None:
        """Read the answer: its citations, its tool calls, and the structured output."""
        draft, pipeline = self._draft, self._pipeline
        draft.text = text
        draft.citations = _citations(text, self._documents)
        if draft.status == "failed" or draft.stands_in:
            return
        reading = self._reader.read(text, request)
        draft.tool_calls, draft.data = reading.calls, reading.parsed.value
        if not reading.parsed.ok:
            draft.status, draft.reason = "failed", f"invalid_output: {reading.parsed.error}"
        elif pipeline.output is not None and not reading.calls:
            repairs = dict.fromkeys([*draft.repairs, *(repair.kind for repair in reading.parsed.repairs)])
            draft.read = [" after repair: ".join(filter(None, ["output validated", ", ".join(repairs)]))]
        if pipeline.abstain is not None and draft.status in ("ok", "degraded") and not reading.calls:
            said = prose(text)
            if said and all(says_unknown(one.text) for one in said):
                why = "the model says that it does not know"
                draft.status, draft.reason = "abstained", "; ".join(filter(None, [draft.reason, why]))

    def _beside_the_text(self) -> list[str]:
        """Return what is handed over and does not stand in the text as it is: the texts in calls of tools, and in JSON with escapes."""
        draft = self._draft
        whole = [call.arguments for call in draft.tool_calls]
        if self._pipeline.output is not None and "\\" in draft.text:
            whole.append(draft.text)
        return [self._vault.cover(text) for one in whole for text in strings(one)]

    def _raise_unforeseen(self) -> None:
        """Raise what a hook of the user's raised while a guard asked a model: a guard must not swallow it."""
        if self._unforeseen is not None:
            raise self._unforeseen


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _citations(text: str, documents: Sequence[Document]) -> tuple[str, ...]:
    """Return the ids of `documents` that `text` names in square brackets, in order of appearance; commas part several."""
    if not documents or "[" not in text:
        return ()
    known = {document.id for document in documents}
    named = (name for names in _BRACKETS.findall(text) for name in (names, *map(str.strip, re.split("[,;]", names))))
    return tuple(dict.fromkeys(name for name in named if name in known))
