"""A row of switches with one value: the names of those that are on.

Notebook: 01_latency_variance.ipynb
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
import traitlets


class Choice(widgets.VBox):  # type: ignore[misc]
    """Checkboxes that a panel takes for one control.

    Args:
        options: Name of each switch and what it does (its tooltip).
        value: Names of those that are on.
        description: The label above.
    """

    value = traitlets.Tuple()
    """Names of the switches that are on, in the order of the options."""

    def __init__(self, options: Mapping[str, str], value: tuple[str, ...] = (), description: str = "") -> None:
        for name in value:
            if name not in options:
                raise ValueError(f"there is no switch {name!r}; there is: {', '.join(options)}")
        self._moving = False
        slim = widgets.Layout(width="auto", margin="0 10px 0 4px")
        self.boxes = {
            name: widgets.Checkbox(value=name in value, description=name, tooltip=tip, indent=False, layout=slim)
            for name, tip in options.items()
        }
        row = widgets.HBox(list(self.boxes.values()), layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__([widgets.Label(description), row])
        self.value = self._on()
        for box in self.boxes.values():
            box.observe(self._clicked, names="value")

    def _on(self) -> tuple[str, ...]:
        return tuple(name for name, box in self.boxes.items() if box.value)

    def _clicked(self, _: object) -> None:
        if not self._moving:
            self.value = self._on()

    @traitlets.observe("value")
    def _set(self, change: Any) -> None:
        self._moving = True
        try:
            for name, box in self.boxes.items():
                box.value = name in change["new"]
        finally:
            self._moving = False
