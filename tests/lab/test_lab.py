from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmlab
from llmlab.data.help_desk import cases
from llmlab.errors import BadCases, BadInput, UnknownName
from llmlab.lab.load import Closed, Open

SPIKES = llmlab.faults.LatencySpike(probability=0.3, seconds=4.0)


def simulated(seed: int = 7, *faults: llmlab.faults.Fault) -> llmlab.Lab:
    return llmlab.Lab(seed=seed, faults=faults or (SPIKES,), source="simulator")


@pytest.mark.parametrize("app", [llmlab.naive, llmlab.careful, llmlab.stack])
def test_the_meter_on_the_wire_equals_the_apps_own_ledger(app: object) -> None:
    runs = simulated().run(app, requests=25)
    attempts = runs.attempts
    assert 25 == len(runs.frame)
    assert runs.frame["attempts"].sum() == len(attempts)
    assert ["simulator"] == sorted(set(attempts["source"].dropna()))
    assert runs.frame["usd"].sum() == pytest.approx(float(sum(cost for cost in attempts["cost_usd"] if cost is not None)))


def test_the_pipelines_ledger_equals_the_meter_attempt_for_attempt() -> None:
    answers = {}

    async def app(client: openai.AsyncOpenAI, question: str) -> str:
        answers[question] = await llmlab.stack.replace(client=client).ask(question)
        return answers[question].text

    runs = simulated(7, llmlab.faults.LatencySpike(probability=0.5, seconds=4.0)).run(app, requests=30)
    questions = {case.id: case.question for case in cases()}
    fields = [
        "ordinal",
        "status",
        "model",
        "snapshot",
        "prompt_tokens",
        "completion_tokens",
        "cached_tokens",
        "reasoning_tokens",
        "cost_usd",
    ]
    hedged = 0
    for row in runs.rows:
        mine = answers[questions[row.case]].attempts
        wire = [attempt for _, attempt in runs._attempts if attempt.request == f"{row.case}/{row.repetition}"]
        # Whose time ran out has failed for the pipeline; the wire sees that we ended it.
        ours = [replace(one, status="cancelled") if one.reason == "timeout_first_content" else one for one in mine]
        assert [tuple(getattr(one, name) for name in fields) for one in wire] == [
            tuple(getattr(one, name) for name in fields) for one in ours
        ]
        assert [one.seconds for one in wire] == pytest.approx([one.seconds for one in mine])
        hedged += len(mine) > 1
    assert hedged > 5


def test_two_runs_of_one_seed_give_the_same_rows() -> None:
    first, second = (simulated().run(llmlab.stack, requests=30) for _ in range(2))
    assert first.rows == second.rows
    assert first.frame.to_csv() == second.frame.to_csv()
    assert first.attempts.to_csv() == second.attempts.to_csv()


@settings(max_examples=5)
@given(st.integers(1, 40), st.integers(0, 3))
def test_a_request_meets_the_same_weather_at_any_concurrency(concurrency: int, seed: int) -> None:
    def fates(at_once: int) -> list[tuple[object, ...]]:
        rows = simulated(seed).run(llmlab.naive, requests=30, load=Closed(concurrency=at_once)).rows
        return [(row.case, row.repetition, row.status, row.wait_seconds, row.attempts, row.text) for row in rows]

    assert fates(1) == fates(concurrency)


def test_weather_is_the_same_for_two_apps_at_their_first_attempt() -> None:
    naive, patient = (simulated(5).run(app, requests=40) for app in (llmlab.naive, llmlab.careful))
    slow = {row.case for row in naive.rows if row.total_seconds > 4}
    retried = {row.case for row in patient.rows if row.attempts > 1}
    assert slow == retried
    assert slow


def test_an_open_load_keeps_its_times_however_slow_the_answers_are() -> None:
    load = Open(per_second=5.0)
    calm, stormy = (
        simulated(7, fault).run(llmlab.naive, requests=40, load=load) for fault in (SPIKES, llmlab.faults.LatencySpike(probability=1.0))
    )
    assert [row.sent_at for row in calm.rows] == [row.intended_at for row in calm.rows] == [row.sent_at for row in stormy.rows]
    mean_gap = calm.rows[-1].sent_at / 40
    assert 0.1 < mean_gap < 0.3


