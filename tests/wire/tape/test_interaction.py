from __future__ import annotations

import gzip
import json
import zlib
from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from llmlab.wire.tape.interaction import Interaction, clean, is_text, joined, ours, reply, to_bytes, to_text
from llmlab.wire.transport import Failure, Piece

URL = "https://api.openai.com/v1/chat/completions"


def interaction(
    body: bytes = b"{}",
    *,
    headers: dict[str, list[str]] | None = None,
    ours: dict[str, Any] | None = None,
    request: str = '{"model":"m"}',
) -> Interaction:
    sent = {"method": "POST", "uri": URL, "body": request, "headers": {"content-type": ["application/json"]}}
    came: dict[str, Any] = {"status": {"code": 200, "message": "OK"}, "headers": headers or {}, "body": {"string": to_text(body)}}
    return {"request": sent, "response": came if ours is None else {**came, "llmlab": ours}}


def pieces(interaction: Interaction) -> list[bytes]:
    return [piece.data for piece in reply(interaction, 0.0).pieces]


@pytest.mark.parametrize("pace", [2.0, 0.0])
def test_a_reply_gives_the_recorded_chunks_at_the_recorded_times(pace: float) -> None:
    played = reply(interaction(b"abcdef", ours={"chunks": "1 3 2", "at": "0.5 0.75 1", "headers_at": 0.25, "source": "simulator"}), pace)
    assert [Piece(0.5 * pace, b"a"), Piece(0.75 * pace, b"bcd"), Piece(pace, b"ef")] == played.pieces
    assert (200, 0.25 * pace, None) == (played.status, played.headers_at, played.failure)
    assert {"llmlab.source": "cassette", "llmlab.recorded_from": "simulator"} == played.extensions


def test_a_failure_without_an_answer_has_no_status() -> None:
    failed = {**interaction(), "response": {"llmlab": {"failure": {"at": 3, "name": "ReadTimeout", "message": "slow"}}}}
    played = reply(failed, 1.0)
    assert (0, Failure(3.0, "ReadTimeout", "slow")) == (played.status, played.failure)
    assert failed["response"] == clean(failed)["response"]


@pytest.mark.parametrize("headers", [{"Content-Type": ["text/event-stream; charset=utf-8"]}, {}], ids=["named", "header lost"])
def test_a_stream_recorded_by_others_comes_event_by_event(headers: dict[str, list[str]]) -> None:
    assert [b"data: 1\n\n", b"data: 2\n\n", b"rest"] == pieces(interaction(b"data: 1\n\ndata: 2\n\nrest", headers=headers))
    assert [b"data: 1\r\n\r\n", b"data: 2\r\n\r\n"] == pieces(interaction(b"data: 1\r\n\r\ndata: 2\r\n\r\n", headers=headers))


@pytest.mark.parametrize("body", [b"data: 1\n\ndata: 2\n\n", b""])
def test_what_is_no_stream_comes_whole(body: bytes) -> None:
    assert ([body] if body else []) == pieces(interaction(body, headers={"content-type": ["application/json"]}))


def test_a_body_that_somebody_edited_by_hand_comes_whole() -> None:
    assert [Piece(0.5, b"edited")] == reply(interaction(b"edited", ours={"chunks": "1 3", "at": "0.5 0.75"}), 1).pieces


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", gzip.compress(b"hello")),
        ("deflate", zlib.compress(b"hello")),
        ("gzip", b"hello"),
    ],
    ids=["gzip", "deflate", "long since decoded"],
)
def test_an_old_compressed_body_is_decoded(encoding: str, data: bytes) -> None:
    old = clean(interaction(data, headers={"Content-Encoding": [encoding], "Content-Length": ["9"], "X-Other": ["text"]}))
    assert ({"string": "hello"}, {"Content-Length": ["5"], "X-Other": ["text"]}) == (old["response"]["body"], old["response"]["headers"])


@pytest.mark.parametrize("encoding", ["br", "gzip"])
def test_a_compressed_body_that_cannot_be_decoded_stays_for_the_client_to_judge(encoding: str) -> None:
    played = reply(clean(interaction(b"\xff\x00\xfe", headers={"content-encoding": [encoding]})), 0)
    assert ([b"\xff\x00\xfe"], [(b"content-encoding", encoding.encode())]) == ([p.data for p in played.pieces], played.headers)


@given(st.binary(max_size=200), st.lists(st.integers(0, 300), max_size=5), st.sampled_from(["gzip", "deflate"]))
def test_chunks_are_decoded_one_by_one(data: bytes, cuts: list[int], encoding: str) -> None:
    packed = gzip.compress(data) if encoding == "gzip" else zlib.compress(data)
    edges = [0, *sorted(cut % len(packed) for cut in cuts), len(packed)]
    lengths = [b - a for a, b in pairwise(edges)]
    plain = clean(interaction(packed, headers={"content-encoding": [encoding]}, ours={"chunks": joined(lengths)}))
    assert data == to_bytes(plain["response"]["body"]["string"])
    assert len(lengths) == len(ours(plain)["chunks"].split())
    assert {} == plain["response"]["headers"]


def test_cleaning_changes_the_request_the_headers_the_body_and_its_chunks() -> None:
    secret = interaction(
        b'{"key": "sk-abcdef1234567890"} and more',
        headers={"openai-organization": ["acme"], "content-length": ["39"]},
        ours={"chunks": "12 20 7", "at": "0 0 0"},
        request='{"model":"m","key":"sk-abcdef1234567890"}',
    )
    secret["request"] |= {"headers": {"authorization": ["Bearer abc"], "accept": ["*/*"]}, "uri": URL + "?api-key=1234"}
    cleaned = clean(secret)
    assert '{"key": "[scrubbed]"} and more' == cleaned["response"]["body"]["string"]
    assert {"openai-organization": ["[scrubbed]"], "content-length": ["30"]} == cleaned["response"]["headers"]
    assert "19 4 7" == ours(cleaned)["chunks"]
    assert '{"model":"m","key":"[scrubbed]"}' == cleaned["request"]["body"]
    assert {"authorization": ["[scrubbed]"], "accept": ["*/*"]} == cleaned["request"]["headers"]
    assert URL + "?api-key=[scrubbed]" == cleaned["request"]["uri"]
    assert cleaned == clean(cleaned)


def test_a_length_that_was_announced_and_did_not_come_stays() -> None:
    assert {"content-length": ["99"]} == clean(interaction(b"half", headers={"content-length": ["99"]}))["response"]["headers"]


def test_a_key_that_somebody_wrote_into_the_file_is_not_replayed() -> None:
    assert [b'{"key": "[scrubbed]"}'] == pieces(interaction(b'{"key": "sk-abcdef1234567890"}', ours={"chunks": "30"}))


def test_text_in_a_header_survives_whatever_it_is() -> None:
    assert [(b"x-name", "é".encode()), (b"b", b"plain")] == reply(interaction(headers={"x-name": ["é"], "b": ["plain"]}), 0).headers


@given(st.binary(max_size=50))
def test_any_body_goes_through_text_and_json_and_comes_back(body: bytes) -> None:
    text = json.loads(json.dumps(to_text(body)))
    assert body == to_bytes(text)
    assert is_text(text) == (body.decode("utf-8", "ignore").encode() == body)


@pytest.mark.parametrize(
    ("expected", "values"), [("", []), ("1 20 3", [1, 20, 3]), ("0 0.5 1.000001", [0.0, 0.5, 1.000001]), ("10", [10.0])]
)
def test_numbers_are_written_as_one_text(expected: str, values: list[float]) -> None:
    assert expected == joined(values)
