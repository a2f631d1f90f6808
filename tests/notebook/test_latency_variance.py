from __future__ import annotations

from typing import Any

import pytest

import llmlab
from llmlab.notebook import latency_variance
from llmlab.notebook.latency_variance import LatencyVariance, Setting, chances


class Few(LatencyVariance):
    """The same with few requests."""

    released = 40


@pytest.fixture(scope="module")
def panel() -> LatencyVariance:
    return Few()


def test_without_a_fix_the_sentence_says_what_staging_did_not(panel: LatencyVariance) -> None:
    panel.set(fixes=(), spikes=10)
    assert " % of users wait for more than 4 s; 20 clicks in staging saw " in repr(panel)
    assert repr(panel).endswith("(n = 40, seed 7)")
    assert "12 % of teams that click 20 times meet none" in panel.sentence.value
    assert ["block" if image.value else "none" for image in panel.figures.children] == ["block", "block", "none", "none"]


def test_with_fixes_the_sentence_has_result_and_price(panel: LatencyVariance) -> None:
    panel.set(spikes=20, fixes=("stream", "hedge"))
    found = {row["app"]: row for row in panel.result.table.rename(columns={"": "app"}).to_dict("records")}
    assert repr(panel).startswith("First word after 4 s: ")
    assert " % more attempts (n = 40, seed 7)" in repr(panel)
    assert "bill is for words that nobody read" in panel.sentence.value
    assert "stream, hedge after 1.75 s" in panel.sentence.value
    assert float(found["stack"]["attempts"]) > 1.0 == float(found["no fix"]["attempts"])
    assert all(image.value for image in panel.figures.children)


@pytest.mark.parametrize(
    "values", [{"spikes": 0}, {"seconds": 0.0}, {"clicks": 1}, {"tokens": 40}, {"fixes": ("timeout",)}, {"delay": 5.0}]
)
def test_every_control_gives_a_result(panel: LatencyVariance, values: dict[str, Any]) -> None:
    panel.set(**values)
    assert "" == panel.banner.value
    assert "n = 40, seed 7" in repr(panel)


def test_a_wish_for_the_length_is_simulated_and_followed() -> None:
    short, long = (Setting(tokens=tokens) for tokens in (20, 80))
    assert "simulator" == short.lab.source
    texts = [one.lab.run(one.app, one.cases, requests=30).frame["completion_tokens"].mean() for one in (short, long)]
    assert texts[0] < texts[1]


@pytest.mark.parametrize("values", [{}, {"tokens": 40, "fixes": ("stream", "hedge"), "spikes": 0}])
def test_the_code_that_is_shown_gives_the_same_numbers(values: dict[str, Any]) -> None:
    setting = Setting(seed=3, **values)
    code = setting.code().replace("requests=200", "requests=12")
    names: dict[str, Any] = {}
    exec(code, names)
    mine = setting.lab.run(setting.app, setting.cases, requests=12, load=llmlab.Open(per_second=5), name="stack")
    assert mine.rows == names["runs"].only("stack").rows


def test_feel_it_plays_the_slowest_request_without_and_with_the_fix(panel: LatencyVariance) -> None:
    from llmlab.notebook.turn import Turn

    values = {**panel.chosen, "spikes": 10, "seconds": 4.0, "tokens": 0, "fixes": ("stream", "hedge"), "delay": 1.5}
    before, after = panel.feel(Turn(1, 7), **values)
    assert before.pieces[0][0] > 4.0
    assert after.pieces[0][0] < before.pieces[0][0]
    assert before.question == after.question


def test_an_app_that_raises_is_told_in_the_banner_and_the_panel_lives_on(panel: LatencyVariance, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("an app of mine")

    with monkeypatch.context() as patch:
        patch.setattr(latency_variance, "fixed", broken)
        panel.set(delay=3.0)
        assert "ZeroDivisionError: an app of mine" in panel.banner.value
    panel.set(delay=2.0)
    assert "" == panel.banner.value


def test_rare_things_are_missed_by_few_and_met_by_many() -> None:
    found = chances(spike=0.5, clicks=2, questions=3)
    assert {"2 clicks meet none": 0.25, "3 questions meet one": 0.875} == dict(found)