def test_an_async_generator_streams_and_its_first_piece_is_the_first_word() -> None:
    async def app(client: openai.AsyncOpenAI, question: str) -> AsyncIterator[str]:
        stream = await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": question}], stream=True)
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content

    row = simulated().run(app, ["How long do I have to return it?"], requests=1).rows[0]
    assert "ok" == row.status
    assert row.wait_seconds is not None
    assert row.wait_seconds < row.total_seconds
    assert "app" == row.app
    assert row.right is None


def test_an_app_that_raises_or_says_nothing_is_a_row_and_no_crash() -> None:
    async def broken(client: openai.AsyncOpenAI, question: str) -> str:
        raise KeyError("choices")

    async def silent(client: openai.AsyncOpenAI, question: str) -> str | None:
        return None

    rows = [simulated().run(app, requests=1).rows[0] for app in (broken, silent)]
    assert [("failed", "KeyError: 'choices'"), ("failed", "the app returned no text")] == [(row.status, row.reason) for row in rows]


def test_progress_counts_and_a_run_in_the_background_gives_the_same_rows() -> None:
    seen: list[tuple[int, int]] = []
    lab = simulated()
    runs = lab.run(llmlab.naive, requests=12, progress=lambda done, total: seen.append((done, total)))
    assert [(number, 12) for number in range(1, 13)] == seen
    handle = lab.start(llmlab.naive, requests=12)
    assert runs.rows == handle.result(60).rows
    assert 1.0 == handle.progress
    assert not handle.running


def test_a_run_in_the_background_can_be_cancelled() -> None:
    handle = simulated().start(llmlab.naive, requests=100_000)
    handle.cancel()
    with pytest.raises(asyncio.CancelledError):
        handle.result(60)
    assert handle.progress < 1


def test_a_result_that_takes_too_long_says_how_far_it_is() -> None:
    handle = simulated().start(llmlab.naive, requests=100_000)
    with pytest.raises(TimeoutError, match="not finished"):
        handle.result(0.0)
    handle.cancel()
    with pytest.raises(asyncio.CancelledError):
        handle.result(60)


def test_bad_input_says_what_there_is() -> None:
    with pytest.raises(UnknownName, match="cassette, simulator, live"):
        llmlab.Lab(source="telepathy")
    with pytest.raises(UnknownName, match="chat"):
        llmlab.Lab(latency="warp", source="cassette")
    with pytest.raises(BadCases, match="no cases"):
        simulated().run(llmlab.naive, [])
    with pytest.raises(BadCases, match="brackets"):
        simulated().run(llmlab.naive, "one question")
    with pytest.raises(BadInput, match="at least 1"):
        simulated().run(llmlab.naive, requests=0)
    with pytest.raises(UnknownName, match="gpt-4o-mini"):
        simulated().run(llmlab.Pipeline(routes=[llmlab.Route("main", model="gpt-99")]))
    with pytest.raises(BadInput, match="an app is"):
        simulated().run(42)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="concurrency"):
        Closed(concurrency=0)
    with pytest.raises(BadInput, match="per_second"):
        Open(per_second=0)


def test_the_banner_and_the_repr_say_who_answers() -> None:
    lab = simulated()
    assert "no language model" in lab.banner
    assert lab.run(llmlab.naive, requests=2).banner == lab.banner
    assert "source='simulator'" in repr(lab)
    assert "simulated" in repr(lab.run(llmlab.naive, requests=3))


def test_live_mode_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(BadInput, match="OPENAI_API_KEY"):
        llmlab.Lab(source="live").run(llmlab.naive, requests=1)


def test_the_environment_chooses_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMLAB_SOURCE", "simulator")
    assert "simulator" == llmlab.Lab().source
    assert "cassette" == llmlab.Lab(source="cassette").source


def test_runs_add_up_and_summarize() -> None:
    lab = simulated()
    runs = lab.run(llmlab.naive, requests=20) + lab.run(llmlab.stack, requests=20)
    assert ["naive", "stack"] == runs.apps
    assert 40 == len(runs)
    table = runs.summary()
    assert ["naive", "stack"] == list(table["app"])
    assert "not measurable at n = 20" == table["wait p99 s"][0]
    assert "40 simulated" == runs.sources


