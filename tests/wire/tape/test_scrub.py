from __future__ import annotations

import json
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from llmlab.wire.tape import scrub

KEYS = [
    b"sk-abcdef1234567890",
    b"sk-proj-AbCdEf_12-34567890abcdef",
    b"sk-ant-api03-AAAAAAAAAAAAAAAA",
    b"sk-abcdefghijklmnopqrstuvwx",
    b"Bearer abcdef1234567890",
    b"bearer eyJhbGciOiJIUzI1NiJ9.e30.abc-123",
    b"BEARER%20abcdef1234567890",
    b"AKIAIOSFODNN7EXAMPLE",
    b"AIzaSyA1234567890abcdefghijklmnopqrstuv",
    b"ghp_0123456789abcdefghijABCDEFGHIJ012345",
    b"github_pat_11AAAAAAA0aaaaaaaaaaaa",
    b"xoxb-123456789012-abcdefgh",
    b"gsk_0123456789abcdefghij",
    b"hf_0123456789abcdefghij",
]
HARMLESS = [
    b"task-force-of-the-ministry-1234567890",
    b"risk-assessment-2024-report-final",
    b"sk-1234",
    b"Bearer tokens are strings",
    b"sk-proj-********abcd",
    b"x_ratelimit_remaining_requests",
    b"AKIA is a prefix",
    b"B is for Bearer",
]
texts = st.text(st.sampled_from('abc 0-_.\n"\\{}é€'), max_size=30).map(str.encode)


def chunked(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def deltas(pieces: list[str], field: str = "content", index: int = 0) -> list[bytes]:
    return [b"data: " + json.dumps({"choices": [{"index": index, "delta": {field: piece}}]}).encode() + b"\n\n" for piece in pieces]


def spelled(stream: bytes, field: str = "content", index: int = 0) -> str:
    events = [json.loads(line[6:]) for line in stream.split(b"\n\n") if line]
    return "".join(e["choices"][0]["delta"].get(field, "") for e in events if e["choices"][0]["index"] == index)


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("around", [b"%s", b'{"a":"my key is %s, see?"}', b"line\\n%s\\n", b"q=%%20%s&b=1", b"\\u00e9%s", b"(%s)"], ids=str)
def test_what_has_the_shape_of_a_key_is_replaced_and_nothing_else(key: bytes, around: bytes) -> None:
    assert around % b"[scrubbed]" == scrub.scrub(around % key)


@pytest.mark.parametrize("text", HARMLESS, ids=str)
def test_what_only_looks_a_little_like_a_key_stays(text: bytes) -> None:
    assert text == scrub.scrub(text)
    assert text.decode() == scrub.scrub_text(text.decode())


@given(texts, st.sampled_from(KEYS), texts)
def test_scrubbing_twice_changes_nothing_more(before: bytes, key: bytes, after: bytes) -> None:
    once = scrub.scrub(before + b" " + key + b" " + after)
    assert once == scrub.scrub(once)


@given(st.lists(st.one_of(texts, st.sampled_from(KEYS)), max_size=6), st.lists(st.integers(0, 999), max_size=8))
def test_any_split_gives_the_same_bytes_in_as_many_chunks(parts: list[bytes], cuts: list[int]) -> None:
    data = b" ".join(parts)
    chunks = chunked(data, cuts)
    clean = scrub.scrub_chunks(chunks)
    assert (scrub.scrub(data), len(chunks)) == (b"".join(clean), len(clean))
    if b"".join(clean) == data:
        assert chunks == clean


@given(st.sampled_from(KEYS), st.lists(st.integers(0, 999), max_size=8), st.lists(st.integers(0, 999), max_size=8))
def test_a_key_spread_over_deltas_and_cut_by_the_network_is_found(key: bytes, tokens: list[int], cuts: list[int]) -> None:
    text = f"The key is {key.decode()} and that is all."
    pieces = [piece.decode() for piece in chunked(text.encode(), tokens)]
    stream = b"".join(deltas(pieces)) + b"data: [DONE]\n\n"
    chunks = chunked(stream, cuts)
    clean = scrub.scrub_chunks(chunks, stream=True)
    joined = b"".join(clean)
    assert "The key is [scrubbed] and that is all." == spelled(joined.removesuffix(b"data: [DONE]\n\n"))
    assert (len(chunks), stream.count(b"\n\n")) == (len(clean), joined.count(b"\n\n"))
    assert clean == scrub.scrub_chunks(clean, stream=True)


def test_a_placeholder_stands_in_the_chunk_in_which_its_secret_began() -> None:
    assert [b"a [scrubbed]", b"", b" b"] == scrub.scrub_chunks([b"a sk-abc", b"def1234", b"567890 b"])


def test_texts_of_several_choices_are_not_mixed_up() -> None:
    first, second = deltas(["sk-proj", "-abcdef1", "2345678"]), deltas(["sk-", "let us", " learn"], index=1)
    clean = b"".join(scrub.scrub_chunks([a + b for a, b in zip(first, second, strict=True)], stream=True))
    assert ("[scrubbed]", "sk-let us learn") == (spelled(clean), spelled(clean, index=1))


def test_fields_are_not_mixed_up() -> None:
    chunks = deltas(["sk-abc"], "reasoning_content") + deltas(["def12345"], "content")
    assert chunks == scrub.scrub_chunks(chunks, stream=True)


def test_a_key_in_the_arguments_of_a_tool_call_is_found() -> None:
    parts = ['{\\"key\\": \\"sk-pr', "oj-12345678", '\\"}']
    chunks = [
        b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"%s"}}]}}]}\n\n' % part.encode()
        for part in parts
    ]
    clean = b"".join(scrub.scrub_chunks(chunks, stream=True))
    assert b'\\"key\\": \\"[scrubbed]"' in clean
    assert b'"arguments":""' in clean
    assert b"12345678" not in clean


