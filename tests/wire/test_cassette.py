from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import hypothesis.strategies as st
import openai
import pytest
import vcr
from hypothesis import given
from vcr.record_mode import RecordMode

from llmlab.errors import BadInput, BrokenCassette, CassetteInUse, CassetteMiss, NotInVirtualTime, UnknownName
from llmlab.protocol import draws
from llmlab.protocol.clock import simulate
from llmlab.protocol.identity import request as identity
from llmlab.wire import Cassette
from llmlab.wire.cassette import REUSED, TAKE
from llmlab.wire.client import client, sync_client
from llmlab.wire.tape.interaction import RECORDED_FROM
from llmlab.wire.transport import SOURCE, TIMED, Failure, Piece, Planned, Reply

URL = "https://api.openai.com/v1/chat/completions"
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
}


class Script(Planned):
    """Answers each request with the next reply; then with its number."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked = 0
        self.closed = 0

    def plan(self, request: httpx2.Request, now: float) -> Reply:
        self.asked += 1
        reply = self.replies.pop(0) if self.replies else Reply(pieces=[Piece(0.0, b"answer %d" % self.asked)])
        reply.extensions = {SOURCE: "script"}
        return reply

    async def aclose(self) -> None:
        self.closed += 1

    def close(self) -> None:
        self.closed += 1


def streamed(*chunks: bytes, gap: float = 0.25, failure: Failure | None = None) -> Reply:
    pieces = [Piece(0.5 + gap * at, chunk) for at, chunk in enumerate(chunks)]
    return Reply(headers=[(b"content-type", b"text/event-stream")], headers_at=0.5, pieces=pieces, failure=failure)


async def fetch(transport: Any, body: Any = None, **options: Any) -> tuple[httpx2.Response, list[bytes]]:
    """Post and read chunk by chunk."""
    http = httpx2.AsyncClient(transport=transport)
    async with http.stream("POST", options.pop("url", URL), json=body or {"model": "m"}, **options) as response:
        return response, [chunk async for chunk in response.aiter_raw()]


def fetched(transport: Any, body: Any = None, **options: Any) -> bytes:
    return b"".join(simulate(fetch(transport, body, **options))[1])


def record(path: Path, *replies: Reply, bodies: list[Any] | None = None, mode: str = "once") -> None:
    cassette = Cassette(path, Script(*replies), mode, recorded_at="2026-11-23")
    for body in bodies or [None] * max(1, len(replies)):
        with suppress(httpx2.TransportError):
            fetched(cassette, body)
    cassette.close()


@pytest.fixture(params=["yaml", "json"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"c.{request.param}"


chunk_lists = st.lists(
    st.one_of(st.binary(max_size=12), st.sampled_from([b"data: x\n\n", "é".encode()[:1], "é".encode()[1:], b" sk-"])),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize("ending", ["yaml", "json"])
@given(streams=st.lists(chunk_lists, min_size=1, max_size=3))
def test_what_was_recorded_is_replayed_chunk_by_chunk(
    tmp_path_factory: pytest.TempPathFactory, ending: str, streams: list[list[bytes]]
) -> None:
    path = tmp_path_factory.mktemp("cassettes") / f"c.{ending}"
    record(path, *[streamed(*chunks) for chunks in streams], bodies=[{"n": n} for n in range(len(streams))])
    cassette = Cassette(path)
    for n, chunks in enumerate(streams):
        response, got = simulate(fetch(cassette, {"n": n}))
        # The client itself passes empty chunks over.
        assert [chunk for chunk in chunks if chunk] == [chunk for chunk in got if chunk]
        assert (200, "text/event-stream") == (response.status_code, response.headers["content-type"])


def test_a_replayed_answer_says_where_it_comes_from(path: Path) -> None:
    record(path)
    cassette = Cassette(path)
    response, _ = simulate(fetch(cassette))
    assert ("cassette", "script", (0, 1), False) == tuple(response.extensions[name] for name in (SOURCE, RECORDED_FROM, TAKE, REUSED))
    response, _ = simulate(fetch(cassette))
    assert response.extensions[REUSED] is True
    assert (2, 0, 0) == (cassette.replayed, cassette.missed, cassette.recorded)
    cassette.reset()
    assert 0 == cassette.replayed
    assert simulate(fetch(cassette))[0].extensions[REUSED] is False


def test_while_recording_the_answer_passes_untouched(path: Path) -> None:
    script = Script(streamed(b"data: 1\n\n", b"data: 2\n\n"))
    cassette = Cassette(path, script, "once")
    times: list[float] = []

    async def main() -> httpx2.Response:
        http = httpx2.AsyncClient(transport=cassette)
        async with http.stream("POST", URL, json={}) as response:
            times.extend([asyncio.get_running_loop().time() async for _ in response.aiter_raw()])
        return response

    response = simulate(main())
    assert ("script", [0.5, 0.75]) == (response.extensions[SOURCE], times)
    assert (0, 0, 1) == (cassette.replayed, cassette.missed, cassette.recorded)
    cassette.close()


@pytest.mark.parametrize(("expected", "pace"), [([0.0, 0.0], 0), ([0.5, 0.75], 1), ([1.0, 1.5], 2.0)])
def test_the_pace_scales_the_recorded_times(path: Path, expected: list[float], pace: float) -> None:
    record(path, streamed(b"a", b"b"))

    async def main(**options: Any) -> list[float]:
        http = httpx2.AsyncClient(transport=Cassette(path, pace=pace))
        async with http.stream("POST", URL, json={"model": "m"}, **options) as response:
            return [asyncio.get_running_loop().time() async for _ in response.aiter_raw()]

    assert expected == simulate(main())
    assert [0.0, 0.0] == simulate(main(extensions={TIMED: True}))


@pytest.mark.parametrize(
    ("failing", "status", "expected"),
    [
        (Reply(status=0, failure=Failure(1.0, "ConnectError", "refused")), 0, []),
        (Reply(status=0, failure=Failure(1.0, "ReadTimeout", "slow")), 0, []),
        (streamed(b"data: 1\n\n", failure=Failure(2.0, "ReadError", "reset")), 200, [b"data: 1\n\n"]),
    ],
    ids=["connection", "timeout", "stream"],
)
def test_failures_are_recorded_and_replayed_as_such(path: Path, failing: Reply, status: int, expected: list[bytes]) -> None:
    assert failing.failure is not None
    name, message = failing.failure.name, failing.failure.message
    record(path, failing, Reply(pieces=[Piece(0.0, b"fine")]))
    cassette, got = Cassette(path), []

    async def main() -> None:
        async with httpx2.AsyncClient(transport=cassette).stream("POST", URL, json={"model": "m"}) as response:
            assert status == response.status_code
            async for chunk in response.aiter_raw():
                got.append(chunk)  # noqa: PERF401 - what came before the stream broke counts

    with pytest.raises(getattr(httpx2, name), match=message):
        simulate(main())
    assert expected == got
    assert b"fine" == fetched(cassette)


def test_an_abandoned_take_is_marked_and_played_only_where_there_is_no_other(path: Path) -> None:
    chunks = [b"data: 1\n\n", b"data: 2\n\n"]
    cassette = Cassette(path, Script(streamed(*chunks), streamed(*chunks)), "once")

    async def main() -> None:
        async with httpx2.AsyncClient(transport=cassette).stream("POST", URL, json={"model": "m"}) as response:
            await response.aiter_raw().__anext__()

    simulate(main())
    assert 1 == cassette.recorded
    cassette.flush()
    assert chunks[0] == fetched(cassette)
    assert 1 == len(cassette)
    cassette = Cassette(path, Script(streamed(*chunks)), "new_episodes")
    cassette.record_mode = "all"
    fetched(cassette)
    cassette.close()
    assert b"".join(chunks) == fetched(Cassette(path))
    assert (0, 1) == simulate(fetch(Cassette(path)))[0].extensions[TAKE]


def test_without_an_identity_takes_come_in_recorded_order_over_and_over(path: Path) -> None:
    record(path, bodies=[None] * 3)
    cassette = Cassette(path)
    seen = [simulate(fetch(cassette)) for _ in range(4)]
    assert [b"answer 1", b"answer 2", b"answer 3", b"answer 1"] == [b"".join(chunks) for _, chunks in seen]
    assert [(0, 3), (1, 3), (2, 3), (0, 3)] == [response.extensions[TAKE] for response, _ in seen]
    assert [False, False, False, True] == [response.extensions[REUSED] for response, _ in seen]
    cassette.reset()
    assert b"answer 1" == fetched(cassette)


def test_with_an_identity_the_take_is_a_keyed_draw(path: Path) -> None:
    record(path, bodies=[None] * 5)

    def takes(order: list[int], seed: int = 3) -> dict[int, int]:
        cassette, drawn = Cassette(path, seed=seed), {}

        async def main() -> None:
            for case in order:
                with identity(f"q{case}"):
                    response, _ = await fetch(cassette)
                drawn[case] = response.extensions[TAKE][0]

        simulate(main())
        return drawn

    forwards = takes(list(range(20)))
    assert forwards == takes(list(reversed(range(20))))
    assert forwards != takes(list(range(20)), seed=4)
    assert {case: draws.choice(range(5), 3, "Cassette", "take", f"q{case}/0", "chat", "m", 0) for case in range(20)} == forwards


def test_a_miss_shows_the_nearest_request_and_passes_through_the_openai_client(path: Path) -> None:
    record(
        path,
        Reply(pieces=[Piece(0.0, json.dumps(COMPLETION).encode())]),
        bodies=[{"model": "m", "messages": [{"role": "user", "content": "Hello"}]}],
    )
    cassette = Cassette(path)

    async def main() -> None:
        await client(cassette).chat.completions.create(model="m", messages=[{"role": "user", "content": "Hullo"}])

    with pytest.raises(CassetteMiss) as caught:
        simulate(main())
    assert 'messages[0].content: "Hello" -> "Hullo"' in str(caught.value)
    assert "llmlab record" in str(caught.value)
    assert (0, 1) == (cassette.replayed, cassette.missed)


def test_a_miss_falls_through_to_the_transport_behind_unrecorded(path: Path) -> None:
    record(path, bodies=[{"a": 1}])
    before = path.read_bytes()
    cassette = Cassette(path, Script())
    response, chunks = simulate(fetch(cassette, {"a": 2}))
    assert ("script", [b"answer 1"]) == (response.extensions[SOURCE], chunks)
    assert b"answer 1" == b"".join(simulate(fetch(cassette, {"a": 1}))[1])
    assert (1, 1, 0) == (cassette.replayed, cassette.missed, cassette.recorded)
    cassette.close()
    assert before == path.read_bytes()


def test_once_records_a_new_file_and_only_replays_an_old_one(path: Path) -> None:
    script = Script()
    cassette = Cassette(path, script, "once")
    assert [b"answer 1", b"answer 2"] == [fetched(cassette) for _ in range(2)]
    cassette.close()
    assert [b"answer 1", b"answer 2", b"answer 1"] == [fetched(cassette) for _ in range(3)]
    with pytest.raises(CassetteMiss):
        fetched(cassette, {"b": 1})
    again = Cassette(path, script, "once")
    with pytest.raises(CassetteMiss):
        fetched(again, {"b": 1})
    assert (2, 1) == (script.asked, script.closed)
    assert b"answer 1" == fetched(Cassette(path, record_mode="once"))


def test_once_goes_on_recording_until_something_was_recorded(path: Path) -> None:
    cassette = Cassette(path, Script(), "once")
    cassette.close()
    assert b"answer 1" == fetched(cassette)
    cassette.close()
    assert b"answer 1" == fetched(Cassette(path))


def test_new_episodes_replays_what_there_is_and_records_the_rest(path: Path) -> None:
    record(path, bodies=[{"a": 1}])
    cassette = Cassette(path, Script(Reply(status=429), Reply(pieces=[Piece(0.0, b"new")])), "new_episodes")
    assert b"answer 1" == fetched(cassette, {"a": 1})
    # A retry is asked anew, not answered with the refusal that was recorded a moment ago.
    assert [429, 200] == [simulate(fetch(cassette, {"a": 2}))[0].status_code for _ in range(2)]
    assert (1, 0, 2) == (cassette.replayed, cassette.missed, cassette.recorded)
    cassette.close()
    assert [429, 200, 429] == [simulate(fetch(cassette, {"a": 2}))[0].status_code for _ in range(3)]
    assert 3 == len(cassette) == len(Cassette(path))


def test_all_records_everything_anew(path: Path) -> None:
    record(path, bodies=[{"a": 1}, {"a": 2}, {"a": 1}])
    record(path, Reply(pieces=[Piece(0.0, b"new")]), bodies=[{"a": 1}], mode="all")
    cassette = Cassette(path, record_mode=RecordMode.NONE)
    assert [b"answer 2", b"new"] == [fetched(cassette, {"a": 2}), fetched(cassette, {"a": 1})]
    assert 2 == len(cassette)


def test_the_file_says_when_from_what_and_with_what_it_was_recorded(path: Path) -> None:
    record(path)
    described = Cassette(path).metadata
    assert ("2026-11-23", {"script": 1}) == (described["recorded_at"], described["sources"])
    assert openai.__version__ == described["versions"]["openai"]


def test_interactions_are_stored_in_the_order_of_sending_and_the_file_is_the_same_every_time(tmp_path: Path) -> None:
    def recorded(name: str) -> bytes:
        path = tmp_path / name
        script = Script(*[Reply(pieces=[Piece(5.0 - n, b"%d" % n)], headers_at=5.0 - n) for n in range(5)])
        cassette = Cassette(path, script, "once", recorded_at="2026-11-23")

        async def main() -> None:
            await asyncio.gather(*[fetch(cassette, {"n": n}) for n in range(5)])
            await cassette.aclose()

        simulate(main())
        assert 1 == script.closed
        return path.read_bytes()

    assert recorded("a.yaml") == recorded("b.yaml")
    text = recorded("c.yaml").decode()
    assert sorted(text.index(f"""'{{"n":{n}}}'""") for n in range(5)) == [text.index(f"""'{{"n":{n}}}'""") for n in range(5)]


def test_plain_vcrpy_replays_our_files(path: Path) -> None:
    body, failure = b"data: 1\n\ndata: [DONE]\n\n", Failure(1.0, "ReadError", "gone")
    record(
        path,
        Reply(status=0, failure=failure),
        streamed(b"data: 1\n\nda", b"ta: [DONE]\n\n"),
        streamed(b"half", failure=failure),
        Reply(status=404, pieces=[Piece(0.0, b"no \xc3\xa9")]),
    )
    serializer = path.suffix.removeprefix(".")
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(500)))
    with vcr.use_cassette(str(path), record_mode="none", serializer=serializer, match_on=["method", "uri", "body"]) as cassette:
        got = [http.post(URL, json={"model": "m"}) for _ in range(2)]
        assert cassette.all_played
    assert [(200, body), (404, "no é".encode())] == [(response.status_code, response.content) for response in got]


def test_we_replay_plain_vcrpys_files(path: Path) -> None:
    answers = [
        httpx2.Response(200, content=gzip.compress(b"zipped"), headers={"content-encoding": "gzip"}),
        httpx2.Response(404, json={"error": "no"}),
    ]
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: answers.pop(0)))
    serializer = path.suffix.removeprefix(".")
    with vcr.use_cassette(str(path), record_mode="once", serializer=serializer, decode_compressed_response=serializer == "json"):
        there = [http.post(URL, json={"n": n}) for n in range(2)]
    with httpx2.Client(transport=Cassette(path)) as http:
        here = [http.post(URL, content=b'{ "n" : %d }' % n) for n in range(2)]
    assert [(r.status_code, r.content) for r in there] == [(r.status_code, r.content) for r in here]


@pytest.mark.parametrize("cuts", [[5], [3, 9, 12, 20, 40], []])
def test_secrets_never_reach_the_disk_nor_the_client_of_a_replay(path: Path, cuts: list[int]) -> None:
    secret = b"sk-proj-abcdefgh12345678"
    body = b'data: {"choices":[{"index":0,"delta":{"content":"' + secret + b'"}}]}\n\n'
    edges = [0, *cuts, len(body)]
    reply = streamed(*[body[a:b] for a, b in pairwise(edges)])
    reply.headers += [(b"set-cookie", b"session=1234"), (b"openai-organization", b"acme-inc")]
    cassette = Cassette(path, Script(reply), "once")
    sent = {"model": "m", "key": secret.decode()}
    headers = {"authorization": "Bearer my-own-secret", "cookie": "crumbs", "openai-project": "proj-x"}
    assert body == fetched(cassette, sent, headers=headers, url=URL + "?key=hidden")
    on_disk = b"".join(file.read_bytes() for file in path.parent.iterdir())
    cassette.close()
    on_disk += path.read_bytes()
    for word in (secret, b"1234", b"acme", b"my-own", b"crumbs", b"proj-x", b"hidden"):
        assert word not in on_disk
    response, chunks = simulate(fetch(Cassette(path), {**sent, "key": "sk-other-key-0987654321"}, url=URL + "?key=another"))
    assert (body.replace(secret, b"[scrubbed]"), len(edges) - 1) == (b"".join(chunks), len(chunks) or 1)
    assert "[scrubbed]" == response.headers["openai-organization"]


CRASH = """
import sys, os, signal, httpx2
sys.path.insert(0, {root!r})
from llmlab.wire import Cassette
def answer(request):
    return httpx2.Response(200, text="answer to " + request.content.decode())
