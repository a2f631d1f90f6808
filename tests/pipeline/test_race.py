from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import MODEL, Wire, ask, broken, event, events, good, pipeline, refusal, silence, streamed, told, whole

import llmlab
from llmlab.errors import AttemptRefused, AttemptTimeout, BadInput, CassetteMiss
from llmlab.pipeline.answer import Delta, Finished
from llmlab.pipeline.clocks import Clocks
from llmlab.pipeline.route import Route
from llmlab.pipeline.routing import Hedge, Request, Retry, Router
from llmlab.pipeline.trace import Trace
from llmlab.protocol import identity

HALF = [event({"role": "assistant"}), event({"content": "Half an"})]
"""A stream that breaks off after its first text, which comes at 0.75 s; it ends at 1 s."""


def delivered(*wires: Wire, **stages: Any) -> tuple[list[Delta], llmlab.Answer]:
    """What a stream of a pipeline delivers, and its answer."""

    async def go() -> tuple[list[Delta], llmlab.Answer]:
        shown = []
        async for one in pipeline(*wires, **stages).stream("May I return it?"):
            if isinstance(one, Finished):
                return shown, one.answer
            shown.append(one)
        raise AssertionError

    return llmlab.simulate(go())


# --- retry


def test_a_retry_waits_for_its_back_off_and_not_longer() -> None:
    wire = Wire(refusal(500, at=0.25), refusal(500, at=0.25), good())
    answer = ask(wire, retry=Retry(attempts=3, base_seconds=1.0))
    key = ("at 0.000000", "main")
    first = 0.25 + Retry(base_seconds=1.0).wait_seconds(1, AttemptRefused("x", "", retryable=True), *key)
    second = first + 0.25 + Retry(base_seconds=1.0).wait_seconds(2, AttemptRefused("x", "", retryable=True), *key)
    assert [0.0, pytest.approx(first), pytest.approx(second)] == wire.sent
    assert 0.75 <= first <= 1.25
    assert 1.0 <= second - first - 0.25 <= 2.0
    assert "ok" == answer.status
    assert [("primary", "failed"), ("retry", "failed"), ("retry", "ok")] == [(role, status) for role, _, status, _ in told(answer)]


def test_the_jitter_belongs_to_the_request_and_not_to_the_moment() -> None:
    async def one(name: str, wire: Wire) -> None:
        with identity.request(name):
            await pipeline(wire).ask("May I return it?")

    async def together(names: list[str], wires: list[Wire]) -> None:
        await asyncio.gather(*(one(name, wire) for name, wire in zip(names, wires, strict=True)))

    def waits(names: list[str]) -> dict[str, float]:
        wires = [Wire(refusal(500), good()) for _ in names]
        llmlab.simulate(together(names, wires))
        return {name: wire.sent[1] for name, wire in zip(names, wires, strict=True)}

    all_, alone = waits(["a", "b", "c"]), waits(["b"])
    assert alone["b"] == all_["b"]
    assert 3 == len(set(all_.values()))


def test_requests_without_an_identity_do_not_retry_in_step() -> None:
    wires = [Wire(refusal(500), good()) for _ in range(3)]

    async def go() -> None:
        for wire in wires:
            await pipeline(wire).ask("May I return it?")

    llmlab.simulate(go())
    assert 3 == len({round(wire.sent[1] - wire.sent[0], 6) for wire in wires})


def test_retries_end() -> None:
    wire = Wire(refusal(500))
    answer = ask(wire, retry=Retry(attempts=4))
    assert ("failed", 4) == (answer.status, len(wire.requests))
    assert answer.reason.startswith("http_500: ")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_no_repetition_mends_is_not_repeated(status: int) -> None:
    wire = Wire(refusal(status), good())
    assert "failed" == ask(wire).status
    assert 1 == len(wire.requests)


def test_no_quota_is_not_repeated() -> None:
    wire = Wire(refusal(429, {"message": "no", "code": "insufficient_quota"}), good())
    assert "failed" == ask(wire).status
    assert 1 == len(wire.requests)


@pytest.mark.parametrize("header", [{"retry_after": "7"}, {"retry_after_ms": "7000", "retry_after": "100"}])
def test_what_the_provider_asks_for_is_waited(header: dict[str, str]) -> None:
    wire = Wire(refusal(429, at=0.25, **header), good())
    assert "ok" == ask(wire).status
    assert [0.0, 7.25] == wire.sent


