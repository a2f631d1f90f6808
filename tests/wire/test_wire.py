from __future__ import annotations

import pytest

from llmlab import wire


@pytest.mark.parametrize("name", wire.__all__)
def test_a_name_resolves(name: str) -> None:
    assert name == getattr(wire, name).__name__


def test_the_names_are_sorted_and_listed() -> None:
    assert sorted(wire.__all__) == list(wire.__all__)
    assert set(wire.__all__) <= set(dir(wire))


def test_a_name_that_does_not_exist_names_those_there_are() -> None:
    with pytest.raises(AttributeError, match=r"llmlab\.wire has no 'Storm'; it has Cassette, Chaos, Live, Simulator, serve"):
        wire.Storm  # noqa: B018
