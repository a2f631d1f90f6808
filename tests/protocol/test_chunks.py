from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.protocol import chunks

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["choices", "delta", "content", "usage", "prompt_tokens", "completion_tokens", "prompt_tokens_details"]), inner
        )
    ),
    max_leaves=10,
)


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields}]}


@pytest.mark.parametrize(("expected", "field"), [({"a": 1}, b'{"a": 1}'), (None, b"[1]"), (None, b"{"), (None, b"\xff"), (None, b"[DONE]")])
def test_only_an_object_is_a_chunk(expected: object, field: bytes) -> None:
    assert expected == chunks.parsed(field)


@pytest.mark.parametrize(
    "chunk",
    [
        delta(content="a"),
        delta(role="assistant", content="a"),
        delta(reasoning_content="hm"),
        delta(reasoning="hm"),
        delta(refusal="no"),
        delta(tool_calls=[{"index": 0}]),
        {"choices": [{"delta": {}}, {"index": 1, "delta": {"content": "b"}}]},
    ],
)
def test_text_reasoning_refusals_and_tools_are_content(chunk: dict[str, Any]) -> None:
    assert chunks.has_content(chunk)


@pytest.mark.parametrize(
    "chunk",
    [
        {},
        delta(role="assistant", content=""),
        delta(),
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
        {"choices": None},
        {"choices": ["x", {"delta": "x"}]},
    ],
)
def test_roles_ends_and_usage_are_none(chunk: dict[str, Any]) -> None:
    assert not chunks.has_content(chunk)
    assert "" == chunks.text_of(chunk)


@pytest.mark.parametrize(
    ("expected", "choices"),
    [
        (3, [{"index": 3, "delta": {"content": "a"}}]),
        (1, [{"index": 0, "delta": {}}, {"delta": {"content": "a"}}]),
        (None, [{"index": 0, "delta": {"content": ""}}]),
    ],
)
def test_content_belongs_to_a_choice(expected: int | None, choices: list[Any]) -> None:
    assert expected == chunks.content_index({"choices": choices})


@pytest.mark.parametrize(("expected", "chunk"), [("a", delta(content="a")), ("no", delta(refusal="no")), ("", delta(content=["part"]))])
def test_the_text_of_a_chunk(expected: str, chunk: dict[str, Any]) -> None:
    assert expected == chunks.text_of(chunk)


def test_usage_counts_cached_and_reasoning_tokens_apart() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 12},
    }
    expected = {"prompt_tokens": 10, "completion_tokens": 20, "cached_tokens": 8, "reasoning_tokens": 12}
    assert expected == chunks.usage_of({"usage": usage})


@pytest.mark.parametrize("details", [None, [], {}, {"cached_tokens": None}])
def test_usage_without_details_has_zeros(details: object) -> None:
    reply = {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": details}}
    assert {"prompt_tokens": 1, "completion_tokens": 2, "cached_tokens": 0, "reasoning_tokens": 0} == chunks.usage_of(reply)


@pytest.mark.parametrize("reply", [None, {}, {"usage": None}, {"usage": {"prompt_tokens": 1}}, {"usage": {"completion_tokens": "2"}}])
def test_missing_usage_is_none_and_not_zero(reply: dict[str, Any] | None) -> None:
    assert chunks.usage_of(reply) is None


@given(st.dictionaries(st.sampled_from(["choices", "usage"]), JSON))
def test_nothing_that_parses_breaks_them(chunk: dict[str, Any]) -> None:
    assert isinstance(chunks.has_content(chunk), bool)
    assert isinstance(chunks.text_of(chunk), str)
    chunks.usage_of(chunk)


def test_an_attempt_that_broke_off_is_estimated() -> None:
    expected = {"prompt_tokens": 3 + 4 + 2, "completion_tokens": 3, "cached_tokens": 0, "reasoning_tokens": 0}
    assert expected == chunks.estimated_usage([{"role": "user", "content": "Where is"}], "It is here")
