"""The pipeline: the stages in the order in which a request meets them.

```
question -> guardrails -> prompt assembly -> [cache] -> routing -> streaming -> post-processing -> guardrails -> Answer
```

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, fields, replace
from typing import Any

import openai

from llmlab.errors import BadInput
from llmlab.pipeline.abstain import Abstain
from llmlab.pipeline.answer import Answer, Delta, Finished, Partial
from llmlab.pipeline.breaker import Breaker
from llmlab.pipeline.cache import Cache
from llmlab.pipeline.clocks import check_seconds
from llmlab.pipeline.guardrails.base import ACTIONS, Guard
from llmlab.pipeline.guardrails.length import LengthGuard
from llmlab.pipeline.guardrails.verdict import action_of
from llmlab.pipeline.output import check_output
from llmlab.pipeline.parsing.arguments import Tool
from llmlab.pipeline.passage import Passage
from llmlab.pipeline.prompt import Prompt
from llmlab.pipeline.route import Route, check_client, check_routes
from llmlab.pipeline.routing import Hedge, Retry
from llmlab.pipeline.state import State


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
    tools: Sequence[Tool] = ()
    """What the model may ask to be called; the arguments of its calls are read like structured output."""
    reask: int = 1
    """How often it is asked again where its output or its calls cannot be read; then the next route is asked, once. Structured
    output is held back until it can be read, for what was shown cannot be asked for again; 0: never ask again, and show it as it comes."""
    abstain: Abstain | None = None
    """What the user is told where there is no answer; with it, an answer that says "I don't know" has the status abstained."""
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
        for stage, kind, what in (
            ("routes", Route, "routes"),
            ("guards_in", Guard, "guards"),
            ("guards_out", Guard, "guards"),
            ("tools", Tool, "tools"),
        ):
            object.__setattr__(self, stage, _all_of(stage, getattr(self, stage), kind, what))
        for guard in (*self.guards_in, *self.guards_out):
            if action_of(guard) not in (*ACTIONS, "abstain"):
                raise BadInput(f"{type(guard).__name__}: action is one of {', '.join((*ACTIONS, 'abstain'))}, not {action_of(guard)!r}")
        names = [tool.name for tool in self.tools]
        if len({*names}) < len(names):
            raise BadInput(f"tools need names of their own, and these are {', '.join(names)}")
        for stage, policy in (
            ("retry", Retry),
            ("hedge", Hedge),
            ("breaker", Breaker),
            ("cache", Cache),
            ("abstain", Abstain),
            ("last_resort", str),
            ("state", State),
        ):
            if not isinstance(getattr(self, stage), policy | None):
                raise BadInput(f"{stage} is a {policy.__name__}(...) or None, not {getattr(self, stage)!r}")
        for stage in ("retrieve", "before_attempt"):
            if getattr(self, stage) is not None and not callable(getattr(self, stage)):
                raise BadInput(f"{stage} is a function or None, not {getattr(self, stage)!r}")
        if not isinstance(self.reask, int) or isinstance(self.reask, bool) or not 0 <= self.reask <= 5:
            raise BadInput(f"reask is a whole number from 0 to 5, not {self.reask!r}")
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
    ) -> AsyncGenerator[Delta | Partial | Finished, None]:
        """Yield the answer as it comes: `Delta` after `Delta`, then one `Finished` with the whole `Answer`.

        With structured output a `Partial` comes whenever a further field of the object can no longer change.

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
        documents: Iterable[Any] | None,
        history: Iterable[Mapping[str, str]],
        deadline_seconds: float | None,
        tenant: str,
        *,
        deliver: bool,
    ) -> AsyncGenerator[Delta | Partial | Finished, None]:
        if not isinstance(question, str):
            raise BadInput(f"a question is a text, not {type(question).__name__}")
        if not isinstance(tenant, str):
            raise BadInput(f"a tenant is a text, not {type(tenant).__name__}")
        _check_deadline(deadline_seconds)
        assert self.state is not None, "set when the pipeline was made"
        self.state.touch()
        passage = Passage(
            self, self.state, self.deadline_seconds if deadline_seconds is None else deadline_seconds, tenant=tenant, deliver=deliver
        )
        async with aclosing(passage.events(question, documents, history)) as events:
            async for event in events:
                yield event


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
