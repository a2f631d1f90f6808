"""The simulator: a provider that answers by itself, speaks OpenAI's wire format, and reacts to load, quotas and prompts.

It is a behavioral model of a provider, not a language model. What it says comes from the documents in the prompt (`behavior`), how long it
takes from measured distributions (`latency`), and how it refuses from its quotas (`quota`).

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence

import httpx2
from pydantic_core import to_json

from llmlab.errors import BadInput
from llmlab.protocol import tokens
from llmlab.protocol.canonical import digest
from llmlab.protocol.identity import Stamp, Stamper
from llmlab.protocol.models import KNOWN, Model, find
from llmlab.wire import chat_format
from llmlab.wire.behavior import Answer, Answerable, help_desk, respond
from llmlab.wire.chat_errors import Refusal
from llmlab.wire.chat_format import Choice, Head
from llmlab.wire.chat_request import ChatRequest, parse
from llmlab.wire.habits import Habits, served
from llmlab.wire.latency import preset
from llmlab.wire.queueing import Closure, Slots
from llmlab.wire.quota import Header, Limits, Quota
from llmlab.wire.transport import CAPACITY, SOURCE, TIMED, Piece, Planned, Reply

_ERROR_SECONDS = 0.02
"""What a refusal takes (in seconds); assumed."""
_REMEMBERED = 10_000
_KEYS_PAGE = "https://platform.openai.com/account/api-keys"
_NO_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI "
    "API expects a JSON payload, but what was sent was not valid JSON. If you have trouble figuring out how to fix this, please contact us "
    "through our help center at help.openai.com.)"
)
_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: "
    "Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API from your browser and are prompted for a "
    f"username and password. You can obtain an API key from {_KEYS_PAGE}."
)


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
        each = slots if isinstance(slots, Mapping) else {} if slots is None else dict.fromkeys(self.models, slots)
        self._slots = {find(name).name: Slots(count) for name, count in each.items()}
        self._limits = {find(name).name: limit for name, limit in (limits or {}).items()}
        for limit in self._limits.values():
            if not isinstance(limit, Limits):
                raise BadInput(f"limits maps models to Limits(requests_per_minute=..., tokens_per_minute=...), not to {limit!r}")
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
            stamp, self._now = self._stamper.stamp(request), now
            timed = self.latency and not request.extensions.get(TIMED)
            instant = _ERROR_SECONDS if timed else 0.0
            try:
                about, key = _about(request), self._key(request)
                if about == "chat":
                    return self._chat(stamp, key, now, timed, request.extensions.get(CAPACITY, ()))
                all_models = chat_format.model_list(self.models.values())
                listed = all_models if about == "models" else chat_format.model_entry(self._served(request.url.path.rsplit("/", 1)[-1]))
                return self._reply(stamp, to_json(listed, indent=2), instant)
            except Refusal as refusal:
                return self._reply(stamp, refusal.body(), instant, refusal.headers, status=refusal.status)

    def _key(self, request: httpx2.Request) -> str:
        given = request.headers.get("authorization", "")
        key = given[7:].strip() if given[:7].lower() == "bearer " else ""
        if not key:
            raise Refusal(_NO_KEY, status=401)
        if self.api_key is not None and key != self.api_key:
            start, end = (8, 4) if len(key) > 16 else (2, 2)
            masked = key[:start] + "*" * max(2, len(key) - start - end) + key[-end:]
            words = f"Incorrect API key provided: {masked}. You can find your API key at {_KEYS_PAGE}."
            raise Refusal(words, None, "invalid_api_key", status=401)
        return key

    def _served(self, name: str) -> str:
        if name not in self.habits:
            words = f"The model `{name}` does not exist or you do not have access to it."
            raise Refusal(words, None, "model_not_found", status=404)
        return name

    def _chat(self, stamp: Stamp, key: str, now: float, timed: bool, closures: Sequence[Closure]) -> Reply:
        body = stamp.body
        if not isinstance(body, dict):
            raise Refusal(_NO_JSON)
        if not stamp.model:
            raise Refusal("you must provide a model parameter")
        model, habits = KNOWN[self._served(stamp.model)], self.habits[stamp.model]
        asked = parse(body, model)
        quota = self._quota(key, model, now)
        over = quota.charge(asked.prompt_tokens + (asked.max_tokens or 0), now)
        limits = quota.headers(now)
        if over:
            headers = [*over.headers(), *limits]
            raise Refusal(over.message(stamp.model), None, "rate_limit_exceeded", status=429, kind=over.kind, headers=headers)
        about, key_of_take = digest(asked.messages), stamp.key if asked.seed is None else ("seed", asked.seed)
        answers = respond(asked, habits, self.seed, "Simulator", about, *key_of_take, answerable=self.answerable)
        choices = [_cut(answer, asked) for answer in answers]
        head = Head(f"chatcmpl-{chat_format.letters(29, self.seed, about, *stamp.key)}", habits.snapshot, f"fp_simulated_{self.seed}")

        # The times are those that the weather's `Latency` would draw for this attempt, by the model's own preset.
        times = preset(habits.latency)
        first = times.first_token_seconds(self.seed, "Latency", "first_token", *stamp.key) * habits.first_token_factor
        each = times.seconds_per_token(self.seed, "Latency", "per_token", *stamp.key) * habits.per_token_factor
        size = max(choice.size for choice in choices)
        whole, slots = round(first + size * each, 6), self._slots.get(model.name)
        wait = slots.take(now, whole, closures) if slots and self.latency else 0.0
        took = whole if not asked.stream else first if timed else 0.0
        headers = [(b"openai-processing-ms", b"%d" % max(1, round(took * 1000))), *limits]
        if not timed:
            first = each = 0.0

        def at(token: int) -> float:
            return round(wait + round(first + token * each, 6), 6)

        if not asked.stream:
            reply = self._reply(stamp, chat_format.completion(head, choices, asked.prompt_tokens), at(size), headers)
        else:
            made = chat_format.events(head, choices, asked.prompt_tokens, include_usage=asked.include_usage)
            reply = self._reply(stamp, b"", round(wait + first, 6), headers, kind=b"text/event-stream; charset=utf-8")
            reply.pieces = [Piece(at(event.token), event.data) for event in made]
        if slots:
            reply.extensions[CAPACITY] = True
        return reply

    def _reply(
        self, stamp: Stamp, body: bytes, at: float, more: Sequence[Header] = (), *, status: int = 200, kind: bytes = b"application/json"
    ) -> Reply:
        headers = [
            (b"content-type", kind),
            (b"x-request-id", f"req_{digest([self.seed, *stamp.key], 16)}".encode()),
            (b"openai-version", b"2020-10-01"),
            (b"x-llmlab-source", b"simulator"),
        ]
        if body:
            headers.append((b"content-length", b"%d" % len(body)))
        pieces = [Piece(at, body)] if body else ()
        return Reply(status=status, headers=[*headers, *more], headers_at=at, pieces=pieces, extensions={SOURCE: "simulator"})

    def _quota(self, key: str, model: Model, now: float) -> Quota:
        found = self._quotas.get((key, model.name))
        if found is None:
            if len(self._quotas) >= _REMEMBERED:
                self._quotas.clear()
            found = self._quotas[key, model.name] = Quota(self._limits.get(model.name, Limits()), now)
        return found

    def __repr__(self) -> str:
        return f"Simulator({list(self.models)!r}, seed={self.seed})"


def _about(request: httpx2.Request) -> str:
    """Return what a request is about: chat, models or one model; refuse an address that is not there."""
    method, path = request.method, request.url.path
    *_, parent, last = ["", *path.rstrip("/").split("/")]
    about = "chat" if (parent, last) == ("chat", "completions") else "models" if last == "models" else "model"
    if about == "model" and parent != "models":
        raise Refusal(f"Invalid URL ({method} {path})", status=404)
    allowed = "POST" if about == "chat" else "GET"
    if method != allowed:
        words = f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)"
        raise Refusal(words, None, "method_not_supported", status=405, headers=[(b"allow", allowed.encode())])
    return about


def _cut(answer: Answer, asked: ChatRequest) -> Choice:
    """Cut an answer into tokens, at a stop word and at the limit; a call that has not begun at the limit is left out."""
    most, thought = asked.max_tokens, answer.reasoning_tokens
    if most is not None and thought >= most:
        return Choice((), (), "length", most)
    if answer.calls:
        calls, choice = list(answer.calls), Choice((), answer.calls, "tool_calls", thought)
        while most is not None and (over := choice.size - most) > 0:
            last = calls.pop()
            if over < len(last.arguments):
                calls.append(last._replace(arguments=last.arguments[:-over]))
            choice = Choice((), tuple(calls), "length", thought)
        return choice
    text = answer.text or ""
    text = text[: min((text.find(word) for word in asked.stop if word in text), default=None)]
    parts = tuple(tokens.split(text))
    room = len(parts) if most is None else most - thought
    return Choice(parts[:room], (), "length" if len(parts) > room else "stop", thought)
