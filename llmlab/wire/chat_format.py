"""OpenAI's wire format of chat completions: whole bodies, streamed chunks, the list of models. Field names and their order are OpenAI's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from llmlab.protocol import tokens
from llmlab.protocol.models import Model

CREATED = 1_793_491_200
"""The time in every answer's `created` (2026-11-01, in seconds since 1970): fixed, so that the same request gives the same bytes."""
DONE = b"data: [DONE]\n\n"
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


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


def letters(count: int, draw: Callable[..., float], *purpose: object) -> str:
    """Return `count` letters and digits as ids have them."""
    made = ""
    while len(made) < count:
        value = int(draw("letters", len(made), *purpose) * 2**52)
        for _ in range(min(8, count - len(made))):
            value, rest = divmod(value, len(_ALPHABET))
            made += _ALPHABET[rest]
    return made


def usage(prompt_tokens: int, choices: Iterable[Choice]) -> dict[str, Any]:
    """Return the usage of an answer. Nothing is ever cached: a cache would make answers depend on each other."""
    choices = list(choices)
    completion = sum(choice.size for choice in choices)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": sum(choice.reasoning_tokens for choice in choices),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def completion(head: Head, choices: Sequence[Choice], prompt_tokens: int) -> bytes:
    """Return a whole answer."""
    listed = []
    for index, choice in enumerate(choices):
        message: dict[str, Any] = {"role": "assistant", "content": None if choice.calls else "".join(choice.tokens)}
        if choice.calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": "".join(call.arguments)}}
                for call in choice.calls
            ]
        message |= {"refusal": None, "annotations": []}
        listed.append({"index": index, "message": message, "logprobs": None, "finish_reason": choice.finish_reason})
    body = {
        "id": head.id,
        "object": "chat.completion",
        "created": CREATED,
        "model": head.model,
        "choices": listed,
        "usage": usage(prompt_tokens, choices),
        "service_tier": "default",
        "system_fingerprint": head.fingerprint,
    }
    return json.dumps(body, indent=2, ensure_ascii=False).encode("utf-8", "replace")


class Event(NamedTuple):
    """One event of a stream."""

    data: bytes
    token: int
    """How many tokens of its choice must be made before it can be sent, hidden ones included."""


def events(head: Head, choices: Sequence[Choice], prompt_tokens: int, *, include_usage: bool) -> Iterator[Event]:
    """Yield the events of a streamed answer: role, a delta a token, finish_reason, usage if asked for, [DONE].

    Several choices are interleaved token by token, as they are made.
    """
    prefix = (
        f'data: {{"id":"{head.id}","object":"chat.completion.chunk","created":{CREATED},"model":"{head.model}","service_tier":"default",'
        f'"system_fingerprint":"{head.fingerprint}",'
    )
    suffix = ',"usage":null}\n\n' if include_usage else "}\n\n"

    def event(index: int, delta: str, finish: str, token: int) -> Event:
        text = f'{prefix}"choices":[{{"index":{index},"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]{suffix}'
        return Event(text.encode("utf-8", "replace"), token)

    deltas = [list(_deltas(choice)) for choice in choices]
    for index, choice in enumerate(choices):
        content = "null" if choice.calls else '""'
        yield event(index, f'{{"role":"assistant","content":{content},"refusal":null}}', "null", 0)
    for step in range(max(map(len, deltas))):
        for index, choice in enumerate(choices):
            if step < len(deltas[index]):
                yield event(index, deltas[index][step], "null", choice.reasoning_tokens + step)
    for index, choice in enumerate(choices):
        yield event(index, "{}", f'"{choice.finish_reason}"', choice.reasoning_tokens + max(0, len(deltas[index]) - 1))
    last = max(choice.reasoning_tokens + max(0, len(delta) - 1) for choice, delta in zip(choices, deltas, strict=True))
    if include_usage:
        counted = json.dumps(usage(prompt_tokens, choices), separators=(",", ":"))
        yield Event(f'{prefix}"choices":[],"usage":{counted}}}\n\n'.encode(), last)
    yield Event(DONE, last)


def _deltas(choice: Choice) -> Iterator[str]:
    for token in choice.tokens:
        yield f'{{"content":{json.dumps(token, ensure_ascii=False)}}}'
    for number, call in enumerate(choice.calls):
        begun = {"index": number, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield json.dumps({"tool_calls": [begun]}, separators=(",", ":"))
        for token in call.arguments:
            part = {"index": number, "function": {"arguments": token}}
            yield json.dumps({"tool_calls": [part]}, separators=(",", ":"), ensure_ascii=False)


def model_entry(name: str) -> dict[str, Any]:
    """Return the entry of one model."""
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "llmlab-simulator"}


def model_list(models: Iterable[Model]) -> bytes:
    """Return the list of `models`, names and snapshots."""
    names = [name for model in models for name in (model.name, *model.snapshots)]
    return json.dumps({"object": "list", "data": [model_entry(name) for name in names]}, indent=2).encode()
