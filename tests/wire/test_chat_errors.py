from __future__ import annotations

import json

import pytest

from llmlab.wire import chat_errors as say


def refused(check: object, *given: object) -> say.Refusal:
    with pytest.raises(say.Refusal) as caught:
        check(*given)  # type: ignore[operator]
    return caught.value


def test_the_body_has_openais_four_fields_in_order() -> None:
    body = json.loads(say.Refusal("No such model.", None, "model_not_found", status=404).body())
    expected = {"message": "No such model.", "type": "invalid_request_error", "param": None, "code": "model_not_found"}
    assert expected == body["error"]
    assert list(expected) == list(body["error"])


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "null"), (True, "a boolean"), ("x", "a string"), (1.5, "a decimal"), ([], "an array"), ({}, "an object")],
)
def test_a_wrong_type_says_what_came(value: object, kind: str) -> None:
    expected = f"Invalid type for 'n': expected an integer, but got {kind} instead."
    assert expected == refused(say.typed, value, "n", "an integer").message
    assert 1 == say.typed(1, "n", "an integer")


def test_a_wrong_value_lists_the_right_ones() -> None:
    assert "Invalid value: 'x'. Supported values are: 'a', 'b', and 'c'." == refused(say.one_of, "x", "p", ("a", "b", "c")).message
    assert "Invalid value: 'x'. Supported values are: 'a' and 'b'." == refused(say.one_of, "x", "p", ("a", "b")).message
    assert "a" == say.one_of("a", "p", ("a", "b"))


def test_numbers_out_of_range_name_the_bound() -> None:
    low, high = refused(say.in_range, 0, "n", 1), refused(say.in_range, 2.5, "temperature", 0, 2)
    expected = "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead."
    assert (expected, "integer_below_min_value") == (low.message, low.code)
    expected = "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead."
    assert (expected, "decimal_above_max_value") == (high.message, high.code)
    assert 2 == say.in_range(2, "temperature", 0, 2)


def test_lone_surrogates_in_a_name_do_not_break_the_body() -> None:
    assert b"gpt" in say.Refusal("The model `gpt-\ud800` does not exist.").body()
