from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.holdback import HoldBack


class Codes:
    """Four digits in a row are a code; more are none."""

    def __init__(self, action: str = "block") -> None:
        self.action = action

    def check(self, text: str, role: str = "user") -> list[Finding]:
        found = re.finditer(r"(?<!\d)\d{4}(?!\d)", text)
        return [Finding("code", "code.four", one.start(), one.end(), f"{role}: {one[0]}") for one in found]

    def open_from(self, text: str) -> int:
        end = re.search(r"\d*\Z", text)
        assert end is not None
        return end.start()


class Cats(Codes):
    def check(self, text: str, role: str = "user") -> list[Finding]:
        return [Finding("cat", "cat.word", one.start(), one.end(), "a cat") for one in re.finditer("cats?", text)]

    def open_from(self, text: str) -> int:
        end = re.search(r"(?:c|ca|cats?)?\Z", text)
        assert end is not None
        return end.start()


class Breaks(Codes):
    on_error = "open"

    def check(self, text: str, role: str = "user") -> list[Finding]:
        raise ValueError("oops")


def told(pieces: list[str], *guards: Any) -> tuple[str, str, list[Finding]]:
    hold = HoldBack(guards)
    shown = [*map(hold.feed, pieces), hold.finish()]
    return "".join(shown), hold.verdict.status, hold.verdict.findings


def splits(text: str) -> list[list[str]]:
    """All splits in three, and character by character."""
    cuts = range(len(text) + 1)
    return [[text[:a], text[a:b], text[b:]] for a in cuts for b in cuts if a <= b] + [list(text)]


def test_what_can_no_longer_become_a_violation_is_released_at_once() -> None:
    hold = HoldBack([Codes()])
    assert ["Room ", "", "12 ", "and", " "] == [hold.feed(piece) for piece in ("Room 1", "2", " ", "and", " 3")]
    assert ("3", 2) == (hold.finish(), hold.most_held)


def test_a_violation_is_never_shown_and_what_stood_before_it_is() -> None:
    text = "The code is 1234. Do not tell."
    assert {("The code is ", "blocked")} == {told(split, Codes())[:2] for split in splits(text)}


def test_a_redacted_span_is_masked_in_its_place() -> None:
    text = "The code is 1234, or 56789, or 0000."
    assert {("The code is [CODE], or 56789, or [CODE].", "ok")} == {told(split, Codes("redact"))[:2] for split in splits(text)}


def test_what_is_flagged_or_allowed_is_shown() -> None:
    for action, number in (("flag", 1), ("allow", 0)):
        shown, status, findings = told(["a 12", "34"], Codes(action))
        assert ("a 1234", "ok", number) == (shown, status, len(findings))


def test_spans_are_offsets_in_the_whole_answer_however_long_it_is() -> None:
    text = "word " * 100 + "1234 " + "word " * 100 + "4321."
    _, _, findings = told([text[at : at + 7] for at in range(0, len(text), 7)], Codes("flag"))
    assert [(500, 504), (1_005, 1_009)] == [(one.start, one.end) for one in findings]


def test_a_span_that_begins_before_another_guards_open_text_waits_for_it() -> None:
    class Until(Codes):
        def open_from(self, text: str) -> int:
            return max(0, len(text) - 5)

        def check(self, text: str, role: str = "user") -> list[Finding]:
            return []

    assert {("a [CAT] b", "ok")} == {told(split, Cats("redact"), Until())[:2] for split in splits("a cats b")}


def test_a_block_inside_a_redacted_span_still_shows_nothing_of_it() -> None:
    class Tail(Codes):
        def check(self, text: str, role: str = "user") -> list[Finding]:
            return [Finding("tail", "tail", one.start() + 2, one.end(), "tail") for one in re.finditer(r"(?<!\d)\d{4}(?!\d)", text)]

    assert {("see [CODE]", "blocked")} == {told(split, Codes("redact"), Tail())[:2] for split in splits("see 1234 there")}


def test_a_guard_that_breaks_is_open_or_closed() -> None:
    shown, status, _ = told(["a 1", "2 b"], Breaks())
    assert ("a 12 b", "ok") == (shown, status)
    closed = Breaks()
    closed.on_error = "closed"
    assert ("", "failed") == told(["a 1", "2 b"], closed)[:2]


def test_without_guards_every_piece_goes_through() -> None:
    hold = HoldBack([])
    assert ["a", "b", ""] == [hold.feed("a"), hold.feed("b"), hold.finish()]


@given(st.text(alphabet="ca ts12", max_size=40), st.lists(st.integers(1, 9), max_size=40), st.sampled_from(["flag", "redact", "block"]))
def test_the_verdict_does_not_depend_on_the_chunks(text: str, sizes: list[int], action: str) -> None:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(text[at : at + size])
        at += size
    whole = told([text], Codes(action), Cats("redact"))
    assert whole == told([*pieces, text[at:]], Codes(action), Cats("redact")) == told(list(text), Codes(action), Cats("redact"))
    assert not Codes().check(whole[0]) or action == "flag"


@pytest.mark.parametrize("split", splits("cats 1234 cat"))
def test_findings_come_in_the_order_of_the_text(split: list[str]) -> None:
    assert ["cat", "code", "cat"] == [one.kind for one in told(split, Codes("flag"), Cats("flag"))[2]]


def test_findings_that_overlap_for_ever_hold_nothing_back() -> None:
    class Bangs(Codes):
        def check(self, text: str, role: str = "user") -> list[Finding]:
            return [Finding("bang", "bang", at, at + 3, "!!!") for at in range(len(text) - 2) if text[at : at + 3] == "!!!"]

        def open_from(self, text: str) -> int:
            return len(text) - next((size for size in (2, 1) if text.endswith("!" * size)), 0)

    stopped = HoldBack([Bangs()])
    assert ["so ", "", ""] == [stopped.feed(piece) for piece in ("so !!", "!", "!!")]
    assert stopped.stopped
    flagged = HoldBack([Bangs("flag")])
    shown = [flagged.feed("!!!!") for _ in range(50)]
    assert 2 == flagged.most_held
    assert "!" * 198 == "".join(shown)
    assert {("so [BANG].", "ok")} == {told(split, Bangs("redact"))[:2] for split in splits("so !!!!!.")}
