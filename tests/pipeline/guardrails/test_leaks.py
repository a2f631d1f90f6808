from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails import LeakGuard, LengthGuard, PIIGuard
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


@pytest.mark.parametrize(
    ("said", "answer", "leaks"),
    [
        ("My order 11112 is late", "Log in at 1.1.1.12 now.", ["1.1.1.12"]),
        ("I am at 1.1.1.12", "You are at 1.1.1.12 now.", []),
        ("I work at company X", "See www.t.co, please.", ["www.t.co"]),
        ("I read www.t.co", "See www.t.co, please.", []),
        ("Card 4111-1111-1111-1111?", "Card 4111111111111111.", []),
        ("Card 4111-1111-1111-1111-2?", "Card 4111111111111111.", []),
        ("Ticket 41111111111111112", "Card 4111111111111111.", ["4111111111111111"]),
        ("Pay to DE89 3704 0044 0532 0130 00", "It went to DE89370400440532013000.", []),
        ("Pay to DE89370400440532013000", "It went to DE89 3704 0044 0532 0130 00.", []),
        ("Pay to XDE89370400440532013000", "It went to DE89 3704 0044 0532 0130 00.", ["DE89 3704 0044 0532 0130 00"]),
        ("I live at 2001:db8::7", "It is 2001:DB8::7.", []),
        ("I am ada@example.org", "Ask ada@example.com, or mada@example.org, or ada@example.org.", ["ada@example.com", "mada@example.org"]),
    ],
)
def test_a_value_was_said_only_where_it_stands_as_words_of_their_own(said: str, answer: str, leaks: list[str]) -> None:
    guard = LeakGuard(detector=PIIGuard()).for_request(said)
    assert leaks == [answer[found.start : found.end] for found in guard.check(answer)]


def test_what_has_no_letter_or_digit_was_never_said() -> None:
    class Stars(Detector):
        def check(self, text: str, role: str = "user") -> list[Finding]:
            return [Finding("STARS", "test.stars", 0, len(text), "stars")]

    assert ["STARS"] == [found.kind for found in LeakGuard(detector=Stars()).for_request("** ").check("**")]


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
