"""The messages of a chat request: who may say what after whom, and how many tokens it is."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from llmlab.protocol import tokens
from llmlab.wire.chat_errors import Refusal, filled, missing, one_of, typed

_ROLES = ("system", "assistant", "user", "function", "tool", "developer")


def checked_messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of a request.

    Raises:
        Refusal: They are no messages, or a tool's result stands where none was asked for, or one is missing.
    """
    if body.get("messages") is None:
        raise missing("messages")
    waiting: list[str] = []
    for number, message in enumerate(filled(body["messages"], "messages")):
        place = f"messages[{number}]"
        role = typed(message, place, "an object").get("role")
        if role is None:
            raise missing(f"{place}.role")
        one_of(role, f"{place}.role", _ROLES)
        if role == "tool":
            waiting = _answered(message, number, waiting)
        elif waiting:
            raise _unanswered(number, waiting)
        calls = message.get("tool_calls") if role == "assistant" else None
        if calls:
            waiting = [call.get("id", "") for call in calls if isinstance(call, dict)]
        if not calls or message.get("content") is not None:
            _content(message, number)
    if waiting:
        raise _unanswered(len(body["messages"]), waiting)
    messages: list[dict[str, Any]] = body["messages"]
    return messages


def _answered(message: dict[str, Any], number: int, waiting: list[str]) -> list[str]:
    if not waiting:
        words = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
        raise Refusal(words, f"messages.[{number}].role")
    if message.get("tool_call_id") is None:
        raise missing(f"messages[{number}].tool_call_id")
    return [call for call in waiting if call != message["tool_call_id"]]


def _unanswered(number: int, waiting: list[str]) -> Refusal:
    words = "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following "
    return Refusal(f"{words}tool_call_ids did not have response messages: {', '.join(waiting)}", f"messages.[{number}].role")


def _content(message: dict[str, Any], number: int) -> None:
    place = f"messages[{number}].content"
    if "content" not in message:
        raise missing(place)
    if message["content"] is None:
        raise Refusal("Invalid value for 'content': expected a string, got null.", f"messages.[{number}].content")
    content = typed(message["content"], place, "one of a string or array of objects")
    for index, part in enumerate(content if isinstance(content, list) else ()):
        kind = typed(part, f"{place}[{index}]", "an object").get("type")
        if kind not in ("text", "refusal"):
            words = f"Invalid content type. {kind} is only supported by certain models."
            raise Refusal(words, f"messages.[{number}].content.[{index}].type")
        if kind == "text" and not isinstance(part.get("text"), str):
            raise missing(f"{place}[{index}].text")


def prompt_tokens_of(body: dict[str, Any]) -> int:
    """Return the estimated tokens of messages (as `tokens.count_messages` counts, but each text once), tools and schema."""
    counted = 3 + sum(4 + _count(tokens.content_text(message.get("content"))) for message in body["messages"])
    return counted + sum(_count(str(body[name])) // 2 + 8 for name in ("tools", "response_format") if body.get(name))


def _count(text: str) -> int:
    return _remembered_count(text) if len(text) < 100_000 else tokens.count(text)


_remembered_count = lru_cache(maxsize=512)(tokens.count)
