from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.errors import BadInput
from llmlab.pipeline.guardrails import CanaryGuard

from .streaming_law import holds

GUARD = CanaryGuard(canary="14e3ae0ae5e0d18f")


@pytest.mark.parametrize(
    "leak", ["14e3ae0ae5e0d18f", "14E3AE0AE5E0D18F", "1 4 e 3 a e 0 a e 5 e 0 d 1 8 f", "1, 4, e, 3, a, e, 0, a, e, 5, e, 0, d, 1, 8, f"]
)
def test_a_canary_is_found_whole_or_spelled_out(leak: str) -> None:
    found = GUARD.check(f"It is 11 {leak}.")
    assert [("canary", "canary.leaked", leak)] == [(one.kind, one.rule, f"It is 11 {leak}."[one.start : one.end]) for one in found]


@pytest.mark.parametrize("text", ["", "14e3ae0ae5e0d18", "14e3ae0ae5e0d180", "1   4e3ae0ae5e0d18f"])
def test_another_token_is_none(text: str) -> None:
    assert [] == GUARD.check(text)


@given(st.lists(st.sampled_from(["1", "4e3ae0", "ae5e0d18", "f", " ", ", ", "14e3ae0ae5e0d18f", "K", "x" * 50]), max_size=16))
def test_it_keeps_the_promises_of_streaming(parts: list[str]) -> None:
    holds(GUARD, "".join(parts))


def test_a_canary_is_lowered_and_stays_out_of_the_repr() -> None:
    assert GUARD == CanaryGuard(canary="14E3AE0AE5E0D18F")
    assert "14e3" not in repr(GUARD)


@pytest.mark.parametrize("canary", ["", "short", "x" * 41, "with space!", "ßßßßßßßß", 12345678])
def test_a_token_that_is_none_is_refused_and_not_repeated(canary: Any) -> None:
    with pytest.raises(BadInput, match=r"canary is a word of 8 to 40 ASCII letters and digits$"):
        CanaryGuard(canary=canary)


@pytest.mark.parametrize("text", ["14e3ae0ae5e0d18 " * 10_000, "1 " * 200_000, "1" * 200_000, "14e3ae0ae5e0d18f" * 10_000])
def test_a_long_text_is_no_trouble(text: str) -> None:
    assert text.count("18f") == len(GUARD.check(text))
    assert GUARD.open_from(text) >= len(text) - 120


@pytest.mark.parametrize(
    ("said", "held"), [("1", 1), ("14 ", 3), ("x1, 4.", 5), ("14e3ae0ae5e0d18", 15), ("14e3ae0ae5e0d18f", 0), ("14x", 0), ("1   ", 0)]
)
def test_what_can_become_a_canary_is_held(said: str, held: int) -> None:
    assert len(said) - held == GUARD.open_from(said)
