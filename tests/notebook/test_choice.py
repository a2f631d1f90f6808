from __future__ import annotations

import pytest

from llmlab.notebook.choice import Choice

OPTIONS = {"one": "the first", "two": "the second", "three": "the third"}


def test_a_click_changes_the_value_once() -> None:
    choice, seen = Choice(OPTIONS, ("two",)), []
    choice.observe(lambda change: seen.append(change["new"]), names="value")
    choice.boxes["one"].value = True
    assert ("one", "two") == choice.value
    choice.boxes["two"].value = False
    assert [("one", "two"), ("one",)] == seen


def test_a_new_value_moves_all_boxes_and_is_told_once() -> None:
    choice, seen = Choice(OPTIONS, ("two",)), []
    choice.observe(lambda change: seen.append(change["new"]), names="value")
    choice.value = ("one", "three")
    assert [True, False, True] == [box.value for box in choice.boxes.values()]
    assert [("one", "three")] == seen


def test_what_is_no_option_is_refused() -> None:
    with pytest.raises(ValueError, match="there is: one, two, three"):
        Choice(OPTIONS, ("four",))
