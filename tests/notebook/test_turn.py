from __future__ import annotations

import threading
from typing import Any

import openai
import pytest

import llmlab
from llmlab.notebook.turn import Cancelled, Turn


def lab() -> llmlab.Lab:
    return llmlab.Lab(seed=7, source="simulator")


def test_apps_run_one_after_the_other_in_the_same_weather() -> None:
    runs = Turn(4, 7).play(lab(), {"first": llmlab.naive, "second": llmlab.naive})
    assert ["first", "second"] == runs.apps
    first, second = (runs.frame[runs.frame["app"] == app]["wait_seconds"].tolist() for app in runs.apps)
    assert first == second


def test_progress_goes_from_nothing_to_all() -> None:
    shares: list[float] = []
    Turn(4, 7, shares.append).play(lab(), {"first": llmlab.naive, "second": llmlab.naive})
    assert [number / 8 for number in range(1, 9)] == shares


def test_what_was_stopped_before_it_began_runs_nothing() -> None:
    turn = Turn(4, 7)
    turn.stop()
    assert turn.stopped
    with pytest.raises(Cancelled):
        turn.play(lab(), {"first": llmlab.naive})


def test_stopping_ends_a_run_in_its_middle() -> None:
    turn = Turn(500, 7)
    sent = []

    async def app(client: openai.AsyncOpenAI, question: str) -> str | None:
        sent.append(question)
        if len(sent) == 20:
            threading.Thread(target=turn.stop).start()
        return await llmlab.naive(client, question)

    with pytest.raises(Cancelled):
        turn.play(lab(), {"first": app})
    assert 20 <= len(sent) < 500


def test_a_stop_between_the_look_and_the_start_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = Turn(500, 7)
    start = llmlab.Lab.start

    def late(self: llmlab.Lab, *args: Any, **options: Any) -> Any:
        turn._stopped = True
        return start(self, *args, **options)

    monkeypatch.setattr(llmlab.Lab, "start", late)
    with pytest.raises(Cancelled):
        turn.play(lab(), {"first": llmlab.naive})


def test_the_same_app_in_the_same_weather_is_not_run_twice() -> None:
    memory: dict[Any, Any] = {}
    calls = []

    async def app(client: openai.AsyncOpenAI, question: str) -> str:
        calls.append(question)
        return "yes"

    first, second = (Turn(3, 7, memory=memory).play(lab(), {"mine": app}) for _ in range(2))
    assert first.rows == second.rows
    assert 3 == len(calls)
    Turn(3, 7, memory=memory).play(lab(), {"mine": app}, ["Why?"])
    Turn(4, 7, memory=memory).play(lab(), {"mine": app})
    assert 10 == len(calls)
    for number in range(20):
        Turn(1, 7, memory=memory).play(lab(), {f"app {number}": app})
    assert 8 == len(memory)


def test_another_simulator_is_another_run() -> None:
    memory: dict[Any, Any] = {}
    labs = [llmlab.Lab(seed=7, simulator=llmlab.wire.Simulator(seed=seed)) for seed in (1, 2)]
    first, second = (Turn(4, 7, memory=memory).play(one, {"first": llmlab.naive}) for one in labs)
    assert first.frame["wait_seconds"].tolist() != second.frame["wait_seconds"].tolist()
    assert first is Turn(4, 7, memory=memory).play(labs[0], {"first": llmlab.naive})
