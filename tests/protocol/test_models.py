from __future__ import annotations

import pytest

from llmlab.errors import UnknownName
from llmlab.protocol.models import ALIASES, KNOWN, MODELS, find, is_other, resolve
from llmlab.protocol.prices import price_of


def test_there_is_an_alias_for_each_tier() -> None:
    assert ["fast", "main", "strong"] == list(ALIASES)


@pytest.mark.parametrize("name", [*ALIASES, *KNOWN])
def test_every_name_finds_its_model(name: str) -> None:
    assert resolve(name) in (find(name).name, *find(name).snapshots)


def test_main_has_two_snapshots() -> None:
    assert 2 == len(find("main").snapshots)


@pytest.mark.parametrize("name", KNOWN)
def test_every_model_has_a_price(name: str) -> None:
    assert price_of(name) is not None


def test_a_name_that_we_do_not_know_is_left_to_the_provider() -> None:
    assert "my-own-model" == resolve("my-own-model")


@pytest.mark.parametrize("name", ["gpt-9", "", None, ["gpt-4o"]])
def test_an_unknown_model_names_those_there_are(name: str) -> None:
    with pytest.raises(UnknownName, match=r"no model .*; there is: fast, main, strong, gpt-4o-mini, .*gpt-5.2-2025-12-11"):
        find(name)


def test_models_are_listed_cheapest_first() -> None:
    prices = [price_of(model.name) for model in MODELS]
    assert prices[0] is not None
    assert prices[1] is not None
    assert prices[0].output < prices[1].output


@pytest.mark.parametrize(
    ("other", "asked", "answered"),
    [
        (False, "gpt-4o", "gpt-4o"),
        (False, "gpt-4o", "gpt-4o-2024-08-06"),
        (False, "main", "gpt-4o-2027-01-31"),
        (False, "gpt-4o", "openai/gpt-4o"),
        (False, "gpt-4o-2024-08-06", "gpt-4o"),
        (False, "my-deployment", "gpt-4o-2024-08-06"),
        (True, "gpt-4o", "gpt-3.5-turbo-0125"),
        (True, "gpt-4o", "gpt-4o-mini-2024-07-18"),
        (True, "strong", "gpt-4o"),
        (True, "gpt-4o-2024-08-06", "gpt-4o-2024-11-20"),
    ],
)
def test_another_model_is_told_from_another_date(other: bool, asked: str, answered: str) -> None:
    assert other is is_other(asked, answered)
