from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from written import OBJECTS, ODD, Refund

from llmlab.pipeline.parsing.parse import parse
from llmlab.pipeline.parsing.partial import PartialObject


def test_a_field_is_shown_when_what_ends_it_has_come() -> None:
    partial = PartialObject(Refund)
    shown = [dict(partial.feed(piece)) for piece in ('{"days": 1', "2", ",", ' "note": "a', '"', ' , "steps": ["b"', "]", "}")]
    days, note = {"days": 12}, {"days": 12, "note": "a"}
    assert [{}, {}, days, days, days, note, note, note | {"steps": ["b"]}] == shown
    assert Refund(days=12, note="a", steps=["b"]) == partial.finish().value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Sure, {you}: ```json\n{"days": 1, "note": "a"}\n```', {"days": 1, "note": "a"}),
        ("{'days': 1, // so\n note: 'a',}", {"days": 1, "note": "a"}),
        ('{"days": 1, "note": "a" "fee": 2}', {"days": 1, "note": "a", "fee": 2}),
        ('{"days": 1, "note": "say "hi", all"}', {"days": 1}),
        ('{"days": 1, "fee": NaN, "note": "a"}', {"days": 1}),
        ('{"days": 1, "note": "a', {"days": 1}),
        ('{"days": 1} {"days": 2, "note": "a"}', {"days": 1}),
        ("no", {}),
    ],
)
def test_what_could_still_change_is_not_shown(text: str, expected: dict[str, Any]) -> None:
    partial = PartialObject(Refund)
    for char in text:
        partial.feed(char)
    assert expected == partial.fields


@pytest.mark.parametrize("output", [list[Any], str, str | dict[str, int]])
def test_only_an_object_has_fields(output: Any) -> None:
    partial = PartialObject(output)
    assert {} == partial.feed('{"a": 1}')
    assert partial.finish() == parse('{"a": 1}', output)


class Odd(BaseModel):
    text: str = ""
    number: float | None = None


WRITTEN = st.one_of(
    st.sampled_from([
        'So {x}:\n```json\n{"text": "\\ud83d\\ude00 \\"a\\" \\u00e9 {", "number": 1.5e1,}\n```\nBye {y} [1].',
        "{'text': 'it\\'s', /* so */ 'number': None}",
        '{"text": "\\ud83d", "number": -1',
        '{"text": "cut \\',
        '{text: "a", "number": 12}} ',
        '{"text": "a" // so\n}',
        '{"text": "a", "text": "b"}',
        '[1] {"number": 12\n```',
    ]),
    OBJECTS.map(lambda value: json.dumps(value, ensure_ascii=False)),
    st.text(st.sampled_from(ODD), max_size=40).map(lambda text: '{"text": "a", ' + text),
)  # fmt: skip


@given(text=WRITTEN, output=st.sampled_from([Odd, dict[str, Any]]), sizes=st.lists(st.integers(1, 6), min_size=1))
@settings(max_examples=500, deadline=None)
def test_every_split_ends_at_the_same_value_and_takes_nothing_back(text: str, output: Any, sizes: list[int]) -> None:
    partial, shown, at, turn = PartialObject(output), dict[str, Any](), 0, 0
    while at < len(text):
        now = dict(partial.feed(text[at : at + sizes[turn % len(sizes)]]))
        at, turn = at + sizes[turn % len(sizes)], turn + 1
        assert shown == {name: now[name] for name in shown}
        shown = now
    whole = parse(text, output)
    assert repr(whole) == repr(partial.finish())
    assert not whole.ok or [repr(whole.raw[name]) for name in shown] == list(map(repr, shown.values()))
    once = PartialObject(output)
    assert shown == once.feed(text)


@given(at=st.integers(0, 200))
def test_every_single_cut_shows_the_same(at: int) -> None:
    text = 'As {x} said:\n```json\n{"text": "\\ud83d\\ude00 \\"a\\" \\\\ \\u00e9 {", /* so */ "number": -1.5e1,}\n```\nBye.'
    partial = PartialObject(Odd)
    partial.feed(text[:at])
    assert {"text": '😀 "a" \\ é {', "number": -15.0} == partial.feed(text[at:])


def test_the_work_is_the_same_in_small_pieces() -> None:
    steps = 0

    class Piece(str):
        __slots__ = ()

    text = '{"note": "' + "x" * 2000 + '", "steps": [/*' + "y" * 2000 + '*/ "a"], "days": 1}'
    partial = PartialObject(Refund)
    for char in text:
        partial.feed(Piece(char))
        reader = partial._scan.first or partial._scan.reader
        steps += len(reader.text) if reader else 0
    assert 2 * len(text) > steps


def test_what_was_shown_stays_as_it_was_while_more_comes() -> None:
    partial = PartialObject(dict[str, int])
    first, same, more = (partial.feed(piece) for piece in ('{"a": 1, "b": 2, "c"', ": 3", ', "d": 4}'))
    assert (True, False) == (first is same, first is more)
    assert ({"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3, "d": 4}, "{'a': 1, 'b': 2}") == (first, more, repr(first))
    assert (2, True, False, False) == (len(first), "b" in first, "c" in first, "x" in first)
    with pytest.raises(KeyError, match="c"):
        first["c"]
