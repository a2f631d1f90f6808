from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from llmlab.lab import pictures

Words = Callable[[pictures.Picture], list[str]]
COLUMNS = ["kind", "name", "role", "start", "first_content", "end", "status", "reason", "tokens", "usd", "source"]


def trace(*attempts: dict[str, object], end: float = 2.0) -> pd.DataFrame:
    stages = [{"kind": "stage", "name": name, "start": 0.0, "end": 0.0} for name in ("guards in", "prompt assembly")]
    stages.append({"kind": "stage", "name": "routing", "start": 0.0, "end": end})
    stages.append({"kind": "stage", "name": "guards out", "start": end, "end": end, "reason": "passed"})
    return pd.DataFrame([*stages, *({"kind": "attempt", "role": "primary", "reason": "", **one} for one in attempts)], columns=COLUMNS)


WON = {"name": "main #1", "role": "hedge", "start": 1.0, "first_content": 1.4, "end": 2.0, "status": "won"}
LOST = {"name": "main #0", "start": 0.0, "first_content": None, "end": 1.4, "status": "cancelled", "reason": "lost the race"}
BROKEN = {"name": "main #0", "start": 0.0, "first_content": 0.3, "end": 2.0, "status": "failed", "reason": "timeout_stall"}


def test_waterfalls_stand_on_one_time_axis(words: Words) -> None:
    picture = pictures.waterfall({"no fix": trace(BROKEN, end=5.0), "hedge": trace(LOST, WON)})
    first, second = picture.axes
    assert first.get_xlim() == second.get_xlim()
    assert {"no fix", "hedge", "   main #1 hedge", "won", "cancelled: lost the race"} <= set(words(picture))


def test_the_commit_point_is_a_labeled_line_where_the_winners_first_content_came(words: Words) -> None:
    picture = pictures.waterfall({"hedge": trace(LOST, WON)})
    (axes,) = picture.axes
    lines = [line for line in axes.lines if line.get_color() == pictures.VERMILION]
    assert [[1.4, 1.4]] == [list(line.get_xdata()) for line in lines]
    assert "commit point: first word at 1.40 s" in words(picture)


def test_an_answer_that_broke_off_had_its_commit_point(words: Words) -> None:
    assert "commit point: first word at 0.30 s" in words(pictures.waterfall({"stall": trace(BROKEN)}))


def test_without_content_there_is_no_commit_point(words: Words) -> None:
    assert not any("commit" in word for word in words(pictures.waterfall({"lost": trace(LOST)})))


def test_the_loser_is_hatched_and_the_winner_is_not() -> None:
    (axes,) = pictures.waterfall({"hedge": trace(LOST, WON)}).axes
    hatched = [patch for patch in axes.patches if patch.get_hatch()]
    assert [(0.0, 1.4)] == [(patch.get_x(), patch.get_width()) for patch in hatched]


def test_attempts_stand_below_the_stage_that_made_them() -> None:
    parts = pictures.waterfall_table({"hedge": trace(LOST, WON)})["part"].tolist()
    assert ["guards in", "prompt assembly", "routing", "   main #0 primary", "   main #1 hedge", "guards out"] == parts


def test_attempts_without_a_routing_stage_stand_last() -> None:
    frame = trace(WON)
    parts = pictures.waterfall_table({"hedge": frame[frame["name"] != "routing"]})["part"].tolist()
    assert "   main #1 hedge" == parts[-1]


def test_the_table_beside_a_waterfall_has_its_times_and_outcomes() -> None:
    table = pictures.waterfall_table({"hedge": trace(LOST, WON)}).set_index("part")
    assert ["hedge", "1.000", "1.400", "2.000", "won"] == table.loc["   main #1 hedge"].tolist()
    assert ["hedge", "0.000", "", "1.400", "cancelled: lost the race"] == table.loc["   main #0 primary"].tolist()


@pytest.mark.parametrize("traces", [{}, {"blocked": trace(end=0.0)}])
def test_a_request_without_attempts_can_be_drawn(traces: dict[str, pd.DataFrame]) -> None:
    assert pictures.waterfall(traces).png().startswith(b"\x89PNG")


def test_a_long_title_stays_clear_of_the_label_of_the_commit_point() -> None:
    picture = pictures.waterfall({"hedge after 2.5 s, fallback after 2.5 s": trace(LOST, WON, end=20.0)})
    texts = {text.get_text(): text.get_window_extent(picture.canvas.get_renderer()) for text in picture.texts}
    title, label = texts["hedge after 2.5 s, fallback after 2.5 s"], texts["commit point: first word at 1.40 s"]
    assert not title.overlaps(label)


@pytest.mark.parametrize(
    "traces",
    [{"hedge after 2.5 s, fallback after 2.5 s": trace(LOST, WON)}, {"a": trace(BROKEN | {"name": "a-route-with-a-long-name #0"})}],
)
def test_no_text_of_a_waterfall_is_cut_off(traces: dict[str, pd.DataFrame]) -> None:
    picture = pictures.waterfall(traces)
    for text in [*picture.texts, *(text for axes in picture.axes for text in axes.texts)]:
        box = text.get_window_extent()
        assert (0, 0) <= (box.x0, box.y0), text
        assert box.x1 <= picture.bbox.width + 1, text
        assert box.y1 <= picture.bbox.height, text
        assert text.get_fontsize() >= 12


def test_the_label_of_a_stage_does_not_cross_the_commit_point() -> None:
    picture = pictures.waterfall({"a": trace(BROKEN)})
    (axes,) = picture.axes
    commit = axes.transData.transform((0.3, 0))[0]
    numbers = [text.get_window_extent() for text in axes.texts if text.get_text().endswith(" s")]
    assert 4 == len(numbers)
    assert all(box.x1 < commit or box.x0 > commit for box in numbers)
