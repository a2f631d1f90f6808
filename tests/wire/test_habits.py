from __future__ import annotations

from dataclasses import replace

import pytest

from llmlab.errors import BadInput, UnknownName
from llmlab.protocol.models import MODELS
from llmlab.wire.habits import HABITS, Habits, served


def test_every_snapshot_has_habits() -> None:
    assert [snapshot for model in MODELS for snapshot in model.snapshots] == list(HABITS)


def test_the_tiers_differ_and_so_do_the_snapshots_of_main() -> None:
    fast, main, newer, strong = HABITS.values()
    assert fast.made_up > main.made_up > strong.made_up
    assert fast.admits_if_asked < main.admits_if_asked < strong.admits_if_asked
    assert fast.broken_format > main.broken_format > strong.broken_format
    assert newer.verbosity > main.verbosity
    assert newer.broken_format < main.broken_format
    assert newer.cites_if_asked < main.cites_if_asked
    assert strong.reasoning_tokens > 0 == main.reasoning_tokens


@pytest.mark.parametrize(
    "change",
    [
        {"made_up": 1.1},
        {"made_up": -0.1},
        {"made_up": "0.5"},
        {"made_up": True},
        {"made_up": float("nan")},
        {"further": -1},
        {"first_token_factor": -2},
    ],
)
def test_rates_are_shares(change: dict) -> None:
    with pytest.raises(BadInput, match=f"Habits: {next(iter(change))} is a"):
        replace(HABITS["gpt-4o-2024-08-06"], **change)


def test_factors_and_counts_may_be_above_one() -> None:
    Habits(snapshot="x", first_token_factor=3.0, per_token_factor=2.0, reasoning_tokens=500, further=9, words=200)


def test_the_preset_of_a_latency_must_exist() -> None:
    with pytest.raises(UnknownName, match="latency preset 'slow'"):
        Habits(snapshot="x", latency="slow")


def test_all_models_are_served_if_none_is_named() -> None:
    models, habits = served(None)
    assert [model.name for model in MODELS] == list(models)
    assert "gpt-4o-2024-08-06" == habits["gpt-4o"].snapshot


@pytest.mark.parametrize("names", [["gpt-4o"], "gpt-4o", ["main"], ("gpt-4o-2024-11-20",)])
def test_some_models_may_be_named(names: object) -> None:
    models, habits = served(names)  # type: ignore[arg-type]
    assert ["gpt-4o"] == list(models)
    assert {"gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-2024-11-20"} == set(habits)


def test_a_name_may_be_moved_to_another_snapshot_or_other_habits() -> None:
    _, habits = served({"gpt-4o": "gpt-4o-2024-11-20", "fast": replace(HABITS["gpt-4o-mini-2024-07-18"], made_up=1.0)})
    assert ("gpt-4o-2024-11-20", 1.0, "gpt-5.2-2025-12-11") == (
        habits["gpt-4o"].snapshot,
        habits["gpt-4o-mini"].made_up,
        habits["gpt-5.2"].snapshot,
    )
    assert "gpt-4o-2024-08-06" == habits["gpt-4o-2024-08-06"].snapshot


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["gpt-9"], "there is no model 'gpt-9'; there is: fast, main, strong, gpt-4o-mini"),
        ({"gpt-9": "gpt-4o-2024-08-06"}, "there is no model 'gpt-9'"),
        ({"gpt-4o": "gpt-4o-1999"}, "there is no snapshot 'gpt-4o-1999'; there is: gpt-4o-mini-2024-07-18, gpt-4o-2024-08-06"),
    ],
)
def test_unknown_names_list_the_known_ones(given: object, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        served(given)  # type: ignore[arg-type]


def test_no_model_at_all_is_no_simulator() -> None:
    with pytest.raises(BadInput, match="models is empty"):
        served([])
