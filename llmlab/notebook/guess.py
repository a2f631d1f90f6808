"""A guess that is written down before the run, and shown against the measurement afterwards.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

import ipywidgets as widgets


@dataclass(frozen=True)
class Verdict:
    """A guess beside what was measured."""

    question: str
    guess: float | None
    measured: float
    unit: str

    @property
    def difference(self) -> float | None:
        """Measured minus guessed; None where nobody guessed."""
        return None if self.guess is None else self.measured - self.guess

    def __str__(self) -> str:
        measured = f"measured: {self.measured:.3f} {self.unit}"
        if self.difference is None:
            return f"{self.question} No guess yet; {measured}"
        close = abs(self.difference) <= 0.1 * abs(self.measured)
        word = "more" if self.difference > 0 else "less"
        gap = "within 10 %" if close else f"{abs(self.difference):.3f} {self.unit} {word} than you guessed"
        return f"{self.question} You guessed {self.guess:g} {self.unit}; {measured}, {gap}"

    def __repr__(self) -> str:
        return str(self)


class Guess(widgets.VBox):  # type: ignore[misc]
    """A question with a field for a number. What stands there when the measurement is shown is the guess, and stays it.

    Args:
        question: What is to be guessed, ending with a question mark.
        unit: Of the number, as in "s".
        value: The guess, for those who would rather type it here.
    """

    def __init__(self, question: str, *, unit: str, value: float | None = None) -> None:
        self._question, self._unit = question, unit
        self._verdict: Verdict | None = None
        self.field = widgets.Text(
            value="" if value is None else f"{value:g}",
            placeholder="your guess",
            continuous_update=False,
            layout=widgets.Layout(width="120px"),
        )
        self.said = widgets.HTML()
        self.field.observe(lambda _: self._say(), names="value")
        row = widgets.HBox([self.field, widgets.Label(unit)])
        super().__init__([widgets.HTML(f"<b>{escape(question)}</b>"), row, self.said])
        self._say()

    @property
    def value(self) -> float | None:
        """The guess; None where there is none yet, or what stands there is no number."""
        if self._verdict is not None:
            return self._verdict.guess
        try:
            number = float(self.field.value.strip().removesuffix(self._unit).strip().replace(",", "."))
        except ValueError:
            return None
        return number if math.isfinite(number) else None

    def against(self, measured: float) -> Verdict:
        """Return the guess beside what was measured; from now on it is fixed."""
        self._verdict = Verdict(self._question, self.value, measured, self._unit)
        self.field.disabled = True
        self._say()
        return self._verdict

    def _say(self) -> None:
        self.said.value = escape(self._words())

    def _words(self) -> str:
        if self._verdict is not None:
            return str(self._verdict)
        if self.value is not None:
            return f"Your guess: {self.value:g} {self._unit}"
        if self.field.value.strip():
            return f"{self.field.value!r} is no number; write one, as in 2.5"
        return "no guess yet"

    def __repr__(self) -> str:
        return self._words()

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, object]:
        bundle: dict[str, object] = dict(super()._repr_mimebundle_(**kwargs) or {})
        bundle["text/plain"] = repr(self)
        bundle["text/html"] = f"<p><b>{escape(self._question)}</b> {escape(self._words())}</p>"
        return bundle
