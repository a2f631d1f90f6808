"""The simulator: a provider that answers by itself, speaks OpenAI's wire format, and reacts to load, quotas and prompts.

It is a behavioral model of a provider, not a language model. What it says comes from the documents in the prompt (`behavior`), how long it
takes from measured distributions (`latency`), and how it refuses from its quotas (`quota`).

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import httpx2

from llmlab.errors import BadInput
from llmlab.protocol import tokens
from llmlab.protocol.canonical import digest
from llmlab.protocol.identity import Stamp, Stamper
from llmlab.protocol.models import KNOWN, Model, find
from llmlab.wire import chat_errors, chat_format
from llmlab.wire.behavior import Answer, Answerable, help_desk, respond
from llmlab.wire.chat_format import Choice, Head, ToolCall
from llmlab.wire.chat_request import ChatRequest, parse
from llmlab.wire.habits import Habits, served
from llmlab.wire.latency import preset
from llmlab.wire.queueing import Slots
from llmlab.wire.quota import Limits, Quota
from llmlab.wire.transport import SOURCE, TIMED, Piece, Planned, Reply

_ERROR_SECONDS = 0.02
"""What a refusal takes (in seconds); assumed."""
_REMEMBERED = 10_000


class _Pace(NamedTuple):
    """How fast one answer comes."""

    first: float
    """To the first token (in seconds)."""
    per_token: float
    """From token to token (in seconds)."""

    def at(self, token: int) -> float:
        return round(self.first + token * self.per_token, 6)


class Simulator(Planned):
    """A simulated provider behind an openai client.

    Args:
        models: The models it has: None for all bundled ones; names for some; or a mapping from names to snapshots or `Habits` for all of
            them, with those changed. `{"gpt-4o": "gpt-4o-2024-11-20"}` moves a name to the newer snapshot.
        seed: Seed of all draws.
        slots: Answers at once, for each model (or for those in a mapping); None: no limit, no queue.
        limits: Quotas by model; the others have generous ones.
        api_key: The key that is accepted; None: any.
        latency: Whether answers take time; with False everything comes at once, and no queue forms.
        answerable: Says of a question and the text of its documents whether the text holds the answer (None: unknown). A language model
            would often notice that it doesn't; words alone hardly show it. The bundled help desk's questions are known; None: words only.

    Raises:
        UnknownName: A model that does not exist.
        BadInput: Slots or habits that can't be.

    Notebook: 00_start_here.ipynb
    """

    def __init__(
        self,
        models: Iterable[str] | Mapping[str, str | Habits] | None = None,
        seed: int = 0,
        *,
        slots: int | Mapping[str, int] | None = None,
        limits: Mapping[str, Limits] | None = None,
        api_key: str | None = None,
        latency: bool = True,
        answerable: Answerable | None = help_desk,
    ) -> None:
        self.seed, self.api_key, self.latency, self.answerable = seed, api_key, latency, answerable
        self.models, self.habits = served(models)
        self._slots = {find(name).name: Slots(count) for name, count in _by_model(slots, self.models).items()}
        self._limits = {find(name).name: _checked(limit) for name, limit in (limits or {}).items()}
        self._lock = threading.Lock()
        self._stamper = Stamper()
        self._quotas: dict[tuple[str, str], Quota] = {}
        self._now = 0.0

    @property
    def reacts_to_load(self) -> bool:
        """Whether it has places or quotas of its own that requests compete for."""
        return bool(self._slots or self._limits)

    def reset(self) -> None:
        """Forget what was counted, waited for and charged."""
        self._stamper.reset()
        self._calm()

    def _calm(self) -> None:
        self._quotas.clear()
        for slots in self._slots.values():
            slots.reset()

    def plan(self, request: httpx2.Request, now: float) -> Reply:
        """Return the answer to `request`, or its refusal."""
        with self._lock:
            if now < self._now:  # another loop, whose clock began anew
                self._calm()
            stamp = self._stamper.stamp(request)
            self._now = now
            try:
                return self._answered(request, stamp, now)
            except chat_errors.Refusal as refusal:
                return self._reply(refusal.status, refusal.body(), self._instant(request), stamp, refusal.headers)

    def _answered(self, request: httpx2.Request, stamp: Stamp, now: float) -> Reply:
        path, method = request.url.path, request.method
        kind = _kind(path)
        if kind is None:
            raise chat_errors.unknown_url(method, path)
        allowed = "POST" if kind == "chat" else "GET"
        if method != allowed:
            raise chat_errors.wrong_method(method, path, allowed)
        key = self._key(request)
        if kind == "models":
            return self._reply(200, chat_format.model_list(self.models.values()), self._instant(request), stamp)
        if kind == "model":
            name = path.rsplit("/", 1)[-1]
            if name not in self.habits:
                raise chat_errors.unknown_model(name)
            return self._reply(200, json.dumps(chat_format.model_entry(name), indent=2).encode(), self._instant(request), stamp)
        return self._chat(request, stamp, key, now)

    def _chat(self, request: httpx2.Request, stamp: Stamp, key: str, now: float) -> Reply:
        body = stamp.body
        if not isinstance(body, dict):
            raise chat_errors.bad_json()
        if not isinstance(body.get("model"), str) or not body["model"]:
            raise chat_errors.Refusal(400, "you must provide a model parameter")
        if stamp.model not in self.habits:
            raise chat_errors.unknown_model(stamp.model)
        model, habits = KNOWN[stamp.model], self.habits[stamp.model]
        asked = parse(body, model)
        quota = self._quota(key, model, now)
        over = quota.charge(asked.prompt_tokens + (asked.max_tokens or 0), now)
        limits = quota.headers(now)
        if over:
            raise chat_errors.Refusal(
                429, over.message(stamp.model), kind=over.kind, code="rate_limit_exceeded", headers=[*over.headers(), *limits]
            )
        about = digest(asked.messages)
        key_of_take = ("seed", asked.seed) if asked.seed is not None else stamp.key
        answers = respond(asked, habits, self.seed, "Simulator", about, *key_of_take, answerable=self.answerable)
        choices = [_cut(answer, asked) for answer in answers]
        head = Head(f"chatcmpl-{chat_format.letters(29, self.seed, about, *stamp.key)}", habits.snapshot, f"fp_simulated_{self.seed}")
        return self._timed(request, stamp, asked, choices, head, habits, now, limits)

    def _timed(
        self,
        request: httpx2.Request,
        stamp: Stamp,
        asked: ChatRequest,
        choices: Sequence[Choice],
        head: Head,
        habits: Habits,
        now: float,
        limits: Sequence[tuple[bytes, bytes]],
    ) -> Reply:
        pace = self._pace(stamp, habits)
        whole = pace.at(max(choice.size for choice in choices))
        wait = self._wait(stamp, whole, now)
        if not self._takes_time(request):
            pace = _Pace(0.0, 0.0)
        took = round((pace.first if asked.stream else whole) * 1000)
        headers = [(b"openai-processing-ms", b"%d" % max(1, took)), *limits]
        if not asked.stream:
            at = round(wait + pace.at(max(choice.size for choice in choices)), 6)
            return self._reply(200, chat_format.completion(head, choices, asked.prompt_tokens), at, stamp, headers)
        reply = self._reply(200, b"", round(wait + pace.first, 6), stamp, headers, kind=b"text/event-stream; charset=utf-8")
        made = chat_format.events(head, choices, asked.prompt_tokens, include_usage=asked.include_usage)
        reply.pieces = [Piece(round(wait + pace.at(event.token), 6), event.data) for event in made]
        return reply

    def _reply(
        self,
        status: int,
        body: bytes,
        at: float,
        stamp: Stamp,
        headers: Sequence[tuple[bytes, bytes]] = (),
        *,
        kind: bytes = b"application/json",
    ) -> Reply:
        fixed = [
            (b"content-type", kind),
            (b"x-request-id", f"req_{digest([self.seed, *stamp.key], 16)}".encode()),
            (b"openai-version", b"2020-10-01"),
            (b"x-llmlab-source", b"simulator"),
        ]
        if body:
            fixed.append((b"content-length", b"%d" % len(body)))
        return Reply(
            status=status,
            headers=[*fixed, *headers],
            headers_at=at,
            pieces=[Piece(at, body)] if body else (),
            extensions={SOURCE: "simulator"},
        )

    def _pace(self, stamp: Stamp, habits: Habits) -> _Pace:
        """Return the times that the weather's `Latency` would draw for this attempt, by the model's own preset."""
        times = preset(habits.latency)
        return _Pace(
            times.first_token_seconds(self.seed, "Latency", "first_token", *stamp.key) * habits.first_token_factor,
            times.seconds_per_token(self.seed, "Latency", "per_token", *stamp.key) * habits.per_token_factor,
        )

    def _wait(self, stamp: Stamp, service_seconds: float, now: float) -> float:
        slots = self._slots.get(KNOWN[stamp.model].name)
        return slots.take(now, service_seconds) if slots and self.latency else 0.0

    def _takes_time(self, request: httpx2.Request) -> bool:
        return self.latency and not request.extensions.get(TIMED)

    def _instant(self, request: httpx2.Request) -> float:
        return _ERROR_SECONDS if self._takes_time(request) else 0.0

    def _key(self, request: httpx2.Request) -> str:
        given = request.headers.get("authorization", "")
        key = given[7:].strip() if given[:7].lower() == "bearer " else ""
        if not key:
            raise chat_errors.no_key()
        if self.api_key is not None and key != self.api_key:
            raise chat_errors.wrong_key(key)
        return key

    def _quota(self, key: str, model: Model, now: float) -> Quota:
        found = self._quotas.get((key, model.name))
        if found is None:
            if len(self._quotas) >= _REMEMBERED:
                self._quotas.clear()
            found = self._quotas[key, model.name] = Quota(self._limits.get(model.name, Limits()), now)
        return found

    def __repr__(self) -> str:
        return f"Simulator({list(self.models)!r}, seed={self.seed})"


def _kind(path: str) -> str | None:
    path = path.rstrip("/")
    if path.endswith("/chat/completions"):
        return "chat"
    if path.endswith("/models"):
        return "models"
    return "model" if path.rsplit("/", 2)[-2:-1] == ["models"] else None


def _cut(answer: Answer, asked: ChatRequest) -> Choice:
    """Cut an answer into tokens, at a stop word and at the limit."""
    room = asked.max_tokens
    if room is not None:
        if answer.reasoning_tokens >= room:
            return Choice((), (), "length", room)
        room -= answer.reasoning_tokens
    if answer.calls:
        calls = tuple(ToolCall(call.id, call.name, tuple(tokens.split(call.arguments))) for call in answer.calls)
        choice = Choice((), calls, "tool_calls", answer.reasoning_tokens)
        return choice if asked.max_tokens is None or choice.size <= asked.max_tokens else _cut_calls(choice, asked.max_tokens)
    text = answer.text or ""
    ends = [text.find(word) for word in asked.stop if word in text]
    if ends:
        text = text[: min(ends)]
    parts = tuple(tokens.split(text))
    if room is not None and len(parts) > room:
        return Choice(parts[:room], (), "length", answer.reasoning_tokens)
    return Choice(parts, (), "stop", answer.reasoning_tokens)


def _cut_calls(choice: Choice, most: int) -> Choice:
    """Cut the last call's arguments until the choice has `most` tokens; a call that has not begun is left out."""
    calls = list(choice.calls)
    while calls:
        made = Choice((), tuple(calls), "length", choice.reasoning_tokens)
        over = made.size - most
        if over <= 0:
            return made
        last = calls.pop()
        if over < len(last.arguments):
            calls.append(last._replace(arguments=last.arguments[:-over]))
            return Choice((), tuple(calls), "length", choice.reasoning_tokens)
    return Choice((), (), "length", choice.reasoning_tokens)


def _by_model(slots: int | Mapping[str, int] | None, models: Mapping[str, Model]) -> Mapping[str, int]:
    if slots is None:
        return {}
    return slots if isinstance(slots, Mapping) else dict.fromkeys(models, slots)


def _checked(limit: Limits) -> Limits:
    if not isinstance(limit, Limits):
        raise BadInput(f"limits maps models to Limits(requests_per_minute=..., tokens_per_minute=...), not to {limit!r}")
    return limit
