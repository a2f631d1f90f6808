from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import llmlab
from llmlab.errors import BadInput, CassetteMiss
from llmlab.lab import gameday, source
from llmlab.wire.live import Live


def test_a_recording_that_is_not_there_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="llmlab record"):
        llmlab.Lab(source="cassette", cassette=tmp_path / "none.json").run(llmlab.naive, requests=1)


def test_live_mode_takes_address_and_key_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-for-nobody")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert isinstance(source.answering("live"), Live)


def test_what_no_recording_holds_is_an_error_where_strict_and_simulated_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMLAB_STRICT", "1")
    with pytest.raises(CassetteMiss, match="llmlab record"):
        llmlab.Lab(source="cassette").run(llmlab.naive, ["What is the airspeed of an unladen swallow?"], requests=1)
    monkeypatch.setenv("LLMLAB_STRICT", "0")
    runs = llmlab.Lab(source="cassette").run(llmlab.naive, ["What is the airspeed of an unladen swallow?"], requests=1)
    assert "1 simulated" == runs.sources


def test_replayed_and_simulated_requests_are_counted_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    from llmlab.data.help_desk import cases

    monkeypatch.setenv("LLMLAB_STRICT", "0")
    runs = llmlab.Lab(source="cassette").run(llmlab.naive, [cases()[0], "Is this question in no recording?"], requests=2)
    assert "1 replayed, 1 simulated" == runs.sources


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> llmlab.wire.Simulator:
    """A stand-in for a live provider: the simulator, on the real clock, with calm times set to nothing."""
    provider = llmlab.wire.Simulator(latency=False)
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-for-nobody")
    monkeypatch.setattr("llmlab.lab.lab.answering", lambda source, *args, **kwargs: provider)
    return provider


def test_a_live_run_goes_on_the_real_clock_and_can_be_cancelled(live: llmlab.wire.Simulator) -> None:
    lab = llmlab.Lab(source="live", max_requests=10)
    assert 3 == len(lab.run(llmlab.naive, requests=3))

    async def patient(client: object, question: str) -> str:
        await asyncio.sleep(60)
        return "late"

    handle = lab.start(patient, requests=3)
    handle.cancel()
    with pytest.raises(asyncio.CancelledError):
        handle.result(30)


def test_more_live_requests_than_the_cap_are_refused_before_the_first(live: llmlab.wire.Simulator) -> None:
    with pytest.raises(BadInput, match="--max-requests"):
        llmlab.Lab(source="live").run(llmlab.naive, requests=21)
    with pytest.raises(BadInput, match="for each of 3 apps"):
        gameday.play(requests=10, source="live")
