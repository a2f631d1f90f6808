from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from llmlab.errors import BadInput
from llmlab.lab.pictures import timeline, timeline_table

Rows = Callable[..., pd.DataFrame]
WAITS = {"naive": [1.0, 5.0, None, 100.0], "stack": [1.0, 1.0, 1.0, 1.0]}


def dots(picture, row: int = 0) -> dict[str, list[list[float]]]:
    parts = [part for part in picture.axes[2 * row].collections if isinstance(part, PathCollection)]
    return {part.get_label(): part.get_offsets().tolist() for part in parts}


def test_a_dot_stands_at_its_intended_time_and_as_high_as_its_wait(rows: Rows) -> None:
    found = dots(timeline(rows(WAITS, sent_at=9.0)))
    assert [[0.0, 1.0]] == found["in time"]
    assert [[0.5, math.sqrt(5.0)], [1.5, math.sqrt(12.0)]] == found["slow"]
    assert [[1.0, math.sqrt(12.0)]] == found["failed"]


def test_where_all_were_intended_at_once_a_dot_stands_where_it_was_sent(rows: Rows) -> None:
    picture = timeline(rows(WAITS, intended_at=0.0))
    assert [0.5, 1.5] == [x for x, _ in dots(picture)["slow"]]
    assert "when it was sent (seconds on the run's clock)" == picture.axes[-1].get_xlabel()


def test_outcomes_differ_in_marker_and_color(rows: Rows) -> None:
    parts = timeline(rows(WAITS)).axes[0].collections
    assert 3 == len({part.get_paths()[0].vertices.shape for part in parts}) == len({tuple(part.get_facecolors()[0]) for part in parts})


def test_the_band_below_counts_the_requests_in_flight(rows: Rows, words: Callable[..., list[str]]) -> None:
    frame = rows({"naive": [1.0, 1.0, 1.0]}, total_seconds=[0.75, 0.49, 0.1])
    picture = timeline(frame)
    (band,) = picture.axes[1].collections
    path = band.get_paths()[0]
    flying = [sum(path.contains_point((at, level)) for level in (0.5, 1.5, 2.5)) for at in (0.25, 0.6, 0.9, 0.995, 1.05)]
    assert [1, 2, 1, 0, 1] == flying
    assert "at most 2 in flight" in words(picture)


def test_all_apps_stand_on_one_clock(rows: Rows) -> None:
    assert 1 == len({axes.get_xlim() for axes in timeline(rows(WAITS)).axes})


def test_the_key_names_failures_only_where_there_are_any(rows: Rows, words: Callable[..., list[str]]) -> None:
    assert "failed" in words(timeline(rows(WAITS)))
    assert "failed" not in words(timeline(rows({"stack": WAITS["stack"]})))


def test_the_table_counts_by_window(rows: Rows) -> None:
    table = timeline_table(rows(WAITS), window_seconds=1.0)
    naive = table[table["app"] == "naive"]
    assert [["0", "1", 2, 2, 1, 0], ["1", "2", 2, 4, 1, 1]] == naive.drop(columns="app").to_numpy().tolist()


def test_who_is_still_in_flight_when_a_window_begins_counts_in_it(rows: Rows) -> None:
    table = timeline_table(rows({"naive": [5.0, 0.5]}, intended_at=[0.0, 3.5], sent_at=[0.0, 3.5]), window_seconds=1.0)
    assert [1, 1, 1, 2] == table["in flight at most"].tolist()
    assert [1, 0, 0, 1] == table["requests"].tolist()


@pytest.mark.parametrize(("last", "expected"), [(3.0, "1"), (12.0, "2"), (105.0, "20"), (999.0, "100")])
def test_a_window_is_a_round_tenth_of_the_run(last: float, expected: str, rows: Rows) -> None:
    assert expected == timeline_table(rows({"naive": [1.0, 1.0]}, intended_at=[0.0, last]))["to s"].iloc[0]


@pytest.mark.parametrize("window", [0.0, -1.0, math.inf])
def test_a_window_without_length_is_refused(window: float, rows: Rows) -> None:
    with pytest.raises(BadInput, match=str(window)):
        timeline_table(rows(WAITS), window_seconds=window)
