"""What holds for every picture."""

from __future__ import annotations

import io
import itertools
import math
import warnings
from collections.abc import Callable

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from matplotlib.text import Text

from llmlab.lab import pictures
from llmlab.lab.pictures import base

PICTURES: dict[str, Callable[[pd.DataFrame], pictures.Picture]] = {
    "storm": pictures.storm_strip,
    "wide storm": lambda frame: pictures.storm_strip(frame, width_inches=10.0),
    "ecdf": pictures.ecdf,
    "linear ecdf": lambda frame: pictures.ecdf(frame, tail=False),
    "scatter": lambda frame: pictures.paired_scatter(frame, frame["app"].iloc[0], frame["app"].iloc[-1]),
    "timeline": pictures.timeline,
    "price": pictures.price_bar,
}
WAVE = [0.3 + 0.05 * (number % 17) + (5.0 if number % 23 == 0 else 0.0) for number in range(200)]
LONG = ["stream + hedge after 1.5 s", "naive", "a-name-without-a-space-to-break-it", "$5 or $6 a day", "e", "f", "g", "hedge, cache"]
WAITS: dict[str, dict[str, list[float | None]]] = {
    "three apps": {"naive": [*WAVE], "careful": [*WAVE[:-1], None], "stack": [wait / 2 for wait in WAVE]},
    "eight apps": {name: [*WAVE] for name in LONG},
    "one request": {"naive": [0.5], "stack": [0.4]},
    "all failed": {"naive": [None] * 9, "stack": [None] * 9},
    "an app from its cache": {"naive": [*WAVE], "cached": [0.0] * 200},
    "very long": {"naive": [0.2, 900.0], "stack": [0.001, None]},
    "500": {"a": [*WAVE, *WAVE, *WAVE[:100]]},
}
GLYPHS = {"\u25a0", *base.GLYPHS.values()}
EVERY = [(picture, waits) for picture in PICTURES for waits in WAITS]


def drawn(picture: pictures.Picture) -> list[Text]:
    """All text that can be seen, ticks and axis labels too."""
    picture.canvas.draw()
    beyond = set()
    for axis in (axis for axes in picture.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        beyond |= {id(tick.label1) for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    texts = [text for text in picture.findobj(Text) if text.get_visible() and text.get_text().strip() and id(text) not in beyond]
    assert len(texts) >= 3
    return texts


@pytest.mark.parametrize(("name", "waits"), EVERY)
def test_no_text_is_cut_off_and_none_overlaps_another(name: str, waits: str, rows: Callable[..., pd.DataFrame]) -> None:
    picture = PICTURES[name](rows(WAITS[waits]))
    width, height = picture.bbox.width, picture.bbox.height
    boxes = {text: text.get_window_extent() for text in drawn(picture)}
    for text, box in boxes.items():
        assert box.x0 >= -1, text
        assert box.x1 <= width + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= height + 1, text
    for (one, here), (other, there) in itertools.combinations(boxes.items(), 2):
        across, up = min(here.x1, there.x1) - max(here.x0, there.x0), min(here.y1, there.y1) - max(here.y0, there.y0)
        assert across <= 1 or up <= 2, (one.get_text(), other.get_text())


@pytest.mark.parametrize("name", PICTURES)
def test_text_keeps_a_contrast_of_4_5_and_a_size_of_12_points(name: str, rows: Callable[..., pd.DataFrame]) -> None:
    for text in drawn(PICTURES[name](rows(WAITS["three apps"]))):
        if text.get_text() not in GLYPHS:
            assert contrast(str(text.get_color()), "white") >= 4.5
        assert text.get_fontsize() >= 12


@pytest.mark.parametrize("name", PICTURES)
def test_the_same_frame_gives_the_same_bytes_and_touches_no_global_state(name: str, rows: Callable[..., pd.DataFrame]) -> None:
    before, frame = dict(mpl.rcParams), rows(WAITS["three apps"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert PICTURES[name](frame).png() == PICTURES[name](frame).png()
    assert before == dict(mpl.rcParams)


@pytest.mark.parametrize("name", [name for name in PICTURES if name != "scatter"])
def test_nothing_to_show_is_said(name: str, rows: Callable[..., pd.DataFrame], words: Callable[..., list[str]]) -> None:
    picture = PICTURES[name](rows({}))
    assert "no requests" in words(picture)
    assert picture.png().startswith(b"\x89PNG")


@pytest.mark.parametrize("table", [pictures.storm_table, pictures.ecdf_table, pictures.timeline_table, pictures.price_table])
def test_the_table_of_nothing_is_empty(table: Callable[[pd.DataFrame], pd.DataFrame], rows: Callable[..., pd.DataFrame]) -> None:
    assert table(rows({})).empty


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
    assert [math.inf if expected == "failed" else wait] == base.waits(frame)


def test_a_notebook_shows_a_picture_by_itself_at_its_size(rows: Callable[..., pd.DataFrame]) -> None:
    picture = pictures.storm_strip(rows(WAITS["three apps"]))
    data, size = picture._repr_png_()
    pixels = imread(io.BytesIO(data))
    assert (2 * size["height"], 2 * size["width"]) == pytest.approx(pixels.shape[:2], abs=2)
    assert isinstance(picture.canvas, FigureCanvasAgg)


@pytest.mark.parametrize(("words", "weight"), [("stream + hedge", "normal"), ("naive\nand a longer line", "bold")])
def test_the_width_of_words_is_what_is_drawn(words: str, weight: str) -> None:
    picture = pictures.Picture(2.0)
    text = picture.write(0.2, 1.0, words, weight=weight)
    assert text.get_window_extent().width / picture.dpi == pytest.approx(base.width_of(words, 12, weight), abs=0.05)


def test_a_name_is_broken_and_nothing_of_it_is_lost() -> None:
    lines, wide = base.wrapped(LONG)
    assert ["".join(name.split()) for name in LONG] == ["".join(lines[name].split()) for name in LONG]
    assert wide < 2.0


def test_a_number_is_not_parted_from_its_unit() -> None:
    lines, _ = base.wrapped(["stream, hedge after 1.5 s"])
    assert "1.5\u00a0s" in lines["stream, hedge after 1.5 s"]


def test_a_wide_range_of_waits_has_ticks_at_powers_of_ten() -> None:
    assert ([0.1, 1, 10, 100], ["0.1", "1", "10", "100"]) == base.wait_ticks(0.04, 400.0)
    assert (["\u2264 0.05", "0.2"]) == base.wait_ticks(0.05, 0.3)[1]


def test_the_colors_of_outcomes_keep_a_contrast_of_3() -> None:
    assert all(contrast(color, "white") >= 3 for color in pictures.COLORS.values())


def contrast(first: str, second: str) -> float:
    """WCAG 2.1's contrast ratio."""

    def luminance(color: str) -> float:
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color)]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    light, dark = sorted([luminance(first), luminance(second)], reverse=True)
    return (light + 0.05) / (dark + 0.05)
