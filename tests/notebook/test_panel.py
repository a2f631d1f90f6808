from __future__ import annotations

import base64
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import ipywidgets as widgets
import pandas as pd
import pytest

import llmlab
from llmlab.lab.pictures import Picture
from llmlab.notebook.chat import Playback
from llmlab.notebook.panel import PANELS, Panel, Result
from llmlab.notebook.turn import Turn


class Doubler(Panel):
    """Doubles a number; waits where it is told to."""

    released = 3
    pressed = 7
    gate: threading.Event | None = None

    def controls(self) -> dict[str, Any]:
        return {
            "number": widgets.IntSlider(value=2, description="Number"),
            "what": widgets.Dropdown(options=["double", "fail", "draw no picture"]),
        }

    def more(self) -> dict[str, Any]:
        return {"add": widgets.IntSlider(value=0, description="Add")}

    def experiment(self, turn: Turn, *, number: int, what: str, add: int) -> Result:
        if self.gate is not None:
            self.gate.wait(10)
        turn.check()
        if what == "fail":
            raise ZeroDivisionError("<by> zero")
        turn._report(0.5)
        result = 2 * number + add
        pictures = (Picture(1.0),) if what == "double" else ()
        return Result(
            f"{number} -> {result} (n = {turn.requests}, seed {turn.seed})", pd.DataFrame({"result": [result]}), pictures, "a note"
        )

    def code(self, seed: int, **values: Any) -> str:
        return f"print(2 * {values['number']} < {seed})"

    def feel(self, turn: Turn, **values: Any) -> Sequence[Playback]:
        if values["what"] == "fail":
            raise ZeroDivisionError("nothing to feel")
        return [Playback("one", "?", [(0.0, "!")], 0.0)]


class Bare(Panel):
    """Gives no more than it must."""

    def controls(self) -> dict[str, Any]:
        return {}

    def experiment(self, turn: Turn, **values: Any) -> Result:
        return Result("done", pd.DataFrame({"a": [1]}), ())


@pytest.fixture
def panel() -> Iterator[Doubler]:
    made = Doubler()
    yield made
    made.wait()


def text(widget: widgets.HTML) -> str:
    return str(widget.value)


def test_a_panel_opens_already_run(panel: Doubler) -> None:
    assert "2 -> 4 (n = 3, seed 7)" == repr(panel)
    assert "2 -&gt; 4 (n = 3, seed 7)" in text(panel.sentence)
    assert "a note" in text(panel.sentence)
    assert "<td>4</td>" in text(panel.table)
    assert not panel.running


def test_the_bundle_has_the_sentence_a_table_and_a_picture(panel: Doubler) -> None:
    bundle = panel._repr_mimebundle_()
    assert repr(panel) == bundle["text/plain"]
    assert str(bundle["text/html"]).startswith("<p>2 -&gt; 4 (n = 3, seed 7)</p><table")
    assert base64.b64decode(str(bundle["image/png"])).startswith(b"\x89PNG")
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_the_same_controls_give_the_same_bundle() -> None:
    bundles = [Doubler()._repr_mimebundle_() for _ in range(2)]
    for kind in ("text/plain", "text/html", "image/png"):
        assert bundles[0][kind] == bundles[1][kind]


def test_a_released_control_runs_again(panel: Doubler) -> None:
    panel._controls["number"].value = 5
    panel.wait()
    assert "5 -> 10 (n = 3, seed 7)" == repr(panel)


def test_controls_fire_on_release_only(panel: Doubler) -> None:
    assert not panel._controls["number"].continuous_update


def test_run_asks_more_users(panel: Doubler) -> None:
    panel.buttons["Run 7"].click()
    panel.wait()
    assert "2 -> 4 (n = 7, seed 7)" == repr(panel)


def test_the_seed_is_a_control(panel: Doubler) -> None:
    panel._seed.value = 11
    panel.wait()
    assert "2 -> 4 (n = 3, seed 11)" == repr(panel)


def test_an_error_stands_in_the_panel_and_the_panel_lives_on(panel: Doubler) -> None:
    panel.set(what="fail")
    assert "ZeroDivisionError: &lt;by&gt; zero" in text(panel.banner)
    assert "2 -> 4 (n = 3, seed 7)" == repr(panel)
    panel.set(what="double", number=4)
    assert "" == text(panel.banner)
    assert "4 -> 8 (n = 3, seed 7)" == repr(panel)


def test_a_newer_run_makes_an_older_one_void(panel: Doubler) -> None:
    panel.gate = threading.Event()
    panel._controls["number"].value = 5
    older = panel._worker
    panel._controls["number"].value = 6
    panel.gate.set()
    panel.wait()
    assert older is not None
    older.join()
    assert "6 -> 12 (n = 3, seed 7)" == repr(panel)
    assert "" == text(panel.banner)


