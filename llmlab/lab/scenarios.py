"""The scenarios of the game day. A later failure adds its own with `register`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llmlab.errors import BadInput, UnknownName
from llmlab.lab.load import Load, Open
from llmlab.lab.runs import SLOW_SECONDS
from llmlab.wire.faults import Fault, LatencySpike


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Weather, load, and what the user minds."""

    name: str
    title: str
    """The question it answers, for people."""
    faults: tuple[Fault, ...]
    """What is put in."""
    put_in: Mapping[str, str]
    """What was assumed, with its source: for the table beside the results."""
    load: Load
    slow_seconds: float = SLOW_SECONDS
    """The objective: the first word within this time (in seconds)."""
    source: str | None = None
    """A source of its own ("simulator" where load or prompts matter), or None."""


SCENARIOS: dict[str, Scenario] = {}


def register(scenario: Scenario) -> Scenario:
    """Add a scenario to the game day.

    Raises:
        BadInput: Its name is taken.
    """
    if scenario.name in SCENARIOS:
        raise BadInput(f"there is a scenario {scenario.name!r} already")
    SCENARIOS[scenario.name] = scenario
    return scenario


def scenario_named(name: str) -> Scenario:
    """Return a scenario.

    Raises:
        UnknownName: There is none of that name; the message lists those there are.
    """
    if name not in SCENARIOS:
        raise UnknownName("scenario", name, SCENARIOS)
    return SCENARIOS[name]


register(
    Scenario(
        name="latency",
        title="Staging said 0.8 s: why do users wait for 4?",
        faults=(LatencySpike(probability=0.04, seconds=4.0),),
        put_in={
            "spikes": "4 of 100 attempts, 4 s each (assumed)",
            "load": "open, 5 requests a second (assumed; Azure's conversations of 2023 had 5.5)",
        },
        load=Open(per_second=5.0),
    )
)
