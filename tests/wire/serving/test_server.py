from __future__ import annotations

import asyncio
import json
import logging
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import openai
import pytest

from llmlab.errors import BadInput
from llmlab.wire import Chaos, Simulator, serve
from llmlab.wire.faults import LatencySpike, RateLimit
from llmlab.wire.serving.server import JOURNAL_LINES

QUESTION: list[Any] = [{"role": "user", "content": "Is there a warranty?"}]
ASKED = {"model": "gpt-4o", "messages": QUESTION}
CHAT = "/chat/completions"


class Stream(httpx2.AsyncByteStream):
    """Gives its chunks, waiting where one is an event; remembers whether it was closed."""

    def __init__(self, *chunks: bytes | Exception | threading.Event) -> None:
        self.left = list(chunks)
        self.closed = threading.Event()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while self.left:
            chunk = self.left.pop(0)
            if isinstance(chunk, Exception):
                raise chunk
            if isinstance(chunk, bytes):
                return chunk
            while not chunk.is_set():  # noqa: ASYNC110 (another thread sets it)
                await asyncio.sleep(0.001)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed.set()


class Answering(httpx2.AsyncBaseTransport):
    """Answers with what `answer` returns or raises, and remembers what it was sent."""

    def __init__(self, answer: Callable[[], httpx2.Response]) -> None:
        self.answer, self.requests = answer, list[httpx2.Request]()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self.answer()


def streaming(stream: Stream) -> Answering:
    return Answering(lambda: httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=stream))


def failing(error: Exception) -> Answering:
    def answer() -> httpx2.Response:
        raise error

    return Answering(answer)


