"""A run in the background, for panels."""

from __future__ import annotations

import threading
from collections.abc import Callable

from llmlab.lab.run import Progress
from llmlab.lab.runs import Runs

Cancel = Callable[[], None]


class Handle:
    """A run in the background.

    Args:
        work: Does the run; takes what to call with progress, and with a function that cancels.
        requests: How many requests it will send.
    """

    def __init__(self, work: Callable[[Progress, Callable[[Cancel], None]], Runs], requests: int) -> None:
        self._done, self._total = 0, requests
        self._runs: Runs | None = None
        self._error: BaseException | None = None
        self._stop: Callable[[], None] | None = None
        self._stopped = False

        def progress(done: int, total: int) -> None:
            self._done, self._total = done, total

        def on_start(cancel: Callable[[], None]) -> None:
            self._stop = cancel
            if self._stopped:
                cancel()

        def run() -> None:
            try:
                self._runs = work(progress, on_start)
            except BaseException as error:
                self._error = error

        self._thread = threading.Thread(target=run, name="llmlab-run", daemon=True)
        self._thread.start()

    @property
    def progress(self) -> float:
        """Share of the requests that are done (0 to 1)."""
        return self._done / self._total

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self._thread.is_alive()

    def cancel(self) -> None:
        """Stop it; `result` then raises `asyncio.CancelledError`."""
        self._stopped = True
        if self._stop:
            self._stop()

    def result(self, timeout: float | None = None) -> Runs:
        """Wait for the end and return what `run` returns, or raise what it raised.

        Raises:
            TimeoutError: It still runs after `timeout` seconds.
        """
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"the run is not finished after {timeout} s ({self._done} of {self._total} requests)")
        if self._error is not None:
            raise self._error
        assert self._runs is not None
        return self._runs
