from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from llmlab.protocol.clock import simulate
from llmlab.wire.tape.interaction import Interaction, ours
from llmlab.wire.tape.recording import Recording
from llmlab.wire.transport import SOURCE, Failure, Piece, Pieces, Reply

URL = "https://api.openai.com/v1/chat/completions"


class Chunks(httpx2.AsyncByteStream, httpx2.SyncByteStream):
    def __init__(self, *chunks: bytes | Exception) -> None:
        self.chunks = list(chunks)
        self.closed = False

    def __iter__(self) -> Any:
        while self.chunks:
            chunk = self.chunks.pop(0)
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def __aiter__(self) -> Chunks:
        return self

    async def __anext__(self) -> bytes:
        if not self.chunks:
            raise StopAsyncIteration
        chunk = self.chunks.pop(0)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    async def aclose(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True


class Scene:
    """A response behind a tee, read by hand."""

    def __init__(self, *chunks: bytes | Exception, headers: dict[str, str] | None = None, asynchronous: bool = True) -> None:
        self.done: list[Interaction] = []
        request = httpx2.Request("POST", URL, content=b'{"k":"sk-abcdef1234567890"}', headers={"authorization": "Bearer x"})
        self.stream, self.asynchronous, self.now = Chunks(*chunks), asynchronous, 0.0
        recording = Recording(request, lambda: self.now, self.done.append)
        self.now = 0.25
        response = httpx2.Response(200, headers=headers or {}, stream=self.stream, extensions={SOURCE: "simulator"})
        self.tee: Any = recording.follow(response).stream

    def read(self, count: int = 99) -> list[bytes]:
        """Read up to `count` chunks and close, as a client does."""
        got: list[bytes] = []
        if not self.asynchronous:
            chunks = iter(self.tee)
            try:
                for _ in range(count):
                    got.append(next(chunks))  # noqa: PERF401 - what came before an error counts
            except StopIteration:
                pass
            self.tee.close()
            return got

        async def main() -> None:
            chunks = self.tee.__aiter__()
            try:
                for _ in range(count):
                    got.append(await chunks.__anext__())  # noqa: PERF401 - what came before an error counts
            except StopAsyncIteration:
                pass
            await self.tee.aclose()

        simulate(main())
        return got

    @property
    def only(self) -> Interaction:
        (interaction,) = self.done
        return interaction

    @property
    def response(self) -> dict[str, Any]:
        return dict(self.only["response"])

    @property
    def ours(self) -> dict[str, Any]:
        return ours(self.only)


BOTH = pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "sync"])


@BOTH
def test_the_client_gets_every_chunk_and_so_does_the_recording(asynchronous: bool) -> None:
    scene = Scene(b"a\xc3", b"\xa9", b"", b"end", headers={"X-A": "1", "content-length": "6"}, asynchronous=asynchronous)
    assert [b"a\xc3", b"\xa9", b"", b"end"] == scene.read()
    assert scene.stream.closed
    assert ({"code": 200, "message": "OK"}, {"string": "aéend"}) == (scene.response["status"], scene.response["body"])
    assert {"x-a": ["1"], "content-length": ["6"]} == scene.response["headers"]
    assert {"source": "simulator", "headers_at": 0.25, "chunks": "2 1 0 3", "at": "0.25 0.25 0.25 0.25"} == scene.ours
    assert '{"k":"[scrubbed]"}' == scene.only["request"]["body"]
    assert ["[scrubbed]"] == scene.only["request"]["headers"]["authorization"]


