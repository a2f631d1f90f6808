from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from llmlab.lab.pictures import Picture, phase_portrait, storm_clock, storm_clock_table
from llmlab.lab.storm import DEFAULT, Storm
from llmlab.lab.storm_policies import policies
from llmlab.lab.storm_run import StormRun

STORM = Storm(
    per_second=8.0, slots=14, seconds=50.0, after_seconds=20.0, brown_out=replace(DEFAULT, start_seconds=10.0, duration_seconds=20.0)
)
Words = Callable[[Picture], list[str]]


@pytest.fixture(scope="module")
def runs() -> dict[str, StormRun]:
    return {name: STORM.run(policies()[name], name) for name in ("careful", "stack")}


def test_every_strip_has_its_name_and_every_line_its_own(runs: dict[str, StormRun], words: Words) -> None:
    said = words(storm_clock(runs["careful"]))
    for word in ("rates", "breaker", "none", "answered within 8 s"):
        assert word in said
    for word in ("attempts ", "offered ", "capacity 14/s"):
        assert any(one.startswith(word) for one in said)
    assert any(one.startswith("careful: ") and "in the 20 s after," in one for one in said)


def test_the_brown_out_is_shaded_in_every_strip(runs: dict[str, StormRun]) -> None:
    for axes in storm_clock(runs["careful"]).axes:
        (shade,) = [patch for patch in axes.patches if patch.get_facecolor()[:3] != (0.0, 0.0, 0.0) and patch.get_zorder() == 0]
        assert (10.0, 30.0) == (shade.get_x(), shade.get_x() + shade.get_width())


def test_the_breaker_is_black_while_it_is_open(runs: dict[str, StormRun], words: Words) -> None:
    picture = storm_clock(runs["stack"])
    assert "black: open" in words(picture)
    black = [patch for patch in picture.axes[2].patches if patch.get_facecolor() == (0.0, 0.0, 0.0, 1.0)]
    opened = [at for at, state in runs["stack"].changes if state == "open"]
    assert opened == [patch.get_x() for patch in black]


def test_a_breaker_that_never_opens_and_a_calm_day_are_said_so(words: Words) -> None:
    calm = replace(STORM, brown_out=None, seconds=10.0).run(policies()["stack"])
    picture = storm_clock(calm)
    assert "never opened" in words(picture)
    assert not any(patch.get_zorder() == 0 for axes in picture.axes for patch in axes.patches)
    assert phase_portrait([calm]).axes


def test_the_portrait_ends_where_the_run_ends(runs: dict[str, StormRun], words: Words) -> None:
    picture = phase_portrait(list(runs.values()))
    assert ["stack", "careful"] == words(picture)
    axes = picture.axes[0]
    ends = [line for line in axes.lines if line.get_marker() == "X"]
    for run, end in zip(runs.values(), ends, strict=True):
        last = run.frame(5.0).iloc[-1]
        assert [last["attempts"]] == list(end.get_xdata())
        assert [last["waiting"] ** 0.5] == pytest.approx(list(end.get_ydata()))
    assert 2 == sum(line.get_marker() == "s" for line in axes.lines)


def test_the_table_says_the_same(runs: dict[str, StormRun]) -> None:
    table = storm_clock_table(runs["careful"], 10.0)
    assert ["0", "10", "20", "30", "40"] == list(table["from s"])
    assert ["14.0", "5.0", "5.0", "14.0", "14.0"] == list(table["capacity/s"])
    assert "100.0" == table["within 8 s (%)"][0]
    assert float(table["within 8 s (%)"][4]) < 60


def test_a_window_without_a_request_is_said_so() -> None:
    table = storm_clock_table(StormRun(storm=replace(STORM, seconds=10.0), name="", asked=(), served=()), 10.0)
    assert ["no request"] == list(table["within 8 s (%)"])


def test_it_is_a_png(runs: dict[str, StormRun]) -> None:
    assert storm_clock(runs["stack"]).png() == storm_clock(runs["stack"]).png()
