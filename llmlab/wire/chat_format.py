"""OpenAI's wire format of chat completions: whole bodies, streamed chunks, the list of models.

Field names and their order are OpenAI's. Nothing is ever cached: a prompt cache would make answers depend on each other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
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


def letters(count: int, *key: object) -> str:
    """Return `count` letters and digits (up to 40) as ids have them: a hash of `key`."""
    value = int.from_bytes(hashlib.blake2b("\x1f".join(map(str, key)).encode("utf-8", "surrogatepass"), digest_size=32).digest(), "big")
    made = []
    for _ in range(count):
        value, rest = divmod(value, len(_ALPHABET))
        made.append(_ALPHABET[rest])
    return "".join(made)


def completion(head: Head, choices: Sequence[Choice], prompt_tokens: int) -> bytes:
    """Return a whole answer, indented as OpenAI sends it."""
    listed = ",\n    ".join(_choice(index, choice) for index, choice in enumerate(choices))
    size, thought = sum(choice.size for choice in choices), sum(choice.reasoning_tokens for choice in choices)
    text = f"""{{
  "id": "{head.id}",
  "object": "chat.completion",
  "created": {CREATED},
  "model": "{head.model}",
  "choices": [
    {listed}
  ],
  "usage": {{
    "prompt_tokens": {prompt_tokens},
    "completion_tokens": {size},
    "total_tokens": {prompt_tokens + size},
    "prompt_tokens_details": {{
      "cached_tokens": 0,
      "audio_tokens": 0
    }},
    "completion_tokens_details": {{
      "reasoning_tokens": {thought},
      "audio_tokens": 0,
      "accepted_prediction_tokens": 0,
      "rejected_prediction_tokens": 0
    }}
  }},
  "service_tier": "default",
  "system_fingerprint": "{head.fingerprint}"
}}
"""
    return text.encode("utf-8", "replace")


def _choice(index: int, choice: Choice) -> str:
    content, calls = json.dumps("".join(choice.tokens), ensure_ascii=False), ""
    if choice.calls:
        listed = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": "".join(call.arguments)}}
            for call in choice.calls
        ]
        content, calls = "null", f'\n        "tool_calls": {_indented(listed, 8)},'
    return f"""{{
      "index": {index},
      "message": {{
        "role": "assistant",
        "content": {content},{calls}
        "refusal": null,
        "annotations": []
      }},
      "logprobs": null,
      "finish_reason": "{choice.finish_reason}"
    }}"""


def _indented(value: Any, spaces: int) -> str:
    """Return `value` as JSON whose lines after the first stand `spaces` to the right."""
    return json.dumps(value, indent=2, ensure_ascii=False).replace("\n", "\n" + " " * spaces)


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
        size, thought = sum(choice.size for choice in choices), sum(choice.reasoning_tokens for choice in choices)
        counted = (
            f'{{"prompt_tokens":{prompt_tokens},"completion_tokens":{size},"total_tokens":{prompt_tokens + size},'
            '"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":'
            f'{{"reasoning_tokens":{thought},"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}'
        )
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