def raw(port: int, data: bytes) -> bytes:
    """Send `data` and return all that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", port), 2) as connection:
        connection.sendall(data)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def error_of(response: httpx2.Response) -> dict[str, Any]:
    error = response.json()["error"]
    assert {"message", "type", "param", "code"} == set(error)
    return dict(error)


def test_the_synchronous_openai_client_meets_the_weather() -> None:
    chaos = Chaos(Simulator(latency=False), LatencySpike(probability=1.0, seconds=0.01))
    with serve(chaos) as server, openai.OpenAI(base_url=server.url, api_key="any") as client:
        answer = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=QUESTION)
    assert answer.parse().choices[0].message.content
    assert "simulator" == answer.headers["x-llmlab-source"]
    assert ["LatencySpike"] == [line.fault for line in chaos.journal]


def test_two_hundred_streams_at_once_all_arrive_whole() -> None:
    async def go(url: str) -> list[str | None]:
        limits = httpx2.Limits(max_connections=200)
        async with openai.AsyncOpenAI(base_url=url, api_key="any", http_client=httpx2.AsyncClient(limits=limits)) as client:

            async def one() -> str | None:
                stream = await client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True)
                return [chunk.choices[0].finish_reason async for chunk in stream if chunk.choices][-1]

            return await asyncio.gather(*(one() for _ in range(200)))

    with serve(Simulator(latency=False)) as server:
        assert ["stop"] * 200 == asyncio.run(go(server.url))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_what_weather_behind_a_port_remembers_is_bounded() -> None:
    inner = Chaos(Simulator())
    outer = Chaos(inner)
    inner.keeps = 7
    with serve(outer):
        assert (JOURNAL_LINES, 7) == (outer.keeps, inner.keeps)


def test_curl_reads_a_stream() -> None:
    with serve(Simulator(latency=False)) as server:
        words = ["curl", "-sSN", server.url + CHAT, "-H", "Authorization: Bearer any", "-d", json.dumps({**ASKED, "stream": True})]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "data: [DONE]" == said.strip().splitlines()[-1]


def test_a_chunk_arrives_before_the_next_one_is_made() -> None:
    more = threading.Event()
    with serve(streaming(Stream(b"data: 1\n\n", more, b"data: 2\n\n"))) as server, httpx2.stream("POST", server.url + CHAT) as response:
        chunks = response.iter_raw()
        assert b"data: 1\n\n" == next(chunks)
        more.set()
        assert [b"data: 2\n\n"] == list(chunks)


def test_status_headers_and_bytes_pass_unchanged_but_for_what_belongs_to_a_connection() -> None:
    headers = [("x-Mine", "1"), ("x-mine", "2"), ("keep-alive", "timeout=9"), ("x-llmlab-source", "forged")]
    inner = Answering(lambda: httpx2.Response(529, headers=headers, content=b"\xff\x00", extensions={"llmlab.source": "cassette"}))
    with serve(inner) as server:
        response = httpx2.put(server.url + "/a%20b?c=%2F", headers={"x-yours": "3", "te": "trailers"}, content=b"body")
    assert (529, b"\xff\x00", ["1", "2"]) == (response.status_code, response.content, response.headers.get_list("x-mine"))
    assert ("cassette", None) == (response.headers["x-llmlab-source"], response.headers.get("keep-alive"))
    (request,) = inner.requests
    assert ("PUT", b"/v1/a%20b?c=%2F", b"body") == (request.method, request.url.raw_path, request.content)
    assert ("3", None) == (request.headers["x-yours"], request.headers.get("te"))


def test_attempts_count_within_the_request_that_the_header_names() -> None:
    chaos = Chaos(Simulator(latency=False), LatencySpike(probability=1.0, seconds=0.0))
    with serve(chaos) as server, httpx2.Client() as client:
        for name in ("a/0", "b/0", "a/0"):
            client.post(server.url + CHAT, json=ASKED, headers={"authorization": "Bearer any", "x-llmlab-request": name})
    assert [("a/0", 0), ("b/0", 0), ("a/0", 1)] == [(line.identity, line.ordinal) for line in chaos.journal]


@pytest.mark.parametrize("error", [httpx2.ConnectError("refused"), httpx2.ReadError("reset")])
def test_a_failed_connection_is_closed_without_an_answer(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with serve(failing(error)) as server:
        assert b"" == raw(server.port, b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
        with pytest.raises(httpx2.RemoteProtocolError):
            httpx2.get(server.url + "/models")
    assert [] == caplog.records


def test_a_failure_in_mid_stream_cuts_it_without_a_clean_end(caplog: pytest.LogCaptureFixture) -> None:
    stream = Stream(b"data: 1\n\n", httpx2.ReadError("reset"))
    with serve(streaming(stream)) as server:
        said = raw(server.port, b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
    assert said.endswith(b"\r\n\r\n9\r\ndata: 1\n\n\r\n")
    assert stream.closed.is_set()
    assert [] == caplog.records


def test_a_body_shorter_than_announced_is_cut() -> None:
    inner = Answering(lambda: httpx2.Response(200, headers={"content-length": "10"}, stream=Stream(b"12345")))
    with serve(inner) as server, pytest.raises(httpx2.RemoteProtocolError):
        httpx2.get(server.url + "/models")


def test_a_client_that_leaves_ends_the_stream_behind_and_the_server_goes_on() -> None:
    stream = Stream(b"data: 1\n\n", threading.Event())
    with serve(streaming(stream)) as server:
        with httpx2.stream("POST", server.url + CHAT) as response:
            assert b"data: 1\n\n" == next(response.iter_raw())
        assert stream.closed.wait(2)
        stream.left = [b"again"]
        assert b"again" == httpx2.get(server.url + "/models").content


def test_llmlabs_own_refusal_and_a_defect_are_told_as_openai_tells_errors(caplog: pytest.LogCaptureFixture) -> None:
    with serve(failing(BadInput("not recorded"))) as server:
        refused = httpx2.get(server.url + "/models")
    assert (400, "BadInput", "not recorded") == (refused.status_code, error_of(refused)["code"], error_of(refused)["message"])
    with caplog.at_level(logging.ERROR), serve(failing(ZeroDivisionError("oh"))) as server:
        broken = httpx2.get(server.url + "/models")
    assert (500, "server_error") == (broken.status_code, error_of(broken)["type"])
    assert ["GET /v1/models could not be answered"] == [record.message for record in caplog.records]


def test_a_hundred_megabytes_are_refused_and_not_kept() -> None:
    inner = Answering(lambda: httpx2.Response(200))
    with serve(inner) as server, httpx2.Client() as client:
        announced = client.post(server.url + CHAT, content=bytes(100_000_000))
        chunked = client.post(server.url + CHAT, content=(bytes(1_000_000) for _ in range(12)))
        assert 200 == client.get(server.url + "/models").status_code
    for response in (announced, chunked):
        assert (413, "request_too_large") == (response.status_code, error_of(response)["code"])
    assert 1 == len(inner.requests)


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "word"),
    [
        ("POST", "/chat/completions", b"not JSON", 400, "not valid JSON"),
        ("POST", "/nowhere", b"{}", 404, "Invalid URL (POST /v1/nowhere)"),
        ("DELETE", "/chat/completions", b"", 405, "Not allowed to DELETE"),
    ],
)
def test_what_makes_no_sense_is_refused_as_openai_does(method: str, path: str, content: bytes, status: int, word: str) -> None:
    with serve(Simulator(latency=False)) as server:
        response = httpx2.request(method, server.url + path, content=content, headers={"authorization": "Bearer any"})
    assert status == response.status_code
    assert word in error_of(response)["message"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"HELLO\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: many\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nx: " + b"x" * 100_000, b"400"),
        (b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", b"404"),
        (b"GET http://elsewhere.invalid/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", b"404"),
        (b"GET /v1/models HT", b"408"),
        (b"", b"408"),
        (b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{", b"408"),
    ],
)
def test_a_raw_socket_that_talks_nonsense_or_too_slowly_gets_an_error_and_is_closed(sent: bytes, status: bytes) -> None:
    with serve(Simulator(latency=False), request_seconds=0.05) as server:
        head, _, body = raw(server.port, sent).partition(b"\r\n\r\n")
        assert 401 == httpx2.get(server.url + "/models").status_code
    assert status == head.split()[1]
    assert b"application/json" in head
    assert "invalid_request_error" == json.loads(body)["error"]["type"]


def test_headers_that_dribble_in_do_not_hold_a_connection() -> None:
    with serve(Simulator(latency=False), request_seconds=0.05) as server, socket.create_connection(("127.0.0.1", server.port), 2) as slow:
        slow.sendall(b"GET /v1/models HTTP/1.1\r\n")
        slow.settimeout(0.01)
        for _ in range(100):
            try:
                said = slow.recv(1000)
                break
            except TimeoutError:
                slow.sendall(b"x: y\r\n")
        assert said.startswith(b"HTTP/1.1 408 ")


def test_a_second_request_in_the_same_packet_may_not_dribble_either() -> None:
    first = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
    second = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"
    with serve(Simulator(latency=False), request_seconds=0.05) as server:
        said = raw(server.port, first + second)
    assert [b"401", b"408"] == [part.split()[0] for part in said.split(b"HTTP/1.1 ")[1:]]


def test_one_request_more_than_allowed_is_sent_away_for_now() -> None:
    more = threading.Event()
    with serve(streaming(Stream(b"1", more)), max_requests=1) as server, httpx2.stream("POST", server.url + CHAT) as first:
        chunks = first.iter_raw()
        next(chunks)
        second = httpx2.get(server.url + "/models")
        more.set()
        assert [] == list(chunks)
    assert (503, "1", "server_overloaded") == (second.status_code, second.headers["retry-after"], error_of(second)["code"])


def test_a_token_is_asked_for_and_goes_no_further() -> None:
    inner = Answering(lambda: httpx2.Response(200))
    with serve(inner, "0.0.0.0", token="secret") as server:
        url = f"http://127.0.0.1:{server.port}/v1/models"
        answers = [httpx2.get(url, headers={"authorization": value}) for value in ("", "Bearer wrong", "secret", "Bearer secret")]
    assert [401, 401, 401, 200] == [answer.status_code for answer in answers]
    assert "invalid_api_key" == error_of(answers[1])["code"]
    assert ["Bearer llmlab-needs-no-key"] == [request.headers["authorization"] for request in inner.requests]


def test_a_web_page_cannot_use_a_server_without_a_token() -> None:
    with serve(Simulator(latency=False)) as server:
        response = httpx2.post(server.url + CHAT, json=ASKED, headers={"origin": "https://elsewhere.example"})
    assert (403, "origin_not_allowed") == (response.status_code, error_of(response)["code"])


def test_stopping_lets_an_open_stream_end_and_cuts_one_that_does_not() -> None:
    more = threading.Event()
    ending, endless = Stream(b"1", more, b"2"), Stream(b"1", threading.Event())
    for stream, grace in ((ending, 5.0), (endless, 0.01)):
        server = serve(streaming(stream), grace_seconds=grace)
        with httpx2.stream("POST", server.url + CHAT) as response:
            chunks = response.iter_raw()
            next(chunks)
            stopping = threading.Thread(target=server.stop)
            stopping.start()
            more.set()
            if stream is ending:
                assert [b"2"] == list(chunks)
            else:
                with pytest.raises(httpx2.TransportError):
                    list(chunks)
            stopping.join()
        assert stream.closed.is_set()
        server.stop()
        server.wait()
        assert "stopped" in repr(server)
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(server.url + "/models")


def test_it_is_an_asynchronous_context_manager_too_and_closes_the_transport() -> None:
    closed = threading.Event()

    class Closing(Answering):
        async def aclose(self) -> None:
            closed.set()

    async def go() -> int:
        async with serve(Closing(lambda: httpx2.Response(204))) as server, httpx2.AsyncClient() as client:
            return (await client.get(server.url + "/models")).status_code

    assert 204 == asyncio.run(go())
    assert closed.is_set()


def test_it_stops_with_the_interpreter() -> None:
    code = "from llmlab.wire import Simulator, serve; print(serve(Simulator()).url)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.startswith("http://127.0.0.1:")
    assert "" == done.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"transport": "live"}, "serve takes a transport, as in serve(Simulator()); 'live' is none"),
        ({"port": 70_000}, "a port is a number from 0 (any free one) to 65535, not 70000"),
        ({"host": "0.0.0.0"}, "'0.0.0.0' can be reached by others: give a token"),
        ({"host": "example.invalid"}, "can be reached by others"),
        ({"host": "192.0.2.1", "token": "secret"}, "cannot listen on '192.0.2.1', port 0"),
        ({"token": ""}, "a token is one word"),
        ({"token": "two words"}, "a token is one word"),
        ({"max_body_bytes": 0}, "max_body_bytes is more than 0, not 0"),
        ({"max_requests": -1}, "max_requests is more than 0, not -1"),
        ({"request_seconds": float("nan")}, "request_seconds is more than 0, not nan"),
        ({"grace_seconds": -1}, "grace_seconds is a time of 0 seconds or more, not -1"),
    ],
)
def test_bad_input_says_what_is_allowed(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        serve(**{"transport": Simulator(), **given})
    assert message in str(caught.value)


def test_a_port_in_use_is_named_with_another() -> None:
    with serve(Simulator()) as server, pytest.raises(BadInput, match=f"port {server.port} is in use; choose another, as in port="):
        serve(Simulator(), port=server.port)


def test_without_uvicorn_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(BadInput, match=r"serve needs uvicorn; run: pip install 'llmlab\[serve\]'"):
        serve(Simulator())


def test_behind_a_port_a_retry_after_as_a_date_is_of_today() -> None:
    with serve(Chaos(Simulator(), RateLimit(probability=1.0, retry_after_seconds=30, form="date"))) as server:
        reply = httpx2.post(server.url + CHAT, json=ASKED)
    left = (parsedate_to_datetime(reply.headers["retry-after"]) - datetime.now(UTC)).total_seconds()
    assert 429 == reply.status_code
    assert 15 < left <= 30