def test_a_wait_that_does_not_fit_the_deadline_is_not_begun() -> None:
    wire = Wire(refusal(429, at=0.25, retry_after="200"), good())
    answer = ask(wire, deadline_seconds=30.0)
    assert ("failed", 0.25, 1) == (answer.status, answer.timings.total, len(wire.requests))


def test_a_wait_is_begun_when_it_leaves_the_shortest_attempt() -> None:
    reply = refusal(429, at=0.25, retry_after="2")
    assert 2 == len(ask(Wire(reply, whole(at=0.125)), stream=False, deadline_seconds=2.453125).attempts)
    assert 1 == len(ask(Wire(reply, whole(at=0.125)), stream=False, deadline_seconds=2.4375).attempts)


def test_without_a_deadline_a_long_wait_is_not_begun_either() -> None:
    wire = Wire(refusal(429, retry_after="86400"), good())
    assert "failed" == ask(wire, deadline_seconds=None).status
    assert 1 == len(wire.requests)


def test_a_timeout_is_tried_again() -> None:
    answer = ask(Wire(silence(), good()), route={"clocks": llmlab.Clocks(first_content_seconds=2.0)})
    assert [("primary", "main", "failed", "timeout_first_content"), ("retry", "main", "ok", "")] == told(answer)


@pytest.mark.parametrize("seconds", [0.1, 5.0, 29.9])
def test_an_answer_comes_before_the_deadline_whatever_the_weather(seconds: float) -> None:
    for script in ([silence()], [refusal(500)], [good(gap=100.0)], [streamed(HALF, breaks="ReadError")]):
        for hedge in (None, Hedge(after_seconds=0.05)):
            answer = ask(Wire(*script), deadline_seconds=seconds, hedge=hedge, retry=Retry(attempts=100))
            assert "failed" == answer.status
            assert answer.timings.total <= seconds


def test_nothing_starts_after_the_deadline() -> None:
    wire = Wire(good())
    router, request = request_to(wire, hedge=Hedge(after_seconds=0.0))
    request.deadline = 0.0

    async def go() -> None:
        async for _ in router.run(request, deliver=True):
            raise AssertionError

    with pytest.raises(AttemptTimeout, match="timeout_deadline: the deadline left no time for an attempt"):
        llmlab.simulate(go())
    assert ([], []) == (wire.requests, request.trace.attempts)


# --- fallback


def test_the_next_route_follows_when_retries_are_used_up() -> None:
    main, second = Wire(refusal(500)), Wire(good())
    answer = ask(main, second)
    assert ("ok", "Hello world.") == (answer.status, answer.text)
    assert [
        ("primary", "main", "failed", "http_500"),
        ("retry", "main", "failed", "http_500"),
        ("fallback", "second", "ok", ""),
    ] == told(answer)
    assert answer.attempts[1].ended_at == answer.attempts[2].sent_at


def test_the_next_route_follows_at_once_where_no_repetition_helps() -> None:
    assert [("primary", "main"), ("fallback", "second")] == [one[:2] for one in told(ask(Wire(refusal(401)), Wire(good())))]


def test_each_route_has_its_own_retries() -> None:
    answer = ask(Wire(refusal(500)), Wire(refusal(503)), Wire(broken("ConnectError")))
    assert [
        ("primary", "main", "failed", "http_500"),
        ("retry", "main", "failed", "http_500"),
        ("fallback", "second", "failed", "http_503"),
        ("fallback", "second", "failed", "http_503"),
        ("fallback", "third", "failed", "no_connection"),
        ("fallback", "third", "failed", "no_connection"),
    ] == told(answer)
    assert answer.reason.startswith("no_connection: ")


def test_two_routes_may_share_a_client() -> None:
    wire = Wire(refusal(401), good())
    shared = llmlab.client(wire)
    routes = [Route("main", model="main", client=shared), Route("fast", model="fast", client=shared)]
    answer = llmlab.simulate(llmlab.Pipeline(routes=routes).ask("May I return it?"))
    assert ["gpt-4o", "gpt-4o-mini"] == [body["model"] for body in wire.bodies]
    assert "Hello world." == answer.text


