from __future__ import annotations

import io
import math

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from llmlab.lab import pictures

APPS = {"naive": 4.2, "careful": None, "stack": 1.2}
COLUMNS = ["kind", "name", "role", "start", "first_content", "end", "status", "reason", "tokens", "usd", "source"]


def storm(n: int = 40, every: int = 10) -> pd.DataFrame:
    """Each app waits half a second; every so often naive waits for long, careful fails, the stack waits a little longer."""
    rows = []
    for app, struck in APPS.items():
        for number in range(n):
            wait = struck if number % every == 0 else 0.5
            status = "failed" if wait is None else "ok"
            rows.append({"app": app, "number": number, "case": f"q{number}", "repetition": 0, "status": status, "wait_seconds": wait})
    return pd.DataFrame(rows)


def trace(*attempts: dict[str, object], end: float = 2.0) -> pd.DataFrame:
    stages = [{"kind": "stage", "name": name, "start": 0.0, "end": 0.0} for name in ("guards in", "prompt assembly")]
    stages.append({"kind": "stage", "name": "routing", "start": 0.0, "end": end})
    stages.append({"kind": "stage", "name": "guards out", "start": end, "end": end, "reason": "passed"})
    return pd.DataFrame([*stages, *({"kind": "attempt", "role": "primary", "reason": "", **one} for one in attempts)], columns=COLUMNS)


WON = {"name": "main #1", "role": "hedge", "start": 1.0, "first_content": 1.4, "end": 2.0, "status": "won"}
LOST = {"name": "main #0", "start": 0.0, "first_content": None, "end": 1.4, "status": "cancelled", "reason": "lost the race"}
BROKEN = {"name": "main #0", "start": 0.0, "first_content": 0.3, "end": 2.0, "status": "failed", "reason": "timeout_stall"}


def words(picture: pictures.Picture) -> list[str]:
    texts = [text.get_text() for text in picture.texts]
    return texts + [text.get_text() for axes in picture.axes for text in axes.texts]


@pytest.mark.parametrize("n", [1, 40, 500])
def test_the_strip_has_one_row_an_app_and_one_column_a_request(n: int) -> None:
    picture = pictures.storm_strip(storm(n))
    columns = [part for axes in picture.axes for part in axes.collections if isinstance(part, PolyCollection)]
    assert [n, n, n] == [len(part.get_paths()) for part in columns]


def test_color_is_the_outcome_and_height_the_wait() -> None:
    for row, expected in zip(pictures.storm_strip(storm()).axes, ["slow", "failed", "in time"], strict=True):
        (columns,) = row.collections
        assert to_rgb(pictures.COLORS[expected]) == pytest.approx(tuple(columns.get_facecolors()[0][:3]))
        assert to_rgb(pictures.COLORS["in time"]) == pytest.approx(tuple(columns.get_facecolors()[1][:3]))
        assert math.sqrt(0.5) == pytest.approx(columns.get_paths()[1].vertices[:, 1].max())
        struck = {"slow": 4.2, "failed": 12.0, "in time": 1.2}[expected]
        assert math.sqrt(struck) == pytest.approx(columns.get_paths()[0].vertices[:, 1].max())


def test_every_app_has_the_same_order_of_requests() -> None:
    mixed = storm()
    mixed = pd.concat([mixed[mixed["app"] == "naive"], mixed[mixed["app"] != "naive"].iloc[::-1]])
    for row in pictures.storm_strip(mixed).axes:
        (columns,) = row.collections
        lefts = {round(path.vertices[:, 0].mean()) for path in columns.get_paths()}
        assert set(range(40)) == lefts


def test_a_wait_beyond_the_scale_ends_at_its_top() -> None:
    frame = storm().assign(wait_seconds=1000.0)
    (columns,) = pictures.storm_strip(frame[frame["app"] == "naive"], slow_seconds=2.0).axes[0].collections
    assert math.sqrt(6.0) == pytest.approx(columns.get_paths()[0].vertices[:, 1].max())


def test_each_row_is_labeled_with_its_app_and_its_share() -> None:
    said = words(pictures.storm_strip(storm()))
    for expected in ["naive", "careful", "stack", "10.0 % after 4 s", "10.0 % failed", "0.0 % after 4 s", "4 s"]:
        assert expected in said


def test_the_key_names_failures_only_where_there_are_any() -> None:
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


def test_nothing_to_show_is_shown() -> None:
    assert "no requests" in words(pictures.storm_strip(storm(0).reindex(columns=["app", "case", "repetition", "status", "wait_seconds"])))


