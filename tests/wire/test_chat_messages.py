from __future__ import annotations

from typing import Any

import pytest

from llmlab.protocol import tokens
from llmlab.wire.chat_errors import Refusal
from llmlab.wire.chat_messages import checked_messages, prompt_tokens_of

CALL = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
ASKING = {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "call_2"}]}
USER = {"role": "user", "content": "Hi"}


def result(name: str) -> dict[str, str]:
    return {"role": "tool", "tool_call_id": name, "content": "42"}


@pytest.mark.parametrize(
    ("messages", "message", "param", "code"),
    [
        (None, "Missing required parameter: 'messages'.", "messages", "missing_required_parameter"),
        ("Hello", "Invalid type for 'messages': expected an array of objects, but got a string instead.", "messages", "invalid_type"),
        (
            [],
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "messages",
            "empty_array",
        ),
        (["Hello"], "Invalid type for 'messages[0]': expected an object, but got a string instead.", "messages[0]", "invalid_type"),
        ([{"content": "x"}], "Missing required parameter: 'messages[0].role'.", "messages[0].role", "missing_required_parameter"),
        (
            [USER, {"role": "bot", "content": "x"}],
            "Invalid value: 'bot'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.",
            "messages[1].role",
            "invalid_value",
        ),
        ([{"role": "user"}], "Missing required parameter: 'messages[0].content'.", "messages[0].content", "missing_required_parameter"),
        ([{"role": "user", "content": None}], "Invalid value for 'content': expected a string, got null.", "messages.[0].content", None),
        (
            [{"role": "user", "content": 5}],
            "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got an integer instead.",
            "messages[0].content",
            "invalid_type",
        ),
        (
            [{"role": "user", "content": ["x"]}],
            "Invalid type for 'messages[0].content[0]': expected an object, but got a string instead.",
            "messages[0].content[0]",
            "invalid_type",
        ),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
            "Invalid content type. image_url is only supported by certain models.",
            "messages.[0].content.[0].type",
            None,
        ),
        (
            [{"role": "user", "content": [{"type": "text"}]}],
            "Missing required parameter: 'messages[0].content[0].text'.",
            "messages[0].content[0].text",
            "missing_required_parameter",
        ),
        (
            [USER, result("call_1")],
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
            "messages.[1].role",
            None,
        ),
        (
            [ASKING, {"role": "tool", "content": "42"}],
            "Missing required parameter: 'messages[1].tool_call_id'.",
            "messages[1].tool_call_id",
            "missing_required_parameter",
        ),
        (
            [ASKING, result("call_1"), USER],
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following "
            "tool_call_ids did not have response messages: call_2",
            "messages.[2].role",
            None,
        ),
        (
            [ASKING],
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following "
            "tool_call_ids did not have response messages: call_1, call_2",
            "messages.[1].role",
            None,
        ),
    ],
)
def test_wrong_messages_are_refused_in_openais_words(messages: Any, message: str, param: str, code: str | None) -> None:
    with pytest.raises(Refusal) as caught:
        checked_messages({"messages": messages})
    assert (400, message, param, code) == (caught.value.status, caught.value.message, caught.value.param, caught.value.code)


def test_right_messages_pass_as_they_are() -> None:
    messages = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        ASKING,
        result("call_2"),
        result("call_1"),
        {"role": "assistant", "content": "42", "tool_calls": None},
        USER,
    ]
    assert messages is checked_messages({"messages": messages})


def test_the_prompts_tokens_are_those_of_the_common_estimate() -> None:
    messages = [{"role": "system", "content": "You are kind."}, {"role": "user", "content": [{"type": "text", "text": "What is the fee?"}]}]
    assert tokens.count_messages(messages) == prompt_tokens_of({"messages": messages})
    long = [{"role": "user", "content": "word " * 30_000}]
    assert tokens.count_messages(long) == prompt_tokens_of({"messages": long})
