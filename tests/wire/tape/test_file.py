from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import given
from vcr.serialize import deserialize
from vcr.serializers import jsonserializer, yamlserializer

from llmlab.errors import BrokenCassette
from llmlab.wire.tape.file import Contents, dump, read, version
from llmlab.wire.tape.interaction import Interaction, ours, to_bytes, to_text

URL = "https://api.openai.com/v1/chat/completions"
OURS = {"source": "simulator", "headers_at": 0.5}
FAILURE = {"at": 1.5, "name": "ReadError", "message": "gone"}
STAMP = {"llmlab": {"versions": {"llmlab": version("llmlab")}}}
ENDINGS = pytest.mark.parametrize("ending", ["yaml", "json"])


def answered(came: bytes = b'{"a":1}', sent: bytes = b'{"model":"m"}', **ours: Any) -> Interaction:
    headers = {"content-type": ["application/json"]}
    return {
        "request": {"method": "POST", "uri": URL, "body": to_text(sent) or None, "headers": headers},
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"content-type": ["text/plain"], "x": ["1", "2"]},
            "body": {"string": to_text(came)},
            "llmlab": {**OURS, "chunks": str(len(came)), "at": "0.5", **ours},
        },
    }


def failed() -> Interaction:
    return {"request": answered()["request"], "response": {"llmlab": {"failure": FAILURE}}}


def written(path: Path, *interactions: Interaction, **metadata: Any) -> Path:
    path.write_bytes(dump(path, Contents(list(interactions), metadata)))
    return path


def loaded(path: Path) -> Contents:
    contents = read(path)
    assert contents is not None
    return contents


def bodies(contents: Contents) -> list[bytes]:
    return [
        to_bytes(interaction["response"]["body"]["string"]) for interaction in contents.interactions if "body" in interaction["response"]
    ]


def read_from(path: Path, request: dict[str, Any], response: dict[str, Any]) -> Interaction:
    path.write_text(yaml.safe_dump({"interactions": [{"request": request, "response": response}], "version": 1}))
    (interaction,) = loaded(path).interactions
    return interaction


@pytest.mark.parametrize("ending", ["yaml", "json"])
@given(
    bodies=st.lists(
        st.tuples(
            st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda t: t.encode("utf-8", "ignore"))), st.binary(max_size=20)
        ),
        max_size=4,
    )
)
def test_what_was_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, ending: str, bodies: list[tuple[bytes, bytes]]) -> None:
    path = tmp_path_factory.mktemp("files") / f"c.{ending}"
    interactions = [answered(came, sent) for came, sent in bodies]
    assert interactions == loaded(written(path, *interactions, **STAMP)).interactions