class Live(httpx2.MockTransport):
    pass
cassette = Cassette({path!r}, Live(answer), "new_episodes")
http = httpx2.Client(transport=cassette)
for n in range({count}):
    http.post({url!r}, content=str(n))
    print(n, flush=True)
stream = http.build_request("POST", {url!r}, content="half")
response = http.send(stream, stream=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_at_any_moment_it_loses_no_finished_interaction(path: Path) -> None:
    code = CRASH.format(root=str(Path(__file__).parents[2]), path=str(path), url=URL, count=5)
    for session in range(2):
        process = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
        assert -signal.SIGKILL == process.returncode
        assert "0\n1\n2\n3\n4\n" == process.stdout
        if session:
            with Path(f"{path}.journal").open("ab") as file:
                file.write(b'[99, {"requ')
    cassette = Cassette(path, httpx2.MockTransport(lambda _: httpx2.Response(200, text="new")), "new_episodes")
    assert 5 == len(cassette)
    with httpx2.Client(transport=cassette) as http:
        assert [f"answer to {n}" for n in range(5)] == [http.post(URL, content=str(n)).text for n in range(5)]
        assert "new" == http.post(URL, content="5").text
    assert 6 == len(Cassette(path))
    assert [path.name] == os.listdir(path.parent)


def test_a_second_recorder_is_refused(path: Path) -> None:
    first = Cassette(path, Script(), "all")
    with pytest.raises(CassetteInUse, match="is being recorded by another recorder"):
        Cassette(path, Script(), "new_episodes")
    fetched(first)
    assert b"answer 1" == fetched(Cassette(path))  # a reader is welcome, and sees what is finished
    first.close()
    Cassette(path, Script(), "new_episodes").close()


def test_bad_input_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="there is no record mode 'some'; there is: none, once, new_episodes, all"):
        Cassette(tmp_path / "c.yaml", record_mode="some")
    for pace in (-1, float("nan"), float("inf"), "fast"):
        with pytest.raises(BadInput, match="pace is 0"):
            Cassette(tmp_path / "c.yaml", pace=pace)  # type: ignore[arg-type]
    with pytest.raises(BrokenCassette, match="is a folder"):
        Cassette(tmp_path)
    with pytest.raises(BrokenCassette, match=r"there is no recording in .*c\.yaml\. Record one: llmlab record, or Cassette\("):
        Cassette(tmp_path / "c.yaml", Script())
    for mode in ("once", "new_episodes", "all"):
        with pytest.raises(BrokenCassette, match="there is no recording"):
            Cassette(tmp_path / "c.yaml", record_mode=mode)
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(BrokenCassette, match="there is no recording"):
        Cassette(tmp_path / "empty.yaml")
    record(tmp_path / "c.yaml")
    for mode in ("new_episodes", "all"):
        with pytest.raises(BadInput, match="needs somebody to record from"):
            Cassette(tmp_path / "c.yaml", record_mode=mode)
    assert ["c.yaml", "empty.yaml"] == sorted(os.listdir(tmp_path))


