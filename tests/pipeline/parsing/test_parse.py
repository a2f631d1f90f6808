from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

import json_repair
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator
from written import OBJECTS, ODD, REFUNDS, VALUES, Refund

from llmlab.errors import BadInput
from llmlab.pipeline.parsing.parse import Parsed, parse, reask_message
from llmlab.wire.faults import FAULTS, fault_named
from llmlab.wire.faults.content_base import Scene
from llmlab.wire.faults.content_json import _JsonFault

WILD = Path("/work/shared/wild/bad_json")


class Node(BaseModel):
    name: str
    child: Node | None = None


class Endless(BaseModel):
    inner: Endless


class Fussy(BaseModel):
    days: int

    @field_validator("days")
    @classmethod
    def _crash(cls, days: int) -> int:
        return 1 // (days - 1) + days


def kinds(parsed: Parsed) -> list[str]:
    return [repair.kind for repair in parsed.repairs]


# What is mended


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"days": 30, "note": "a"}', []),
        ('```json\n{"days": 30, "note": "a"}\n```', ["fence"]),
        ('Here it is:\n{"days": 30, "note": "a"}\nBye.', ["prose"]),
        ('As {you} said in [1]: {"days": 30, "note": "a"}', ["prose"]),
        ('{"days": 30, "note": "a",}', ["trailing_comma"]),
        ('{"days": 30, "note": "a", "steps": [],}', ["trailing_comma"]),
        ('{"days": 30 "note": "a"}', ["missing_comma"]),
        ("{'days': 30, 'note': 'a'}", ["quotes"] * 3),
        ("{“days”: 30, ‘note’: 'a'}", ["quotes"] * 3),
        ('{days: 30, note: "a"}', ["unquoted_key"] * 2),
        ('{"days": 30, # why\n"note": "a" /* so */}', ["comment"] * 2),
        ('{"days": 30, // why\n"note": "a"}', ["comment"]),
        ('{"days": 30, "note": "a", "fee": None}', ["literal"]),
        ('{"days": 30, "days": 30, "note": "a"}', ["same_twice"]),
        ('```json\n{"days": 30, "note": "a"\n```', ["missing_bracket", "fence"]),
        ('{"days": 30, "note": "a"}},', ["extra_bracket"]),
        ('{"days":\u00a030, "note": "a"}', ["whitespace"]),
        ('\ufeff{"days": 30, "note": "a"}', ["prose"]),
        ('\u00a0{"days": 30, "note": "a"}', ["whitespace"]),
        ('{"days": "30", "note": "a"}', ["coerced"]),
        ('{"days": 30, "note": "a", "more": 1}', ["extra_field"]),
        ('"{\\"days\\": 30, \\"note\\": \\"a\\"}"', ["in_a_string"]),
    ],
)
def test_what_leaves_no_doubt_is_mended_and_named(text: str, expected: list[str]) -> None:
    parsed = parse(text, Refund)
    assert (Refund(days=30, note="a"), expected, (), "") == (parsed.value, kinds(parsed), parsed.doubtful, parsed.error)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"""{'days': 30, 'note': 'it\'s "so"'}""", 'it\'s "so"'),
        (r"""{'days': 30, "note": "it\'s"}""", "it's"),
        ('{"days": 30, "note": "one\ntwo"}', "one\ntwo"),
        (r'{"days": 30, "note": "\ud83d\ude00\u00e9\/",}', "😀é/"),
    ],
)
def test_strings_are_read_as_they_were_meant(text: str, expected: str) -> None:
    assert Refund(days=30, note=expected) == parse(text, Refund).value


class When(BaseModel):
    at: datetime = Field(datetime(2024, 1, 5, tzinfo=UTC), alias="when")
    note: str = ""


@dataclass(slots=True)
class Kept:
    at: datetime


class Level(IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    ("written", "output", "expected"),
    [
        ('"30"', int, 30),
        ('"-30.0"', int, -30),
        ("30.0", int, 30),
        ('"0.5"', float, 0.5),
        ('"30"', int | None, 30),
        ('"False"', bool, False),
        ('"2024-01-05T00:00:00Z"', date, date(2024, 1, 5)),
        ('"2024-01-05"', datetime, datetime(2024, 1, 5)),  # noqa: DTZ001
    ],
)
def test_what_stands_for_the_same_is_coerced(written: str, output: Any, expected: Any) -> None:
    parsed = parse(f"[{written}]", list[output])
    assert ([expected], ["coerced"], ()) == (parsed.value, kinds(parsed), parsed.doubtful)
    assert type(expected) is type(parsed.value[0])