def test_an_error_of_an_older_run_is_void_too(panel: Doubler, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    run = Doubler.experiment

    def experiment(self: Doubler, turn: Turn, **values: Any) -> Result:
        if values["what"] == "fail":
            gate.wait(10)
            raise ZeroDivisionError
        return run(self, turn, **values)

    monkeypatch.setattr(Doubler, "experiment", experiment)
    panel._controls["what"].value = "fail"
    older = panel._worker
    panel.set(what="double")
    gate.set()
    assert older is not None
    older.join()
    assert "" == text(panel.banner)


def test_a_result_that_comes_too_late_is_void(panel: Doubler, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    run = Doubler.experiment

    def experiment(self: Doubler, turn: Turn, **values: Any) -> Result:
        if values["number"] == 5:
            gate.wait(10)
            return run(self, Turn(3, 7), **values)  # one that never asks whether it still counts
        return run(self, turn, **values)

    monkeypatch.setattr(Doubler, "experiment", experiment)
    panel._controls["number"].value = 5
    older = panel._worker
    panel.set(number=6)
    gate.set()
    assert older is not None
    older.join()
    assert "6 -> 12 (n = 3, seed 7)" == repr(panel)


def test_cancel_keeps_what_was_shown(panel: Doubler) -> None:
    panel.gate = threading.Event()
    panel._controls["number"].value = 5
    assert panel.running
    assert not panel.cancel_button.disabled
    panel.buttons["Cancel"].click()
    panel.gate.set()
    panel.wait()
    assert "2 -> 4 (n = 3, seed 7)" == repr(panel)
    assert "Cancelled" in text(panel.banner)
    assert panel.cancel_button.disabled


def test_cancel_where_nothing_runs_says_nothing(panel: Doubler) -> None:
    panel.cancel()
    assert "" == text(panel.banner)


def test_reset_puts_everything_back_and_runs_once(panel: Doubler, monkeypatch: pytest.MonkeyPatch) -> None:
    panel.set(number=5, add=3)
    panel._seed.value = 11
    panel.wait()
    turns = []
    run = Doubler.experiment
    monkeypatch.setattr(Doubler, "experiment", lambda self, turn, **values: turns.append(turn) or run(self, turn, **values))
    panel.buttons["Reset"].click()
    panel.wait()
    assert {"number": 2, "what": "double", "add": 0} == panel.chosen
    assert "2 -> 4 (n = 3, seed 7)" == repr(panel)
    assert 1 == len(turns)


def test_show_code_shows_the_lines_escaped_follows_the_controls_and_goes_away_again(panel: Doubler) -> None:
    panel.buttons["Show code"].click()
    assert "print(2 * 2 &lt; 7)" in text(panel.code_view)
    panel.set(number=5)
    assert "print(2 * 5 &lt; 7)" in text(panel.code_view)
    panel.show_code()
    assert "" == text(panel.code_view)


def test_feel_it_plays_and_a_moved_control_puts_it_away(panel: Doubler) -> None:
    panel.buttons["Feel it"].click()
    panel.feel_it(wait=True)
    panel.chat.wait()
    assert "flex" == panel.chat.layout.display
    panel.set(number=5)
    assert "none" == panel.chat.layout.display


def test_feel_it_pressed_again_stops(panel: Doubler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Doubler, "feel", lambda self, turn, **values: [Playback("one", "?", [], 10_000.0)])
    panel.feel_it(wait=True)
    assert panel.chat.playing
    panel.feel_it()
    assert not panel.chat.playing


def test_feel_it_waits_in_a_thread_of_its_own_and_plays_nothing_that_is_out_of_date(
    panel: Doubler, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    feel = Doubler.feel

    def slow(self: Doubler, turn: Turn, **values: Any) -> Sequence[Playback]:
        gate.wait(10)
        return feel(self, turn, **values)

    monkeypatch.setattr(Doubler, "feel", slow)
    panel.feel_it()
    feeler = panel._feeler
    panel.feel_it()
    assert feeler is panel._feeler
    panel.set(number=5)
    gate.set()
    panel.feel_it(wait=True)
    assert "none" == panel.chat.layout.display


def test_an_error_of_feel_it_stands_in_the_panel(panel: Doubler) -> None:
    panel.set(what="fail")
    panel.feel_it(wait=True)
    assert "nothing to feel" in text(panel.banner)


def test_progress_moves_while_it_runs_and_rests_afterwards(panel: Doubler) -> None:
    seen = []
    panel.progress.observe(lambda change: seen.append(change["new"]), names="value")
    panel.run(wait=True)
    assert [50, 0] == seen


def test_progress_of_a_void_run_is_not_shown(panel: Doubler) -> None:
    panel._progress(Turn(1, 7), 0.9)
    assert 0 == panel.progress.value


def test_a_result_without_pictures_hides_them(panel: Doubler) -> None:
    panel.set(what="draw no picture")
    assert ["none", "none"] == [image.layout.display for image in panel.figures.children]
    assert "image/png" not in panel._repr_mimebundle_()


def test_a_panel_may_give_no_more_than_it_must() -> None:
    bare = Bare(seed=3)
    assert ["Run 500", "Cancel", "Reset", "Show code"] == list(bare.buttons)
    bare.show_code()
    assert "" == text(bare.code_view)
    assert () == bare.feel(Turn(1, 7))
    assert "done" == repr(bare)


def test_a_first_run_that_fails_leaves_a_panel_that_says_so() -> None:
    class Broken(Bare):
        def experiment(self, turn: Turn, **values: Any) -> Result:
            raise llmlab.errors.BadInput("record it first")

    broken = Broken()
    assert "record it first" in text(broken.banner)
    assert "not run yet" == repr(broken)
    assert "text/html" not in broken._repr_mimebundle_()


def test_a_panel_has_at_most_six_controls() -> None:
    class Crowded(Bare):
        def controls(self) -> dict[str, Any]:
            return {f"control {number}": widgets.IntSlider() for number in range(7)}

    with pytest.raises(ValueError, match="at most 6 controls, not 7"):
        Crowded()


def test_a_panel_registers_itself() -> None:
    assert Doubler is PANELS["Doubler"]


def test_the_base_has_no_controls_and_no_experiment() -> None:
    with pytest.raises(NotImplementedError):
        Panel()
    with pytest.raises(NotImplementedError):
        Panel.experiment(Bare(), Turn(1, 7))