def test_the_synchronous_client_records_and_replays_too(path: Path) -> None:
    replies = [
        Reply(headers=[(b"content-type", b"application/json")], pieces=[Piece(0.0, json.dumps(COMPLETION).encode())]),
        Reply(status=0, failure=Failure(0.0, "ConnectError", "refused")),
    ]
    script = Script(*replies)
    with Cassette(path, script, "once") as cassette:
        for _ in range(2):
            chat = sync_client(cassette, max_retries=0).chat.completions
            if script.asked:
                with pytest.raises(openai.APIConnectionError):
                    chat.create(model="m", messages=[])
            else:
                assert "Hi" == chat.create(model="m", messages=[]).choices[0].message.content
    assert 1 == script.closed
    cassette = Cassette(path, Script())
    chat = sync_client(cassette, max_retries=0).chat.completions
    assert "Hi" == chat.create(model="m", messages=[]).choices[0].message.content
    with pytest.raises(openai.APIConnectionError):
        chat.create(model="m", messages=[])
    assert "answer 1" == httpx2.Client(transport=cassette).post(URL, json={"other": 1}).text


def test_the_synchronous_client_is_refused_in_a_simulation(path: Path) -> None:
    cassette = Cassette(path, Script(), "once")

    async def main() -> None:
        httpx2.Client(transport=cassette).post(URL)

    with pytest.raises(NotInVirtualTime):
        simulate(main())


