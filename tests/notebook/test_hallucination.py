from __future__ import annotations

from typing import Any

import pytest

from llmlab.data.grounding_probes import probes
from llmlab.lab.ladder import questions
from llmlab.notebook import hallucination
from llmlab.notebook.hallucination import Hallucination, Setting, beside, detection_table, mixed, undetected_table


class Few(Hallucination):
    """The same with few requests."""

    released = 60


@pytest.fixture(scope="module")
def panel() -> Hallucination:
    return Few()


def test_it_opens_with_the_result_and_its_price(panel: Hallucination) -> None:
    assert repr(panel).startswith("naive → + repair → + abstain: failed ")
    assert "more tokens" in repr(panel)
    assert repr(panel).endswith("(n = 60 a rung, seed 7)")
    assert all(image.value for image in panel.figures.children)
    assert "no source" in panel.detail.value


def test_the_lowest_rung_has_no_curve_and_no_price(panel: Hallucination) -> None:
    panel.set(top="naive")
    assert repr(panel).startswith("naive: failed ")
    assert "more tokens" not in repr(panel)
    assert [True, True, False] == [bool(image.value) for image in panel.figures.children]
    panel.set(top="+ abstain")


@pytest.mark.parametrize("values", [{"bad_json": 0}, {"made_up": 40}, {"threshold": 1.0}, {"threshold": 0.0}, {"top": "+ schema"}])
def test_every_control_gives_a_result(panel: Hallucination, values: dict[str, Any]) -> None:
    panel.set(**values)
    assert "" == panel.banner.value
    assert "n = 60 a rung, seed 7" in repr(panel)


def test_more_made_up_facts_are_another_run(panel: Hallucination) -> None:
    panel.set(bad_json=0, top="naive", made_up=0)
    calm = repr(panel)
    panel.set(made_up=40)
    assert calm != repr(panel)


def test_another_question_is_another_answer(panel: Hallucination) -> None:
    before = panel.detail.value
    other = questions()[0]
    panel.set(question=other.id)
    assert before != panel.detail.value
    assert Setting(question=other.id).case == other


@pytest.mark.parametrize("values", [{}, {"bad_json": 0, "made_up": 40, "top": "+ schema"}])
def test_the_code_that_is_shown_gives_the_same_numbers(values: dict[str, Any]) -> None:
    setting = Setting(seed=3, **values)
    *lines, last = setting.code().splitlines()
    names: dict[str, Any] = {}
    exec("\n".join(lines).replace("requests=200", "requests=40"), names)
    runs = setting.lab.run_all(setting.apps, questions(), requests=40)
    frame = hallucination.reached(runs, setting.threshold)
    assert hallucination.reach_table(frame).equals(eval(last, names))


def test_feel_it_plays_repair_and_the_rung_that_was_chosen(panel: Hallucination) -> None:
    panel.reset()
    panel.wait()
    first, second = panel.feel(panel._turn, **panel.chosen)
    assert ["+ repair", "+ abstain"] == [first.title, second.title]
    assert "$30" in first.pieces[0][1]
    assert "I don't know" in second.pieces[0][1]
    (alone,) = panel.feel(panel._turn, **{**panel.chosen, "top": "naive"})
    assert "+ repair" == alone.title
    _, warned = panel.feel(panel._turn, **{**panel.chosen, "top": "+ grounding"})
    assert "a warning" in warned.note


def test_the_answer_that_is_shown_first_has_a_fact_without_a_source() -> None:
    found = beside(Setting()).grounding
    assert [False, True, False, False] == [not claim.supported for claim in found.claims]


def test_the_mix_has_as_many_made_up_answers_as_it_is_told() -> None:
    found = mixed(3, 1000, made_up=0.2)
    assert 160 < sum(found.wrong) < 240
    assert found == mixed(3, 1000, made_up=0.2)
    assert found.scores != mixed(4, 1000, made_up=0.2).scores
    assert set(found.clusters) <= {one.family for one in probes()}
    assert [False] * 10 == mixed(3, 10, made_up=0.0).wrong


def test_the_check_ranks_better_than_each_trivial_detector() -> None:
    table = detection_table().set_index("detector")
    assert ["open half, 48 questions", "held half, 48 questions"] == list(table)
    for half in table:
        areas = {name: float(text.split()[0]) for name, text in table[half].items()}
        assert areas.pop("llmlab") > max(areas.values()) + 0.2


def test_what_is_let_through_most_stands_first() -> None:
    table = undetected_table()
    made_up = table[table["is"] == "made up"]
    assert list(made_up.index) == list(range(len(made_up)))
    found = [float(text.split()[0]) for text in made_up["flagged (%)"]]
    assert sorted(found) == found
