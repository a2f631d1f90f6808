from __future__ import annotations

import json

import pytest

from llmlab.wire import chat_errors as say


def test_the_body_has_openais_four_fields_in_order() -> None:
    body = json.loads(say.unknown_model("gpt-9").body())
    expected = {
        "message": "The model `gpt-9` does not exist or you do not have access to it.",
        "type": "invalid_request_error",
        "param": None,
        "code": "model_not_found",
    }
    assert expected == body["error"]
    assert ["message", "type", "param", "code"] == list(body["error"])


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("sk-abcdefghijklmnopqrstuvwx", "sk-abcde***************uvwx"),
        ("short", "sh**rt"),
        ("sk-1234567890", "sk*********90"),
    ],
)
def test_a_wrong_key_is_shown_masked(key: str, shown: str) -> None:
    refusal = say.wrong_key(key)
    assert (
        f"Incorrect API key provided: {shown}. You can find your API key at https://platform.openai.com/account/api-keys."
        == refusal.message
    )
    assert (401, "invalid_api_key") == (refusal.status, refusal.code)
    assert key not in refusal.message


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "null"), (True, "a boolean"), ("x", "a string"), (1, "an integer"), (1.5, "a decimal"), ([], "an array"), ({}, "an object")],
)
def test_a_wrong_type_says_what_came(value: object, kind: str) -> None:
    assert f"Invalid type for 'n': expected an integer, but got {kind} instead." == say.wrong_type("n", "an integer", value).message


def test_a_wrong_value_lists_the_right_ones() -> None:
    assert "Invalid value: 'x'. Supported values are: 'a', 'b', and 'c'." == say.wrong_value("p", "x", ("a", "b", "c")).message
    assert "Invalid value: 'x'. Supported values are: 'a' and 'b'." == say.wrong_value("p", "x", ("a", "b")).message


def test_numbers_out_of_range_name_the_bound() -> None:
    low, high = say.out_of_range("n", 0, low=1), say.out_of_range("temperature", 2.5, high=2)
    assert ("Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.", "integer_below_min_value") == (
        low.message,
        low.code,
    )
    assert "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead." == high.message
    assert "decimal_above_max_value" == high.code


def test_too_long_tells_messages_from_completion() -> None:
    assert (
        "This model's maximum context length is 100 tokens. However, your messages resulted in 120 tokens. Please reduce the length of the "
        "messages." == say.too_long(100, 120, 50).message
    )
    assert "you requested 120 tokens (90 in the messages, 30 in the completion)" in say.too_long(100, 90, 30).message
    assert "context_length_exceeded" == say.too_long(100, 90, 30).code


def test_lone_surrogates_in_a_name_do_not_break_the_body() -> None:
    assert b"gpt" in say.unknown_model("gpt-\ud800").body()