def test_the_openai_client_streams_from_a_cassette(path: Path) -> None:
    events = [
        {**COMPLETION, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": word}}]} for word in ("Hel", "lo")
    ]
    chunks = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    cassette = Cassette(path, Script(streamed(*chunks, b"data: [DONE]\n\n")), "once")

    async def main() -> str:
        stream = await client(cassette).chat.completions.create(model="m", messages=[], stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert "Hello" == simulate(main())
    cassette.close()
    assert "Hello" == simulate(main())
    assert (1, 1) == (cassette.replayed, cassette.recorded)
    assert "abandoned" not in path.read_text()


def test_threads_and_tasks_share_a_cassette(path: Path) -> None:
    record(path, bodies=[{"n": n} for n in range(5)] * 4)
    cassette = Cassette(path)
    seen: list[tuple[int, str]] = []

    def ask() -> None:
        http = httpx2.Client(transport=cassette)
        seen.extend([(n, http.post(URL, json={"n": n}).text) for n in range(5)])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Each of the four takes of each request was served once.
    assert sorted((n, f"answer {n + 1 + 5 * take}") for n in range(5) for take in range(4)) == sorted(seen)
    assert 20 == cassette.replayed


def test_concurrent_recordings_do_not_mix(path: Path) -> None:
    replies = [streamed(*[b"%d" % n] * 5, gap=0.1 + n / 100) for n in range(10)]
    cassette = Cassette(path, Script(*replies), "once")

    async def main() -> None:
        await asyncio.gather(*[fetch(cassette, {"n": n}) for n in range(10)])

    simulate(main())
    cassette.close()
    assert [b"%d" % n * 5 for n in range(10)] == [fetched(cassette, {"n": n}) for n in range(10)]


def test_cancelled_before_an_answer_nothing_is_recorded(path: Path) -> None:
    cassette = Cassette(path, Script(Reply(headers_at=5.0, pieces=[Piece(5.0, b"late")])), "once")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await fetch(cassette)

    simulate(main())
    cassette.close()
    assert (0, False) == (cassette.recorded, path.exists())


def test_its_repr_shows_what_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    record(path)
    assert f"Cassette({str(path)!r}, None, 'none', pace=0, seed=0)" == repr(Cassette(path))
    cassette = Cassette(path, Cassette(path), "new_episodes", pace=0.5, seed=3)
    assert f"Cassette({str(path)!r}, {cassette.inner!r}, 'new_episodes', pace=0.5, seed=3)" == repr(cassette)


def test_closing_a_replay_without_anybody_behind_does_nothing(path: Path) -> None:
    record(path)
    cassette = Cassette(path)
    asyncio.run(cassette.aclose())
    cassette.close()
    assert b"answer 1" == fetched(cassette)


def test_importing_the_wire_does_not_import_vcr() -> None:
    code = "import sys, llmlab.wire.cassette; sys.exit('vcr' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode


def test_the_work_of_a_replay_does_not_grow_with_the_file(tmp_path: Path) -> None:
    record(tmp_path / "c.json", bodies=[{"n": n} for n in range(300)])
    cassette = Cassette(tmp_path / "c.json")
    fetched(cassette, {"n": 0})
    looked_at: list[int] = []
    interactions = cassette._interactions

    class Counting(list[Any]):
        def __getitem__(self, key: Any) -> Any:
            looked_at.append(key)
            return interactions[key]

        def __iter__(self) -> Any:
            raise AssertionError("a replay goes through all interactions")

    cassette._interactions = Counting()
    assert b"answer 300" == fetched(cassette, {"n": 299})
    assert {299} == set(looked_at)