@pytest.mark.parametrize(
    ("status", "wait", "expected"),
    [
        ("ok", 4.0, "in time"),
        ("abstained", 4.1, "slow"),
        ("degraded", 1.0, "in time"),
        ("failed", 1.0, "failed"),
        ("blocked", None, "failed"),
        ("ok", math.nan, "failed"),
    ],
)
def test_an_outcome_goes_by_status_and_wait(status: str, wait: float | None, expected: str) -> None:
    frame = pd.DataFrame({"status": [status], "wait_seconds": pd.Series([wait], dtype=object)})
    assert [expected] == pictures.outcomes(frame).tolist()


def test_waterfalls_stand_on_one_time_axis() -> None:
    picture = pictures.waterfall({"no fix": trace(BROKEN, end=5.0), "hedge": trace(LOST, WON)})
    first, second = picture.axes
    assert first.get_xlim() == second.get_xlim()
    assert {"no fix", "hedge", "   main #1 hedge", "won", "cancelled: lost the race"} <= set(words(picture))


def test_the_commit_point_is_a_labeled_line_where_the_winners_first_content_came() -> None:
    (axes,) = pictures.waterfall({"hedge": trace(LOST, WON)}).axes
    lines = [line for line in axes.lines if line.get_color() == pictures.VERMILION]
    assert [[1.4, 1.4]] == [list(line.get_xdata()) for line in lines]
    assert "commit point: first word at 1.40 s" in [text.get_text() for text in axes.texts]


def test_an_answer_that_broke_off_had_its_commit_point() -> None:
    assert "commit point: first word at 0.30 s" in words(pictures.waterfall({"stall": trace(BROKEN)}))


def test_without_content_there_is_no_commit_point() -> None:
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


def test_no_text_is_cut_off() -> None:
    long = {"hedge after 2.5 s, fallback after 2.5 s": trace(BROKEN, WON | {"end": 9.9, "start": 9.0, "first_content": 9.5}, end=9.9)}
    for picture in (pictures.storm_strip(storm()), pictures.waterfall(long), pictures.waterfall({"a": trace(LOST, WON)})):
        renderer = picture.canvas.get_renderer()
        width, height = picture.bbox.width, picture.bbox.height
        for text in [*picture.texts, *(text for axes in picture.axes for text in axes.texts)]:
            box = text.get_window_extent(renderer)
            assert box.x0 >= 0, text.get_text()
            assert box.x1 <= width + 1, text.get_text()
            assert box.y0 >= 0, text.get_text()
            assert box.y1 <= height, text.get_text()


def test_a_long_title_stays_clear_of_the_label_of_the_commit_point() -> None:
    picture = pictures.waterfall({"hedge after 2.5 s, fallback after 2.5 s": trace(LOST, WON, end=20.0)})
    texts = {text.get_text(): text.get_window_extent(picture.canvas.get_renderer()) for text in picture.axes[0].texts}
    title, label = texts["hedge after 2.5 s, fallback after 2.5 s"], texts["commit point: first word at 1.40 s"]
    assert not title.overlaps(label)


def contrast(first: str, second: str) -> float:
    """WCAG 2.1's contrast ratio."""

    def luminance(color: str) -> float:
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color)]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    light, dark = sorted([luminance(first), luminance(second)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("picture", [pictures.storm_strip(storm()), pictures.waterfall({"a": trace(LOST, WON)})])
def test_text_keeps_a_contrast_of_4_5_and_a_size_of_12_points(picture: pictures.Picture) -> None:
    for text in [*picture.texts, *(text for axes in picture.axes for text in axes.texts)]:
        if text.get_text() != "\u25a0":
            assert contrast(str(text.get_color()), "white") >= 4.5
        assert text.get_fontsize() >= 12


def test_the_colors_of_outcomes_keep_a_contrast_of_3() -> None:
    assert all(contrast(color, "white") >= 3 for color in pictures.COLORS.values())


def test_a_notebook_shows_a_picture_by_itself_at_its_size() -> None:
    picture = pictures.storm_strip(storm())
    data, size = picture._repr_png_()
    pixels = imread(io.BytesIO(data))
    assert (2 * size["height"], 2 * size["width"]) == pytest.approx(pixels.shape[:2], abs=2)
    assert isinstance(picture.canvas, FigureCanvasAgg)


def test_the_same_frame_gives_the_same_bytes() -> None:
    assert pictures.storm_strip(storm()).png() == pictures.storm_strip(storm()).png()


def test_no_global_state_is_touched() -> None:
    before = dict(mpl.rcParams)
    pictures.storm_strip(storm()).png()
    assert before == dict(mpl.rcParams)
