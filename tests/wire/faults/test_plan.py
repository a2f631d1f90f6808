from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from llmlab.protocol.clock import simulate
from llmlab.wire.chaos import Chaos
from llmlab.wire.faults import FAULTS, Fault, LatencySpike, Plan, Sent, Spoil, Whole
from llmlab.wire.transport import Piece, Planned, Reply


class Mirror(Planned):
    """Answers with what it was sent, in one piece or as a stream."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []

    def plan(self, request: httpx2.Request, now: float) -> Reply:
        self.requests.append(request)
        streamed = json.loads(request.content).get("stream")
        headers = [
            (b"content-type", b"text/event-stream" if streamed else b"application/json"),
            (b"x-mine", b"1"),
            (b"content-length", b"9"),
        ]
        data = b"data: " + request.content + b"\n\n" if streamed else request.content
        return Reply(headers=headers, pieces=[Piece(0.0, data)])


@dataclass(frozen=True, kw_only=True, repr=False)
class _Own(Fault):
    """A fault of one's own that does whatever it is told."""

    do: Any = None

    def strike(self, plan: Plan, sent: Sent) -> str:
        return str(self.do(plan) or "")


def ask(*faults: Fault, inner: Any = None, **body: Any) -> tuple[httpx2.Response, Chaos]:
    async def main() -> tuple[httpx2.Response, Chaos]:
        chaos = Chaos(inner or Mirror(), *faults, seed=7)
        request = httpx2.Request("POST", "https://api.openai.com/v1/chat/completions", json={"model": "gpt-4o", **body})
        response = await chaos.handle_async_request(request)
        await response.aread()
        return response, chaos

    return simulate(main())


def planted(plan: Plan) -> str:
    plan.body = {**plan.body, "messages": [*plan.body.get("messages", []), "planted"]}
    return "an instruction planted"


def test_the_request_that_goes_in_can_be_changed_and_changes_add_up() -> None:
    mirror = Mirror()
    response, chaos = ask(_Own(name="a", do=planted), _Own(name="b", do=planted), LatencySpike(probability=0.0), inner=mirror)
    expected = {"model": "gpt-4o", "messages": ["planted", "planted"]}
    [inside] = mirror.requests
    assert expected == response.json() == json.loads(inside.content) == inside.extensions["llmlab.stamp"].body
    assert str(len(inside.content)) == inside.headers["content-length"]
    assert [("a", "an instruction planted"), ("b", "an instruction planted")] == [(line.fault, line.effect) for line in chaos.journal]


def rewriting(plan: Plan) -> str:
    def change(whole: Whole) -> bool:
        whole.body, whole.status = whole.body + b" and more", 201
        whole.header("x-mine", None)
        return True

    plan.rewrite(change)
    return "more"


def test_a_reply_in_one_piece_can_be_rewritten_with_its_head() -> None:
    response, chaos = ask(_Own(name="a", do=rewriting), _Own(name="b", do=rewriting))
    assert (201, b'{"model":"gpt-4o"} and more and more') == (response.status_code, response.content)
    assert "x-mine" not in response.headers
    assert [str(len(response.content))] == response.headers.get_list("content-length")
    assert ["a", "b"] == [line.fault for line in chaos.journal]
    assert [] == ask(_Own(name="a", do=rewriting), stream=True)[1].journal, "it was no reply in one piece"


def test_what_leaves_a_reply_alone_did_not_strike() -> None:
    def nothing(plan: Plan) -> str:
        plan.rewrite(lambda whole: False)
        return "nothing"

    class Sparing(Spoil):
        def open(self, head: Whole) -> bool:
            return False

    def sparing(plan: Plan) -> str:
        plan.spoil(Sparing())
        return "nothing"

    for stream in (False, True):
        response, chaos = ask(_Own(name="a", do=nothing), _Own(name="b", do=sparing), stream=stream)
        assert [] == chaos.journal
        assert response.content == ask(stream=stream)[0].content


def test_a_refusal_can_be_rewritten_and_a_fault_may_do_several_things() -> None:
    def both(plan: Plan) -> str:
        plan.answer(503, [(b"content-type", b"text/plain")], b"", 0.5)
        plan.timing.before_headers += 1.0
        return "both"

    mirror = Mirror()
    response, chaos = ask(_Own(name="a", do=both), _Own(name="b", do=rewriting), inner=mirror)
    assert (201, b" and more", []) == (response.status_code, response.content, mirror.requests)
    assert [("a", 0.0), ("b", 0.5)] == [(line.fault, line.at) for line in chaos.journal]


def test_a_failure_has_a_name_that_exists() -> None:
    with pytest.raises(AssertionError, match="Boom is no transport error"):
        Plan().fail("Boom", "")


def test_a_base_of_faults_is_no_fault() -> None:
    assert not [name for name in FAULTS if name.startswith("_")]