@BOTH
def test_a_stream_that_is_abandoned_is_recorded_as_far_as_it_came(asynchronous: bool) -> None:
    scene = Scene(b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n", asynchronous=asynchronous)
    assert [b"data: 1\n\n", b"data: 2\n\n"] == scene.read(2)
    assert ("data: 1\n\ndata: 2\n\n", True) == (scene.response["body"]["string"], scene.ours["abandoned"])


@BOTH
@pytest.mark.parametrize(
    ("chunks", "headers"), [([b"data: 1\n\n", b"data: [DONE]\n\n"], {}), ([b"12345"], {"content-length": "5"})], ids=["done", "length"]
)
def test_a_client_that_has_all_it_needs_has_not_abandoned_anything(
    chunks: list[bytes], headers: dict[str, str], asynchronous: bool
) -> None:
    scene = Scene(*chunks, b"", headers=headers, asynchronous=asynchronous)
    scene.read(len(chunks))
    assert "abandoned" not in scene.ours


@BOTH
@pytest.mark.parametrize(
    ("expected", "error"),
    [
        ("ReadTimeout", httpx2.ReadTimeout("slow")),
        ("RemoteProtocolError", httpx2.RemoteProtocolError("bad")),
        ("ReadError", httpx2.ProxyError("proxy sk-abcdef1234567890")),
    ],
)
def test_a_stream_that_breaks_is_recorded_with_its_error(expected: str, error: Exception, asynchronous: bool) -> None:
    scene = Scene(b"data: 1\n\n", error, asynchronous=asynchronous)
    with pytest.raises(type(error)):
        scene.read()
    assert "data: 1\n\n" == scene.response["body"]["string"]
    failure = scene.ours["failure"]
    assert expected == failure["name"]
    assert "sk-" not in failure["message"]
    assert "abandoned" not in scene.ours


def test_a_connection_that_failed_is_recorded_without_an_answer() -> None:
    done: list[Interaction] = []
    times = iter([1.0, 1.5])
    with pytest.raises(httpx2.UnsupportedProtocol), Recording(httpx2.Request("GET", URL), lambda: next(times), done.append):
        raise httpx2.UnsupportedProtocol("what")
    (only,) = done
    assert {"llmlab": {"failure": {"at": 0.5, "name": "ConnectError", "message": "what"}}} == only["response"]
    assert None is only["request"]["body"]


def test_where_nobody_wants_a_recording_the_answer_is_passed_on_itself() -> None:
    recording, response = Recording(httpx2.Request("GET", URL), lambda: 0.0, None), httpx2.Response(200)
    assert response is recording.follow(response)
    with pytest.raises(httpx2.ReadError), recording:
        raise httpx2.ReadError("not recorded")


def test_only_headers_that_say_something_about_the_request_are_kept() -> None:
    done: list[Interaction] = []
    headers = {"Accept": "a", "User-Agent": "u", "X-Stainless-OS": "o", "X-Llmlab-Request": "q/0", "Content-Type": "c"}
    with pytest.raises(httpx2.ReadError), Recording(httpx2.Request("POST", URL, headers=headers, content=b"x"), lambda: 0.0, done.append):
        raise httpx2.ReadError("gone")
    assert {"accept": ["a"], "content-type": ["c"]} == done[0]["request"]["headers"]


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_answer_is_recorded_readable_and_passed_on_as_it_was(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(b"hello world " * 20)
    scene = Scene(packed[:9], packed[9:], headers={"content-encoding": encoding, "content-length": str(len(packed))})
    assert [packed[:9], packed[9:]] == scene.read()
    assert "hello world " * 20 == scene.response["body"]["string"]
    assert {"content-length": ["240"]} == scene.response["headers"]
    assert (2, 240) == (len(scene.ours["chunks"].split()), sum(map(int, scene.ours["chunks"].split())))


def test_an_answer_compressed_in_an_unknown_way_is_recorded_as_it_is() -> None:
    scene = Scene(b"\xff\xfe", headers={"content-encoding": "br"})
    scene.read()
    assert ({"content-encoding": ["br"]}, {"string": "\udcff\udcfe"}) == (scene.response["headers"], scene.response["body"])


def test_times_are_those_of_the_stream_and_not_of_a_client_that_reads_late() -> None:
    done: list[Interaction] = []

    async def main() -> float:
        request = httpx2.Request("POST", URL)
        reply = Reply(headers_at=1.0, pieces=[Piece(1.0, b"a"), Piece(1.5, b"b")], failure=Failure(2.0, "ReadError", "gone"))
        recording = Recording(request, asyncio.get_running_loop().time, done.append)
        await asyncio.sleep(1.0)
        tee: Any = recording.follow(httpx2.Response(200, stream=Pieces(reply, 0.0, None, request))).stream
        assert 1.0 == tee.due
        await asyncio.sleep(10)
        chunks = tee.__aiter__()
        assert (b"a", b"b") == (await chunks.__anext__(), await chunks.__anext__())
        with pytest.raises(httpx2.ReadError):
            await chunks.__anext__()
        due: float = tee.due
        return due

    assert 2.0 == simulate(main())
    assert ("1 1.5", 2.0) == (ours(done[0])["at"], ours(done[0])["failure"]["at"])
    assert not hasattr(Scene().tee, "due")
