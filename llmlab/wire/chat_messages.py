"""The messages of a chat request: who may say what after whom, and how many tokens it is."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from llmlab.protocol import tokens
from llmlab.wire import chat_errors as say
from llmlab.wire.chat_errors import Refusal

_ROLES = ("system", "assistant", "user", "function", "tool", "developer")
_LONGEST_TEXT = 10_485_760


def checked_messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of a request.

    Raises:
        Refusal: They are no messages, or a tool's result stands where none was asked for, or one is missing.
    """
    if body.get("messages") is None:
        raise say.missing("messages")
    messages = body["messages"]
    if not isinstance(messages, list):
        raise say.wrong_type("messages", "an array of objects", messages)
    if not messages:
        raise say.empty_array("messages")
    waiting: list[str] = []
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        if not isinstance(message, dict):
            raise say.wrong_type(place, "an object", message)
        role = message.get("role")
        if role is None:
            raise say.missing(f"{place}.role")
        if role not in _ROLES:
            raise say.wrong_value(f"{place}.role", role, _ROLES)
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
        raise _unanswered(len(messages), waiting)
    return messages


def _answered(message: dict[str, Any], number: int, waiting: list[str]) -> list[str]:
    if not waiting:
        raise Refusal(
            400,
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
            param=f"messages.[{number}].role",
        )
    if message.get("tool_call_id") is None:
        raise say.missing(f"messages[{number}].tool_call_id")
    return [call for call in waiting if call != message["tool_call_id"]]


def _unanswered(number: int, waiting: list[str]) -> Refusal:
    return Refusal(
        400,
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following "
        f"tool_call_ids did not have response messages: {', '.join(waiting)}",
        param=f"messages.[{number}].role",
    )


def _content(message: dict[str, Any], number: int) -> None:
    place = f"messages[{number}].content"
    if "content" not in message:
        raise say.missing(place)
    content = message["content"]
    if content is None:
        raise Refusal(400, "Invalid value for 'content': expected a string, got null.", param=f"messages.[{number}].content")
    if isinstance(content, str):
        if len(content) > _LONGEST_TEXT:
            raise Refusal(
                400,
                f"Invalid '{place}': string too long. Expected a string with maximum length {_LONGEST_TEXT}, but got a string with length "
                f"{len(content)} instead.",
                param=place,
                code="string_above_max_length",
            )
        return
    if not isinstance(content, list):
        raise say.wrong_type(place, "one of a string or array of objects", content)
    for index, part in enumerate(content):
        if not isinstance(part, dict):
            raise say.wrong_type(f"{place}[{index}]", "an object", part)
        if part.get("type") not in ("text", "refusal"):
            param = f"messages.[{number}].content.[{index}].type"
            raise Refusal(400, f"Invalid content type. {part.get('type')} is only supported by certain models.", param=param)
        if part["type"] == "text" and not isinstance(part.get("text"), str):
            raise say.missing(f"{place}[{index}].text")


def prompt_tokens_of(body: dict[str, Any]) -> int:
    """Return the estimated tokens of messages (as `tokens.count_messages` counts, but each text once), tools and schema."""
    counted = 3 + sum(4 + _count(tokens.content_text(message.get("content"))) for message in body["messages"])
    return counted + sum(_count(str(body[name])) // 2 + 8 for name in ("tools", "response_format") if body.get(name))


def _count(text: str) -> int:
    return _remembered_count(text) if len(text) < 100_000 else tokens.count(text)


_remembered_count = lru_cache(maxsize=512)(tokens.count)
