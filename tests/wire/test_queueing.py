from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.errors import BadInput
from llmlab.wire.queueing import Slots


def test_who_finds_a_free_slot_does_not_wait() -> None:
    slots = Slots(2)
    assert [0.0, 0.0] == [slots.take(0.0, 5.0), slots.take(1.0, 5.0)]


def test_who_comes_later_waits_for_the_slot_that_comes_free_first() -> None:
    slots = Slots(2)
    slots.take(0.0, 5.0)
    slots.take(1.0, 2.0)
    assert [1.0, 2.5, 3.5] == [slots.take(2.0, 10.0), slots.take(2.5, 1.0), slots.take(2.5, 1.0)]


def test_a_slot_that_came_free_long_ago_costs_no_wait() -> None:
    slots = Slots(1)
    slots.take(0.0, 1.0)
    assert 0.0 == slots.take(50.0, 1.0)


def test_reset_frees_all_slots() -> None:
    slots = Slots(1)
    slots.take(0.0, 100.0)
    slots.reset()
    assert 0.0 == slots.take(0.0, 1.0)


@pytest.mark.parametrize("count", [0, -1, 1.5, "3", True, None])
def test_slots_are_a_whole_number_of_at_least_one(count: object) -> None:
    with pytest.raises(BadInput, match="slots is a whole number of at least 1"):
        Slots(count)  # type: ignore[arg-type]


@given(st.integers(1, 5), st.lists(st.tuples(st.floats(0, 2), st.floats(0.01, 3)), min_size=1, max_size=40))
def test_no_more_than_the_slots_are_ever_in_service_and_order_is_kept(count: int, jobs: list[tuple[float, float]]) -> None:
    slots, now, spans = Slots(count), 0.0, []
    for gap, service in jobs:
        now += gap
        start = now + slots.take(now, service)
        spans.append((start, start + service))
    starts = [start for start, _ in spans]
    assert starts == sorted(starts)
    assert all(count >= sum(begin <= start < end - 1e-9 for begin, end in spans) for start in starts)