def test_another_model_is_a_degraded_answer_and_the_same_one_elsewhere_is_not() -> None:
    main = Route("main", model="main", client=llmlab.client(Wire(refusal(401))))
    for model, status in (("fast", "degraded"), ("gpt-4o", "ok")):
        spare = Route("spare", model=model, client=llmlab.client(Wire(good())))
        answer = llmlab.simulate(llmlab.Pipeline(routes=[main, spare]).ask("May I return it?"))
        assert status == answer.status
        assert ("fallback: gpt-4o-mini answered, by route 'spare', not 'main'" if status == "degraded" else "") == answer.reason


def test_a_long_wait_gives_way_to_the_next_route() -> None:
    answer = ask(Wire(refusal(429, at=0.25, retry_after="10")), Wire(good()))
    assert [("primary", "main"), ("fallback", "second")] == [one[:2] for one in told(answer)]
    assert 2.0 == answer.timings.total


def test_no_fallback_starts_that_cannot_finish() -> None:
    second = Wire(good())
    answer = ask(Wire(refusal(500, at=0.9)), second, deadline_seconds=1.0)
    assert ("failed", []) == (answer.status, second.requests)


# --- hedge


def test_a_hedge_is_sent_after_silence_and_its_content_wins() -> None:
    main, second = Wire(silence()), Wire(good())
    answer = ask(main, second, hedge=Hedge(after_seconds=1.0, route="second"))
    assert ([0.0], [1.0]) == (main.sent, second.sent)
    assert [("primary", "main", "cancelled", "lost the race"), ("hedge", "second", "ok", "")] == told(answer)
    assert (1.75, 2.75) == (answer.timings.first_content, answer.timings.total)
    loser = answer.attempts[0]
    assert (1.75, "estimated", 0, None) == (loser.ended_at, loser.usage, loser.completion_tokens, loser.snapshot)
    assert loser.prompt_tokens is not None
    assert loser.prompt_tokens + 100 == answer.usage.prompt_tokens
    assert loser.cost_usd is not None
    assert loser.cost_usd + Decimal("0.00045") == answer.cost_usd
    assert 0 == main.under_way == second.under_way


def test_content_in_time_needs_no_hedge() -> None:
    wire = Wire(good())
    answer = ask(wire, hedge=Hedge(after_seconds=1.0))
    assert (1, "ok") == (len(wire.requests), answer.status)


def test_a_hedge_that_is_slower_loses() -> None:
    answer = ask(Wire(good(first=2.0), silence()), hedge=Hedge(after_seconds=1.0))
    assert [("primary", "main", "ok", ""), ("hedge", "main", "cancelled", "lost the race")] == told(answer)
    assert [0, 1] == [attempt.ordinal for attempt in answer.attempts]
    assert 0 == answer.trace.committed


def test_the_loser_may_have_shown_a_keep_alive_and_no_content() -> None:
    alive = streamed([event({"role": "assistant"})] * 100, first=0.1, gap=0.1)
    answer = ask(Wire(alive, good()), hedge=Hedge(after_seconds=1.0))
    assert ["cancelled", "ok"] == [attempt.status for attempt in answer.attempts]


def test_reasoning_is_content_for_the_race() -> None:
    thinks = streamed([event({"reasoning_content": "Hm."}), event({"content": "Yes."}), event({}, "stop")], first=0.5, gap=2.0)
    wire = Wire(thinks)
    answer = ask(wire, hedge=Hedge(after_seconds=1.0))
    assert (1, 0.5, 4.5) == (len(wire.requests), answer.timings.first_content, answer.timings.total)


@pytest.mark.parametrize("stream", [True, False])
def test_a_tie_is_settled_by_the_order_of_sending(stream: bool) -> None:
    early, late = (good(first=1.75), good(first=0.75)) if stream else (whole(at=2.0), whole(at=1.0))
    answer = ask(Wire(early, late), stream=stream, hedge=Hedge(after_seconds=1.0))
    assert [("primary", "ok"), ("hedge", "cancelled")] == [(role, status) for role, _, status, _ in told(answer)]
    assert answer.attempts[0].first_content_at == answer.attempts[1].ended_at


