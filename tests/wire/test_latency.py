from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.errors import UnknownName
from llmlab.protocol.draws import uniform
from llmlab.wire.latency import PRESETS, Preset, Spread, preset

DRAWS = 20_000
TOKENS = Spread(1.0, 12.3, 0.71, 328.0, 0.64, 0.21)
"""Lengths of the 420 unstreamed answers that were measured (in tokens)."""


def drawn(preset: Preset) -> tuple[np.ndarray, np.ndarray]:
    """Return first-token times and whole times of answers as long as the measured ones (in seconds)."""
    keys = [("test", number) for number in range(DRAWS)]
    first = np.array([preset.first_token_seconds(7, "first_token", *key) for key in keys])
    rest = np.array([round(TOKENS.at(uniform(7, "tokens", *key))) * preset.seconds_per_token(7, "per_token", *key) for key in keys])
    return first, first + rest


def quantiles(values: np.ndarray) -> list[float]:
    return [float(value) for value in np.quantile(values, [0.5, 0.9, 0.99])]


def test_chat_reproduces_the_measured_times() -> None:
    first, whole = drawn(preset("chat"))
    assert [0.353, 0.952, 1.599] == pytest.approx(quantiles(first), rel=0.15)
    assert [0.720, 5.762, 15.110] == pytest.approx(quantiles(whole), rel=0.15)


@pytest.mark.parametrize(
    ("name", "measured"),
    [("groq", [0.222, 0.299, 0.350]), ("together", [0.635, 0.734, 0.871]), ("replicate", [1.188, 12.323, 63.626])],
)
def test_the_others_reproduce_the_measured_first_tokens(name: str, measured: list[float]) -> None:
    assert measured == pytest.approx(quantiles(drawn(preset(name))[0]), rel=0.15)


@pytest.mark.parametrize(
    ("name", "measured"),
    [("groq", [0.0037, 0.0043, 0.0046]), ("together", [0.0115, 0.0139, 0.0188]), ("replicate", [0.0856, 0.0899, 0.1014])],
)
def test_the_others_reproduce_the_measured_decode_speeds(name: str, measured: list[float]) -> None:
    speeds = np.array([preset(name).seconds_per_token(7, number) for number in range(5000)])
    assert measured == pytest.approx(quantiles(speeds), rel=0.15)


def test_an_unknown_preset_names_the_ones_there_are() -> None:
    with pytest.raises(UnknownName, match="there is no latency preset 'slow'; there is: chat, groq, together, replicate, calm"):
        preset("slow")
    with pytest.raises(UnknownName):
        preset(["chat"])  # type: ignore[arg-type]


def test_every_preset_says_where_it_comes_from() -> None:
    assert ["chat", "groq", "together", "replicate", "calm"] == list(PRESETS)
    assert all(name == one.name and len(one.source) > 20 for name, one in PRESETS.items())
    assert PRESETS["calm"].source.startswith("put in, not measured")


def test_a_preset_does_not_change() -> None:
    with pytest.raises(AttributeError):
        preset("chat").name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        PRESETS["chat"] = preset("calm")  # type: ignore[index]


@given(st.sampled_from(sorted(PRESETS)), st.integers(0, 10_000))
def test_draws_are_whole_microseconds_above_the_floor_and_repeatable(name: str, number: int) -> None:
    one = preset(name)
    first, speed = one.first_token_seconds(3, number), one.seconds_per_token(3, number)
    assert (first, speed) == (one.first_token_seconds(3, number), one.seconds_per_token(3, number))
    assert first == round(first, 6)
    assert speed == round(speed, 6)
    assert first >= one.first_token.floor
    assert speed >= one.per_token.floor


@given(st.floats(0.0001, 0.9998), st.floats(0.0, 0.4))
def test_a_spread_grows_with_u_within_its_modes(u: float, share: float) -> None:
    spread = Spread(1.0, 2.0, 0.5, 50.0, 0.0, share)
    value = spread.at(u)
    assert (value == 51.0) == (u >= 1.0 - share)
    assert value >= 1.0
    assert u >= 1.0 - share or math.isclose(value, 1.0 + 2.0 * (-math.log1p(-u / (1.0 - share)) / math.log(2)) ** 0.5)


def test_the_median_of_a_body_is_its_median() -> None:
    assert 3.0 == pytest.approx(Spread(0.0, 3.0, 0.7).at(0.5))
