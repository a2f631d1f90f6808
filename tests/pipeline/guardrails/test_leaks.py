from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails import LeakGuard, LengthGuard
from llmlab.pipeline.prompt import Document

from .streaming_law import holds

VALUE = re.compile(r"(?<![\w.@+-])(?:[a-z.]{1,20}@[a-z]{1,20}|\+?\d[\d ()-]{5,20})(?!\w)", re.IGNORECASE)


class Detector:
    def check(self, text: str, role: str = "user") -> list[Finding]:
        return [Finding("VALUE", "test.value", *match.span(), "a value") for match in VALUE.finditer(text)]

    def open_from(self, text: str) -> int:
        end = re.search(r"[\w.@+() -]{0,50}\Z", text)
        assert end is not None
        return end.start()


GUARD = LeakGuard(detector=Detector())
PAGES = [Document("contact", "Call +1 202-555-0142", "Or write to help@example.")]
REQUEST = GUARD.for_request("I am Dana@Example, what now?", PAGES, [{"role": "user", "content": "My card is 4111 1111 1111 1111."}])


@pytest.mark.parametrize(
    ("text", "leaks"),
    [
        ("Hello dana@example!", []),
        ("Write to HELP@example, please.", []),
        ("Call (202) 5550142, or 202-555-0142!", []),
        ("Call +44 202-555-0142!", []),
        ("Your card 4111111111111111.", []),
        ("Another customer: lee@example, +1 202-555-0199.", ["lee@example", "+1 202-555-0199"]),
        ("My card is 4111 1111 1111 1112.", ["4111 1111 1111 1112"]),
        ("", []),
    ],
)
def test_what_was_in_the_request_is_no_leak(text: str, leaks: list[str]) -> None:
    assert leaks == [text[found.start : found.end] for found in REQUEST.check(text)]


def test_without_a_request_all_is_a_leak() -> None:
    assert ["VALUE"] == [found.kind for found in GUARD.check("Hello dana@example!")]


def test_the_request_stays_out_of_the_repr() -> None:
    assert repr(GUARD) == repr(REQUEST)
    assert "dana" not in repr(REQUEST)


@given(st.lists(st.sampled_from(["dana", "@", "example", "lee", "1 202", "-555-", "0142", "0199", ", ", " is ", "!"]), max_size=12))
def test_it_streams_as_its_detector_does(parts: list[str]) -> None:
    text = "".join(parts)
    assert GUARD.detector.open_from(text) == REQUEST.open_from(text)
    whole = REQUEST.check(text)
    for end in range(len(text)):
        edge = REQUEST.open_from(text[:end])
        assert [found for found in REQUEST.check(text[:end]) if found.start < edge] == [found for found in whole if found.start < edge]


def test_it_keeps_the_promises_of_streaming() -> None:
    holds(REQUEST, "Your card 4111111111111111! Theirs: lee@example, or dana@example. Call +1 202-555-0199! Or: 202-555-0142, today.")


@pytest.mark.parametrize("detector", [None, Detector, LengthGuard(), "PIIGuard"])
def test_a_detector_that_cannot_stream_is_refused(detector: Any) -> None:
    with pytest.raises(BadInput, match="the detector is a guard with check and open_from"):
        LeakGuard(detector=detector)