@pytest.mark.parametrize(
    ("written", "output"),
    [
        ("20240105", datetime),
        ('"20240105"', datetime),
        ('"2024"', datetime),
        ('"-5.5"', datetime),
        ("86400", date),
        ('"86400"', date),
        ("3600", time),
        ("3600", timedelta),
        ("true", int),
        ("true", float),
        ('"nan"', float),
        ('"Infinity"', float),
        (f'"{"9" * 400}"', float),
        ("9" * 400, float),
        ('"1_000"', int),
        ('"007"', int),
        ("9007199254740993.0", int),
        ("1", bool),
        ('"on"', bool),
        ('"1"', Level),
        ('{"when": "2024"}', When),
        ('{"at": "2024"}', Kept),
        ('["2024-01-05T10:00:00", "2024"]', tuple[datetime, ...]),
        ('{"a": ["2024"]}', dict[str, list[datetime | str]]),
    ],
)
def test_what_pydantic_takes_for_another_value_is_in_doubt(written: str, output: Any) -> None:
    parsed = parse(f"[{written}]", list[output])
    assert (None, ["another_type"]) == (parsed.value, kinds(parsed))
    assert ": Input should be" in parsed.error


def test_a_doubt_about_a_type_says_where() -> None:
    parsed = parse('{"a": {"days": 3}, "b": {"days": true}}', dict[str, Refund])
    assert (("/b/days",), "b.days: Input should be a valid integer") == (parsed.doubtful, parsed.error)
    parsed = parse('[{"when": "2024-01-05T10:00:00"}, {"when": "2024"}]', list[When])
    assert ("/1/when",) == parsed.doubtful
    assert parsed.error.startswith("1.when: Input should be a valid date, as in 2024-01-31")


def test_digits_that_are_meant_as_text_are_no_doubt() -> None:
    text = '{"when": "2024-01-05T10:00:00Z", "note": "2024"}'
    assert When(when=datetime(2024, 1, 5, 10, tzinfo=UTC), note="2024") == parse(text, When).value
    assert {"a": int("9" * 400), "b": "..", "c": date(2024, 1, 5)} == parse(
        f'{{"a": {"9" * 400}, "b": "..", "c": "2024-01-05"}}', dict[str, int | date | str]
    ).value


@pytest.mark.parametrize(("text", "path"), [('{"days": "30"}', "/days"), ('{"days": 3, "steps": ["a"], "x/y": {"~": 1}}', "/x~1y")])
def test_a_repair_says_where(text: str, path: str) -> None:
    (repair,) = parse(text, Refund).repairs
    assert path == repair.path


def test_it_says_for_which_fields_a_default_stands() -> None:
    assert ("/note", "/fee") == parse('{"days": 3, "steps": []}', Refund).absent
    assert () == parse("[1]", list[int]).absent == parse("no", Refund).absent


def test_a_place_within_a_union_leads_into_the_value() -> None:
    (repair,) = parse('[{"days": "3"}]', list[Refund | Node]).repairs[:1]
    assert "/0/days" == repair.path


@pytest.mark.parametrize(
    ("text", "output", "expected"),
    [
        ("42", int, 42),
        ("```\n42\n```", int, 42),
        ("```json\n42 ```\n", int, 42),
        ("\u00a042", int, 42),
        (" 'yes'", str, "yes"),
        ("True", bool, True),
        ('"a"', Any, "a"),
        ("[1, 2,]", list[int], [1, 2]),
        ('[{"a": 1} {"a": 2}]', list[Any], [{"a": 1}, {"a": 2}]),
    ],
)
def test_what_is_no_object_is_read_too(text: str, output: Any, expected: Any) -> None:
    assert expected == parse(text, output).value


# What is in doubt


