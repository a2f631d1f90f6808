from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.evals.statistics import quantile
from llmlab.lab.pictures import ecdf, ecdf_table
from llmlab.lab.pictures.ecdf import spread

Rows = Callable[..., pd.DataFrame]


def corners(picture, app: str) -> tuple[list[float], list[float]]:
    (line,) = [line for line in picture.axes[0].lines if line.get_label() == app]
    return list(line.get_xdata()), list(line.get_ydata())


def test_the_line_steps_up_at_each_wait(rows: Rows) -> None:
    xs, ys = corners(ecdf(rows({"naive": [2.0, 0.5, 1.0, 8.0]}), tail=False), "naive")
    assert [0.5, 1.0, 2.0, 8.0] == xs[1:]
    assert [0, 0.25, 0.5, 0.75, 1.0] == ys


def test_each_order_of_magnitude_of_the_tail_has_the_same_room(rows: Rows) -> None:
    picture = ecdf(rows({"naive": [number / 10 for number in range(1, 101)]}))
    _, ys = corners(picture, "naive")
    assert [0, -math.log10(0.99), 1.0, 2.0] == pytest.approx([ys[0], ys[1], ys[90], ys[99]])
    assert -math.log10(0.005) == pytest.approx(ys[100])
    assert ["0 %", "50 %", "90 %", "99 %"] == [label.get_text() for label in picture.axes[0].get_yticklabels()]


@pytest.mark.parametrize("tail", [True, False])
def test_what_failed_keeps_the_line_from_the_top(tail: bool, rows: Rows, words: Callable[..., list[str]]) -> None:
    picture = ecdf(rows({"naive": [1.0, 1.0, None, 5.0]}), tail=tail)
    xs, ys = corners(picture, "naive")
    assert picture.axes[0].get_xlim()[1] == pytest.approx(xs[-1])
    assert (-math.log10(0.25) if tail else 0.75) == pytest.approx(ys[-1])
    assert any("50.0 % after 4 s or never, 25.0 % never" in said for said in words(picture))


def test_a_label_has_the_name_the_quantiles_and_the_share_beyond_the_line(rows: Rows, words: Callable[..., list[str]]) -> None:
    said = words(ecdf(rows({"naive": [1.0] * 480 + [5.0] * 20, "staging": [1.0] * 20})))
    assert "naive" in said
    assert "p50 1.00 s, p99 5.00 s 4.0 % after 4 s" in said
    assert "p50 1.00 s, no p99 at n = 20 0.0 % after 4 s" in said


def test_many_apps_have_their_quantiles_in_the_table_only(rows: Rows, words: Callable[..., list[str]]) -> None:
    said = words(ecdf(rows({name: [1.0, 5.0] for name in "abcde"})))
    assert 5 == said.count("50.0 % after 4 s")


def test_no_two_apps_look_the_same(rows: Rows) -> None:
    lines = [line for line in ecdf(rows({name: [1.0] for name in "abcdefgh"})).axes[0].lines if line.get_label() in "abcdefgh"]
    assert 8 == len({(line.get_color(), line.get_linestyle(), line._dash_pattern[1] and tuple(line._dash_pattern[1])) for line in lines})


def test_the_line_where_the_slow_ones_begin_stands_at_its_seconds(rows: Rows) -> None:
    axes = ecdf(rows({"naive": [1.0, 5.0]}), slow_seconds=2.5).axes[0]
    assert [2.5, 2.5] in [list(line.get_xdata()) for line in axes.lines]
    assert "after 2.5 s \u25b8" in [text.get_text() for text in axes.texts]


def test_an_answer_without_a_wait_stands_at_the_left_end(rows: Rows) -> None:
    picture = ecdf(rows({"cached": [0.0, 1.0]}))
    assert 0.05 == picture.axes[0].get_xlim()[0] == corners(picture, "cached")[0][1]
    assert "\u2264 0.05" == picture.axes[0].get_xticklabels()[0].get_text()


def test_the_table_has_the_quantiles_with_their_intervals(rows: Rows) -> None:
    waits = [number / 100 for number in range(1, 501)]
    table = ecdf_table(rows({"naive": waits, "stack": [1.0, None]})).set_index("app")
    assert [500, "20.0 %", "0.0 %"] == table.loc["naive", ["n", "after 4 s or never", "never"]].tolist()
    assert [quantile(waits, q).text(2) for q in (0.5, 0.9, 0.99)] == table.loc["naive", ["p50 s", "p90 s", "p99 s"]].tolist()
    assert ["not measurable at n = 2", "50.0 %"] == table.loc["stack", ["p99 s", "never"]].tolist()


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0.1, 1)), max_size=8))
def test_labels_are_pushed_up_until_none_overlap(labels: list[tuple[float, float]]) -> None:
    wanted, sizes = [sorted(place for place, _ in labels), [size for _, size in labels]]
    places = spread(wanted, sizes)
    assert all(place >= want for place, want in zip(places, wanted, strict=True))
    for number in range(1, len(places)):
        assert places[number] - places[number - 1] >= (sizes[number] + sizes[number - 1]) / 2 - 1e-9


def test_labels_that_have_room_stay_where_they_are_wanted() -> None:
    assert [1.0, 2.0, 2.5] == spread([1.0, 2.0, 2.2], [0.5, 0.5, 0.5])