def test_a_hedge_that_fails_does_no_harm() -> None:
    answer = ask(Wire(good(first=5.0)), Wire(refusal(401)), hedge=Hedge(after_seconds=1.0, route="second"))
    assert [("primary", "main", "ok", ""), ("hedge", "second", "failed", "http_401")] == told(answer)
    assert "ok" == answer.status


def test_a_primary_that_fails_beside_its_hedge_goes_on() -> None:
    answer = ask(Wire(refusal(500, at=1.25), good(first=5.0), good()), hedge=Hedge(after_seconds=1.0))
    assert ["failed", "cancelled", "ok"] == [attempt.status for attempt in answer.attempts]
    assert ["primary", "hedge", "retry"] == [attempt.role for attempt in answer.attempts]


def test_a_primary_that_fails_for_good_leaves_its_hedge_alone() -> None:
    answer = ask(Wire(refusal(401, at=1.25), good()), hedge=Hedge(after_seconds=1.0))
    assert [("primary", "main", "failed", "http_401"), ("hedge", "main", "ok", "")] == told(answer)


def test_when_both_have_failed_the_answer_has_failed() -> None:
    answer = ask(Wire(refusal(401, at=1.25), refusal(500, at=1.0)), hedge=Hedge(after_seconds=1.0), retry=Retry(attempts=5))
    assert [("primary", "main", "failed", "http_401"), ("hedge", "main", "failed", "http_500")] == told(answer)
    assert "failed" == answer.status


def test_a_hedge_is_for_slowness_and_not_for_failures() -> None:
    wire = Wire(refusal(500), refusal(500), good())
    answer = ask(wire, hedge=Hedge(after_seconds=5.0))
    assert ("failed", 2) == (answer.status, len(wire.requests))
    assert answer.timings.total < 1.0


def test_a_hedge_may_come_while_a_retry_waits() -> None:
    answer = ask(Wire(refusal(429, retry_after="3"), good()), hedge=Hedge(after_seconds=1.0))
    assert [("primary", "main", "failed", "rate_limit"), ("hedge", "main", "ok", "")] == told(answer)


def test_a_hedge_without_a_route_goes_where_the_silence_is() -> None:
    main, second = Wire(refusal(401)), Wire(silence(), good())
    answer = ask(main, second, hedge=Hedge(after_seconds=1.0))
    assert (1, 2) == (len(main.requests), len(second.requests))
    assert "ok" == answer.status


def test_no_hedge_starts_that_cannot_finish() -> None:
    wire = Wire(silence())
    answer = ask(wire, hedge=Hedge(after_seconds=0.9), deadline_seconds=1.0)
    assert [("primary", "main", "failed", "timeout_deadline")] == told(answer)


def test_a_hedge_that_wins_and_breaks_leaves_the_retries() -> None:
    wire = Wire(silence(), streamed(HALF, breaks="ReadError"), good())
    answer = ask(wire, hedge=Hedge(after_seconds=1.0), retry=Retry(attempts=2))
    assert [
        ("primary", "main", "cancelled", "lost the race"),
        ("hedge", "main", "failed", "connection_lost"),
        ("retry", "main", "ok", ""),
    ] == told(answer)


def test_after_a_break_no_hedge_is_left_over() -> None:
    answer = ask(Wire(streamed(HALF, breaks="ReadError"), good()), hedge=Hedge(after_seconds=0.875))
    assert ["primary", "retry"] == [attempt.role for attempt in answer.attempts]


def test_an_unstreamed_hedge_works_too() -> None:
    answer = ask(Wire(whole(at=100.0), whole()), stream=False, hedge=Hedge(after_seconds=1.0))
    assert (["cancelled", "ok"], 2.0) == ([attempt.status for attempt in answer.attempts], answer.timings.total)


# --- what breaks in its middle


def test_ask_mends_a_break_in_mid_stream_unseen() -> None:
    wire = Wire(streamed(HALF, breaks="ReadError"), good())
    answer = ask(wire)
    assert ("ok", "Hello world.", "") == (answer.status, answer.text, answer.reason)
    assert [("primary", "main", "failed", "connection_lost"), ("retry", "main", "ok", "")] == told(answer)
    assert 1 == answer.trace.committed
    assert answer.attempts[1].first_content_at == answer.timings.first_content


