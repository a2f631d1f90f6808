"""The four clocks of an attempt, and the watch that keeps them.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, fields
from typing import Any

from llmlab.errors import AttemptTimeout, BadInput


def check_seconds(what: str, value: Any, *, least: float | None = None) -> None:
    """Refuse what is no time.

    Args:
        what: Whose time it is, for the message.
        value: A time (in seconds).
        least: Shortest time allowed (in seconds); None: any above 0.

    Raises:
        BadInput: `value` is no finite number, or too short.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or (value <= 0 if least is None else value < least):
        raise BadInput(f"{what} is a time {'above 0 seconds' if least is None else f'of {least:g} seconds or more'}, not {value!r}")


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """The four clocks of an attempt (in seconds); None stops none."""

    connect_seconds: float | None = 5.0
    """To open a connection. The client's transport keeps this one; the others are kept here."""
    first_content_seconds: float | None = 15.0
    """From sending to the first content (text, reasoning or a tool delta); for a route that does not stream, to the whole reply."""
    stall_seconds: float | None = 8.0
    """Longest silence of a stream after its first content."""
    total_seconds: float | None = 60.0
    """From sending to the end, with the time that the reader of a stream takes."""

    def __post_init__(self) -> None:
        for clock in fields(self):
            if getattr(self, clock.name) is not None:
                check_seconds(f"Clocks: {clock.name}", getattr(self, clock.name))


_MEANING = {
    "first_content": "no content came",
    "stall": "the stream stood still",
    "total": "the attempt was not finished",
    "deadline": "the deadline of the request left the attempt no more time, and it was not finished",
}


class Watch:
    """Cancels the task that is inside of it when a clock runs out, and turns that into `AttemptTimeout`.

    It is entered for every wait of an attempt. There is one timer for all clocks and all waits, and it looks how far things are when it
    goes off, so a chunk that comes in time moves no timer. `stop` ends it.

    Args:
        clocks: What the attempt may take.
        deadline: When it must have ended (in seconds on the loop's clock), or None.
    """

    __slots__ = (
        "_before",
        "_clocks",
        "_deadline",
        "_fired",
        "_inside",
        "_loop",
        "_task",
        "_timer",
        "first_content_at",
        "now",
        "progress_at",
        "sent_at",
    )

    def __init__(self, clocks: Clocks, deadline: float | None) -> None:
        self._clocks, self._deadline = clocks, deadline
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self.sent_at = self.progress_at = self.now()
        self.first_content_at: float | None = None
        self._fired: tuple[str, float] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._inside = False

    def _next(self) -> tuple[float, str, float] | None:
        """Return when the next clock runs out, its name, and its length."""
        clocks, ends = self._clocks, []
        if self._deadline is not None:
            ends.append((self._deadline, "deadline", self._deadline - self.sent_at))
        if clocks.total_seconds is not None:
            ends.append((self.sent_at + clocks.total_seconds, "total", clocks.total_seconds))
        if self.first_content_at is None:
            if clocks.first_content_seconds is not None:
                ends.append((self.sent_at + clocks.first_content_seconds, "first_content", clocks.first_content_seconds))
        elif clocks.stall_seconds is not None:
            ends.append((self.progress_at + clocks.stall_seconds, "stall", clocks.stall_seconds))
        return min(ends, default=None)

    def _look(self) -> None:
        self._timer = None
        if not self._inside:
            return
        following = self._next()
        assert following is not None
        when, name, length = following
        if when <= self.now():
            self._fired = (name, length)
            self._task.cancel()
        else:
            self._timer = self._loop.call_at(when, self._look)

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._before = task, task.cancelling()
        self._fired, self._inside = None, True
        self.progress_at = self.now()  # a reader who comes back late is not taken for a provider that stands still
        following = self._next()
        if following is not None and (self._timer is None or self._timer.when() > following[0]):
            self.stop()
            self._timer = self._loop.call_at(following[0], self._look)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self._inside = False
        if self._fired is not None and self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            name, length = self._fired
            raise AttemptTimeout(f"timeout_{name}", f"{_MEANING[name]} within {length:g} s", retryable=name != "deadline") from error

    def stop(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