@pytest.mark.parametrize(
    ("text", "doubtful"),
    [
        ('{"note": "a", "days": 12', ("/days",)),
        ('{"days": 12, "note": "The fee is', ("/note",)),
        ('{"days": 12, "note": "The fee is \\', ("/note",)),
        ('{"days": 12, "note": "The fee is \\u00', ("/note",)),
        ('{"days": 12, "note": tr', ("/note",)),
        ('{"days": 12, "steps": ["a", "b"', ("/steps",)),
        ('{"days": 12, "steps": [', ("/steps",)),
        ('{"days": 12, "no', ("",)),
        ('{"days": 12, no', ("",)),
        ('{"days": 12, // so', ("",)),
        ('{"days": 12, "note":', ("/note",)),
        ('```json\n{"days":\n```', ("/days",)),
        ('{"days": , "note": "a"}', ("/days",)),
        ('{"days": 12, "fee": NaN}', ("/fee",)),
        ('{"days": 12, "fee": -Infinity}', ("/fee",)),
        ('{"days": 12, "fee": 1e999}', ("/fee",)),
        ('{"days": 12, "days": 13}', ("/days",)),
        ('{"days": 12, "note": "C:\\path"}', ("/note",)),
        ('{"days": 12, "note": "\\ud83d"}', ("/note",)),
        ('{"days": 12, "note": "\ud83d"}', ("/note",)),
        ('{"days": 12, "steps": ["a", "note": "b"}', ("",)),
        ('{"days": 12, "steps": ["a"}', ("/steps",)),
        ('{"days": 12, # no "fee"\n "note": "a"}', ("",)),
        ('{"days": 12} {"days": 13}', ("",)),
        ('{"days": 12} {"days": 12}', ("",)),
        ('```json\n{"days": 12}\n```\n```json\n{"days": 13}\n```', ("",)),
        ('{"days": 12} or {"days": 1', ("",)),
        ('{"days": 12} or {"days": many}', ("",)),
        ('{"days": 12}, "note": "a"}', ("",)),
        ('"more": {"days": 12}}', ("",)),
        ('{"days": 12, "note": "say "hi" to all"}', ("",)),
        ("{'days': 12, 'note': 'it's so'}", ("",)),
        ('{"days": 1,200}', ("",)),
        ('{"days": 012}', ("",)),
        ('{"days": many}', ("",)),
        ('{"days" 12}', ("",)),
        ('{"days": 12, /}', ("",)),
        ('{"days"}', ("",)),
    ],
)
def test_what_is_in_doubt_is_marked_and_never_passed_off_as_fact(text: str, doubtful: tuple[str, ...]) -> None:
    parsed = parse(text, Refund)
    assert (None, False, doubtful) == (parsed.value, parsed.ok, parsed.doubtful)
    assert parsed.error


def test_what_was_read_is_there_to_look_at() -> None:
    assert {"days": 12, "note": "The fee"} == parse('{"days": 12, "note": "The fee', Refund).raw


@pytest.mark.parametrize(
    "text", ["I don't know.", "", " ", "\0", "{", "[]", '"a"', "null", '[{"days": 1}]', "\ud800", "2.", "(((" * 40, "/*" * 1000]
)
def test_where_there_is_no_object_there_is_none(text: str) -> None:
    assert (None, False) == ((parsed := parse(text, Refund)).value, parsed.ok)


@pytest.mark.parametrize("output", [int, str, Any])
@pytest.mark.parametrize("text", ["", "\0", "twelve", "2.", '"cut', "12 13", "``` ```"])
def test_a_single_value_is_not_guessed(text: str, output: Any) -> None:
    assert not parse(text, output).ok


# What is wrong


def test_mistakes_are_named_shortly_and_without_what_was_written() -> None:
    assert "days: Field required; note: Input should be a valid string" == parse('{"note": 4711}', Refund).error
    steps = json.dumps({"days": 1, "steps": [4711] * 9})
    assert parse(steps, Refund).error.endswith("; and 6 more")
    assert 600 > len(parse(json.dumps({"days": {"x" * 5000: 1}, "y" * 5000: [1]}), dict[str, int]).error)


def test_a_validator_that_crashes_is_a_reason_too() -> None:
    assert Fussy(days=3) == parse('{"days": 3}', Fussy).value
    assert "the validator crashed: ZeroDivisionError" == parse('{"days": 1}', Fussy).error
    assert "the validator crashed: ZeroDivisionError" == parse('{"days": "1"}', Fussy).error


def test_recursive_models_are_read_and_those_that_cannot_be_met_are_not() -> None:
    assert Node(name="a", child=Node(name="b")) == parse('{"name": "a", "child": {"name": "b",}}', Node).value
    assert "inner.inner.inner: Field required" == parse('{"inner": {"inner": {}}}', Endless).error


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(BadInput, match="what is parsed is a text, not bytes"):
        parse(b"{}", Refund)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["[" * 10_000, '{"a":' * 10_000, "[" * 10_000 + "]" * 10_000, "x" + "[" * 10_000, "'" + '{"a":' * 10_000])
def test_what_is_nested_deeply_is_refused(text: str) -> None:
    assert not parse(text, list[Any]).ok


def test_long_json_is_read_and_long_text_that_is_none_is_not_mended() -> None:
    long = json.dumps({"days": 1, "note": "x" * 5_000_000})
    assert 5_000_000 == len(parse(long, Refund).value.note)
    assert "it is no strict JSON, and with 5,000,024 characters too long to be mended" == parse(long[:-1] + ",}", Refund).error


