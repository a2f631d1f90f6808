from __future__ import annotations

import pytest

from llmlab.pipeline.grounding.claims import parts


def claims(text: str) -> list[str]:
    return [text[part.start : part.end] for part in parts(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Table plan costs $26. It ships monthly.", ["The Table plan costs $26.", "It ships monthly."]),
        ("No, the Cricket costs $329; the Hearth costs $549.", ["the Cricket costs $329", "the Hearth costs $549."]),
        ("A machine can go back, but flour cannot be returned.", ["A machine can go back", "flour cannot be returned."]),
        ("- Wash the pan by hand\n- Dry the paddle", ["Wash the pan by hand", "Dry the paddle"]),
        ("1. Wash the pan", ["Wash the pan"]),
        ("Paris", ["Paris"]),
        ("Mix flour and water", ["Mix flour and water"]),
        ("Clean it, and dry", ["Clean it, and dry"]),
        ("Use the long dial; now", ["Use the long dial; now"]),
        ("", []),
        ("Yes.", []),
        ("...", []),
        ("I don't know.", []),
        ("The documents do not say. I could not find it.", []),
        ("I don't know if you knew: returns are free.", ["I don't know if you knew", "returns are free."]),
        ("Good question. Happy to help! Let me know if you need anything else.", []),
        ("Here is what applies: Torn bags are replaced.", ["Torn bags are replaced."]),
        ("In short: a machine can go back, and I hope this helps.", ["a machine can go back"]),
        ("Let me know if the motor is loud.", ["Let me know if the motor is loud."]),
    ],
)
def test_an_answer_is_split_into_claims(text: str, expected: list[str]) -> None:
    assert expected == claims(text)


def test_a_sentence_that_admits_not_to_know_but_holds_a_value_is_a_claim() -> None:
    assert ["I don't know why, but it costs $5."] == claims("I don't know why, but it costs $5.")
