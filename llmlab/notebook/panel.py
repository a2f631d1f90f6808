"""The base of all panels: one sentence with the result and its price, controls at the left, figure and table at the right.

All content is a trait of a widget, so that strict nbval can compare it and any thread may set it. An experiment runs in a worker thread,
and a newer run makes an older one void. The repr is the sentence, and the bundle carries a table and a picture for readers without a
kernel.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Sequence
from html import escape
from typing import Any, ClassVar, NamedTuple

import ipywidgets as widgets
import pandas as pd

from llmlab.lab.pictures import Picture
from llmlab.lab.runs import Runs
from llmlab.notebook import page
from llmlab.notebook.chat import Chat, Playback
from llmlab.notebook.turn import Cancelled, Turn

PANELS: dict[str, type[Panel]] = {}
"""Every panel by its class's name; a subclass registers itself."""
MOST_CONTROLS = 6


class Result(NamedTuple):
    """What one run shows."""

    sentence: str
    """The result with its price, its n and its seed."""
    table: pd.DataFrame
    """The same numbers, for readers without eyes or a kernel."""
    pictures: tuple[Picture, ...]
    note: str = ""
    """Who answered, and what to keep in mind."""
    html: str = ""
    """What stands above the pictures; whoever gives it has escaped what comes from outside."""


