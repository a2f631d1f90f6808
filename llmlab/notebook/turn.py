"""One turn of a panel: what it was asked to run, how far it is, and whether it still counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

from llmlab.data.help_desk import Case
from llmlab.lab.handle import Handle
from llmlab.lab.lab import Lab
from llmlab.lab.run import App
from llmlab.lab.runs import Runs
from llmlab.pipeline.pipeline import Pipeline

_REMEMBERED = 8
"""Runs that a panel keeps."""


class Cancelled(Exception):
    """The turn was stopped, by its Cancel button or by a newer turn."""


class Turn:
    """One run of a panel's experiment.

    Args:
        requests: Requests an app.
        seed: The weather's seed.
        report: Called with the share that is done (0 to 1), from any thread.
        memory: Runs of earlier turns. The same app in the same weather gives the same run, so it is not run again.
    """

    def __init__(
        self, requests: int, seed: int, report: Callable[[float], None] = lambda share: None, memory: dict[Any, Runs] | None = None
    ) -> None:
        self.requests, self.seed = requests, seed
        self._memory = {} if memory is None else memory
        self._report = report
        self._handle: Handle | None = None
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether its result is no longer wanted."""
        return self._stopped

    def stop(self) -> None:
        """Stop what it runs; may be called from any thread, and more than once."""
        self._stopped = True
        if self._handle is not None:
            self._handle.cancel()

    def check(self) -> None:
        """Raise `Cancelled` if it was stopped: an experiment that does more than `play` calls this now and then."""
        if self._stopped:
            raise Cancelled

    def play(self, lab: Lab, apps: Mapping[str, App], cases: Sequence[Case | str] | None = None, **options: Any) -> Runs:
        """Run each app in the same weather, one after the other.

        Args:
            lab: Where.
            apps: Apps by the name that tables show; at least one.
            cases: What is asked; None: the help desk's.
            options: What `Lab.run` takes besides.

        Raises:
            Cancelled: It was stopped.
        """
        total, done = self.requests * len(apps), 0
        asked = None if cases is None else tuple(cases)
        parts = []
        for name, app in apps.items():
            self.check()
            # A pipeline is made anew by each turn, and is what its repr says; a function is itself.
            who = repr(app) if isinstance(app, Pipeline) else app
            key = (repr(lab), lab._simulator, name, who, asked, self.requests, repr(sorted(options.items())))
            known = None if lab.source == "live" else self._memory.get(key)
            parts.append(known or self._run(lab, name, app, cases, total, done, options))
            self._memory[key] = parts[-1]
            done += self.requests
        while len(self._memory) > _REMEMBERED:
            self._memory.pop(next(iter(self._memory)), None)
        return reduce(add, parts)

    def _run(
        self, lab: Lab, name: str, app: App, cases: Sequence[Case | str] | None, total: int, done: int, options: dict[str, Any]
    ) -> Runs:
        def progress(count: int, _: int) -> None:
            self._report((done + count) / total)

        self._handle = lab.start(app, cases, requests=self.requests, name=name, progress=progress, **options)
        if self._stopped:  # stop() may have come before there was a handle
            self._handle.cancel()
        try:
            return self._handle.result()
        except asyncio.CancelledError:
            raise Cancelled from None
