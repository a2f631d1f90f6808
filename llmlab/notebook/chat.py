"""Feel it: answers played in real time in chat boxes side by side, as their users would have seen them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import ipywidgets as widgets

LONGEST_SECONDS = 30.0
"""What takes longer is cut off here, and says so."""
_TICK_SECONDS = 0.05


class Playback(NamedTuple):
    """One answer with its times."""

    title: str
    """Above its box."""
    question: str
    pieces: Sequence[tuple[float, str]]
    """When each piece of text was there (in seconds after the question), in order."""
    end: float
    """When it was over (in seconds)."""
    note: str = ""
    """Below the answer when it is over: who answered, or why it failed."""

    def html(self, now: float) -> str:
        """Return the box as it was `now` seconds after the question."""
        text = "".join(piece for at, piece in self.pieces if at <= now)
        first = self.pieces[0][0] if self.pieces else None
        over = now >= min(self.end, LONGEST_SECONDS)
        waiting = f"first word after {first:.2f} s" if first is not None and first <= now else f"waiting: {min(now, self.end):.1f} s"
        clock = f"{waiting}, all of it after {self.end:.2f} s" if over and text else waiting
        answer = f'<p><span class="llmlab-it">{escape(text)}{"" if over else " &hellip;"}</span></p>' if text or not over else ""
        note = f'<p class="llmlab-note">{escape(self.note)}</p>' if over and self.note else ""
        return (
            f'<div class="llmlab-chat"><p><b>{escape(self.title)}</b> &middot; {clock}</p>'
            f'<p style="text-align: right"><span class="llmlab-me">{escape(self.question)}</span></p>{answer}{note}</div>'
        )


class Chat(widgets.HBox):  # type: ignore[misc]
    """Boxes on one clock.

    Args:
        boxes: How many there are at most.
    """

    def __init__(self, boxes: int = 2) -> None:
        made = [widgets.HTML(layout=widgets.Layout(width="50%", margin="0 6px 0 0")) for _ in range(boxes)]
        super().__init__(made, layout=widgets.Layout(width="100%", display="none", padding="2px"))
        self._over = threading.Event()
        self._player: threading.Thread | None = None

    @property
    def playing(self) -> bool:
        """Whether something is being played."""
        return self._player is not None and self._player.is_alive()

    def play(self, playbacks: Sequence[Playback], *, speed: float = 1.0) -> None:
        """Play them together; what was being played before stops.

        Args:
            playbacks: One a box.
            speed: 1 is real time.

        Raises:
            ValueError: There are more playbacks than boxes.
        """
        self.stop()
        if len(playbacks) > len(self.children):
            raise ValueError(f"{len(playbacks)} answers do not fit in {len(self.children)} boxes")
        for number, box in enumerate(self.children):
            box.value, box.layout.display = "", None if number < len(playbacks) else "none"
        boxes, self.layout.display = self.children[: len(playbacks)], "flex"
        self._over = threading.Event()
        self._player = threading.Thread(target=self._run, args=(boxes, playbacks, speed, self._over), name="llmlab-chat", daemon=True)
        self._player.start()

    def stop(self) -> None:
        """Stop where it is."""
        self._over.set()
        self.wait()

    def put_away(self) -> None:
        """Stop, and hide the boxes."""
        self.stop()
        self.layout.display = "none"

    def wait(self) -> None:
        """Wait for the end."""
        if self._player is not None and self._player is not threading.current_thread():
            self._player.join()

    @staticmethod
    def _run(boxes: Sequence[widgets.HTML], playbacks: Sequence[Playback], speed: float, over: threading.Event) -> None:
        began = time.monotonic()
        longest = min(LONGEST_SECONDS, max((playback.end for playback in playbacks), default=0.0))
        now = 0.0
        while now < longest and not over.is_set():
            now = (time.monotonic() - began) * speed
            for box, playback in zip(boxes, playbacks, strict=True):
                if box.value != (shown := playback.html(now)):
                    box.value = shown
            over.wait(_TICK_SECONDS)
