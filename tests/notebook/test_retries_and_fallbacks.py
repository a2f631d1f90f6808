from __future__ import annotations

from typing import Any

import pytest

from llmlab.lab.storm_policies import REMEDIES, policies
from llmlab.notebook.retries_and_fallbacks import RetriesAndFallbacks, Setting, rate_limited
from llmlab.notebook.turn import Cancelled, Turn


class Few(RetriesAndFallbacks):
    """The same with a shorter look."""

    released = 200


@pytest.fixture(scope="module")
def panel() -> RetriesAndFallbacks:
    return Few()


def test_without_a_fix_the_storm_stays(panel: RetriesAndFallbacks) -> None:
    panel.set(seconds=20.0, left=30, load=20.0, attempts=4, timeout=4.0, fixes=())
    assert repr(panel).startswith("After 20 s of brown-out: 0.0 % in time, for 3.")
    assert repr(panel).endswith(" in 10 s, utilization 57%, seed 7)")
    assert "No fix: does not recover" in panel.sentence.value
    assert ["block" if image.value else "none" for image in panel.figures.children] == ["block", "block", "none"]


def test_with_the_fixes_the_sentence_has_result_and_price(panel: RetriesAndFallbacks) -> None:
    panel.set(seconds=20.0, fixes=tuple(REMEDIES))
    assert "0.0 % → 100.0 % in time, for 3." in repr(panel)
    assert "Fixed: is back at once" in panel.sentence.value
    assert ["no fix", "fixed"] == list(panel.result.table["policy"])
    assert all(image.value for image in panel.figures.children)


@pytest.mark.parametrize(
    "values",
    [{"seconds": 0.0}, {"seconds": 30.0}, {"left": 100}, {"left": 10}, {"load": 5.0}, {"attempts": 1}, {"attempts": 5}, {"timeout": 1.0}],
)
def test_every_control_gives_a_result(panel: RetriesAndFallbacks, values: dict[str, Any]) -> None:
    panel.reset()
    panel.wait()
    panel.set(**{"load": 8.0, **values})
    assert "" == panel.banner.value
    assert "in 10 s, utilization" in repr(panel)


def test_no_loss_and_no_length_are_no_brown_out() -> None:
    assert None is Setting(left=100).storm.brown_out is Setting(seconds=0.0).storm.brown_out
    assert "brown_out = None" in Setting(left=100).code()


@pytest.mark.parametrize("values", [{}, {"fixes": ("budget", "fallback"), "load": 8.0, "left": 50}])
def test_the_code_that_is_shown_gives_the_same_numbers(values: dict[str, Any]) -> None:
    setting = Setting(seed=3, after=10.0, **values)
    names: dict[str, Any] = {}
    exec(setting.code(), names)
    assert [run.asked for run in setting.run()] == [run.asked for run in names["runs"]]


def test_feel_it_plays_a_user_after_the_brown_out(panel: RetriesAndFallbacks) -> None:
    before, after = panel.feel(Turn(200, 7), fixes=tuple(REMEDIES))
    assert ("no fix", "fixed") == (before.title, after.title)
    assert not before.pieces
    assert after.pieces[0][0] < before.end
    (alone,) = panel.feel(Turn(200, 7), seconds=0.0)
    assert "ok; 1 attempts" == alone.note


def test_who_gets_the_last_resort_is_told() -> None:
    from llmlab.lab.storm import Storm
    from llmlab.lab.storm_run import Asked, StormRun
    from llmlab.notebook.retries_and_fallbacks import _playback

    run = StormRun(storm=Storm(), name="x", asked=(Asked(0.0, "degraded", 4.0, 2, "nobody"),), served=())
    assert ((4.0, "(the last resort: a message)"),) == tuple(_playback(run).pieces)


def test_a_turn_that_was_stopped_ends(panel: RetriesAndFallbacks) -> None:
    turn = Turn(200, 7)
    turn.stop()
    with pytest.raises(Cancelled):
        panel.experiment(turn, load=5.0)


def test_retries_mend_refusals_at_the_price_of_the_refusals() -> None:
    table = rate_limited({name: policies()[name] for name in ("no retry", "careful")}, probability=0.2, requests=60).set_index("app")
    assert "1.000" == table.loc["no retry", "attempts a request"]
    assert float(table.loc["careful", "attempts a request"]) > 1.1
    assert table.loc["careful", "answered (%)"].startswith("100.0")
    assert not table.loc["no retry", "answered (%)"].startswith("100.0")
