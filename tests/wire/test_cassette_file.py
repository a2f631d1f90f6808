from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import given
from vcr.request import Request
from vcr.serialize import deserialize
from vcr.serializers import jsonserializer, yamlserializer

from llmlab.errors import BrokenCassette
from llmlab.wire.cassette_file import Contents, dump, read
from llmlab.wire.interaction import Interaction

URL = "https://api.openai.com/v1/chat/completions"
OURS = {"source": "simulator", "headers_at": 0.5}
FAILURE = {"at": 1.5, "name": "ReadError", "message": "gone"}
ENDINGS = pytest.mark.parametrize("ending", ["yaml", "json"])


def answered(came: bytes = b'{"a":1}', sent: bytes = b'{"model":"m"}', **ours: Any) -> Interaction:
    return Interaction(
        Request("POST", URL, sent or None, {"content-type": "application/json"}),
        {
            "status": {"code": 200, "message": "OK"},
            "headers": {"content-type": ["text/plain"], "x": ["1", "2"]},
            "body": {"string": came},
            "llmlab": {**OURS, "chunks": str(len(came)), "at": "0.5", **ours},
        },
    )


def failed() -> Interaction:
    return Interaction(Request("POST", URL, b"{}", {}), {"llmlab": {"failure": FAILURE}})


def written(path: Path, *interactions: Interaction, **metadata: Any) -> Path:
    path.write_bytes(dump(path, Contents(list(interactions), metadata)))
    return path


def plain(interaction: Interaction) -> tuple[Any, ...]:
    request = interaction.request
    return request.method, request.uri, interaction.body, dict(request.headers.items()), interaction.response


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
    contents = read(written(path, *interactions))
    assert contents is not None
    assert [plain(i) for i in interactions] == [plain(i) for i in contents.interactions]


@given(
    st.lists(
        st.sampled_from(["data: {}", " x", "\t", "", "#", "- a", "é", "\x85", "\u2028", "a: b", "'", '"', "trailing  ", "\r", "|", "%"]),
        max_size=8,
    )
)
def test_texts_of_several_lines_survive_as_blocks(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("files") / "c.yaml"
    body = "\n".join(lines).encode()
    contents = read(written(path, answered(body)))
    assert contents is not None
    assert body == contents.interactions[0].response["body"]["string"]


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
    contents = read(path)
    assert contents is not None
    assert [plain(failed()), plain(answered())] == [plain(i) for i in contents.interactions[:2]]
    assert [b"half", b"left", b"end"] == [i.response["body"]["string"] for i in contents.interactions[2:]]
    assert [FAILURE, None, FAILURE, None, None] == [i.ours.get("failure") for i in contents.interactions]


def test_bytes_that_are_no_text_are_binary_in_yaml_and_kept_apart_in_json(tmp_path: Path) -> None:
    odd = [answered(b"\xff\x00"), answered(b"fine", b"\xfe")]
    assert "!!binary" in written(tmp_path / "c.yaml", *odd).read_text()
    data = json.loads(written(tmp_path / "c.json", *odd).read_text())
    assert ([], 2) == (data["interactions"], len(data["llmlab"]["interactions"]))


@ENDINGS
def test_metadata_stands_where_vcrpy_keeps_its_own(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path / f"c.{ending}", answered(), llmlab={"recorded_at": "2026-11-23"}, other={"a": 1})
    contents = read(path)
    assert contents is not None
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


@pytest.mark.parametrize(
    ("message", "ending", "text"),
    [
        ("line 3, column", "yaml", "version: 1\ninteractions:\n- {a: [}\n"),
        ("line 2, column 19: Expecting value", "json", '{"version": 1,\n "interactions": ['),
        ("line 2: no UTF-8 text", "yaml", b"interactions:\n- \xff\n"),
        ("is no cassette: it has no list of interactions", "yaml", "just text"),
        ("is no cassette: it has no list of interactions", "yaml", "version: 1"),
        ("its interactions are no list", "yaml", "interactions: {a: b}"),
        ("interaction 1: it has no 'response'", "yaml", "interactions:\n- request: {method: GET, uri: u}\n"),
        ("interaction 1: its response has no status code", "yaml", "interactions:\n- request: {method: GET, uri: u}\n  response: {a: b}\n"),
        ("before 1.0. Convert it: python -m vcr.migration", "yaml", "- request: {}\n  response: {}\n"),
        ("could not determine a constructor", "yaml", "interactions:\n- !!python/object/apply:os.system ['true']\n"),
        ("is no YAML: unacceptable character", "yaml", "interactions:\n- \x00\n"),
        ("nested too deeply", "json", "[" * 200_000),
        ("interaction 1 under llmlab: it has no 'request'", "yaml", "interactions: []\nllmlab: {interactions: [{position: 0}]}\n"),
        (
            "interaction 1 under llmlab: neither an answer nor a failure",
            "yaml",
            "interactions: []\nllmlab:\n  interactions:\n"
            "  - {position: 0, request: {method: GET, uri: u, body: {string: a}, headers: {}}, response: {}}\n",
        ),
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
    with pytest.raises(BrokenCassette, match="nested too deeply"):
        read(path)


def test_what_vcrpy_cannot_turn_into_a_request_is_an_error_too(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("interactions:\n- request: {method: GET, uri: 'http://[', headers: {}}\n  response: {status: {code: 200}}\n")
    with pytest.raises(BrokenCassette, match="is no cassette"):
        read(path)


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(BrokenCassette, match=r"cannot be read: Permission denied\. Restore it"):
        read(tmp_path / "c.yaml")


def test_yaml_is_read_safely_and_vcrpys_own_tags_are_known(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "interactions:\n- request: {method: POST, uri: u, headers: {}, body: !!python/unicode 'x'}\n"
        "  response: {status: {code: 200}, body: {string: !!binary aGk=}}\n"
    )
    contents = read(path)
    assert contents is not None
    assert (b"x", b"hi") == (contents.interactions[0].body, contents.interactions[0].response["body"]["string"])


def test_a_file_without_interactions_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("interactions: null\nllmlab: odd\nversion: 1\n")
    contents = read(path)
    assert contents is not None
    assert [] == contents.interactions


def test_what_is_written_is_plain_yaml(tmp_path: Path) -> None:
    shared = answered()
    data = yaml.safe_load(written(tmp_path / "c.yaml", shared, shared).read_text())
    assert (1, 2, ["metadata", "interactions", "version"]) == (data["version"], len(data["interactions"]), list(data))
