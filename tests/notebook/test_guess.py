from __future__ import annotations

import pytest

from llmlab.notebook.guess import Guess

QUESTION = "When does the first word come?"


def test_an_untouched_guess_says_so() -> None:
    guess = Guess(QUESTION, unit="s")
    assert "no guess yet" == repr(guess)
    assert guess.value is None


@pytest.mark.parametrize(("typed", "expected"), [("2.5", 2.5), (" 2,5 s ", 2.5), ("3", 3.0), ("-1", -1.0)])
def test_a_number_is_read_as_people_write_it(typed: str, expected: float) -> None:
    guess = Guess(QUESTION, unit="s")
    guess.field.value = typed
    assert expected == guess.value
    assert f"Your guess: {expected:g} s" == repr(guess)


@pytest.mark.parametrize("typed", ["two", "inf", "nan", "1 2"])
def test_what_is_no_number_is_no_guess(typed: str) -> None:
    guess = Guess(QUESTION, unit="s")
    guess.field.value = typed
    assert guess.value is None
    assert f"{typed!r} is no number; write one, as in 2.5" == repr(guess)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, f"{QUESTION} No guess yet; measured: 1.500 s"),
        (2.0, f"{QUESTION} You guessed 2 s; measured: 1.500 s, 0.500 s less than you guessed"),
        (0.5, f"{QUESTION} You guessed 0.5 s; measured: 1.500 s, 1.000 s more than you guessed"),
        (1.4, f"{QUESTION} You guessed 1.4 s; measured: 1.500 s, within 10 %"),
    ],
)
def test_the_guess_is_shown_against_the_measurement(value: float | None, expected: str) -> None:
    guess = Guess(QUESTION, unit="s", value=value)
    verdict = guess.against(1.5)
    assert expected == str(verdict) == repr(verdict) == repr(guess)
    assert (None if value is None else pytest.approx(1.5 - value)) == verdict.difference


def test_what_is_typed_after_the_measurement_does_not_count() -> None:
    guess = Guess(QUESTION, unit="s", value=2.0)
    guess.against(1.5)
    guess.field.value = "1.5"
    assert 2.0 == guess.value
    assert guess.field.disabled
    assert "You guessed 2 s" in repr(guess)


def test_nbval_sees_the_words_and_no_address() -> None:
    bundle = Guess("<b>?", unit="s")._repr_mimebundle_()
    assert "no guess yet" == bundle["text/plain"]
    assert "<p><b>&lt;b&gt;?</b> no guess yet</p>" == bundle["text/html"]
