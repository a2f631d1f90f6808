from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from itertools import pairwise
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import (
    DONE,
    JSON,
    MODEL,
    SSE,
    USAGE,
    Wire,
    ask,
    broken,
    event,
    events,
    good,
    message,
    refusal,
    silence,
    streamed,
    told,
    whole,
)

import llmlab
from llmlab.errors import AttemptBroken, AttemptFailed, AttemptRefused, AttemptTimeout, BadInput, CassetteMiss
from llmlab.pipeline.answer import STATUSES, Answer, ToolCall
from llmlab.pipeline.call import Call
from llmlab.pipeline.clocks import Clocks
from llmlab.protocol.attempt import Attempt

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello?"}]}
STREAM = {**BODY, "stream": True}
HTML = b"<html><body>Bad gateway</body></html>"
QUICK = Clocks(connect_seconds=1.0, first_content_seconds=2.0, stall_seconds=3.0, total_seconds=5.0)


def tried(wire: Wire, body: dict[str, Any] = STREAM, clocks: Clocks = QUICK, deadline: float | None = None) -> tuple[Any, Attempt, str]:
    """One call to its end: its error or None, its event, its text."""

    async def go() -> tuple[Any, Attempt, str]:
        call = Call(llmlab.client(wire), body, clocks, deadline)
        error: Exception | None = None
        try:
            await call.open()
            async for _ in call:
                pass
        except AttemptFailed as failure:
            error = failure
        attempt = call.end("failed" if error else "ok", error.reason if error else "")
        await call.release()
        assert 0 == wire.under_way
        return error, attempt, call.text

    return llmlab.simulate(go())


# --- what is good


def test_a_stream_gives_its_pieces_as_they_come_and_an_event_that_says_when() -> None:
    async def go() -> list[tuple[float, str]]:
        now = asyncio.get_running_loop().time
        call = Call(llmlab.client(Wire(good("Hel", "lo"))), STREAM, Clocks())
        await call.open()
        assert 0.75 == call.first_content_at == now()
        return [(now(), piece) async for piece in call]

    assert [(0.75, "Hel"), (1.0, "lo")] == llmlab.simulate(go())


def test_the_event_of_an_attempt_says_all_there_is_to_say() -> None:
    _, attempt, text = tried(Wire(good()))
    assert "Hello world." == text
    assert ("ok", "", 0.0, 0.75, 1.75) == (attempt.status, attempt.reason, attempt.sent_at, attempt.first_content_at, attempt.ended_at)
    assert ("gpt-4o", MODEL, "scripted") == (attempt.model, attempt.snapshot, attempt.source)
    assert (100, 20, "reported", Decimal("0.00045")) == (attempt.prompt_tokens, attempt.completion_tokens, attempt.usage, attempt.cost_usd)
    assert attempt.price_date is not None


def test_a_second_end_returns_the_same_event() -> None:
    async def go() -> tuple[Attempt, Attempt]:
        call = Call(llmlab.client(Wire(good())), STREAM, Clocks())
        return call.end("cancelled", "first"), call.end("ok", "second")

    first, second = llmlab.simulate(go())
    assert first is second
    assert "first" == first.reason


def test_a_whole_reply_shows_its_content_when_it_is_there() -> None:
    error, attempt, text = tried(Wire(whole()), BODY)
    assert (None, "Hello world.", 1.0, 1.0) == (error, text, attempt.first_content_at, attempt.ended_at)


@pytest.mark.parametrize("body", [BODY, STREAM])
def test_the_clients_own_retries_are_off(body: dict[str, Any]) -> None:
    wire = Wire(refusal(500))
    error, _, _ = tried(wire, body)
    assert "http_500" == error.reason
    assert 1 == len(wire.requests)
    assert "0" == wire.requests[0].headers["x-stainless-retry-count"]


