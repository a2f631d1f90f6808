from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.protocol.canonical import digest, dumps

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_it_is_json_of_the_same_value(value: object) -> None:
    assert value == json.loads(dumps(value))


@given(VALUES)
def test_reading_and_writing_again_gives_the_same_bytes(value: object) -> None:
    assert dumps(value) == dumps(json.loads(dumps(value)))


@given(st.dictionaries(st.text(), VALUES, min_size=2))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    assert dumps(value) == dumps(dict(reversed(value.items())))


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (b'{"a":[1,null,true],"b":"\xc3\xbc"}', {"b": "ü", "a": [1, None, True]}),
        (b'{"temperature":0,"top_p":0.5}', {"top_p": 0.5, "temperature": 0.0}),
        (b"[0,-1,0.1,1e+16,10000000000]", [-0.0, -1.0, 0.1, 1e16, 1e10]),
        (b'["v1.0","1e+5",1.01]', ["v1.0", "1e+5", 1.01]),
    ],
)
def test_one_value_has_one_form(expected: bytes, value: object) -> None:
    assert expected == dumps(value)


def test_a_lone_surrogate_does_not_break_it() -> None:
    assert b'"\xed\xa0\x80"' == dumps("\ud800")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps({"temperature": value})


def test_a_digest_has_the_length_asked_for_and_tells_values_apart() -> None:
    assert 16 == len(digest({}))
    assert 32 == len(digest({}, 16))
    assert digest({"a": 1, "b": 2}) == digest({"b": 2.0, "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})