def test_a_stream_never_splices_two_models() -> None:
    wire = Wire(streamed(HALF, breaks="ReadError"), good())
    shown, answer = delivered(wire)
    assert [Delta("Half an", 0.75)] == shown
    assert ("failed", "Half an", 1) == (answer.status, answer.text, len(wire.requests))
    assert answer.reason.startswith("partial: the answer broke off (connection_lost: ")
    assert (0.75, 0.75, 1.0) == answer.timings
    assert 0 == answer.trace.committed


@pytest.mark.parametrize(
    "reply",
    [
        refusal(500),
        broken("ConnectError"),
        streamed(HALF[:1], breaks="ReadError"),
        streamed([event({"reasoning_content": "Hm."})], breaks="ReadError"),
        streamed([]),
        whole(b"<html>", headers=[(b"content-type", b"text/html")]),
    ],
)
def test_before_the_first_piece_any_failure_is_mended_unseen_also_in_a_stream(reply: Any) -> None:
    shown, answer = delivered(Wire(reply, good()))
    assert (["Hello", " world."], "ok") == ([one.text for one in shown], answer.status)
    assert ["failed", "ok"] == [attempt.status for attempt in answer.attempts]


def test_a_break_that_nothing_mends_is_a_failed_answer() -> None:
    answer = ask(Wire(streamed(HALF, breaks="ReadError")), retry=Retry(attempts=3))
    assert ("failed", "", 3) == (answer.status, answer.text, len(answer.attempts))


def test_a_truncated_stream_falls_back_in_ask() -> None:
    assert ["main", "main", "second"] == [one[1] for one in told(ask(Wire(streamed(HALF)), Wire(good())))]


# --- the hook


def test_the_hook_sees_each_attempt_before_it_is_made() -> None:
    seen: list[tuple[str, str, int]] = []
    ask(
        Wire(refusal(401)),
        Wire(silence(), good()),
        hedge=Hedge(after_seconds=1.0),
        before_attempt=lambda route, role, number: seen.append((route.name, role, number)),
    )
    assert [("main", "primary", 0), ("second", "fallback", 1), ("second", "hedge", 2)] == seen


def veto(*roles: str) -> Callable[[Route, str, int], None]:
    def before(route: Route, role: str, number: int) -> None:
        if role in roles:
            raise AttemptRefused("budget", f"no budget for a {role}", retryable=False)

    return before


def test_a_veto_against_the_first_attempt_is_a_failed_answer_without_attempts() -> None:
    wire = Wire(good())
    answer = ask(wire, before_attempt=veto("primary"))
    assert ("failed", "budget: no budget for a primary", (), []) == (answer.status, answer.reason, answer.attempts, wire.requests)
    assert Decimal(0) == answer.cost_usd


def test_a_veto_against_a_retry_leaves_the_failure_it_was_for() -> None:
    answer = ask(Wire(refusal(500)), before_attempt=veto("retry"))
    assert (1, "http_500") == (len(answer.attempts), answer.reason.partition(":")[0])


def test_a_veto_against_a_retry_leaves_the_fallback() -> None:
    answer = ask(Wire(refusal(500)), Wire(good()), before_attempt=veto("retry"))
    assert [("primary", "main"), ("fallback", "second")] == [one[:2] for one in told(answer)]


def test_a_veto_against_a_hedge_leaves_the_primary() -> None:
    answer = ask(Wire(good(first=5.0)), hedge=Hedge(after_seconds=1.0), before_attempt=veto("hedge"))
    assert [("primary", "main", "ok", "")] == told(answer)


def test_anything_else_that_the_hook_raises_reaches_the_caller() -> None:
    def before(route: Route, role: str, number: int) -> None:
        if number:
            raise KeyError("oops")

    wire = Wire(silence())
    with pytest.raises(KeyError, match="oops"):
        ask(wire, hedge=Hedge(after_seconds=1.0), before_attempt=before)
    assert 0 == wire.under_way


# --- cancelling and abandoning


def request_to(*wires: Wire, **options: Any) -> tuple[Router, Request]:
    routes = [Route(f"r{number}", model="main", client=llmlab.client(wire)) for number, wire in enumerate(wires)]
    return Router(routes, **options), Request([{"role": "user", "content": "Hello?"}], "v", Trace())


def nothing_left(wires: list[Wire]) -> bool:
    assert [0] * len(wires) == [wire.under_way for wire in wires]
    assert [asyncio.current_task()] == list(asyncio.all_tasks())
    return True