def test_the_request_is_what_the_client_would_send() -> None:
    ours, theirs = Wire(whole()), Wire(whole())
    tried(ours, BODY)
    llmlab.simulate(llmlab.client(theirs, max_retries=0).chat.completions.create(**BODY))  # type: ignore[call-overload]
    (mine,), (other,) = ours.requests, theirs.requests
    assert (other.method, other.url, other.content) == (mine.method, mine.url, mine.content)
    apart = {"x-stainless-read-timeout", "idempotency-key"}
    assert {name: value for name, value in other.headers.items() if name not in apart} == {
        name: value for name, value in mine.headers.items() if name not in apart
    }


def test_a_refusal_is_text_as_the_user_must_see_it() -> None:
    assert "I can't help." == tried(Wire(streamed([event({"refusal": "I can't help."}), event({}, "stop"), DONE])))[2]
    reply = message(choices=[{"index": 0, "message": {"content": None, "refusal": "I can't help."}, "finish_reason": "stop"}])
    assert "I can't help." == tried(Wire(whole(reply)), BODY)[2]


def test_content_in_parts_is_put_together() -> None:
    assert "Hello." == tried(Wire(whole(message([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo."}]))), BODY)[2]


def test_reasoning_is_content_and_not_text() -> None:
    parts = [event({"reasoning_content": "Hm."}), event({"content": "Yes."}), event({}, "stop"), DONE]
    _, attempt, text = tried(Wire(streamed(parts)))
    assert (0.5, "Yes.") == (attempt.first_content_at, text)


def test_only_the_first_of_several_choices_is_read() -> None:
    other = {"index": 1, "delta": {"content": "other"}, "finish_reason": None}
    mine = {"index": 0, "delta": {"content": "mine"}, "finish_reason": None}
    parts = [event(choices=[other]), event(choices=[other, mine]), event({}, "stop"), DONE]
    assert "mine" == tried(Wire(streamed(parts)))[2]


def test_events_without_data_say_nothing() -> None:
    assert "a" == tried(Wire(streamed([b"data:\n\n: ping\n\nevent: ping\n\n", *events("a")])))[2]


def test_what_comes_after_done_is_not_read() -> None:
    parts = [event({"content": "a"}), event({}, "stop") + DONE + event({"content": "b"}), event({"content": "c"})]
    assert "a" == tried(Wire(streamed(parts)))[2]
    assert "a" == tried(Wire(streamed(parts, gap=0.01)))[2]


def test_the_body_is_read_to_its_end_so_that_the_connection_can_be_used_again() -> None:
    wire = Wire(good())

    async def go() -> bool:
        call = Call(llmlab.client(wire), STREAM, Clocks())
        await call.open()
        async for _ in call:
            pass
        await call.release()
        assert call._response is not None
        return call._response.is_stream_consumed

    assert llmlab.simulate(go())


def test_a_server_that_does_not_end_after_done_holds_nobody_up() -> None:
    wire = Wire(streamed([*events("a"), b": still here\n\n"], gap=10.0))

    async def go() -> tuple[float, Attempt]:
        call = Call(llmlab.client(wire), STREAM, Clocks(stall_seconds=20.0))
        await call.open()
        async for _ in call:
            pass
        attempt = call.end("ok")
        await call.release()
        return asyncio.get_running_loop().time(), attempt

    now, attempt = llmlab.simulate(go())
    assert (40.5, 40.6) == (attempt.ended_at, pytest.approx(now))
    assert 0 == wire.under_way


# --- tool calls


def test_an_answer_of_tool_calls_alone_is_ok_without_text() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"order": 7}'}}
    reply = {"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}
    answer = ask(Wire(whole(message(choices=[reply]))), stream=False)
    assert ("ok", "", (ToolCall("call_1", "look_up", '{"order": 7}'),)) == (answer.status, answer.text, answer.tool_calls)


def test_streamed_tool_calls_are_put_together_from_their_pieces() -> None:
    def piece(index: int, **function: str) -> dict[str, Any]:
        return {"index": index, "function": function}

    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": ""}}
    second = {"index": 1, "id": "call_2", "type": "function", "function": {"name": "refund", "arguments": ""}}
    parts = [
        event({"role": "assistant", "content": None}),
        event({"tool_calls": [first]}),
        event({"tool_calls": [piece(0, arguments='{"order"')]}),
        event({"tool_calls": [second]}),
        event({"tool_calls": [piece(0, arguments=": 7}"), piece(1, arguments="{}")]}),
        event({}, "tool_calls"),
        DONE,
    ]
    answer = ask(Wire(streamed(parts)))
    assert ("ok", "") == (answer.status, answer.text)
    assert (ToolCall("call_1", "look_up", '{"order": 7}'), ToolCall("call_2", "refund", "{}")) == answer.tool_calls
    assert 0.75 == answer.timings.first_content
    assert answer.timings.delivered_first_content is None


# --- the clocks


@pytest.mark.parametrize("body", [BODY, STREAM])
def test_the_connect_clock_fires_at_its_time(body: dict[str, Any]) -> None:
    error, attempt, _ = tried(Wire(good(), connecting=60.0), body)
    assert isinstance(error, AttemptTimeout)
    assert ("timeout_connect", 1.0, None) == (error.reason, attempt.ended_at, attempt.prompt_tokens)


@pytest.mark.parametrize(
    ("wire", "body", "clocks", "reason", "at", "text"),
    [
        (Wire(silence()), STREAM, QUICK, "timeout_first_content", 2.0, ""),
        (Wire(whole(at=2.5)), BODY, QUICK, "timeout_first_content", 2.0, ""),
        (Wire(streamed([event({"role": "assistant"})] * 50, first=0.1, gap=0.1)), STREAM, QUICK, "timeout_first_content", 2.0, ""),
        (Wire(streamed([event({"content": "a"}), event({"content": "b"})], first=0.5, gap=3.5)), STREAM, QUICK, "timeout_stall", 3.5, "a"),
        (Wire(streamed([event({"content": "a"})] * 50, first=0.5, gap=0.75)), STREAM, QUICK, "timeout_total", 5.0, "aaaaaa"),
        (Wire(silence()), STREAM, Clocks(first_content_seconds=None, total_seconds=7.0), "timeout_total", 7.0, ""),
        (Wire(silence()), BODY, Clocks(first_content_seconds=None, total_seconds=7.0), "timeout_total", 7.0, ""),
    ],
)
def test_a_clock_fires_at_exactly_its_time_and_with_its_own_reason(
    wire: Wire, body: dict[str, Any], clocks: Clocks, reason: str, at: float, text: str
) -> None:
    error, attempt, said = tried(wire, body, clocks)
    assert isinstance(error, AttemptTimeout)
    assert (reason, True, at, text) == (error.reason, error.retryable, attempt.ended_at, said)
    assert "estimated" == attempt.usage


@pytest.mark.parametrize(("wire", "body"), [(Wire(silence()), STREAM), (Wire(whole(at=9.0)), BODY), (Wire(good(gap=1.0)), STREAM)])
def test_the_deadline_is_a_clock_that_no_retry_mends(wire: Wire, body: dict[str, Any]) -> None:
    error, attempt, _ = tried(wire, body, deadline=1.75)
    assert ("timeout_deadline", False, 1.75) == (error.reason, error.retryable, attempt.ended_at)


def test_chunks_in_time_keep_the_stall_clock_quiet() -> None:
    assert tried(Wire(good("a", "b", first=0.5, gap=0.875)), clocks=Clocks(stall_seconds=1.0))[0] is None


def test_without_clocks_an_attempt_may_take_for_ever() -> None:
    free = Clocks(connect_seconds=None, first_content_seconds=None, stall_seconds=None, total_seconds=None)
    error, attempt, _ = tried(Wire(good(first=10_000.0, gap=10_000.0), connecting=100.0), clocks=free)
    assert (None, 60_100.0) == (error, attempt.ended_at)


def test_a_reader_who_takes_his_time_is_not_taken_for_a_stalled_provider() -> None:
    parts = [*(event({"content": text}) for text in "abc"), event({}, "stop") + DONE]

    async def go() -> str:
        call = Call(llmlab.client(Wire(streamed(parts, gap=12.0))), STREAM, Clocks(stall_seconds=3.0))
        await call.open()
        async for _ in call:
            await asyncio.sleep(10.0)
        return call.text

    assert "abc" == llmlab.simulate(go())


def test_a_cancelled_call_is_cancelled_and_no_timeout() -> None:
    async def go() -> float:
        wire = Wire(silence())
        task = asyncio.create_task(Call(llmlab.client(wire), STREAM, Clocks()).open())
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert 0 == wire.under_way
        return asyncio.get_running_loop().time()

    assert 1.0 == llmlab.simulate(go())


def test_a_clock_works_also_in_a_task_that_is_being_cancelled() -> None:
    async def cleaning_up() -> str:
        try:
            await asyncio.sleep(100.0)
        except asyncio.CancelledError:
            call = Call(llmlab.client(Wire(silence())), STREAM, QUICK)
            try:
                await call.open()
            except AttemptTimeout as error:
                return error.reason
        return ""

    async def go() -> str:
        task = asyncio.create_task(cleaning_up())
        await asyncio.sleep(1.0)
        task.cancel()
        return await task

    assert "timeout_first_content" == llmlab.simulate(go())


# --- what is broken: the table of what an unmodified client makes of it stands in the comments


TEXT = [event({"role": "assistant"}), event({"content": "Hello"})]
TOO_LARGE = "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 45000."
BROKEN = {
    "reset in mid-stream": (streamed(TEXT, breaks="ReadError"), STREAM, "connection_lost"),
    "protocol error in mid-stream": (streamed(TEXT, breaks="RemoteProtocolError"), STREAM, "connection_lost"),
    "read timeout in mid-stream": (streamed(TEXT, breaks="ReadTimeout"), STREAM, "timeout_read"),
    "reset before the first content": (streamed(TEXT[:1], breaks="ReadError"), STREAM, "connection_lost"),
    "clean end without finish_reason and [DONE]": (streamed(TEXT), STREAM, "stream_truncated"),
    "[DONE] without finish_reason": (streamed([*TEXT, DONE]), STREAM, "stream_truncated"),
    "half of the last event": (streamed([*TEXT, event({}, "stop")[:-20]]), STREAM, "stream_truncated"),
    "malformed JSON in an event": (streamed([*TEXT, b'data: {"choices": [}\n\n']), STREAM, "malformed_event"),
    "an event that is no object": (streamed([*TEXT, b"data: 7\n\n"]), STREAM, "malformed_event"),
    "invalid UTF-8 in an event": (streamed([*TEXT, event({"content": "x"}).replace(b"x", b"\xff\xfe")]), STREAM, "malformed_event"),
    "an error as an event": (streamed([*TEXT, b'data: {"error": {"message": "overloaded"}}\n\n']), STREAM, "error_reply"),
    "an error as a text in an event": (streamed([b'data: {"error": "overloaded"}\n\n']), STREAM, "error_reply"),
    "finish_reason error": (streamed([*TEXT, event({}, "error"), DONE]), STREAM, "error_reply"),
    "HTML with status 200, streamed": (whole(HTML, headers=[(b"content-type", b"text/html")]), STREAM, "not_a_stream"),
    "an error with status 200, streamed": (whole({"error": {"message": "overloaded"}}), STREAM, "error_reply"),
    "no content type, streamed": (whole(HTML, headers=[]), STREAM, "not_a_stream"),
    "an empty stream": (streamed([]), STREAM, "stream_truncated"),
    "a stream of comments": (streamed([b": keep-alive\n\n"] * 3), STREAM, "stream_truncated"),
    "nothing but [DONE]": (streamed([DONE]), STREAM, "stream_truncated"),
    "empty choices, streamed": (streamed([event(choices=[])] * 3 + [DONE]), STREAM, "stream_truncated"),
    "a stream without text": (streamed([event({"role": "assistant", "content": ""}), event({}, "stop"), DONE]), STREAM, "empty"),
    "all tokens thought away": (streamed([event({"reasoning": "Hm"}), event({}, "length"), DONE]), STREAM, "length"),
    "the content filter": (streamed([*TEXT, event({}, "content_filter"), DONE]), STREAM, "content_filter"),
    "truncated JSON": (whole(json.dumps(message()).encode()[:-30]), BODY, "not_json"),
    "no body": (whole(b""), BODY, "not_json"),
    "a reset in the body": (whole(b"{", breaks="ReadError"), BODY, "connection_lost"),
    "HTML with status 200": (whole(HTML, headers=[(b"content-type", b"text/html")]), BODY, "not_json"),
    "JSON that is no object": (whole([1, 2]), BODY, "not_json"),
    "an error with status 200": (whole({"error": {"message": "overloaded", "code": 502}}), BODY, "error_reply"),
    "no choices": (whole({"id": "c", "object": "chat.completion"}), BODY, "no_choices"),
    "choices null": (whole(message(choices=None)), BODY, "no_choices"),
    "choices empty": (whole(message(choices=[])), BODY, "no_choices"),
    "content null": (whole(message(None)), BODY, "empty"),
    "content empty": (whole(message("")), BODY, "empty"),
    "connection refused": (broken("ConnectError"), STREAM, "no_connection"),
    "connection timed out": (broken("ConnectTimeout"), STREAM, "timeout_connect"),
    "no connection left in the pool": (broken("PoolTimeout"), BODY, "timeout_pool"),
    "a write that times out": (broken("WriteTimeout"), BODY, "timeout_write"),
    "a write that fails": (broken("WriteError"), BODY, "connection_lost"),
    "a read that times out": (broken("ReadTimeout"), BODY, "timeout_read"),
    "a protocol error": (broken("RemoteProtocolError"), BODY, "connection_lost"),
    "401": (refusal(401, {"message": "Incorrect API key", "code": "invalid_api_key"}), BODY, "invalid_api_key"),
    "404": (refusal(404, {"message": "no such model", "code": "model_not_found"}), STREAM, "model_not_found"),
    "400, context length": (refusal(400, {"message": "too long", "code": "context_length_exceeded"}), BODY, "context_length_exceeded"),
    "400 without a code": (refusal(400), BODY, "http_400"),
    "403 in HTML": (whole(HTML, status=403, headers=[(b"content-type", b"text/html")]), STREAM, "http_403"),
    "302": (whole(b"", status=302, headers=[(b"location", b"https://login.example/")]), BODY, "http_302"),
    "408": (refusal(408), BODY, "http_408"),
    "409": (refusal(409), STREAM, "http_409"),
    "429": (refusal(429), STREAM, "rate_limit"),
    "429 in HTML": (whole(HTML, status=429, headers=[]), STREAM, "rate_limit"),
    "429, no quota": (
        refusal(429, {"message": "You exceeded your current quota", "code": "insufficient_quota"}),
        BODY,
        "insufficient_quota",
    ),
    "429, more than a minute's quota": (refusal(429, {"message": TOO_LARGE, "code": "rate_limit_exceeded"}), BODY, "request_too_large"),
    "413": (refusal(413), BODY, "request_too_large"),
    "an error with status 200, too large": (whole({"error": {"message": TOO_LARGE, "code": 429}}), BODY, "request_too_large"),
    "500": (refusal(500), BODY, "http_500"),
    "503 with a body that breaks": (whole(b"no", status=503, breaks="ReadError"), STREAM, "connection_lost"),
    "529": (refusal(529, {"message": "Overloaded", "type": "overloaded_error"}), STREAM, "http_529"),
}
FINAL = {"length", "content_filter", "invalid_api_key", "model_not_found", "context_length_exceeded", "insufficient_quota"}
FINAL |= {"http_302", "http_400", "http_403", "request_too_large"}
NOT_BILLED = {"no_connection", "timeout_connect", "timeout_pool", "rate_limit", "insufficient_quota"}


@pytest.mark.parametrize("name", BROKEN)
def test_nothing_that_breaks_is_silent(name: str) -> None:
    reply, body, reason = BROKEN[name]
    error, attempt, _ = tried(Wire(reply), body)
    assert reason == error.reason
    assert (reason not in FINAL) is error.retryable
    assert ("failed", reason) == (attempt.status, attempt.reason)
    assert str(error).startswith(f"{reason}: ")
    refused = error.status_code is not None or reason in NOT_BILLED
    assert (None if refused else "estimated") == (None if attempt.prompt_tokens is None else attempt.usage) or attempt.usage == "reported"


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_is_a_failed_answer_with_a_reason(name: str) -> None:
    reply, body, reason = BROKEN[name]
    answer = ask(Wire(reply), stream=bool(body.get("stream")), retry=None)
    assert ("failed", [("primary", "main", "failed", reason)]) == (answer.status, told(answer))
    assert answer.reason.startswith(f"{reason}: ")
    assert "" == answer.text


def test_a_table_of_reasons_is_short_words() -> None:
    hostile = {"message": "no", "code": "<script>" * 20}
    assert "http_400" == tried(Wire(refusal(400, hostile)), BODY)[0].reason
    assert "http_400" == tried(Wire(refusal(400, {"message": "no", "code": 17})), BODY)[0].reason


@pytest.mark.parametrize(
    "break_",
    [
        {"breaks": "ReadError"},
        {"breaks": "ReadTimeout"},
    ],
)
def test_a_break_after_the_finish_costs_nothing_but_the_usage(break_: dict[str, str]) -> None:
    error, attempt, text = tried(Wire(streamed([*TEXT, event({}, "stop")], **break_)))
    assert (None, "Hello", "ok", "estimated") == (error, text, attempt.status, attempt.usage)


@pytest.mark.parametrize("tail", [b"data: {oops\n\n", event({"content": "x"}).replace(b"x", b"\xff")])
def test_rubbish_after_the_finish_spoils_nothing(tail: bytes) -> None:
    error, _, text = tried(Wire(streamed([*TEXT, event({}, "stop"), tail])))
    assert (None, "Hello") == (error, text)


def test_a_stall_after_the_finish_ends_the_answer() -> None:
    error, attempt, text = tried(Wire(streamed([event({"content": "Hello"}, "stop"), DONE], first=0.5, gap=100.0)))
    assert (None, "Hello", 3.5) == (error, text, attempt.ended_at)


def test_a_clean_end_after_the_finish_is_an_end_also_without_done() -> None:
    error, _, text = tried(Wire(streamed([*TEXT, event({}, "stop")])))
    assert (None, "Hello") == (error, text)


def test_a_missing_usage_is_estimated_and_says_so() -> None:
    _, attempt, _ = tried(Wire(streamed(events("Hello", " world.", usage=None))))
    assert ("estimated", 9, 3) == (attempt.usage, attempt.prompt_tokens, attempt.completion_tokens)
    assert attempt.cost_usd == Decimal("0.0000525")


def test_an_unknown_model_has_no_price() -> None:
    parts = [part.replace(MODEL.encode(), b"nobody-knows-me") for part in events("a")]
    _, attempt, _ = tried(Wire(streamed(parts)), {**STREAM, "model": "nobody-knows-me"})
    assert (100, None, None) == (attempt.prompt_tokens, attempt.cost_usd, attempt.price_date)


def test_an_unknown_snapshot_costs_what_its_model_costs() -> None:
    parts = [part.replace(MODEL.encode(), b"nobody-knows-me") for part in events("a")]
    _, attempt, _ = tried(Wire(streamed(parts)))
    assert ("nobody-knows-me", Decimal("0.00045")) == (attempt.snapshot, attempt.cost_usd)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "200"}, 200.0),
        ({"retry_after_ms": "1500", "retry_after": "7"}, 1.5),
        ({"retry_after_ms": "soon", "retry_after": "7"}, 7.0),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"retry_after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.0),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:30", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-3"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": "nan"}, None),
    ],
)
def test_a_providers_wait_is_read_however_it_is_written(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds == tried(Wire(refusal(429, **headers)), BODY)[0].retry_after_seconds


@pytest.mark.parametrize("body", [STREAM, BODY])
@pytest.mark.parametrize(("answered", "named"), [("gpt-3.5-turbo-0125", "gpt-3.5-turbo-0125"), (MODEL, "")])
def test_an_answer_of_another_model_is_named(body: dict[str, Any], answered: str, named: str) -> None:
    parts = [event({"content": "Yes."}, model=answered), event({}, "stop", model=answered), DONE]
    reply = streamed(parts) if body is STREAM else whole(message(model=answered))
    assert named == tried(Wire(reply), body)[1].other_model


@pytest.mark.parametrize(("status", "should"), [(503, "false"), (429, "false"), (400, "true")])
def test_the_provider_may_say_by_itself_whether_to_try_again(status: int, should: str) -> None:
    assert (should == "true") is tried(Wire(refusal(status, x_should_retry=should)), BODY)[0].retryable
    assert (should == "false") is tried(Wire(refusal(status, x_should_retry="perhaps")), BODY)[0].retryable
    answer = ask(Wire(refusal(status, x_should_retry=should), good()), Wire(good()))
    first = {"true": ("main", "ok"), "false": ("second", "ok")}[should]
    assert [("main", "failed"), first] == [(attempt.route, attempt.status) for attempt in answer.attempts]


@pytest.mark.parametrize(
    ("told_", "kind", "reason", "retryable"),
    [
        ({"code": "insufficient_quota"}, "AttemptLimited", "insufficient_quota", False),
        ({"code": 429}, "AttemptLimited", "rate_limit", True),
        ({"type": "rate_limit_error"}, "AttemptLimited", "rate_limit", True),
        ({"type": "invalid_request_error", "code": "context_length_exceeded"}, "AttemptRefused", "context_length_exceeded", False),
        ({"status": 403}, "AttemptRefused", "error_reply", False),
        ({"code": 502}, "AttemptUnavailable", "error_reply", True),
        ({"type": ["odd"], "code": {"odd": 1}}, "AttemptUnavailable", "error_reply", True),
        (["odd"], "AttemptUnavailable", "error_reply", True),
    ],
)
def test_an_error_in_a_reply_is_read_as_a_status_would_be(told_: Any, kind: str, reason: str, retryable: bool) -> None:
    error, _, _ = tried(Wire(streamed([b"data: " + json.dumps({"error": told_}).encode() + b"\n\n"])))
    assert (kind, reason, retryable) == (type(error).__name__, error.reason, error.retryable)


# --- what is nobody's weather


def test_what_our_own_transports_say_is_raised_as_it_is() -> None:
    class Missing(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            raise CassetteMiss("nothing recorded")

    with pytest.raises(CassetteMiss, match="nothing recorded"):
        ask(Missing())  # type: ignore[arg-type]


def test_what_our_own_transports_say_is_found_below_the_clients_words() -> None:
    class Missing(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            raise httpx2.ReadError("dressed up") from CassetteMiss("nothing recorded")

    with pytest.raises(CassetteMiss, match="nothing recorded"):
        ask(Missing())  # type: ignore[arg-type]


def test_a_mistake_in_somebodys_code_stays_what_it_is() -> None:
    class Mistaken(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            raise KeyError("oops")

    with pytest.raises(KeyError, match="oops"):
        ask(Mistaken())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError("no"), "no_connection"),
        (ConnectionResetError("gone"), "connection_lost"),
        (EOFError("gone"), "connection_lost"),
        (httpx2.StreamClosed(), "unreadable"),
        (httpx2.DecodingError("bad gzip"), "unreadable"),
        (openai.OpenAIError("no credentials"), "not_sent"),
    ],
)
def test_a_transports_own_exceptions_have_names_too(error: Exception, reason: str) -> None:
    class Raises(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            raise error

    answer = ask(Raises(), retry=None)  # type: ignore[arg-type]
    assert [("primary", "main", "failed", reason)] == told(answer)


@pytest.mark.parametrize("stream", [True, False])
def test_half_a_surrogate_pair_is_misuse(stream: bool) -> None:
    with pytest.raises(BadInput, match="UTF-8"):
        ask(Wire(good()), prompt=llmlab.Prompt(system="\ud800"), stream=stream)


def test_a_closing_that_fails_takes_no_answer_away() -> None:
    class Closes(httpx2.AsyncByteStream):
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> bytes:
            if self.left:
                return self.left.pop(0)
            raise StopAsyncIteration

        def __init__(self) -> None:
            self.left = events("Hello")

        async def aclose(self) -> None:
            raise httpx2.CloseError("no")

    class Transport(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, headers=[SSE], stream=Closes())

    assert "Hello" == ask(Transport()).text  # type: ignore[arg-type]


# --- any bytes at all


ODD = st.sampled_from([None, 0, -1, 1.5, True, "", "text", [], [1], [None], {}, {"a": 1}, [{}], [[]], "stop", 10**30])
DELTA = st.dictionaries(st.sampled_from(["role", "content", "refusal", "tool_calls", "function_call", "audio"]), ODD, max_size=3)
CHOICE = st.dictionaries(st.sampled_from(["index", "delta", "message", "finish_reason"]), ODD | DELTA, max_size=4)
COUNTS = st.dictionaries(
    st.sampled_from(["prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details"]), ODD, max_size=4
)
CHUNK = st.dictionaries(
    st.sampled_from(["choices", "usage", "model", "error", "id"]), ODD | COUNTS | st.lists(CHOICE | ODD, max_size=2), max_size=4
)


def is_told(answer: Answer) -> bool:
    assert answer.status in STATUSES
    assert (answer.status == "ok") is not bool(answer.reason)
    assert str(answer.trace)
    assert len(answer.attempts) == len(answer.trace.frame) - len(answer.trace.stages)
    return True


@given(st.lists(st.binary(max_size=40), max_size=5), st.booleans(), st.sampled_from([SSE, JSON]))
def test_any_bytes_are_an_answer(parts: list[bytes], stream: bool, kind: tuple[bytes, bytes]) -> None:
    assert is_told(ask(Wire(streamed(parts, headers=[kind])), stream=stream, retry=None))


@given(st.integers(200, 599), st.binary(max_size=40), st.booleans())
def test_any_status_is_an_answer(status: int, body: bytes, stream: bool) -> None:
    assert is_told(ask(Wire(whole(body, status=status)), stream=stream, retry=None))


@given(st.lists(CHUNK, min_size=1, max_size=4))
def test_any_json_in_a_stream_is_an_answer(chunks: list[Any]) -> None:
    parts = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    assert is_told(ask(Wire(streamed([*parts, *events("a")])), retry=None))


@given(CHUNK)
def test_any_json_in_one_piece_is_an_answer(reply: Any) -> None:
    assert is_told(ask(Wire(whole(reply)), stream=False, retry=None))


@given(st.lists(st.integers(0, 2_000), max_size=12).map(sorted))
def test_a_stream_is_read_alike_however_it_is_cut(cuts: list[int]) -> None:
    data = b"".join(events("Grüße, ", "東京", " 👋", "."))
    edges = [0, *(cut for cut in cuts if cut < len(data)), len(data)]
    parts = [data[start:end] for start, end in pairwise(edges) if end > start]
    answer = ask(Wire(streamed(parts)))
    assert ("ok", "Grüße, 東京 👋.", USAGE["prompt_tokens"]) == (answer.status, answer.text, answer.usage.prompt_tokens)


@given(st.integers(0, 900))
def test_a_stream_that_ends_anywhere_is_whole_or_named(end: int) -> None:
    data = b"".join(events("Hello", " world."))[:end]
    answer = ask(Wire(streamed([data] if data else [])), retry=None)
    assert is_told(answer)
    assert ("ok", "Hello world.") == (answer.status, answer.text) if b'"stop"}]}\n\n' in data else answer.status == "failed"


@given(st.lists(st.sampled_from(["stop", "length", "content_filter", "error", "tool_calls", "odd"]), min_size=1, max_size=1))
def test_any_finish_is_an_answer(finish: list[str]) -> None:
    assert is_told(ask(Wire(streamed([*TEXT, event({}, finish[0]), DONE])), retry=None))


def test_the_errors_of_an_attempt_are_typed() -> None:
    kinds = {
        name: type(tried(Wire(reply), body)[0]) for name, (reply, body, _) in BROKEN.items() if name in ("half of the last event", "401")
    }
    assert {"half of the last event": AttemptBroken, "401": AttemptRefused} == kinds
