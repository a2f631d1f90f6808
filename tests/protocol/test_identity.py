from __future__ import annotations

import asyncio
import json

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.protocol import identity
from llmlab.protocol.clock import simulate
from llmlab.protocol.identity import HEADER, Stamp, Stamper


def sent(model: str | None = "gpt-4o", path: str = "/v1/chat/completions", **headers: str) -> httpx2.Request:
    body = {} if model is None else {"json": {"model": model}}
    return httpx2.Request("POST", f"https://api.openai.com{path}", headers=headers, **body)


def stamps(stamper: Stamper, *requests: httpx2.Request) -> list[tuple[str, str, str, int]]:
    return [stamper.stamp(request).key for request in requests]


def test_attempts_count_by_kind_and_model_within_their_identity() -> None:
    stamper = Stamper()
    with identity.request("q017", 2) as who:
        assert "q017/2" == who.name == identity.current()
        assert [
            ("q017/2", "chat", "gpt-4o", 0),
            ("q017/2", "chat", "gpt-4o", 1),
            ("q017/2", "chat", "gpt-4o-mini", 0),
            ("q017/2", "embeddings", "gpt-4o", 0),
            ("q017/2", "chat", "gpt-4o", 2),
        ] == stamps(stamper, sent(), sent(), sent("gpt-4o-mini"), sent(path="/v1/embeddings"), sent())


def test_without_an_identity_attempts_are_numbered_as_they_arrive() -> None:
    assert "" == identity.current()
    assert [("", "chat", "gpt-4o", 0), ("", "chat", "gpt-4o", 1)] == stamps(Stamper(), sent(), sent())


def test_identities_nest_and_end() -> None:
    with identity.request("outer"):
        with identity.request("inner"):
            assert "inner/0" == identity.current()
        assert "outer/0" == identity.current()
    assert "" == identity.current()


def test_an_identity_ends_when_its_request_fails() -> None:
    with pytest.raises(ZeroDivisionError), identity.request("q"):
        raise ZeroDivisionError
    assert "" == identity.current()


def test_the_identity_may_come_over_http() -> None:
    stamper = Stamper()
    header = {HEADER: "q017/0"}
    assert [("q017/0", "chat", "gpt-4o", 0), ("", "chat", "gpt-4o", 0), ("q017/0", "chat", "gpt-4o", 1)] == stamps(
        stamper, sent(**header), sent(), sent(**header)
    )


def test_the_identity_of_the_task_goes_before_the_header() -> None:
    with identity.request("mine"):
        assert "mine/0" == Stamper().stamp(sent(**{HEADER: "yours/0"})).identity


def test_a_stamper_remembers_the_latest_headers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_REMEMBERED", 2)
    stamper = Stamper()

    def ordinal(name: str) -> int:
        return stamper.stamp(sent(**{HEADER: name})).ordinal

    assert [0, 0, 1, 0] == [ordinal("a"), ordinal("b"), ordinal("a"), ordinal("c")]
    assert 2 == ordinal("a"), "used lately"
    assert 0 == ordinal("b"), "forgotten"


def test_reset_forgets() -> None:
    stamper = Stamper()
    stamps(stamper, sent(), sent(**{HEADER: "a"}))
    stamper.reset()
    assert [0, 0] == [stamper.stamp(sent()).ordinal, stamper.stamp(sent(**{HEADER: "a"})).ordinal]


def test_the_outermost_stamp_stays() -> None:
    request = sent()
    outer, inner = Stamper(), Stamper()
    inner.stamp(sent())
    assert outer.stamp(request) is inner.stamp(request)


def test_a_request_that_is_sent_again_is_another_attempt() -> None:
    request = sent()
    outer, inner = Stamper(), Stamper()
    for expected in (0, 1, 2):
        assert expected == outer.stamp(request).ordinal
        assert expected == inner.stamp(request).ordinal


def test_a_stamp_holds_the_body_parsed_and_leaves_other_extensions() -> None:
    request = httpx2.Request("POST", "http://x/v1/chat/completions", json={"model": "m", "n": 1}, extensions={"timeout": {"read": 1.0}})
    assert {"model": "m", "n": 1} == Stamper().stamp(request).body
    assert {"read": 1.0} == request.extensions["timeout"]


@pytest.mark.parametrize(
    ("body", "content"),
    [(None, b""), (None, b"{"), (None, b"\xff"), ([1], b"[1]"), ({"model": 3}, b'{"model":3}'), ("text", b'"text"')],
)
def test_a_body_without_a_model_has_none(body: object, content: bytes) -> None:
    stamp = Stamper().stamp(httpx2.Request("POST", "http://x/v1/chat/completions", content=content))
    assert (body, "") == (stamp.body, stamp.model)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("chat", "/v1/chat/completions"),
        ("chat", "/openai/deployments/mine/chat/completions"),
        ("models", "/v1/models"),
        ("models", "/v1/models/gpt-4o"),
        ("responses", "/api/v1beta/responses/resp_1/cancel"),
        ("embeddings", "/embeddings/"),
        ("/", "/"),
    ],
)
def test_the_kind_of_a_call_is_its_place_in_the_api(kind: str, path: str) -> None:
    assert kind == Stamper().stamp(httpx2.Request("GET", f"http://x{path}")).kind


def test_a_stamp_is_a_plain_value() -> None:
    assert ("q/0", "chat", "m", 1) == Stamp("q/0", "chat", "m", 1, None).key


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=30))
def test_concurrent_tasks_count_apart(plan: list[tuple[int, int]]) -> None:
    """However the attempts of several tasks interleave, each task's are numbered 0, 1, 2."""
    stamper = Stamper()

    async def one(case: int) -> list[int]:
        ordinals = []
        with identity.request(str(case)):
            for wait in [wait for owner, wait in plan if owner == case]:
                await asyncio.sleep(wait)
                stamp = stamper.stamp(sent())
                assert f"{case}/0" == stamp.identity
                ordinals.append(stamp.ordinal)
        return ordinals

    async def all_of_them() -> list[list[int]]:
        return await asyncio.gather(*map(one, range(5)))

    for case, ordinals in enumerate(simulate(all_of_them())):
        assert list(range(sum(owner == case for owner, _ in plan))) == ordinals


def test_what_a_task_starts_counts_within_its_identity() -> None:
    async def hedged() -> list[int]:
        stamper = Stamper()

        async def attempt() -> int:
            return stamper.stamp(sent()).ordinal

        with identity.request("q"):
            return list(await asyncio.gather(attempt(), attempt(), attempt()))

    assert [0, 1, 2] == simulate(hedged())


def test_a_big_body_is_read_once() -> None:
    request = httpx2.Request("POST", "http://x/v1/chat/completions", content=json.dumps({"model": "m", "x": "y" * 1_000_000}).encode())
    stamper = Stamper()
    assert stamper.stamp(request).body is Stamper().stamp(request).body
