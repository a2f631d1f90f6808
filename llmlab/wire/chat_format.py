"""OpenAI's wire format of chat completions: whole bodies, streamed chunks, the list of models.

Field names and their order are OpenAI's. Nothing is ever cached: a prompt cache would make answers depend on each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from llmlab.protocol import tokens
from llmlab.protocol.models import Model

CREATED = 1_793_491_200
"""The time in every answer's `created` (2026-11-01, in seconds since 1970): fixed, so that the same request gives the same bytes."""
DONE = b"data: [DONE]\n\n"
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_PAIRS = [second + first for first in _ALPHABET for second in _ALPHABET]


class ToolCall(NamedTuple):
    """A call of a function, as it is sent."""

    id: str
    name: str
    arguments: tuple[str, ...]
    """The JSON, cut into tokens."""


class Choice(NamedTuple):
    """One finished choice."""

    tokens: tuple[str, ...]
    """The text, cut into tokens."""
    calls: tuple[ToolCall, ...]
    finish_reason: str
    """stop, length or tool_calls."""
    reasoning_tokens: int = 0

    @property
    def size(self) -> int:
        """Completion tokens, hidden ones included."""
        called = sum(len(call.arguments) + tokens.count(call.name) + 8 for call in self.calls)
        return len(self.tokens) + called + self.reasoning_tokens


class Head(NamedTuple):
    """What all chunks of an answer share."""

    id: str
    model: str
    """The snapshot."""
    fingerprint: str


class Event(NamedTuple):
    """One event of a stream."""

    data: bytes
    token: int
    """How many tokens of its choice must be made before it can be sent, hidden ones included."""


def letters(count: int, *key: object) -> str:
    """Return `count` letters and digits (up to 40) as ids have them: a hash of `key`."""
    value = int.from_bytes(hashlib.blake2b("\x1f".join(map(str, key)).encode("utf-8", "surrogatepass"), digest_size=32).digest(), "big")
    made = []
    for _ in range(0, count, 2):
        value, rest = divmod(value, len(_PAIRS))
        made.append(_PAIRS[rest])
    return "".join(made)[:count]


def _usage(choices: Sequence[Choice], prompt_tokens: int) -> dict[str, Any]:
    size, thought = sum(choice.size for choice in choices), sum(choice.reasoning_tokens for choice in choices)
    predicted = {"accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": size,
        "total_tokens": prompt_tokens + size,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": thought, "audio_tokens": 0, **predicted},
    }


def _function(call: ToolCall, arguments: str) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def completion(head: Head, choices: Sequence[Choice], prompt_tokens: int) -> bytes:
    """Return a whole answer, indented as OpenAI sends it."""
    listed = []
    for index, choice in enumerate(choices):
        message: dict[str, Any] = {"role": "assistant", "content": "".join(choice.tokens)}
        if choice.calls:
            message |= {"content": None, "tool_calls": [_function(call, "".join(call.arguments)) for call in choice.calls]}
        message |= {"refusal": None, "annotations": []}
        listed.append({"index": index, "message": message, "logprobs": None, "finish_reason": choice.finish_reason})
    body = {
        "id": head.id,
        "object": "chat.completion",
        "created": CREATED,
        "model": head.model,
        "choices": listed,
        "usage": _usage(choices, prompt_tokens),
        "service_tier": "default",
        "system_fingerprint": head.fingerprint,
    }
    return to_json(body, indent=2) + b"\n"


def events(head: Head, choices: Sequence[Choice], prompt_tokens: int, *, include_usage: bool) -> Iterator[Event]:
    """Yield the events of a streamed answer: role, a delta a token, finish_reason, usage if asked for, [DONE].

    Several choices are interleaved token by token, as they are made.
    """
    shared = {"id": head.id, "object": "chat.completion.chunk", "created": CREATED, "model": head.model, "service_tier": "default"}
    prefix = b"data: " + to_json({**shared, "system_fingerprint": head.fingerprint})[:-1] + b',"choices":'
    suffix = b',"usage":null}\n\n' if include_usage else b"}\n\n"

    def event(token: int, index: int, delta: dict[str, Any], finish: str | None = None) -> Event:
        made = to_json([{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}])
        return Event(prefix + made + suffix, token)

    deltas = [list(_deltas(choice)) for choice in choices]
    ends = [choice.reasoning_tokens + max(0, len(made) - 1) for choice, made in zip(choices, deltas, strict=True)]
    for index, choice in enumerate(choices):
        yield event(0, index, {"role": "assistant", "content": None if choice.calls else "", "refusal": None})
    for step in range(max(map(len, deltas))):
        for index, choice in enumerate(choices):
            if step < len(deltas[index]):
                yield event(choice.reasoning_tokens + step, index, deltas[index][step])
    for index, choice in enumerate(choices):
        yield event(ends[index], index, {}, choice.finish_reason)
    if include_usage:
        yield Event(prefix + b'[],"usage":' + to_json(_usage(choices, prompt_tokens)) + b"}\n\n", max(ends))
    yield Event(DONE, max(ends))


def _deltas(choice: Choice) -> Iterator[dict[str, Any]]:
    for token in choice.tokens:
        yield {"content": token}
    for number, call in enumerate(choice.calls):
        yield {"tool_calls": [{"index": number, **_function(call, "")}]}
        for token in call.arguments:
            yield {"tool_calls": [{"index": number, "function": {"arguments": token}}]}


def model_entry(name: str) -> dict[str, Any]:
    """Return the entry of one model."""
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "llmlab-simulator"}


def model_list(models: Iterable[Model]) -> dict[str, Any]:
    """Return the list of `models`, names and snapshots."""
    names = [name for model in models for name in (model.name, *model.snapshots)]
    return {"object": "list", "data": [model_entry(name) for name in names]}
