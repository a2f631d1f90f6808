from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.errors import BadInput
from llmlab.lab.exposure import CARD_ANSWER, check_every, chunks, exposure_table, exposures, hold_back
from llmlab.pipeline.guardrails import PIIGuard
from llmlab.protocol.tokens import split

CARD = "4111 1111 1111 1111"
HIDING, STOPPING = PIIGuard(action="redact"), PIIGuard(action="block")


def test_a_check_every_100_chunks_comes_after_the_card_number_was_read() -> None:
    run = check_every(STOPPING, CARD_ANSWER, tokens=1)
    assert (100, True) == (run.moments[-1].tokens, run.stopped)
    assert len(CARD) == run.leaked
    first = next(moment.tokens for moment in run.moments if moment.leaked)
    assert 100 - first == run.late > 0


def test_a_check_after_every_chunk_comes_too_late_for_the_chunk_that_it_checks() -> None:
    assert len(CARD) == check_every(STOPPING, CARD_ANSWER, tokens=40, every=1).leaked


def test_large_chunks_are_checked_at_the_end_only() -> None:
    run = check_every(STOPPING, CARD_ANSWER, tokens=40)
    assert len(split(CARD_ANSWER)) == run.moments[-1].tokens
    assert run.stopped


def test_where_nobody_checks_all_is_shown() -> None:
    run = check_every(STOPPING, CARD_ANSWER, every=None)
    assert (False, len(CARD), CARD_ANSWER) == (run.stopped, run.leaked, "".join(moment.piece for moment in run.moments))
    assert "no check, chunks of 1 token" == run.name


@given(st.integers(1, 60))
def test_a_hold_back_leaks_nothing_whatever_the_size_of_a_chunk(tokens: int) -> None:
    hidden, stopped = hold_back(HIDING, CARD_ANSWER, tokens=tokens), hold_back(STOPPING, CARD_ANSWER, tokens=tokens)
    assert [0, 0] == [hidden.leaked, stopped.leaked]
    assert CARD_ANSWER.replace(CARD, "[CREDIT_CARD]") == "".join(moment.piece for moment in hidden.moments)
    assert CARD_ANSWER.partition(CARD)[0] == "".join(moment.piece for moment in stopped.moments)
    assert [False, True] == [hidden.stopped, stopped.stopped]


def test_a_placeholder_counts_as_what_it_stands_for() -> None:
    run = hold_back(HIDING, CARD_ANSWER)
    assert len(CARD_ANSWER) == run.moments[-1].shown == run.moments[-1].came
    assert len(CARD) <= run.most_held <= 120
    assert all(before.shown <= after.shown <= after.came for before, after in zip(run.moments, run.moments[1:], strict=False))


def test_a_harmless_answer_leaks_nothing_either_way() -> None:
    assert [0, 0, 0, 0] == [number for run in exposures(HIDING, "We bake on Mondays.", [3]) for number in (run.leaked, run.late)]


@pytest.mark.parametrize(("text", "tokens"), [("", 1), ("a", 0), ("a", True), ("a", 1.5)])
def test_chunks_of_nothing_are_refused(text: str, tokens: int) -> None:
    with pytest.raises(BadInput, match="at least 1 token"):
        chunks(text, tokens)


def test_the_table_has_a_row_a_run() -> None:
    frame = exposure_table(exposures(HIDING, CARD_ANSWER, [1, 10]))
    assert [19, 19, 0, 0] == frame["leaked (characters)"].tolist()
    assert ["stopped", "stopped", "complete", "complete"] == frame["end"].tolist()
    assert ["check every 100 chunks, 10 tokens each", "hold-back, chunks of 1 token"] == frame[""].tolist()[1:3]
