"""What a streamed chunk or a whole reply of the chat protocol holds, for those who look at bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

from llmlab.protocol import tokens

_CONTENT = ("content", "tool_calls", "reasoning_content", "reasoning", "refusal", "function_call", "audio")


def parsed(field: bytes) -> dict[str, Any] | None:
    """Return the JSON object in `field`, or None where there is none."""
    try:
        value = from_json(field)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def has_content(chunk: dict[str, Any]) -> bool:
    """Whether `chunk` carries text, reasoning, a refusal or a tool delta: not a role, not a keep-alive, not usage."""
    return content_index(chunk) is not None


def content_index(chunk: dict[str, Any]) -> int | None:
    """Return the index of the first choice to which `chunk` brings content, or None where it brings none."""
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        return None
    for place, choice in enumerate(choices):
        delta = choice.get("delta") if isinstance(choice, dict) else None
        if isinstance(delta, dict) and (delta.get("content") or any(delta.get(name) for name in _CONTENT)):
            index = choice.get("index")
            return index if isinstance(index, int) else place
    return None


def text_of(chunk: dict[str, Any]) -> str:
    """Return the text that a chunk adds to the first choice."""
    choices = chunk.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    delta = first.get("delta") if isinstance(first, dict) else None
    text = delta.get("content") or delta.get("refusal") if isinstance(delta, dict) else None
    return text if isinstance(text, str) else ""


def usage_of(reply: dict[str, Any] | None) -> dict[str, int] | None:
    """Return the token counts that a reply or a last chunk reports, or None.

    Returns:
        prompt_tokens, completion_tokens, cached_tokens (part of the prompt's), reasoning_tokens (part of the completion's).
    """
    usage = reply.get("usage") if reply else None
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not isinstance(prompt, int) or not isinstance(completion, int):
        return None
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "cached_tokens": _detail(usage, "prompt_tokens_details", "cached_tokens"),
        "reasoning_tokens": _detail(usage, "completion_tokens_details", "reasoning_tokens"),
    }


def _detail(usage: dict[str, Any], details: str, name: str) -> int:
    found = usage.get(details)
    number = found.get(name) if isinstance(found, dict) else None
    return number if isinstance(number, int) else 0


def estimated_usage(messages: Sequence[object], text: str) -> dict[str, int]:
    """Return the token counts of an attempt that broke off before its provider reported any."""
    prompt, completion = tokens.count_messages(messages), tokens.count(text)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "cached_tokens": 0, "reasoning_tokens": 0}