def test_a_secret_that_is_found_in_two_ways_is_replaced_once() -> None:
    clean = b"".join(scrub.scrub_chunks(deltas(["sk-abcdef12", "345678", " ok"]), stream=True))
    assert ("[scrubbed] ok", 1) == (spelled(clean), clean.count(b"[scrubbed]"))


def test_a_body_that_cannot_hold_a_secret_is_passed_on_as_it_is() -> None:
    chunks = deltas(["x_ratelimit_remaining_requests ", "accepted_prediction_tokens"])
    assert not scrub.suspicious(b"".join(chunks))
    assert chunks[0] is scrub.scrub_chunks(chunks, stream=True)[0]


@pytest.mark.parametrize("name", ["Authorization", "api-key", "X-API-Key", "Cookie", "set-cookie", "OpenAI-Organization", "openai-project"])
def test_secret_headers_never_show_their_value(name: str) -> None:
    assert "[scrubbed]" == scrub.scrub_header(name, "anything")


def test_other_headers_show_all_but_keys() -> None:
    assert "application/json" == scrub.scrub_header("accept", "application/json")
    assert "x [scrubbed]" == scrub.scrub_header("x-other", "x sk-abcdef1234567890")


@pytest.mark.parametrize(
    ("expected", "url"),
    [
        ("https://host/v1/chat?api-version=1", "https://host/v1/chat?api-version=1"),
        ("https://host/v1?key=[scrubbed]&a=1", "https://host/v1?key=short&a=1"),
        ("https://host/v1?a=1&API_KEY=[scrubbed]", "https://host/v1?a=1&API_KEY=short"),
        ("https://host/v1", "https://user:password@host/v1"),
        ("https://host/[scrubbed]/x", "https://host/sk-abcdef1234567890/x"),
    ],
)
def test_urls_lose_passwords_and_keys(expected: str, url: str) -> None:
    assert expected == scrub.scrub_url(url)


def test_text_that_is_no_unicode_is_left_alone() -> None:
    assert b"\xff\xfe[scrubbed]\xff" == scrub.scrub(b"\xff\xfesk-abcdef1234567890\xff")
    assert "\ud800" == scrub.scrub_text("\ud800")
