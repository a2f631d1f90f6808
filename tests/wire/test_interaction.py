from __future__ import annotations

import gzip
import json
import zlib
from itertools import pairwise
from typing import Any

import httpx2
import hypothesis.strategies as st
import pytest
from hypothesis import given
from vcr.request import Request

from llmlab.wire import interaction as module
from llmlab.wire.interaction import Interaction, Take, decompress, from_plain, request_headers, to_plain
from llmlab.wire.transport import Failure, Piece

URL = "https://api.openai.com/v1/chat/completions"


def interaction(
    body: bytes | str = b"{}",
    *,
    headers: dict[str, Any] | None = None,
    ours: dict[str, Any] | None = None,
    request: bytes = b'{"model":"m"}',
) -> Interaction:
    response: dict[str, Any] = {"status": {"code": 200, "message": "OK"}, "headers": headers or {}, "body": {"string": body}}
    if ours is not None:
        response["llmlab"] = ours
    return Interaction(Request("POST", URL, request, {"content-type": "application/json"}), response)


def test_a_take_gives_the_recorded_chunks_at_the_recorded_times() -> None:
    take = Take(interaction(b"abcdef", ours={"chunks": "1 3 2", "at": "0.5 0.75 1", "headers_at": 0.25, "source": "simulator"}))
    reply = take.reply(2.0)
    assert [Piece(1.0, b"a"), Piece(1.5, b"bcd"), Piece(2.0, b"ef")] == reply.pieces
    assert 0.5 == reply.headers_at
    assert {"llmlab.source": "cassette", "llmlab.recorded_from": "simulator", "reason_phrase": b"OK"} == reply.extensions


def test_at_pace_0_everything_comes_at_once_in_the_recorded_chunks() -> None:
    reply = Take(interaction(b"abcdef", ours={"chunks": "1 3 2", "at": "0.5 0.75 1", "headers_at": 0.25})).reply(0.0)
    assert [Piece(0.0, b"a"), Piece(0.0, b"bcd"), Piece(0.0, b"ef")] == reply.pieces
    assert 0.0 == reply.headers_at


def test_a_failure_without_an_answer_has_no_status() -> None:
    failed = Interaction(Request("POST", URL, b"", {}), {"llmlab": {"failure": {"at": 3, "name": "ReadTimeout", "message": "slow"}}})
    reply = Take(failed).reply(1.0)
    assert (0, Failure(3.0, "ReadTimeout", "slow")) == (reply.status, reply.failure)


@pytest.mark.parametrize(("expected", "status"), [("ReadError", True), ("ConnectError", False)])
def test_an_unknown_failure_is_replayed_as_the_plainest_one_of_its_place(expected: str, status: bool) -> None:
    broken = interaction(ours={"failure": {"at": 0, "name": "Meteorite", "message": "boom"}})
    if not status:
        del broken.response["status"]
    failure = Take(broken).reply(0).failure
    assert failure is not None
    assert expected == failure.name


def test_a_stream_recorded_by_others_comes_event_by_event() -> None:
    headers = {"Content-Type": ["text/event-stream"]}
    assert [b"data: 1\n\n", b"data: 2\n\n", b"rest"] == [
        p.data for p in Take(interaction("data: 1\n\ndata: 2\n\nrest", headers=headers)).reply(0).pieces
    ]
    assert [b"data: 1\r\n\r\n", b"data: 2\r\n\r\n"] == [
        p.data for p in Take(interaction("data: 1\r\n\r\ndata: 2\r\n\r\n", headers=headers)).reply(0).pieces
    ]


def test_an_empty_body_has_no_pieces() -> None:
    assert [] == Take(interaction(b"")).reply(0).pieces


def test_a_body_that_somebody_edited_by_hand_comes_whole() -> None:
    take = Take(interaction(b"edited", ours={"chunks": "1 3", "at": "0.5 0.75"}))
    assert [Piece(0.5, b"edited")] == take.reply(1).pieces


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", gzip.compress(b"hello")),
        ("deflate", zlib.compress(b"hello")),
        ("deflate", zlib.compress(b"hello")[2:-4]),
        ("gzip", b"hello"),
    ],
    ids=["gzip", "deflate", "raw deflate", "long since decoded"],
)
def test_an_old_compressed_body_is_decoded(encoding: str, data: bytes) -> None:
    headers = {"Content-Encoding": [encoding], "Content-Length": ["9"], "X-Other": "text", "Empty": None}
    take = Take(interaction(data, headers=headers))
    assert b"hello" == take.body
    assert [(b"Content-Length", b"5"), (b"X-Other", b"text")] == take.headers