@pytest.mark.parametrize("at", [0.5, 1.5, 3.0, 5.25])
@pytest.mark.parametrize("deliver", [True, False])
def test_a_cancelled_request_ends_all_its_attempts_and_records_them(at: float, deliver: bool) -> None:
    wires = [Wire(silence()), Wire(good(first=4.0, gap=1.0))]
    router, request = request_to(*wires, hedge=Hedge(after_seconds=1.0, route="r1"))

    async def read() -> None:
        async with aclosing(router.run(request, deliver=deliver)) as pieces:
            async for _ in pieces:
                pass

    async def go() -> None:
        task = asyncio.create_task(read())
        await asyncio.sleep(at)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert at == asyncio.get_running_loop().time()
        assert nothing_left(wires)

    llmlab.simulate(go())
    assert ["cancelled"] * (1 if at < 1 else 2) == [attempt.status for attempt in request.trace.attempts]
    assert {at} == {attempt.ended_at for attempt in request.trace.attempts if attempt.reason == "abandoned"}
    assert all(attempt.usage == "estimated" for attempt in request.trace.attempts)


def test_a_cancelled_ask_raises_and_leaves_nothing_behind() -> None:
    wires = [Wire(silence()), Wire(silence())]

    async def go() -> None:
        task = asyncio.create_task(pipeline(*wires, hedge=Hedge(after_seconds=1.0, route="second")).ask("May I return it?"))
        await asyncio.sleep(2.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert nothing_left(wires)

    llmlab.simulate(go())


def test_a_timeout_around_ask_is_a_timeout() -> None:
    wire = Wire(silence())

    async def go() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await pipeline(wire).ask("May I return it?")
        assert nothing_left([wire])

    llmlab.simulate(go())


def test_a_stream_that_is_closed_early_closes_its_attempt() -> None:
    wire = Wire(good())
    router, request = request_to(wire)

    async def go() -> None:
        async with aclosing(router.run(request, deliver=True)) as pieces:
            async for _ in pieces:
                break
        assert nothing_left([wire])

    llmlab.simulate(go())
    (attempt,) = request.trace.attempts
    assert ("cancelled", "abandoned", 0.75, 1) == (attempt.status, attempt.reason, attempt.ended_at, attempt.completion_tokens)


def test_a_stream_that_is_just_left_closes_its_attempt_too() -> None:
    wire = Wire(good())

    async def look() -> None:
        async for one in pipeline(wire).stream("May I return it?"):
            assert isinstance(one, Delta)
            return

    async def go() -> None:
        await look()
        gc.collect()
        await asyncio.sleep(0.1)
        assert nothing_left([wire])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        llmlab.simulate(go())


def test_a_second_cancellation_changes_nothing() -> None:
    class Slow(httpx2.AsyncBaseTransport):
        """Takes a second to be cancelled."""

        under_way = 0

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            self.under_way += 1
            try:
                await asyncio.sleep(1_000.0)
            finally:
                await asyncio.sleep(1.0)
                self.under_way -= 1
            raise AssertionError

    wire = Slow()
    router, request = request_to(wire)  # type: ignore[arg-type]

    async def go() -> None:
        async def read() -> None:
            async with aclosing(router.run(request, deliver=True)) as pieces:
                async for _ in pieces:
                    pass

        task = asyncio.create_task(read())
        await asyncio.sleep(5.0)
        task.cancel()
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(5.0)
        assert 0 == wire.under_way

    llmlab.simulate(go())
    assert [("cancelled", 5.0)] == [(attempt.status, attempt.ended_at) for attempt in request.trace.attempts]


def test_a_loser_that_does_not_go_quietly_is_not_complained_about() -> None:
    class Grumbles(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            try:
                await asyncio.sleep(1_000.0)
            except asyncio.CancelledError:
                raise httpx2.ReadError("not like this") from None
            raise AssertionError

    complaints: list[Any] = []
    router, request = request_to(Grumbles(), Wire(good()), hedge=Hedge(after_seconds=1.0, route="r1"))  # type: ignore[arg-type]

    async def go() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async for _ in router.run(request, deliver=True):
            pass
        gc.collect()

    llmlab.simulate(go())
    gc.collect()
    assert [] == complaints
    assert [("cancelled", "lost the race"), ("ok", "")] == [(one.status, one.reason) for one in request.trace.attempts]


def test_what_is_nobodys_weather_ends_the_race_and_is_raised() -> None:
    class Missing(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            await asyncio.sleep(2.0)
            raise CassetteMiss("nothing recorded")

    other = Wire(silence())
    router, request = request_to(Missing(), other, hedge=Hedge(after_seconds=1.0, route="r1"))  # type: ignore[arg-type]

    async def read() -> None:
        async with aclosing(router.run(request, deliver=True)) as pieces:
            async for _ in pieces:
                pass

    async def go() -> None:
        with pytest.raises(CassetteMiss):
            await read()
        assert nothing_left([other])

    llmlab.simulate(go())
    assert [("failed", "CassetteMiss"), ("cancelled", "abandoned")] == [(one.status, one.reason) for one in request.trace.attempts]


def test_losers_of_the_same_moment_keep_their_own_failure() -> None:
    answer = ask(Wire(good(first=1.75), refusal(401, at=1.0)), hedge=Hedge(after_seconds=1.0))
    assert [("primary", "main", "ok", ""), ("hedge", "main", "failed", "http_401")] == told(answer)


# --- any weather


REPLIES = st.sampled_from(
    [
        good(),
        good(first=3.0),
        silence(),
        refusal(500),
        refusal(429, retry_after="2"),
        refusal(401, at=1.0),
        broken("ConnectError"),
        broken("ReadError", at=1.0),
        streamed(HALF, breaks="ReadError"),
        streamed(HALF),
        streamed([]),
        streamed(events("Hello", " world.")[:3], gap=20.0),
    ]
)


@given(
    st.lists(REPLIES, min_size=1, max_size=5),
    st.lists(REPLIES, min_size=1, max_size=5),
    st.integers(1, 3),
    st.sampled_from([None, Hedge(after_seconds=0.0), Hedge(after_seconds=1.0), Hedge(after_seconds=1.0, route="second")]),
    st.sampled_from([0.5, 3.0, 30.0, None]),
    st.booleans(),
)
def test_in_any_weather_the_ledger_is_whole(
    main: list[Any], second: list[Any], attempts: int, hedge: Hedge | None, deadline: float | None, deliver: bool
) -> None:
    if hedge is not None and deadline is not None and hedge.after_seconds >= deadline:
        hedge = None
    wires = [Wire(*main), Wire(*second)]
    stages = {"hedge": hedge, "deadline_seconds": deadline, "retry": Retry(attempts=attempts)}
    shown, answer = delivered(*wires, **stages) if deliver else ([], ask(*wires, **stages))
    assert answer.status in ("ok", "failed")
    assert 0 == sum(wire.under_way for wire in wires)
    assert sum(len(wire.requests) for wire in wires) == len(answer.attempts) <= 2 * attempts + (hedge is not None)
    assert list(range(len(answer.attempts))) == [attempt.ordinal for attempt in answer.attempts]
    assert (answer.status == "ok") == ("ok" in [attempt.status for attempt in answer.attempts])
    assert answer.text in {"", "Hello world.", "Hello", "Half an"}
    assert (answer.status == "ok") == (answer.text == "Hello world.")
    if deliver:
        assert answer.text == "".join(one.text for one in shown)
    if deadline is not None:
        assert answer.timings.total <= deadline
    assert answer.usage.prompt_tokens == sum(attempt.prompt_tokens or 0 for attempt in answer.attempts)
    assert {MODEL, None} >= {attempt.snapshot for attempt in answer.attempts}


def test_the_same_request_goes_the_same_way_twice() -> None:
    def once() -> str:
        return repr(ask(Wire(refusal(500), silence(), good()), Wire(good()), hedge=Hedge(after_seconds=1.0)))

    assert once() == once()


# --- what was learned


def after(seconds: list[float], question: str = "May I return it?", **stages: Any) -> tuple[llmlab.Answer, llmlab.Pipeline]:
    """The answer of a pipeline that has seen these times to first content, to a first attempt that is silent and a second that is not."""
    asked = pipeline(Wire(silence(), good(first=0.25)), **stages)
    assert asked.state is not None
    for one in seconds:
        asked.state.observed("main").add(one)
    return llmlab.simulate(asked.ask(question)), asked


@pytest.mark.parametrize(("seen", "expected"), [([0.5] * 18 + [3.0] * 2, 3.0), ([0.5] * 19 + [3.0], 0.5), ([0.5] * 10, 2.0)])
def test_a_hedge_waits_for_the_observed_quantile_once_enough_was_seen(seen: list[float], expected: float) -> None:
    answer, _ = after(seen, hedge=Hedge(after_seconds=2.0, at_quantile=0.95))
    assert expected == answer.attempts[1].sent_at


def test_hedges_are_capped_and_the_trace_says_so() -> None:
    asked = pipeline(Wire(streamed(events("Hello"), first=2.0)), hedge=Hedge(after_seconds=1.0, max_extra=0.1))

    async def go() -> list[llmlab.Answer]:
        return [await asked.ask("Why?") for _ in range(40)]

    answers = llmlab.simulate(go())
    hedged = [len(answer.attempts) - 1 for answer in answers]
    assert [1] * 10 == hedged[:10]
    assert 10 + 4 >= sum(hedged) >= 10 + 3
    note = next(stage.note for stage in answers[11].trace.stages if stage.name == "routing")
    assert "1 attempt, no hedge: 10% of requests have had one" == note


def test_an_attempt_that_could_not_finish_is_not_started() -> None:
    answer, _ = after([0.75] * 20, hedge=Hedge(after_seconds=1.0), deadline_seconds=1.5)
    assert ["primary"] == [attempt.role for attempt in answer.attempts]
    note = next(stage.note for stage in answer.trace.stages if stage.name == "routing")
    assert "no hedge: it could not finish" in note
    assert 2 == len(after([0.25] * 20, hedge=Hedge(after_seconds=1.0), deadline_seconds=1.5)[0].attempts)
    first, _ = after([0.75] * 20, deadline_seconds=0.5)
    assert ("failed", 0) == (first.status, len(first.attempts))


def test_who_was_too_slow_is_not_waited_for_again_where_another_could_answer() -> None:
    clocks = {"clocks": Clocks(first_content_seconds=1.0)}
    answer = ask(Wire(silence()), Wire(good()), route=clocks, retry=Retry(attempts=3))
    assert [("primary", "main", "failed", "timeout_first_content"), ("fallback", "second", "ok", "")] == told(answer)


def test_a_fallback_by_name_leaves_out_what_stands_between() -> None:
    wires = Wire(refusal(401)), Wire(good("second")), Wire(good("third"))
    asked = pipeline(*wires)
    main, second, third = asked.routes
    answer = llmlab.simulate(asked.replace(routes=[replace(main, fallback="third"), second, third]).ask("Why?"))
    assert "third" == answer.text
    assert ["main", "third"] == [attempt.route for attempt in answer.attempts]


def test_retries_have_a_budget_and_the_trace_says_so() -> None:
    wire = Wire(refusal(500))
    asked = pipeline(wire, retry=Retry(attempts=2, max_extra=0.1))

    async def go() -> list[llmlab.Answer]:
        return [await asked.ask("Why?") for _ in range(40)]

    answers = llmlab.simulate(go())
    retried = [len(answer.attempts) - 1 for answer in answers]
    assert [1] * 10 == retried[:10]
    assert 10 + 3 <= sum(retried) <= 10 + 4
    note = next(stage.note for stage in answers[11].trace.stages if stage.name == "routing")
    assert "1 attempt, no retry: 10% of requests have had one" == note


def test_without_a_budget_everything_is_tried_again() -> None:
    asked = pipeline(Wire(refusal(500)), retry=Retry(attempts=2, max_extra=None))

    async def go() -> list[int]:
        return [len((await asked.ask("Why?")).attempts) for _ in range(40)]

    assert [2] * 40 == llmlab.simulate(go())


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="for no retry, give attempts=1"):
        Retry(max_extra=0)


def test_with_nothing_left_the_user_reads_the_last_resort() -> None:
    shown, answer = delivered(Wire(refusal(500)), retry=None, last_resort="Please call us.")
    assert ["Please call us."] == [delta.text for delta in shown]
    assert ("degraded", "Please call us.") == (answer.status, answer.text)
    assert answer.reason.startswith("last resort: a message, for there is no answer (http_500")
