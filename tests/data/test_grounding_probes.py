from __future__ import annotations

from collections import Counter

import pytest

from llmlab.data import cases
from llmlab.data.grounding_probes import probes
from llmlab.errors import UnknownName


def test_there_are_at_least_300_answers_and_as_many_right_as_wrong() -> None:
    count = Counter(probe.supported for probe in probes())
    assert 300 <= count.total()
    assert count[True] == count[False]


def test_every_text_and_id_is_there_once() -> None:
    assert len(probes()) == len({probe.answer for probe in probes()}) == len({probe.id for probe in probes()})


def test_a_family_is_a_question_of_the_help_desk_with_both_kinds_of_answer() -> None:
    questions = {case.id: case.question for case in cases()}
    assert all(questions[probe.family] == probe.question for probe in probes())
    sides = Counter((probe.family, probe.supported) for probe in probes())
    assert all(sides[family, True] == sides[family, False] for family, _ in sides)


def test_a_family_is_in_one_half_and_the_halves_make_up_all() -> None:
    halves = {half: {probe.family for probe in probes(half)} for half in ("open", "held")}
    assert not halves["open"] & halves["held"]
    assert len(probes()) == len(probes("open")) + len(probes("held"))


def test_sources_are_documents_of_the_help_desk() -> None:
    assert all(probe.sources == tuple(document.id for document in probe.documents()) for probe in probes())


def test_the_kind_says_whether_it_is_supported() -> None:
    right = {probe.kind for probe in probes() if probe.supported}
    assert {"paraphrase", "literal", "cited", "quoted"} == right
    assert not right & {probe.kind for probe in probes() if not probe.supported}


def test_there_is_no_third_half() -> None:
    with pytest.raises(UnknownName, match="open, held"):
        probes("closed")
