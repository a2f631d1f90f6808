from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from llmlab.errors import BadInput
from llmlab.lab.pictures import paired_scatter, paired_scatter_table
from llmlab.lab.pictures.scatter import KINDS

Rows = Callable[..., pd.DataFrame]
WAITS = {"before": [1.0, 5.0, 6.0, 0.5, None, 2.0, 3.0], "after": [0.5, 1.0, 5.0, 4.5, None, None, 4.0]}
"""In time, mended, still slow, made slower, never, never any more, in time at the very limit."""


def dots(picture) -> dict[str, PathCollection]:
    return {part.get_label(): part for part in picture.axes[0].collections if part.get_label() in KINDS}


def test_each_request_is_drawn_as_what_became_of_it(rows: Rows) -> None:
    found = {kind: part.get_offsets().tolist() for kind, part in dots(paired_scatter(rows(WAITS), "before", "after")).items()}
    assert [[1.0, 0.5], [3.0, 4.0]] == found["in time in both"]
    assert [[5.0, 1.0]] == found["mended"]
    assert [0.5, 4.5] == found["made slower"][0]
    assert [6.0, 5.0] == found["still slow"][0]


def test_what_failed_stands_in_the_margin(rows: Rows) -> None:
    picture = paired_scatter(rows(WAITS), "before", "after")
    ((never, also),) = dots(picture)["still slow"].get_offsets().tolist()[1:]
    assert never == also > 6.0
    assert [2.0, never] == dots(picture)["made slower"].get_offsets().tolist()[1]
    axes = picture.axes[0]
    assert ["never", never] == [axes.get_xticklabels()[-1].get_text(), pytest.approx(axes.get_xticks()[-1])]


def test_without_failures_there_is_no_margin(rows: Rows) -> None:
    axes = paired_scatter(rows({"before": [1.0], "after": [2.0]}), "before", "after").axes[0]
    assert "never" not in [label.get_text() for label in axes.get_xticklabels()]


def test_both_axes_are_the_same_and_the_diagonal_is_no_change(rows: Rows, words: Callable[..., list[str]]) -> None:
    picture = paired_scatter(rows(WAITS), "before", "after")
    axes = picture.axes[0]
    assert axes.get_xlim() == axes.get_ylim()
    assert any(list(line.get_xdata()) == list(line.get_ydata()) and len(set(line.get_xdata())) == 2 for line in axes.lines)
    assert "no change" in words(picture)


def test_the_counts_stand_in_the_corners(rows: Rows, words: Callable[..., list[str]]) -> None:
    said = words(paired_scatter(rows(WAITS), "before", "after"))
    for expected in ["\u25cf 2 in time in both", "\u25c6 1 mended", "\u25b2 2 made slower", "\u2716 2 still slow"]:
        assert expected in said


def test_color_and_marker_both_tell_the_kinds_apart() -> None:
    assert 4 == len({look.marker for look in KINDS.values()}) == len({look.color for look in KINDS.values()})


def test_the_table_says_what_the_scatter_shows(rows: Rows) -> None:
    table = paired_scatter_table(rows(WAITS), "before", "after").set_index("requests")
    assert [2, "3.000", "4.000"] == table.loc["in time in both"].tolist()
    assert [1, "5.000", "1.000"] == table.loc["mended"].tolist()
    assert [2, "2.000", "never"] == table.loc["made slower"].tolist()
    assert [2, "never", "never"] == table.loc["still slow"].tolist()
    assert [0, "", ""] == paired_scatter_table(rows({"a": [1.0], "b": [1.0]}), "a", "b").set_index("requests").loc["mended"].tolist()


def test_requests_are_matched_by_case_and_repetition_whatever_their_order(rows: Rows) -> None:
    frame = rows(WAITS)
    mixed = pd.concat([frame[frame["app"] == "before"], frame[frame["app"] == "after"].iloc[::-1]])
    assert paired_scatter_table(frame, "before", "after").equals(paired_scatter_table(mixed, "before", "after"))


@pytest.mark.parametrize(("before", "after", "message"), [("befroe", "after", "befroe"), ("before", "nobody", "nobody")])
def test_an_app_that_did_not_run_is_named(before: str, after: str, message: str, rows: Rows) -> None:
    with pytest.raises(BadInput, match=message):
        paired_scatter(rows(WAITS), before, after)


def test_apps_without_a_common_request_cannot_be_paired(rows: Rows) -> None:
    frame = rows(WAITS)
    frame.loc[frame["app"] == "after", "repetition"] = 1
    with pytest.raises(BadInput, match="no request in common"):
        paired_scatter_table(frame, "before", "after")
