from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.evals.detection import base_rate
from llmlab.lab.pictures import icon_array, icon_table
from llmlab.lab.pictures.icons import whole

shares = st.floats(0, 1)


@given(shares, shares, st.integers(1, 10_000))
def test_the_icons_are_as_many_as_the_requests(recall: float, wrong: float, attacks_in: int) -> None:
    alarms = base_rate(recall, wrong, attacks_in)
    found = whole(alarms)
    assert 10_000 == sum(found.values())
    assert all(abs(count - getattr(alarms, kind)) < 1 for kind, count in found.items())


def test_the_square_has_an_icon_a_request_and_the_other_side_one_an_alarm(words: Callable[..., list[str]]) -> None:
    alarms = base_rate(0.99, 0.01)
    picture = icon_array(alarms)
    square, stopped = picture.axes
    grid = np.asarray(square.images[0].get_array())[::4, ::4]
    assert (100, 100) == grid.shape
    assert [10, 0, 100, 9890] == [int((grid == kind).sum()) for kind in range(4)]
    assert {"caught": 10, "false_alarms": 100} == {line.get_gid(): len(line.get_xdata()) for line in stopped.lines}
    assert {"10,000 requests", "110 alarms, 91 % wrong"} <= set(words(picture))
    assert ["attack caught", 10] == icon_table(alarms).iloc[0].tolist()


@pytest.mark.parametrize(
    ("alarms", "said"), [(base_rate(0.5, 0.16), "1,603 alarms, 99.7 % wrong"), (base_rate(0, 0), "0 alarms, 0 % wrong")]
)
def test_what_is_nearly_all_is_not_all(alarms: object, said: str, words: Callable[..., list[str]]) -> None:
    assert said in words(icon_array(alarms))