class Panel(widgets.VBox):  # type: ignore[misc]
    """A panel that has run already when it appears.

    A subclass gives `controls` and `experiment`, and may give `more`, `code` and `feel`. Values of the controls come as keyword arguments.

    Args:
        seed: The weather's seed to begin with.
    """

    released: ClassVar[int] = 200
    """Requests an app when a control is released."""
    pressed: ClassVar[int] = 500
    """Requests an app when Run is pressed."""
    pictures: ClassVar[int] = 2
    """How many pictures a result has at most."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        PANELS[cls.__name__] = cls

    def __init__(self, *, seed: int = 7) -> None:
        self._lock = threading.Lock()
        self._memory: dict[Any, Runs] = {}
        self._turn = Turn(self.released, seed)
        self._worker: threading.Thread | None = None
        self._feeler: threading.Thread | None = None
        self._resetting = False
        self._result: Result | None = None
        self._controls = self.controls()
        if len(self._controls) > MOST_CONTROLS:
            raise ValueError(f"a panel has at most {MOST_CONTROLS} controls, not {len(self._controls)}; put the others under `more`")
        extra = self.more()
        self._seed = widgets.BoundedIntText(value=seed, min=0, max=999_999, description="Seed", tooltip="Another seed, another storm")
        self._all: dict[str, Any] = {**self._controls, **extra}
        for name, control in {**self._all, "seed": self._seed}.items():
            _tidy(control, "300px" if name in self._controls else "262px")
            control.observe(self._released, names="value")
        self._defaults = {name: control.value for name, control in self._all.items()}
        self._default_seed = seed
        self._build(extra)
        super().__init__([self.sentence, self.banner, self.chat, self.code_view, self._body])
        self.run(wait=True)

    # What a subclass gives.

    def controls(self) -> dict[str, Any]:
        """Return name and widget of each control, at most six."""
        raise NotImplementedError

    def more(self) -> dict[str, Any]:
        """Return the controls that are folded away."""
        return {}

    def experiment(self, turn: Turn, **values: Any) -> Result:
        """Run it. Called in a worker thread."""
        raise NotImplementedError

    def code(self, seed: int, **values: Any) -> str:
        """Return the few lines that do the same."""
        return ""

    def feel(self, turn: Turn, **values: Any) -> Sequence[Playback]:
        """Return what Feel it plays, one a box; none means there is no such button."""
        return ()

    # What a user does.

    @property
    def chosen(self) -> dict[str, Any]:
        """The controls' values by name."""
        return {name: control.value for name, control in self._all.items()}

    @property
    def result(self) -> Result | None:
        """What is shown; None before the first run."""
        return self._result

    @property
    def running(self) -> bool:
        """Whether a run goes on."""
        return self._worker is not None and self._worker.is_alive()

    def set(self, **values: Any) -> None:
        """Move controls, as a hand would, and wait for the result.

        Raises:
            KeyError: There is no such control.
        """
        for name, value in values.items():
            self._all[name].value = value
        self.wait()

    def run(self, requests: int | None = None, *, wait: bool = False) -> None:
        """Run the experiment with the present values; what ran before is stopped and no longer counts.

        Args:
            requests: Requests an app; None: as when a control is released.
            wait: Whether to return only when the result is shown.
        """
        with self._lock:
            self._turn.stop()
            turn = self._turn = Turn(requests or self.released, self._seed.value, memory=self._memory)
            turn._report = lambda share: self._progress(turn, share)
            self.progress.value, self.cancel_button.disabled = 0, False
            self._worker = threading.Thread(target=self._work, args=(turn, self.chosen), name="llmlab-panel", daemon=True)
            self._worker.start()
        if wait:
            self.wait()

    def cancel(self) -> None:
        """Stop the present run; what was shown before stays."""
        with self._lock:
            self._turn.stop()
            if self.running:
                self.banner.value = page.banner("Cancelled. What you see below is the last run that came to its end.")
            self._at_rest()

    def reset(self) -> None:
        """Put every control and the seed back, and run once."""
        self.chat.put_away()
        self._resetting = True
        try:
            for name, value in self._defaults.items():
                self._all[name].value = value
            self._seed.value = self._default_seed
        finally:
            self._resetting = False
        self.run()

    def show_code(self) -> None:
        """Show the few lines that do the same, or put them away."""
        self.code_view.value = "" if self.code_view.value else page.code(self.code(self._seed.value, **self.chosen))

    def feel_it(self, *, speed: float = 1.0, wait: bool = False) -> None:
        """Play one request in real time, or stop playing it.

        Args:
            speed: 1 is real time.
            wait: Whether to return only when it is being played.
        """
        if self.chat.playing:
            self.chat.stop()
        elif self._feeler is None or not self._feeler.is_alive():
            # In a thread of its own, for it may have to wait for a run, and Cancel must work meanwhile.
            arguments = (self._turn, self._seed.value, self.chosen, speed)
            self._feeler = threading.Thread(target=self._feel, args=arguments, name="llmlab-feel", daemon=True)
            self._feeler.start()
        if wait and self._feeler is not None:
            self._feeler.join()

    def wait(self) -> None:
        """Wait until the present run is shown."""
        while (worker := self._worker) is not None and worker is not threading.current_thread():
            worker.join()
            if worker is self._worker:
                return

    # How it works.

    def _build(self, extra: dict[str, Any]) -> None:
        made_of_text = (widgets.HTML(layout=widgets.Layout(width="100%")) for _ in range(5))
        self.sentence, self.banner, self.detail, self.table, self.code_view = made_of_text
        self.progress = widgets.IntProgress(min=0, max=100, layout=widgets.Layout(width="292px"), tooltip="Share done")
        buttons = {
            f"Run {self.pressed}": (lambda: self.run(self.pressed), f"{self.pressed} requests an app"),
            "Cancel": (self.cancel, "Stop this run"),
            "Reset": (self.reset, "Back to the defaults"),
            "Show code": (self.show_code, "The few lines that do the same"),
        }
        if type(self).feel is not Panel.feel:
            buttons["Feel it"] = (self.feel_it, "Play one request in real time")
        made = {}
        for text, (action, tip) in buttons.items():
            made[text] = widgets.Button(description=text, tooltip=tip, layout=widgets.Layout(width="94px"))
            made[text].on_click(lambda _, action=action: action())
        self.buttons = made
        self.cancel_button = made["Cancel"]
        fold = widgets.Accordion([widgets.VBox([*extra.values(), self._seed])], titles=["More"], layout=widgets.Layout(width="300px"))
        row = widgets.Layout(flex_flow="row wrap")
        left = widgets.VBox(
            [*self._controls.values(), widgets.HBox(list(made.values()), layout=row), self.progress, fold],
            layout=widgets.Layout(width="316px", flex="0 0 auto"),
        )
        # No tooltip on an image: the browser's side of ipywidgets 8.1 fails on it. The sentence above and the table below say the same.
        images = [widgets.Image(format="png", layout=widgets.Layout(width="100%", margin="0 0 6px 0")) for _ in range(self.pictures)]
        self.chat, self.figures = Chat(), widgets.VBox(images)
        right = widgets.VBox(
            [self.detail, self.figures, self.table], layout=widgets.Layout(flex="1 1 420px", min_width="0", max_width="800px")
        )
        self._body = widgets.HBox([left, right], layout=widgets.Layout(flex_flow="row wrap", width="100%"))

    def _released(self, _: object) -> None:
        if not self._resetting:
            self.run()
            self.chat.put_away()  # what it plays is no longer what the controls say

    def _feel(self, turn: Turn, seed: int, values: dict[str, Any], speed: float) -> None:
        try:
            playbacks = self.feel(Turn(1, seed), **values)
        except Exception as error:  # shown where the user looks, and the panel lives on
            self.banner.value = page.trouble(error)
            return
        if turn is self._turn:  # else the controls say something else by now
            self.chat.play(playbacks, speed=speed)

    def _progress(self, turn: Turn, share: float) -> None:
        percent = int(100 * share)
        if turn is self._turn and percent >= self.progress.value + 5:
            self.progress.value = percent

    def _at_rest(self) -> None:
        self.progress.value, self.cancel_button.disabled = 0, True

    def _work(self, turn: Turn, values: dict[str, Any]) -> None:
        try:
            result = self.experiment(turn, **values)
            images = [picture.png() for picture in result.pictures]
        except Cancelled:
            return
        except BaseException as error:  # shown where the user looks, and the panel lives on
            with self._lock:
                if turn is self._turn and not turn.stopped:
                    self.banner.value = page.trouble(error)
                    self._at_rest()
            return
        with self._lock:
            if turn is self._turn and not turn.stopped:
                self._show(result, images)
                self._at_rest()

    def _show(self, result: Result, images: Sequence[bytes]) -> None:
        self._result, self.banner.value = result, ""
        self.sentence.value = page.sentence(result.sentence, result.note)
        for number, image in enumerate(self.figures.children):
            image.value = images[number] if number < len(images) else b""
            image.layout.display = None if image.value else "none"
        self.detail.value, self.table.value = result.html, page.boxed_table(result.table)
        if self.code_view.value:
            self.code_view.value = page.code(self.code(self._seed.value, **self.chosen))

    def __repr__(self) -> str:
        return self._result.sentence if self._result else "not run yet"

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, object]:
        bundle: dict[str, object] = dict(super()._repr_mimebundle_(**kwargs) or {})
        bundle["text/plain"] = repr(self)
        if self._result:
            bundle["text/html"] = f"<p>{escape(self._result.sentence)}</p>{page.table(self._result.table)}"
            if self.figures.children[0].value:
                bundle["image/png"] = base64.b64encode(self.figures.children[0].value).decode()
        return bundle


def _tidy(control: Any, width: str) -> None:
    """Let a control fire on release only, and give its label the room it needs."""
    if control.has_trait("continuous_update"):
        control.continuous_update = False
    control.layout.width = width
    if control.has_trait("style"):
        control.style.description_width = "98px"
