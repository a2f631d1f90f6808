from __future__ import annotations

import pytest

from llmlab.pipeline.grounding.passage import passage
from llmlab.pipeline.grounding.values import same


def read(text: str) -> list[tuple[str, float]]:
    return [(value.dimension, value.amount) for value in passage(text).values]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("within 45 days", [("seconds", 45 * 86400)]),
        ("two weeks", [("seconds", 14 * 86400)]),
        ("a fortnight", [("seconds", 14 * 86400)]),
        ("half an hour", [("seconds", 1800)]),
        ("2 years", [("months", 24)]),
        ("half a decade", [("months", 60)]),
        ("yearly", [("months", 12)]),
        ("twice a day", [("", 2), ("seconds", 86400)]),
        ("4 kg of flour a month for $26", [("grams", 4000), ("months", 1), ("dollars", 26)]),
        ("half a kilo", [("grams", 500)]),
        ("3 to 6 business days", [("business days", 3), ("business days", 6)]),
        ("4 extra business days", [("business days", 4)]),
        ("between 2 am and 4 pm", [("clock", 120), ("clock", 960)]),
        ("from 9 am to noon", [("clock", 540), ("clock", 720)]),
        ("at 7:30 pm", [("clock", 1170)]),
        ("until February 15", [("date", 215)]),
        ("the 15th of February", [("date", 215)]),
        ("15 February", [("date", 215)]),
        ("12.5% protein", [("percent", 12.5)]),
        ("25 percent less", [("percent", 25)]),
        ("cut it by a quarter", [("percent", 25)]),
        ("a quarter off", [("percent", 25)]),
        ("$1,450.50", [("dollars", 1450.5)]),
        ("fifty dollars", [("dollars", 50)]),
        ("79 °F", [("fahrenheit", 79)]),
        ("100 °C", [("fahrenheit", 212)]),
        ("2.4 GHz", [("hertz", 2.4e9)]),
        ("seventy-nine", [("", 79)]),
        ("two hundred thousand", [("", 200_000)]),
        ("hundred", [("", 100)]),
        ("2 million", [("", 2_000_000)]),
        ("twenty-four hours", [("seconds", 86400)]),
        ("twenty four", [("", 24)]),
        ("half a dozen people", [("", 6)]),
        ("a dozen eggs", [("", 12)]),
        ("on the fifth", [("", 5)]),
        ("rated for 15 A", [("amperes", 15)]),
        ("a fee of 5 a day", [("", 5), ("seconds", 86400)]),
        ("the broken one", []),
        ("a third attempt", []),
        ("a second delivery", []),
        ("a", []),
        ("half", []),
        ("in March", []),
        ("March 99", [("", 99)]),
        ("$", []),
    ],
)
def test_a_value_is_read_as_it_is_written(text: str, expected: list[tuple[str, float]]) -> None:
    assert expected == read(text)


@pytest.mark.parametrize(
    ("claimed", "given", "agree"),
    [
        ("12 months", "1 year", True),
        ("7 days", "a week", True),
        ("500 g", "half a kilo", True),
        ("10 cm", "4 inches", True),
        ("seventy-nine", "$79", True),
        ("4 feet", "4 inches", False),
        ("5 days", "5 business days", False),
        ("2 pm", "2 am", False),
        ("60 weeks", "60 days", False),
        ("400 °C", "400 °F", False),
        ("45 days", "46 days", False),
        ("30%", "$30", False),
    ],
)
def test_values_agree_in_number_and_unit(claimed: str, given: str, agree: bool) -> None:
    assert agree is same(passage(claimed).values[0], passage(given).values[0])
