from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb

from llmlab.lab import pictures

Words = Callable[[pictures.Picture], list[str]]
APPS = {"naive": 4.2, "careful": None, "stack": 1.2}


def storm(n: int = 40, every: int = 10) -> pd.DataFrame:
    """Each app waits half a second; every so often naive waits for long, careful fails, the stack waits a little longer."""
    rows = []
    for app, struck in APPS.items():
        for number in range(n):
            wait = struck if number % every == 0 else 0.5
            status = "failed" if wait is None else "ok"
            rows.append({"app": app, "number": number, "case": f"q{number}", "repetition": 0, "status": status, "wait_seconds": wait})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("n", [1, 40, 500])
def test_the_strip_has_one_row_an_app_and_one_column_a_request(n: int) -> None:
    picture = pictures.storm_strip(storm(n))
    columns = [part for axes in picture.axes for part in axes.collections if isinstance(part, PolyCollection)]
    assert [n, n, n] == [len(part.get_paths()) for part in columns]


def test_color_is_the_outcome_and_height_the_wait() -> None:
    for row, expected in zip(pictures.storm_strip(storm()).axes, ["slow", "failed", "in time"], strict=True):
        (columns,) = row.collections
        found = dict(zip((round(path.vertices[:4, 0].mean()) for path in columns.get_paths()), columns.get_facecolors(), strict=True))
        high = {round(path.vertices[:4, 0].mean()): path.vertices[:, 1].max() for path in columns.get_paths()}
        assert to_rgb(pictures.COLORS[expected]) == pytest.approx(tuple(found[0][:3]))
        assert to_rgb(pictures.COLORS["in time"]) == pytest.approx(tuple(found[1][:3]))
        assert math.sqrt(0.5) == pytest.approx(high[1])
        struck = {"slow": 4.2, "failed": 12.0, "in time": 1.2}[expected]
        assert math.sqrt(struck) == pytest.approx(high[0])


def test_every_app_has_the_same_order_of_requests() -> None:
    mixed = storm()
    mixed = pd.concat([mixed[mixed["app"] == "naive"], mixed[mixed["app"] != "naive"].iloc[::-1]])
    for row in pictures.storm_strip(mixed).axes:
        (columns,) = row.collections
        lefts = {round(path.vertices[:4, 0].mean()) for path in columns.get_paths()}
        assert set(range(40)) == lefts


def test_a_wait_beyond_the_scale_ends_at_its_top() -> None:
    frame = storm().assign(wait_seconds=1000.0)
    (columns,) = pictures.storm_strip(frame[frame["app"] == "naive"], slow_seconds=2.0).axes[0].collections
    assert math.sqrt(6.0) == pytest.approx(columns.get_paths()[0].vertices[:, 1].max())


def test_each_row_is_labeled_with_its_app_and_its_share(words: Words) -> None:
    said = words(pictures.storm_strip(storm()))
    for expected in ["naive", "careful", "stack", "10.0 % after 4 s", "10.0 % failed", "0.0 % after 4 s"]:
        assert expected in said


def test_the_key_names_failures_only_where_there_are_any(words: Words) -> None:
    frame = storm()
    assert "failed" in words(pictures.storm_strip(frame))
    assert "failed" not in words(pictures.storm_strip(frame[frame["app"] == "naive"]))


def test_the_table_says_what_the_strip_shows() -> None:
    table = pictures.storm_table(storm())
    assert [36, 36, 40] == table["first word within 4 s"].tolist()
    assert [4, 0, 0] == table["later"].tolist()
    assert [0, 4, 0] == table["failed"].tolist()
    assert ["0.500", "0.500", "0.500"] == table["median wait s"].tolist()
    assert ["4.200", "never", "1.200"] == table["longest wait s"].tolist()


def test_a_slow_request_among_many_is_wide_enough_to_be_seen() -> None:
    axes = pictures.storm_strip(storm(500, every=50)).axes[0]
    (columns,) = axes.collections
    struck = [axes.transData.transform_path(path).get_extents().width for path in columns.get_paths()[-10:]]
    assert [1.5] * 10 == pytest.approx(struck, abs=0.01)  # three pixels of the PNG, which has twice as many
    assert axes.transData.transform_path(columns.get_paths()[0]).get_extents().width < 1.2


def test_the_strip_can_be_wider_for_a_page() -> None:
    assert 10.0 == pictures.storm_strip(storm(), width_inches=10.0).get_size_inches()[0]


def test_one_request_is_one_request(words: Words) -> None:
    assert "1 request, the same in every row; height: wait for the first word" in words(pictures.storm_strip(storm(1)))
