from __future__ import annotations

from functools import partial
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.protocol.draws import uniform
from llmlab.wire.json_schema import Facts, fill, strict_violation

FACTS = Facts(
    text="Express shipping costs $18 and takes 2 business days.",
    quote="Express shipping costs $18.",
    sources=("shipping", "prices"),
    title="What shipping costs",
    question="How much is express shipping for order ORD-1042?",
)
UNKNOWN = FACTS._replace(known=False, sources=())


def filled(schema: dict[str, Any], facts: Facts = FACTS, seed: int = 0) -> Any:
    value = fill(schema, facts, partial(uniform, seed))
    jsonschema.validate(value, schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    return value


def record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def test_fields_are_filled_by_what_their_names_say() -> None:
    schema = record(
        answer={"type": "string"},
        quote={"type": "string"},
        citations={"type": "array", "items": {"type": "string"}},
        source={"type": "string"},
        title={"type": "string"},
        question={"type": "string"},
        known={"type": "boolean"},
        abstain={"type": "boolean"},
        other={"type": "string"},
    )
    expected = {
        "answer": FACTS.text,
        "quote": FACTS.quote,
        "citations": ["shipping", "prices"],
        "source": "shipping",
        "title": FACTS.title,
        "question": FACTS.question,
        "known": True,
        "abstain": False,
        "other": FACTS.text,
    }
    assert expected == filled(schema)
    unknown = filled(schema, UNKNOWN)
    assert ([], "none", False, True) == (unknown["citations"], unknown["source"], unknown["known"], unknown["abstain"])


def test_confidence_is_high_when_it_knows_and_low_when_it_does_not() -> None:
    schema = record(confidence={"type": "number", "minimum": 0, "maximum": 1})
    assert filled(schema)["confidence"] >= 0.7 > 0.4 >= filled(schema, UNKNOWN)["confidence"]
    assert 70 <= filled(record(score={"type": "integer"}))["score"] <= 100


def test_an_enum_takes_the_word_that_was_said() -> None:
    assert "express" == filled(record(speed={"enum": ["standard", "express", "overnight"]}))["speed"]
    assert filled(record(speed={"enum": ["red", "green"]}))["speed"] in ("red", "green")
    assert 2 == filled(record(version={"const": 2}))["version"]


def test_numbers_come_from_the_text_and_keep_their_bounds() -> None:
    assert 18 == filled(record(amount={"type": "integer"}))["amount"]
    assert 1042 == filled(record(amount={"type": "number", "minimum": 100}))["amount"]
    assert 5 <= filled(record(amount={"type": "number", "minimum": 5, "maximum": 6}))["amount"] <= 6
    assert 2000 == filled(record(amount={"type": "integer", "minimum": 2000}))["amount"]
    assert 0 == filled(record(amount={"type": "integer", "maximum": 0}))["amount"]
    assert 0 == filled(record(amount={"type": "integer", "exclusiveMinimum": -1, "exclusiveMaximum": 1}))["amount"]
    assert 0 == filled(record(amount={"type": "integer", "minimum": 3, "maximum": 27, "multipleOf": 5}))["amount"] % 5
    assert 20 == filled(record(amount={"type": "integer", "minimum": 18, "multipleOf": 10}))["amount"]
    assert 10 == filled(record(amount={"type": "integer", "maximum": 18, "multipleOf": 10}))["amount"]
    assert 1 == filled(record(amount={"type": "integer"}), Facts("nothing"))["amount"]


@pytest.mark.parametrize("name", ["date", "date-time", "time", "email", "uri", "uuid", "ipv4", "hostname", "duration"])
def test_formats_are_met(name: str) -> None:
    filled(record(value={"type": "string", "format": name}))


@pytest.mark.parametrize(
    "pattern", [r"^\d+$", r"^[A-Z]{3}-\d{4}$", r"^\d{4}-\d{2}-\d{2}$", r"^[a-z]+$", r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$", "shipping"]
)
def test_common_patterns_are_met(pattern: str) -> None:
    filled(record(value={"type": "string", "pattern": pattern}))


def test_lengths_are_met() -> None:
    assert "Exp" == filled(record(value={"type": "string", "maxLength": 3}))["value"]
    assert 80 == len(filled(record(value={"type": "string", "minLength": 80}))["value"])


def test_arrays_keep_their_lengths() -> None:
    assert 1 == len(filled(record(items={"type": "array", "items": {"type": "integer"}}))["items"])
    assert 3 == len(filled(record(items={"type": "array", "items": {"type": "integer"}, "minItems": 3}))["items"])
    assert [] == filled(record(items={"type": "array", "items": {"type": "integer"}, "maxItems": 0}))["items"]
    assert 3 == len(filled(record(citations={"type": "array", "items": {"type": "string"}, "minItems": 3}))["citations"])
    assert ["shipping"] == filled(record(citations={"type": "array", "items": {"type": "string"}, "maxItems": 1}))["citations"]


def test_a_source_that_may_be_missing_is_missing_where_nothing_is_known() -> None:
    for schema in (record(source={"anyOf": [{"type": "string"}, {"type": "null"}]}), record(source={"type": ["string", "null"]})):
        assert "shipping" == filled(schema)["source"]
        assert filled(schema, UNKNOWN)["source"] is None
    assert filled(record(nothing={"type": ["null"]}))["nothing"] is None
    assert filled(record(nothing={"type": "null"}))["nothing"] is None
    assert filled(record(nothing={"anyOf": [{"type": "null"}]}))["nothing"] is None


def test_references_and_combinations_are_followed() -> None:
    schema = {
        "$defs": {"Price": record(amount={"type": "number"}, currency={"enum": ["USD"]})},
        **record(
            price={"$ref": "#/$defs/Price"},
            both={
                "allOf": [
                    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                    {"properties": {"b": {"type": "boolean"}}, "required": ["b"]},
                ]
            },
        ),
    }
    assert {"price": {"amount": 18.0, "currency": "USD"}, "both": {"a": 18, "b": True}} == filled(schema)


def test_recursion_ends() -> None:
    node = record(
        value={"type": "integer"},
        children={"type": "array", "items": {"$ref": "#/$defs/Node"}},
        next={"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
    )
    filled({"$defs": {"Node": node}, "$ref": "#/$defs/Node"})
    filled({"type": "object", "properties": {"answer": {"type": "string"}, "next": {"$ref": "#"}}, "required": ["answer"]})
    filled(
        {"$defs": {"T": {"type": ["object", "null"], "properties": {"t": {"$ref": "#/$defs/T"}}, "required": ["t"]}}, "$ref": "#/$defs/T"}
    )
    tree = {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/T"}, "minItems": 1}, {"type": "integer"}]}
    filled({"$defs": {"T": tree}, "$ref": "#/$defs/T"})
    fill({"$ref": "#"}, FACTS, partial(uniform, 0))


def test_types_that_are_left_out_are_guessed() -> None:
    assert {"a": "x"} == filled({"properties": {"a": {"const": "x"}}, "required": ["a"]})
    assert [1] == filled({"items": {"const": 1}})
    assert FACTS.text == filled({})
    assert FACTS.text == fill({"properties": {"a": True}, "required": ["a"]}, FACTS, partial(uniform, 0))["a"]
    assert {"a": FACTS.text} == filled({"type": "object", "required": ["a"]})
    assert FACTS.text == fill({"$ref": "#/nowhere/to/be~1found"}, FACTS, partial(uniform, 0))


def test_what_is_optional_is_sometimes_left_out() -> None:
    schema = {"type": "object", "properties": {name: {"type": "integer"} for name in "abcdefghij"}}
    assert 10 > len({name for seed in range(3) for name in filled(schema, seed=seed)} & set(filled(schema, seed=4)))


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    leaves = st.one_of(
        st.just({"type": "boolean"}),
        st.builds(lambda low, size: {"type": "string", "minLength": low, "maxLength": low + size}, st.integers(0, 9), st.integers(0, 99)),
        st.builds(lambda low, size: {"type": "integer", "minimum": low, "maximum": low + size}, st.integers(-50, 50), st.integers(0, 50)),
        st.builds(lambda low, size: {"type": "number", "minimum": low, "maximum": low + size}, st.integers(-50, 50), st.integers(0, 50)),
        st.builds(lambda options: {"enum": options}, st.lists(st.text(max_size=5), min_size=1, max_size=4, unique=True)),
        st.just({"type": ["string", "null"]}),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(lambda items, low: {"type": "array", "items": items, "minItems": low, "maxItems": low + 2}, inner, st.integers(0, 3)),
            st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3)),
            st.builds(
                lambda fields: record(**fields),
                st.dictionaries(st.sampled_from(["answer", "sources", "score", "id", "x", "is_known"]), inner, max_size=4),
            ),
        ),
        max_leaves=8,
    )


@given(schemas(), st.booleans(), st.integers(0, 100))
def test_whatever_the_schema_the_value_fits(schema: dict[str, Any], known: bool, seed: int) -> None:
    assert filled(schema, FACTS if known else UNKNOWN, seed) == filled(schema, FACTS if known else UNKNOWN, seed)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (record(a={"type": "string"}), None),
        (
            {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
            "In context=(), 'required' is required to be supplied and to be an array including every key in properties. Missing 'a'.",
        ),
        (
            record(a={"type": "object", "properties": {}}),
            "In context=('properties', 'a'), 'additionalProperties' is required to be supplied and to be false.",
        ),
        (
            record(a={"type": "array", "items": {"type": "object"}}),
            "In context=('properties', 'a', 'items'), 'additionalProperties' is required to be supplied and to be false.",
        ),
        (
            record(a={"anyOf": [{"type": "null"}, {"type": "object"}]}),
            "In context=('properties', 'a', 'anyOf', '1'), 'additionalProperties' is required to be supplied and to be false.",
        ),
        (
            {"$defs": {"A": {"type": "object"}}, **record()},
            "In context=('$defs', 'A'), 'additionalProperties' is required to be supplied and to be false.",
        ),
        (record(a={"enum": ["x"]}, b={"anyOf": [{"type": "null"}, {"type": "string"}]}, c=True), None),
    ],
)
def test_what_strict_output_does_not_take(schema: dict[str, Any], expected: str | None) -> None:
    assert expected == strict_violation(schema)