def test_what_is_no_app_is_refused_before_anything_is_sent() -> None:
    async def lonely(client: openai.AsyncOpenAI) -> str:
        return ""

    for wrong in (llmlab.Pipeline, lonely):
        with pytest.raises(BadInput, match="an app is an async callable"):
            simulated().run(wrong, requests=1)  # type: ignore[arg-type]

    def blocking(client: openai.AsyncOpenAI, question: str) -> str:
        return "done"

    with pytest.raises(BadInput, match="the app is not async"):
        simulated().run(blocking, requests=1)  # type: ignore[arg-type]


def test_a_generator_is_timed_at_its_first_text_and_fails_without_any() -> None:
    async def late(client: openai.AsyncOpenAI, question: str) -> AsyncIterator[str]:
        yield ""
        await asyncio.sleep(9)
        yield "word"

    async def mute(client: openai.AsyncOpenAI, question: str) -> AsyncIterator[str]:
        yield ""

    late_row, mute_row = (simulated().run(app, requests=1).rows[0] for app in (late, mute))
    assert ("ok", 9.0) == (late_row.status, late_row.wait_seconds)
    assert ("failed", "the app returned no text", None) == (mute_row.status, mute_row.reason, mute_row.wait_seconds)


def test_an_attempt_that_the_app_abandons_is_counted_and_paid() -> None:
    async def hasty(client: openai.AsyncOpenAI, question: str) -> str:
        messages = [{"role": "user", "content": question}]
        stream = await client.chat.completions.create(model="gpt-4o", messages=messages, stream=True)  # type: ignore[call-overload]
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                return str(chunk.choices[0].delta.content)
        return ""

    runs = simulated().run(hasty, requests=3)
    assert [1, 1, 1] == [row.attempts for row in runs.rows]
    assert {("cancelled", "abandoned")} == set(zip(runs.attempts["status"], runs.attempts["reason"], strict=True))
    assert all(row.usd for row in runs.rows)


def test_the_end_of_a_stream_may_be_spoken_of_in_an_answer() -> None:
    import json

    import httpx2

    from llmlab.lab.meter import Meter
    from llmlab.protocol import identity, sse
    from llmlab.wire.transport import Piece, Planned, Reply

    class Speaks(Planned):
        def plan(self, request: httpx2.Request, now: float) -> Reply:
            def event(delta: dict[str, str], finish: str | None = None) -> bytes:
                choice = {"index": 0, "delta": delta, "finish_reason": finish}
                return sse.encode(json.dumps({"model": "gpt-4o", "choices": [choice]}).encode())

            usage = sse.encode(json.dumps({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 70}}).encode())
            chunks = [
                event({"content": "Streams end with [DONE]."}),
                event({"content": " Truly."}),
                event({}, "stop"),
                usage,
                sse.encode(sse.DONE),
            ]
            return Reply(headers=[(b"content-type", b"text/event-stream")], pieces=[Piece(0.1 * n, data) for n, data in enumerate(chunks)])

    meter = Meter(Speaks())

    async def go() -> None:
        with identity.request("q", 0):
            stream = await llmlab.client(meter).chat.completions.create(model="gpt-4o", messages=[], stream=True)
            assert 4 == len([chunk async for chunk in stream])

    llmlab.simulate(go())
    (attempt,) = meter.collect("q/0")
    assert ("ok", 100, 70, "reported") == (attempt.status, attempt.prompt_tokens, attempt.completion_tokens, attempt.usage)


def test_runs_of_other_weather_are_not_added() -> None:
    one, other = (simulated(seed).run(llmlab.naive, requests=1) for seed in (1, 2))
    with pytest.raises(BadInput, match="look at them apart"):
        one + other


def test_faults_are_a_list() -> None:
    with pytest.raises(BadInput, match="faults is a list"):
        llmlab.Lab(faults=SPIKES)  # type: ignore[arg-type]


def test_the_retries_of_the_client_itself_are_told_apart() -> None:
    lab = simulated(7, llmlab.faults.LatencySpike(probability=0.5, seconds=8.0))
    runs = lab.run_all({"careful": llmlab.careful, "stack": llmlab.stack}, requests=20)
    assert 0 < runs.sdk_retries("careful") == sum(row.attempts - 1 for row in runs.rows if row.app == "careful")
    assert 0 == runs.sdk_retries("stack")
