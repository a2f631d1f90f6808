from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmlab.errors import BadInput
from llmlab.notebook import check
from llmlab.notebook.check import Feedback, Wrong, exercise, untouched


def dots(x: Any) -> Any: ...


def returns_dots(x: Any) -> Any:
    """Say what it does."""
    return ...


def passes(x: Any) -> Any:
    """Say what it does."""


async def two_dots(client: Any, question: Any) -> Any: ...


async def returns_two_dots(client: Any, question: Any) -> Any:
    return ...


def returns_five(x: Any) -> Any:
    return 5


def returns_none(x: Any) -> Any:
    return None


def echoes(x: Any) -> Any:
    return x


@pytest.mark.parametrize("answer", [None, ..., dots, returns_dots, passes, two_dots, returns_two_dots, returns_none])
def test_what_nobody_worked_on_is_untouched(answer: Any) -> None:
    assert untouched(answer)


@pytest.mark.parametrize("answer", [0, "", [], returns_five, echoes, len, dict, lambda x: x + 1])
def test_what_somebody_worked_on_is_not(answer: Any) -> None:
    assert not untouched(answer)


@pytest.fixture
def double() -> Iterator[Callable[[Any], Feedback]]:
    @exercise("double three.")
    def doubled(answer: Any) -> str:
        if answer == "misuse":
            raise BadInput("a number is needed")
        if answer + 0 != 6:
            raise Wrong(f"{answer} is not twice three.", "Multiply <it>.")
        return "six it is."

    yield doubled
    del check.EXERCISES["doubled"]


def test_a_check_praises_what_is_right(double: Callable[[Any], Feedback]) -> None:
    feedback = double(6)
    assert feedback.passed is True
    assert "Passed: Six it is." == repr(feedback)


def test_a_check_explains_what_is_wrong_and_gives_a_hint(double: Callable[[Any], Feedback]) -> None:
    feedback = double(5)
    assert feedback.passed is False
    assert "Not yet: 5 is not twice three.\nHint: Multiply <it>." == repr(feedback)
    assert "Multiply &lt;it&gt;." in feedback._repr_html_()


def test_an_untouched_exercise_says_whose_turn_it_is(double: Callable[[Any], Feedback]) -> None:
    assert double().passed is None
    assert "Your turn: Double three." == repr(double(...))
    assert "Hint" not in double()._repr_html_()


def test_our_own_errors_are_told_as_they_are(double: Callable[[Any], Feedback]) -> None:
    assert "Not yet: A number is needed" == repr(double("misuse"))


def test_an_error_of_the_learners_code_is_explained_and_not_thrown(double: Callable[[Any], Feedback]) -> None:
    assert repr(double([])).startswith("Not yet: Your code raised TypeError: can only concatenate")


def test_an_exercise_registers_itself_and_is_found_by_name(double: Callable[[Any], Feedback]) -> None:
    assert double is check.doubled
    assert {"doubled", "longest_stage", "own_app", "slow_start"} <= set(dir(check))


def test_an_exercise_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(
        AttributeError,
        match="there is no exercise 'tripled'; there is: a_rule, a_threshold, answers_needed, calm_down, careful_threshold, clicks_needed",
    ):
        check.tripled  # noqa: B018
