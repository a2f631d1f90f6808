from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.protocol.sse import DONE, Events, encode

LINES = st.one_of(
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=6).map(lambda text: f"data: {text}"),
    st.sampled_from(
        ["", "", "data", "data:", "data:x", "data:  two spaces", ": comment", "event: message", "id: 7", "retry: 3", "é: ü", "x"]
    ),
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r"])), max_size=24)


def spec(text: str) -> list[bytes]:
    """The standard's algorithm, line by line, on the whole text at once."""
    fields, data = [], None
    *lines, _ = re.split("\r\n|\n|\r", text.removeprefix("\ufeff"))
    for line in lines:
        name, _, value = line.partition(":")
        if line == "":
            if data is not None:
                fields.append("\n".join(data).encode())
            data = None
        elif name == "data":
            data = [*(data or []), value.removeprefix(" ")]
    return fields


def chopped(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@given(st.booleans(), STREAMS, st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_gives_the_fields_of_the_standard(bom: bool, lines: list[tuple[str, str]], cuts: list[int]) -> None:
    text = "\ufeff" * bom + "".join(line + end for line, end in lines)
    events = Events()
    assert spec(text) == [field for part in chopped(text.encode(), cuts) for field in events.feed(part)]


@given(STREAMS)
def test_single_bytes_give_the_fields_of_the_standard(lines: list[tuple[str, str]]) -> None:
    text = "".join(line + end for line, end in lines)
    events = Events()
    assert spec(text) == [field for byte in text.encode() for field in events.feed(bytes([byte]))]


@given(st.lists(st.binary(max_size=40)), st.lists(st.integers(0, 10_000), max_size=8))
def test_what_was_encoded_comes_back(fields: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(map(encode, fields))
    events = Events()
    expected = [re.sub(b"\r\n|\r", b"\n", field) for field in fields]
    assert expected == [field for part in chopped(whole, cuts) for field in events.feed(part)]
    assert b"" == events.rest


def test_an_event_ends_with_its_last_byte_however_its_lines_end() -> None:
    for end in (b"\n\n", b"\r\n\r\n", b"\r\r"):
        assert [b"x"] == Events().feed(b"data: x" + end)


def test_half_an_event_stays_in_the_rest() -> None:
    events = Events()
    assert [b"1"] == events.feed('data: 1\n\ndata: "ü'.encode()[:-1])
    assert b'data: "\xc3' == events.rest
    assert ['"ü"'.encode()] == events.feed(b'\xbc"\n\n')
    assert b"" == events.rest


def test_comments_and_events_without_data_are_dropped() -> None:
    assert [DONE] == Events().feed(b": keep-alive\n\nevent: ping\n\n\n\ndata: [DONE]\n\n")


def test_a_byte_order_mark_is_skipped_once_also_when_it_comes_in_parts() -> None:
    events = Events()
    assert [] == events.feed(b"\xef\xbb")
    assert [b"x"] == events.feed(b"\xbfdata: x\n\n")
    assert [] == events.feed(b"\xef\xbb\xbfdata: y\n\n"), "in the middle it belongs to the name of the field"


@pytest.mark.parametrize("data", [b"", b"x"])
def test_encoded_data_is_one_event(data: bytes) -> None:
    assert b"data: " + data + b"\n\n" == encode(data)