@pytest.mark.parametrize(
    "text", ["```" + "a" * 99_000, "`" * 99_990, "{" + "x " * 45_000 + '"', "[{}" * 33_000, '"' * 99_000, "[/*" * 33_000]
)
def test_what_is_long_and_odd_takes_no_time(text: str) -> None:
    assert not parse(text, Refund | str).ok


def test_asking_again_says_what_is_wrong() -> None:
    text = '{"days": "many"}'
    first, second = reask_message(parse(text, Refund), text)
    assert {"role": "assistant", "content": text} == first
    assert "user" == second["role"]
    assert "days: Input should be a valid integer" in second["content"]
    assert 4100 > len(reask_message(parse(text, Refund), "x" * 1_000_000)[0]["content"])


# Laws


FAULTY = sorted(name for name, fault in FAULTS.items() if issubclass(fault, _JsonFault))
SYNTACTIC = [name for name in FAULTY if getattr(FAULTS[name], "syntactic")]  # noqa: B009


@pytest.mark.parametrize("name", SYNTACTIC)
@given(
    value=OBJECTS | REFUNDS,
    indent=st.sampled_from([None, 2]),
    plain=st.booleans(),
    draw=st.floats(0.001, 0.999),
)
@settings(max_examples=200, deadline=None)
def test_no_syntactic_fault_ends_as_wrong_data(name: str, value: Any, indent: int | None, plain: bool, draw: float) -> None:
    output: Any = Refund if isinstance(value, Refund) else dict[str, Any]
    text = json.dumps(value.model_dump() if isinstance(value, Refund) else value, indent=indent, ensure_ascii=plain)
    fault: Any = fault_named(name)
    changed = fault._change(text, Scene({}, lambda *purpose: draw))
    parsed = parse(text if changed is None else changed[0], output)
    assert parsed.ok == (changed is None or name not in ("JsonCutOff", "JsonNaN"))
    assert (repr(value) if parsed.ok else "None") == repr(parsed.value)


@given(value=VALUES.filter(lambda value: isinstance(value, dict | list)), data=st.data())
@settings(max_examples=500, deadline=None)
def test_no_single_slip_in_the_structure_ends_as_wrong_data(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
    inside = escaped = False
    places = []
    for at, char in enumerate(text):
        if not escaped and (char == '"' or (not inside and char in "{}[],:")):
            places.append(at)
        inside ^= char == '"' and not escaped
        escaped = char == "\\" and not escaped
    at = data.draw(st.sampled_from(places))
    put = data.draw(st.sampled_from(["", text[at] * 2, *'{}[],:"']))
    changed = text[:at] + put + text[at + 1 :]
    parsed = parse(changed, dict[str, Any] if isinstance(value, dict) else list[Any])
    try:
        json.loads(changed)  # it has become another text that is right
    except ValueError:
        assert (repr(value) if parsed.ok else "None") == repr(parsed.value)


@given(st.text(st.sampled_from(ODD), max_size=40), st.sampled_from([Refund, list[int], int, Any]))
@settings(max_examples=500, deadline=None)
def test_whatever_is_written_nothing_is_raised_and_nothing_is_silent(text: str, output: Any) -> None:
    parsed = parse(text, output)
    reask_message(parsed, text)
    assert parsed.ok == (not parsed.error)
    assert parsed.value is None or parsed.ok
    try:
        json.loads(text)
    except ValueError:
        assert parsed.repairs or parsed.error


# The wild


@pytest.mark.skipif(not WILD.is_dir(), reason="the data sets are not here")
@pytest.mark.parametrize(("name", "raw", "right"), [("json_repair_pairs", 0.96, 0.29), ("jsonrepair_pairs", 0.73, 0.36)])
def test_the_wild_is_read_no_worse_than_by_json_repair_and_never_wrongly(name: str, raw: float, right: float) -> None:
    rows = [json.loads(line) for line in (WILD / f"{name}.jsonl").read_text("utf-8").splitlines()]
    found = [(parse(row["input"], Any), json.dumps(row["expected"])) for row in rows if row.get("repairable", True)]
    alone = [json.dumps(json_repair.loads(row["input"])) == json.dumps(row["expected"]) for row in rows if row.get("repairable", True)]
    reached = sum(json.dumps(parsed.raw) == expected for parsed, expected in found)
    assert max(raw * len(found), sum(alone)) <= reached
    assert right * len(found) <= sum(parsed.ok for parsed, _ in found)
    assert [] == [expected for parsed, expected in found if parsed.ok and json.dumps(parsed.value) != expected]
    assert not any(parse(row["input"], Any).ok for row in rows if not row.get("repairable", True))