@given(
    st.lists(
        st.sampled_from(["data: {}", " x", "\t", "", "#", "- a", "é", "\x85", "\u2028", "a: b", "'", '"', "trailing  ", "\r", "|", "%"]),
        max_size=8,
    )
)
def test_texts_of_several_lines_survive_as_blocks(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("files") / "c.yaml"
    body = "\n".join(lines).encode()
    assert [body] == bodies(loaded(written(path, answered(body))))


def test_a_stream_reads_like_a_stream_in_yaml(tmp_path: Path) -> None:
    text = written(tmp_path / "c.yaml", answered(b"data: 1\n\ndata: [DONE]\n\n")).read_text()
    assert "string: |+\n        data: 1\n\n        data: [DONE]\n\n" in text
    assert text.isascii()


@ENDINGS
def test_broken_streams_and_failures_keep_their_place_where_vcrpy_never_reads(tmp_path: Path, ending: str) -> None:
    path = written(
        tmp_path / f"c.{ending}",
        failed(),
        answered(),
        answered(b"half", failure=FAILURE),
        answered(b"left", abandoned=True),
        answered(b"end"),
    )
    serializer = jsonserializer if ending == "json" else yamlserializer
    requests, responses = deserialize(path.read_text(), serializer)[:2]
    assert 2 == len(requests)
    assert [b'{"a":1}', b"end"] == [response["body"]["string"] for response in responses]
    contents = loaded(path)
    assert [failed(), answered()] == contents.interactions[:2]
    assert [b'{"a":1}', b"half", b"left", b"end"] == bodies(contents)
    assert [FAILURE, None, FAILURE, None, None] == [ours(interaction).get("failure") for interaction in contents.interactions]


def test_bytes_that_are_no_text_are_binary_in_yaml_and_kept_apart_in_json(tmp_path: Path) -> None:
    odd = [answered(b"\xff\x00"), answered(b"fine", b"\xfe")]
    assert "!!binary" in written(tmp_path / "c.yaml", *odd).read_text()
    data = json.loads(written(tmp_path / "c.json", *odd).read_text())
    assert ([], 2) == (data["interactions"], len(data["llmlab"]["interactions"]))


@ENDINGS
def test_metadata_stands_where_vcrpy_keeps_its_own(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path / f"c.{ending}", answered(), llmlab={"recorded_at": "2026-11-23"}, other={"a": 1})
    contents = loaded(path)
    assert {"llmlab": {"recorded_at": "2026-11-23"}, "other": {"a": 1}} == contents.metadata
    assert contents.metadata == deserialize(path.read_text(), jsonserializer if ending == "json" else yamlserializer)[2]


@ENDINGS
def test_a_file_that_was_cut_off_anywhere_is_never_taken_for_whole(tmp_path: Path, ending: str) -> None:
    path = written(
        tmp_path / f"c.{ending}", answered(b"data: 1\n\n"), answered(b"one line"), failed(), llmlab={"recorded_at": "2026-11-23"}
    )
    data = path.read_bytes()
    end = data.rindex(b"version") + len("version:")
    for cut in range(1, end):
        path.write_bytes(data[:cut])
        if data[:cut].strip():
            with pytest.raises(BrokenCassette) as caught:
                read(path)
            assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_file_holds_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    assert read(path) is None
    assert read(tmp_path / "missing.yaml") is None


REQUEST = "request: {method: GET, uri: u}"


@pytest.mark.parametrize(
    ("message", "ending", "text"),
    [
        ("line 3, column", "yaml", "version: 1\ninteractions:\n- {a: [}\n"),
        ("Expecting value: line 2 column 19", "json", '{"version": 1,\n "interactions": ['),
        ("in position 16", "yaml", b"interactions:\n- \xff\n"),
        ("is no cassette: it has no list of interactions", "yaml", "just text"),
        ("is no cassette: it has no list of interactions", "yaml", "- request: {}\n  response: {}\n"),
        ("is no cassette: it has no list of interactions", "yaml", "version: 1"),
        ("is no cassette: it has no list of interactions", "yaml", "interactions: {a: b}"),
        ("interaction 1: it has no 'response'", "yaml", f"interactions:\n- {REQUEST}\n"),
        ("interaction 1: it has no 'status'", "yaml", f"interactions:\n- {REQUEST}\n  response: {{a: b}}\n"),
        ("interaction 1: its response has no", "yaml", f"interactions:\n- {REQUEST}\n  response: {{status: {{code: 20}}}}\n"),
        ("interaction 1: ", "yaml", f"interactions:\n- {REQUEST}\n  response: {{status: '200'}}\n"),
        ("interaction 1: ", "yaml", "interactions: [text]\n"),
        ("interaction 1: it has no 'method'", "yaml", "interactions:\n- {request: {uri: u}, response: {}}\n"),
        ("interaction 1: its request's method", "yaml", "interactions:\n- {request: {method: null, uri: u}, response: {}}\n"),
        ("interaction 1: Invalid IPv6", "yaml", "interactions:\n- {request: {method: GET, uri: 'http://['}, response: {}}\n"),
        ("interaction 1: could not convert", "yaml", f"interactions:\n- {REQUEST}\n  response: {{llmlab: {{chunks: eight}}}}\n"),
        (
            "interaction 1: there is no failure 'Meteorite'",
            "yaml",
            f"interactions:\n- {REQUEST}\n  response: {{llmlab: {{failure: {{at: 1, name: Meteorite}}}}}}\n",
        ),
        ("could not determine a constructor", "yaml", "interactions:\n- !!python/object/apply:os.system ['true']\n"),
        ("unacceptable character", "yaml", "interactions:\n- \x00\n"),
        ("recursion depth", "json", "[" * 200_000),
        ("llmlab, interaction 1: it has no 'request'", "yaml", "interactions: []\nllmlab: {interactions: [{position: 0}]}\n"),
        ("metadata: ", "yaml", "interactions: []\nmetadata: {llmlab: text}\nversion: 1\n"),
    ],
)
def test_a_broken_file_gets_an_error_with_its_name_and_place(tmp_path: Path, message: str, ending: str, text: str | bytes) -> None:
    path = tmp_path / f"broken.{ending}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BrokenCassette) as caught:
        read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_deep_nesting_in_yaml_is_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_deep(_: str) -> None:
        raise RecursionError

    path = tmp_path / "c.yaml"
    path.write_text("a: b")
    monkeypatch.setattr(yamlserializer, "deserialize", too_deep)
    with pytest.raises(BrokenCassette, match="cannot be read"):
        read(path)


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(BrokenCassette, match=r"cannot be read: .*Permission denied\. Restore it"):
        read(tmp_path / "c.yaml")


def test_yaml_is_read_safely_and_vcrpys_own_tags_are_known(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "interactions:\n- request: {method: POST, uri: u, headers: {}, body: !!python/unicode 'x'}\n"
        "  response: {status: {code: 200}, body: {string: !!binary aGk=}}\n"
    )
    contents = loaded(path)
    assert (b"hi", "x") == (bodies(contents)[0], contents.interactions[0]["request"]["body"])


def test_a_file_without_interactions_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("interactions: null\nllmlab: odd\nversion: 1\n")
    assert [] == loaded(path).interactions


def test_what_is_written_is_plain_yaml(tmp_path: Path) -> None:
    data = yaml.safe_load(written(tmp_path / "c.yaml", answered(), answered()).read_text())
    assert (1, 2, ["metadata", "interactions", "version"]) == (data["version"], len(data["interactions"]), list(data))


def test_only_what_llmlab_wrote_in_this_version_needs_no_cleaning(tmp_path: Path) -> None:
    deltas = [b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % piece for piece in (b"sk-abc", b"def1234567890")]
    leaky = answered(b"".join(deltas))
    leaky["response"]["headers"] = {"content-type": ["text/event-stream"]}
    by_vcrpy = {**leaky, "response": {name: part for name, part in leaky["response"].items() if name != "llmlab"}}
    for expected, metadata in ([1, 2], {}), ([1, 2], {"llmlab": {"versions": {"llmlab": "0.0.1"}}}), ([2], STAMP):
        contents = loaded(written(tmp_path / "c.json", leaky, by_vcrpy, **metadata))
        assert expected == [number for number, body in enumerate(bodies(contents), 1) if b"[scrubbed]" in body]


def test_parsed_bodies_become_json(tmp_path: Path) -> None:
    request = {"method": "POST", "uri": "u", "headers": {}, "parsed_body": {"a": "é"}}
    response = {"status": {"code": 200, "message": "OK"}, "headers": {"Content-Length": ["9"], "x": ["y"]}, "parsed_body": [1]}
    got = read_from(tmp_path / "c.yaml", request, response)
    assert {"a": "é"} == json.loads(got["request"]["body"])
    assert ({"string": "[1]"}, {"x": ["y"]}) == (got["response"]["body"], got["response"]["headers"])
    assert "1" == read_from(tmp_path / "c.yaml", request, {"status": {"code": 200}, "parsed_body": 1})["response"]["body"]["string"]


def test_go_vcr_is_read(tmp_path: Path) -> None:
    request = {"method": "POST", "url": "u", "headers": {"A": ["b"]}, "body": "{}", "proto": "HTTP/1.1"}
    got = read_from(tmp_path / "c.yaml", request, {"status": "404 Not Found", "code": 404, "headers": {}, "body": "no"})
    assert {"method": "POST", "uri": "u", "body": "{}", "headers": {"A": ["b"]}} == got["request"]
    assert ({"code": 404, "message": "Not Found"}, {"string": "no"}) == (got["response"]["status"], got["response"]["body"])


@pytest.mark.parametrize(
    ("foreign", "more"),
    [(False, {"uri": "u"}), (True, {"uri": "u", "parsed_body": {}}), (True, {"url": "u"})],
    ids=["vcrpy", "parsed", "go"],
)
def test_a_file_in_another_recorders_format_is_known(tmp_path: Path, foreign: bool, more: dict[str, Any]) -> None:
    read_from(tmp_path / "c.yaml", {"method": "GET", **more}, {"status": {"code": 200}, "code": 200})
    assert foreign == loaded(tmp_path / "c.yaml").foreign


@pytest.mark.parametrize(
    ("expected", "body"), [("", None), ("x", "x"), ("", {"string": None}), ("x", {"string": "x"}), ("x", {"string": b"x"})]
)
def test_a_body_may_be_missing_or_bare(tmp_path: Path, expected: str, body: Any) -> None:
    got = read_from(tmp_path / "c.yaml", {"method": "GET", "uri": "u"}, {"status": {"code": 200}, "body": body})
    assert {"string": expected} == got["response"]["body"]


@pytest.mark.parametrize(("expected", "body"), [('{"a":1}', {"a": 1}), ("[1]", [1]), ("5", 5), (None, None), ("x", b"x")])
def test_a_request_body_that_yaml_took_for_data_is_json_again(tmp_path: Path, expected: Any, body: Any) -> None:
    got = read_from(tmp_path / "c.yaml", {"method": "GET", "uri": "u", "body": body}, {"status": {"code": 200}})
    assert expected == got["request"]["body"]


def test_a_file_that_vcrpy_wrote_for_a_body_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    body = "!!python/object/new:_io.BytesIO {state: !!python/tuple [!!binary aGk=, 0, null]}"
    path.write_text(f"interactions:\n- request: {{method: GET, uri: u, body: {body}}}\n  response: {{status: {{code: 200}}}}\n")
    assert "hi" == loaded(path).interactions[0]["request"]["body"]


def test_headers_become_lists_of_text(tmp_path: Path) -> None:
    headers = {"a": [], 1: ["x"], "b": "y", "c": None, "d": 5}
    got = read_from(tmp_path / "c.yaml", {"method": "GET", "uri": "u", "headers": headers}, {"status": {"code": 200}, "headers": None})
    assert ({"1": ["x"], "b": ["y"], "d": ["5"]}, {}) == (got["request"]["headers"], got["response"]["headers"])


def test_a_distribution_that_is_not_installed_has_an_unknown_version() -> None:
    assert "unknown" == version("no-such-distribution-as-this")
