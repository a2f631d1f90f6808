from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

import llmlab
from llmlab.data.help_desk import cases
from llmlab.notebook import one

CASE = cases()[0]


def test_a_user_hears_the_answer_piece_by_piece() -> None:
    heard = one.listen(llmlab.Lab(seed=7, source="simulator"), llmlab.stack, CASE)
    times = [at for at, _ in heard.pieces]
    assert heard.answer.text == "".join(piece for _, piece in heard.pieces)
    assert sorted(times) == times
    assert heard.answer.timings.delivered_first_content == pytest.approx(times[0])


def test_the_same_lab_gives_the_same_answer() -> None:
    lab = llmlab.Lab(seed=7, source="simulator")
    assert str(one.ask(lab, llmlab.stack, CASE).trace) == str(one.ask(lab, llmlab.stack, CASE).trace)


def test_one_question_meets_the_weather_that_it_meets_in_a_run() -> None:
    lab = llmlab.Lab(seed=7, faults=[llmlab.faults.LatencySpike(probability=1, seconds=4.0)], source="simulator")
    row = lab.run(llmlab.stack, [CASE], requests=1).rows[0]
    assert row.wait_seconds == pytest.approx(one.ask(lab, llmlab.stack, CASE).timings.delivered_first_content)


def test_a_question_of_ones_own_is_simulated_also_where_recordings_answer() -> None:
    answer = one.ask(llmlab.Lab(seed=7), llmlab.stack, "Do you sell tandoors on the moon?")
    assert {"simulator"} == {attempt.source for attempt in answer.attempts}


def test_a_live_provider_is_asked_on_the_real_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = llmlab.Lab(seed=7, source="simulator")
    simulated = lab.transport()
    lab.source = "live"
    monkeypatch.setattr(lab, "transport", lambda *, for_one: simulated)
    used = []

    def in_real_time(work: Coroutine[Any, Any, Any]) -> Any:
        used.append(work)
        return llmlab.simulate(work)

    monkeypatch.setattr(one, "in_real_time", in_real_time)
    assert "ok" == one.ask(lab, llmlab.stack, CASE).status
    assert 1 == len(used)
    assert asyncio.iscoroutine(used[0])
