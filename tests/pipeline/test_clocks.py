from __future__ import annotations

import math
from typing import Any

import pytest

import llmlab
from llmlab.errors import BadInput
from llmlab.pipeline.clocks import check_seconds

NAMES = ["connect_seconds", "first_content_seconds", "stall_seconds", "total_seconds"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "5", True, [5]])
def test_a_clock_is_a_time_above_zero(name: str, value: Any) -> None:
    with pytest.raises(BadInput, match=f"Clocks: {name} is a time above 0 seconds, not "):
        llmlab.Clocks(**{name: value})


@pytest.mark.parametrize("name", NAMES)
def test_none_stops_a_clock(name: str) -> None:
    assert getattr(llmlab.Clocks(**{name: None}), name) is None


def test_a_least_time_is_allowed_and_named() -> None:
    check_seconds("a wait", 2, least=2.0)
    with pytest.raises(BadInput, match=r"a wait is a time of 2 seconds or more, not 1\.5"):
        check_seconds("a wait", 1.5, least=2.0)


def test_clocks_can_be_pasted_back() -> None:
    clocks = llmlab.Clocks(stall_seconds=None, total_seconds=3.0)
    assert clocks == eval(repr(clocks), {"Clocks": llmlab.Clocks})