@pytest.mark.parametrize("encoding", ["br", "gzip"])
def test_a_compressed_body_that_cannot_be_decoded_stays_for_the_client_to_judge(encoding: str) -> None:
    take = Take(interaction(b"\xff\x00\xfe", headers={"content-encoding": [encoding]}))
    assert b"\xff\x00\xfe" == take.body
    assert [(b"content-encoding", encoding.encode())] == take.headers


@given(st.binary(max_size=200), st.lists(st.integers(0, 300), max_size=5), st.sampled_from(["gzip", "deflate"]))
def test_chunks_are_decoded_one_by_one(data: bytes, cuts: list[int], encoding: str) -> None:
    packed = gzip.compress(data) if encoding == "gzip" else zlib.compress(data)
    edges = [0, *sorted(cut % len(packed) for cut in cuts), len(packed)]
    chunks = [packed[a:b] for a, b in pairwise(edges)]
    plain = decompress(chunks, encoding)
    assert plain is not None
    assert (data, len(chunks)) == (b"".join(plain), len(plain))


def test_no_chunks_decode_to_none() -> None:
    assert [] == decompress([], "gzip")


def test_scrubbing_changes_the_request_the_headers_the_body_and_its_chunks() -> None:
    secret = interaction(
        b'{"key": "sk-abcdef1234567890"} and more',
        headers={"openai-organization": ["acme"], "content-length": ["39"]},
        ours={"chunks": "12 20 7", "at": "0 0 0"},
        request=b'{"model":"m","key":"sk-abcdef1234567890"}',
    )
    secret.request.headers = {"authorization": "Bearer abc", "accept": "*/*"}
    secret.request.uri = URL + "?api-key=1234"
    secret.scrub()
    assert b'{"key": "[scrubbed]"} and more' == secret.response["body"]["string"]
    assert {"openai-organization": ["[scrubbed]"], "content-length": ["30"]} == secret.response["headers"]
    assert "19 4 7" == secret.ours["chunks"]
    assert b'{"model":"m","key":"[scrubbed]"}' == secret.body
    assert {"authorization": "[scrubbed]", "accept": "*/*"} == dict(secret.request.headers.items())
    assert URL + "?api-key=[scrubbed]" == secret.request.uri


def test_a_take_is_scrubbed_although_its_recording_was_not() -> None:
    take = Take(interaction(b'{"key": "sk-abcdef1234567890"}', headers={"set-cookie": ["a=b"]}))
    assert b'{"key": "[scrubbed]"}' == take.body
    assert [(b"set-cookie", b"[scrubbed]")] == take.headers


@pytest.mark.parametrize(
    ("expected", "body"),
    [
        (b'{"a": "[scrubbed]"}', b'{"a": "\\u0073k-abcdef1234567890"}'),
        (b'{"a": "\\u00e9"}', b'{"a": "\\u00e9"}'),
        (b'{"a": "\\u00', b'{"a": "\\u00'),
    ],
)
def test_a_key_does_not_hide_behind_escapes_in_a_request(expected: bytes, body: bytes) -> None:
    assert expected == module.scrub_json(body)


def test_only_headers_that_say_something_about_the_request_are_kept() -> None:
    headers = {"Accept": "a", "User-Agent": "u", "X-Stainless-OS": "o", "X-Llmlab-Request": "q/0", "Content-Type": "c"}
    kept = request_headers(httpx2.Request("POST", URL, headers=headers, content=b"x"))
    assert {"accept": "a", "content-type": "c"} == kept


def test_text_in_a_header_survives_whatever_it_is() -> None:
    take = Take(interaction(headers={"x-name": ["é"], "b": "plain"}))
    assert [(b"x-name", "é".encode()), (b"b", b"plain")] == take.headers


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_an_interaction_goes_through_json_and_comes_back(sent: bytes, came: bytes) -> None:
    original = interaction(came, headers={"a": ["b", "c"]}, ours={"chunks": str(len(came)), "at": "0"}, request=sent)
    again = from_plain(json.loads(json.dumps(to_plain(original))))
    assert original.response == again.response
    assert (original.body, original.request.uri, original.request.method) == (again.body, again.request.uri, again.request.method)
    assert dict(original.request.headers.items()) == dict(again.request.headers.items())


@pytest.mark.parametrize(
    ("expected", "values"), [("", []), ("1 20 3", [1, 20, 3]), ("0 0.5 1.000001", [0.0, 0.5, 1.000001]), ("10", [10.0])]
)
def test_numbers_are_written_as_one_text(expected: str, values: list[float]) -> None:
    assert expected == module.joined(values)
    assert values == module.numbers(expected, float)
