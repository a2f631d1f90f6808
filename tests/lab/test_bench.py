from __future__ import annotations

import pytest

from llmlab.errors import UnknownName
from llmlab.lab import bench
from llmlab.protocol.clock import simulate
from llmlab.wire.chaos import Chaos
from llmlab.wire.client import client
from llmlab.wire.simulator import Simulator


@pytest.mark.parametrize("name", ["clock", "chaos_request", "import", "guards", "holdback", "grounding"])
def test_a_budget_is_measured_beside_its_reference(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmlab.lab import budgets, budgets_text

    monkeypatch.setattr(budgets, "ROUNDS", 1)
    monkeypatch.setattr(budgets_text, "ROUNDS", 1)
    said: list[str] = []
    (figure,) = bench.measure([name], say=said.append)
    assert name == figure.name
    assert figure.value > 0
    assert figure.reference is not None
    assert set(figure.row()) == {"name", "value", "reference", "ratio", "budget", "n"}
    assert said


def test_an_unknown_budget_names_those_there_are() -> None:
    with pytest.raises(UnknownName, match="cassette_10000"):
        bench.measure(["speed of light"])


def test_chaos_is_measured_with_twenty_faults_that_are_drawn_and_do_not_fire() -> None:
    from llmlab.lab.budgets import ARMED

    chaos = Chaos(Simulator(latency=False), *ARMED)
    assert (20, 20) == (len(ARMED), len(chaos._armed))

    async def ask() -> None:
        await client(chaos).chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "May I?"}])

    simulate(ask())
    assert [] == chaos.journal
