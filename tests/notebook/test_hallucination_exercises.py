from __future__ import annotations

import json
from typing import Any

import json_repair
import pytest
from pydantic import BaseModel

import llmlab
from llmlab.notebook.hallucination_exercises import MEANINGS, _spoiled
from llmlab.pipeline.parsing.parse import parse
from llmlab.wire.faults import FAULTS

check = llmlab.check


class Refund(BaseModel):
    order: str
    reason: str
    amount: float


def strict(text: str) -> Any:
    try:
        return json.loads(text)["amount"]
    except (ValueError, KeyError):
        return None


def repaired(text: str) -> Any:
    found = None if "NaN" in text else json_repair.loads(text)
    return found.get("amount") if isinstance(found, dict) and isinstance(found.get("amount"), float | int) else None


def nothing(text: str) -> Any:
    return None if text else 0


def sure(text: str) -> Any:
    found = parse(text, Refund)
    return found.value.amount if found.ok else None


@pytest.mark.parametrize(
    ("answer", "passed", "text"),
    [
        (0.6, True, "on two seeds"),
        (0.3, False, "too many are wrong"),
        (0.9, False, "silent too often"),
        (2, False, "a score from 0 to 1"),
        ("high", False, "a score from 0 to 1"),
        (True, False, "a score from 0 to 1"),
    ],
)
def test_a_threshold_is_tried_on_other_seeds(answer: Any, passed: bool, text: str) -> None:
    feedback = check.careful_threshold(answer)
    assert passed is feedback.passed
    assert text in feedback.text.lower()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (42, "A function is needed"),
        (nothing, "with which nothing is wrong"),
        (lambda text: json.loads(text)["amount"], "it raised JSONDecodeError"),
        (lambda text: json.loads(text)["amount"] if text[0] == "{" and "NaN" not in text and text[-1] == "}" else None, "it raised"),
        (strict, "which is no amount"),
        (lambda text: None if "NaN" in text or not isinstance(strict(text), float) else strict(text), "it refuses JSON in a fence"),
        (repaired, "and the model meant"),
        (lambda text: "12", "which is no amount"),
    ],
)
def test_a_function_that_guesses_or_raises_is_explained(answer: Any, text: str) -> None:
    feedback = check.sure_amount(answer)
    assert feedback.passed is False
    assert text.lower() in feedback.text.lower()


def test_the_pipelines_own_reading_passes_and_what_it_cannot_see_is_named() -> None:
    feedback = check.sure_amount(sure)
    assert feedback.passed
    assert "ChangedNumber got through" in feedback.text


def test_every_fault_that_leaves_bad_json_is_tried() -> None:
    tried = {one.fault for one in _spoiled()}
    syntactic = {name for name, kind in FAULTS.items() if getattr(kind, "syntactic", False)} - {"MalformedToolArguments"}
    assert syntactic <= tried
    assert {"none", *MEANINGS} - {"ChangedName"} <= tried


@pytest.mark.parametrize(
    ("answer", "passed", "text"),
    [
        (299, True, "4.95 %"),
        (298, False, "5.0 % of the time"),
        (300, False, "more than it takes"),
        (-5, False, "100.0 %"),
        ("many", False, "number is needed"),
    ],
)
def test_the_number_of_answers(answer: Any, passed: bool, text: str) -> None:
    feedback = check.answers_needed(answer)
    assert passed is feedback.passed
    assert text in feedback.text
