"""The panel of notebook 03: a brown-out, and who keeps it up.

Notebook: 03_retries_and_fallbacks.ipynb
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ipywidgets as widgets
import pandas as pd

from llmlab.lab.load import Open
from llmlab.lab.pictures import Picture, phase_portrait, storm_clock
from llmlab.lab.storm import DEFAULT, Storm, shortened
from llmlab.lab.storm_policies import ATTEMPTS, REMEDIES, TIMEOUT_SECONDS, policy
from llmlab.lab.storm_run import ANSWERED, Asked, StormRun, storm_table
from llmlab.notebook.chat import Playback
from llmlab.notebook.choice import Choice
from llmlab.notebook.panel import Panel, Result
from llmlab.notebook.turn import Turn

PER_SECOND = Storm().per_second


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the controls say, as the objects that do it."""

    seconds: float = 20.0
    left: int = 30
    load: float = PER_SECOND
    attempts: int = ATTEMPTS
    timeout: float = TIMEOUT_SECONDS
    fixes: tuple[str, ...] = ()
    seed: int = 7
    after: float = 30.0

    @property
    def storm(self) -> Storm:
        """The weather. Without a length or a loss there is no brown-out, and the same time is looked at."""
        lost = self.seconds > 0 and self.left < 100
        brown_out = replace(DEFAULT, duration_seconds=self.seconds, capacity=self.left / 100) if lost else None
        whole = Storm(per_second=self.load, seed=self.seed, brown_out=brown_out, after_seconds=self.after, seconds=10.0 + self.after)
        return shortened(whole)

    @property
    def names(self) -> tuple[str, ...]:
        """The policies that are run: without the fixes, and with them if there are any."""
        return ("no fix", "fixed") if self.fixes else ("no fix",)

    def run(self, progress: Callable[[float], None] | None = None) -> list[StormRun]:
        """Return the run of each policy."""
        runs, share = [], 1 / len(self.names)
        for number, name in enumerate(self.names):
            chosen = policy(self.fixes if number else (), attempts=self.attempts, timeout_seconds=self.timeout)
            told = None if progress is None else _part(progress, number * share, share)
            runs.append(self.storm.run(chosen, name, progress=told))
        return runs

    def code(self) -> str:
        """Return the lines that do the same."""
        brown_out = "None"
        if self.storm.brown_out:
            brown_out = (
                f"llmlab.faults.BrownOut(start_seconds=10, duration_seconds={self.seconds:g}, ramp_seconds=0, capacity={self.left / 100:g})"
            )
        given = f"attempts={self.attempts}, timeout_seconds={self.timeout:g}"
        return "\n".join(
            [
                "import llmlab",
                "from llmlab.lab.pictures import phase_portrait, storm_clock",
                "from llmlab.lab.storm import Storm",
                "from llmlab.lab.storm_policies import policy",
                "from llmlab.lab.storm_run import storm_table",
                "",
                f"brown_out = {brown_out}",
                f"times = dict(seconds={self.storm.seconds:g}, after_seconds={self.after:g})",
                f"storm = Storm(per_second={self.load:g}, brown_out=brown_out, seed={self.seed}, **times)",
                f"policies = {{'no fix': policy({given})}}",
                *([f"policies['fixed'] = policy({list(self.fixes)!r}, {given})"] if self.fixes else []),
                "runs = [storm.run(each, name) for name, each in policies.items()]",
                "storm_clock(runs[-1], 2.5), phase_portrait(runs, 2.5), storm_table(runs)",
            ]
        )


class RetriesAndFallbacks(Panel):
    """Drag the brown-out: short ones pass, long ones stay. Then mend it."""

    released = 600
    pressed = 1200
    pictures = 3

    def controls(self) -> dict[str, Any]:
        """Return the six controls."""
        default = Setting()
        return {
            "seconds": widgets.FloatSlider(
                value=default.seconds, min=0, max=30, step=1, description="Brown-out (s)", readout_format=".0f", tooltip="How long it lasts"
            ),
            "left": widgets.IntSlider(
                value=default.left, min=10, max=100, step=5, description="Capacity (%)", tooltip="What is left of it meanwhile"
            ),
            "load": widgets.FloatSlider(
                value=default.load, min=5, max=35, step=1, description="Load (per s)", readout_format=".0f", tooltip="Requests a second"
            ),
            "attempts": widgets.IntSlider(value=default.attempts, min=1, max=5, description="Attempts", tooltip="On a route; 1: no retry"),
            "timeout": widgets.FloatSlider(
                value=default.timeout, min=1, max=10, step=0.5, description="Timeout (s)", readout_format=".1f", tooltip="Of an attempt"
            ),
            "fixes": Choice(REMEDIES, default.fixes, "Fixes"),
        }

    def experiment(self, turn: Turn, **values: Any) -> Result:
        """Run the storm without the fixes and, if there are any, with them."""
        setting = _setting(turn, values)

        def progress(share: float) -> None:
            turn.check()
            turn._report(share)

        runs = setting.run(progress)
        return Result(sentence(setting, runs), table(runs), _pictures(runs), note(runs))

    def code(self, seed: int, **values: Any) -> str:
        """Return the lines that do the same."""
        return Setting(seed=seed, **values).code()

    def feel(self, turn: Turn, **values: Any) -> Sequence[Playback]:
        """Return what becomes of a user who asks five seconds after the brown-out, without the fixes and with them."""
        setting = _setting(turn, values)
        return [_playback(run) for run in setting.run()]


def _setting(turn: Turn, values: dict[str, Any]) -> Setting:
    """Return the setting of a turn: as many requests after the brown-out, at the default load, as were asked for."""
    return Setting(seed=turn.seed, after=max(5.0, turn.requests / PER_SECOND), **values)


def _part(progress: Callable[[float], None], begin: float, share: float) -> Callable[[float], None]:
    return lambda done: progress(begin + done * share)


def _pictures(runs: Sequence[StormRun]) -> tuple[Picture, ...]:
    return (*(storm_clock(run, 2.5) for run in runs), phase_portrait(runs, 2.5))


def _playback(run: StormRun) -> Playback:
    at = run.storm.ends_at + 5.0
    one: Asked = next((one for one in run.asked if one.sent_at >= at), run.asked[-1])
    text = f"(an answer of {one.route})" if one.route != "nobody" else "(the last resort: a message)"
    pieces = [(one.seconds, text)] if one.status in ANSWERED else []
    return Playback(run.name, "Where is my parcel?", pieces, one.seconds, f"{one.status}; {one.attempts} attempts")


def sentence(setting: Setting, runs: Sequence[StormRun]) -> str:
    """Return the result and its price."""
    storm, shares = setting.storm, [f"{100 * run.share():.1f} %" for run in runs]
    cause = f"After {setting.seconds:g} s of brown-out" if storm.brown_out else "Without a brown-out"
    attempts = " → ".join(f"{run.amplification:.2f}" for run in runs)
    after = runs[0].within(storm.ends_at, storm.ends_at + storm.after_seconds)
    return (
        f"{cause}: {' → '.join(shares)} in time, for {attempts} attempts a request "
        f"(n = {len(after)} in {storm.after_seconds:g} s, utilization {storm.utilization:.0%}, seed {setting.seed})"
    )


def note(runs: Sequence[StormRun]) -> str:
    """Return whether each recovers, and what was put in."""
    words = []
    for run in runs:
        back = run.recovery_seconds()
        ended = "does not recover" if back is None else f"is back after {back:g} s" if back else "is back at once"
        words.append(f"{run.name.capitalize()}: {ended}; {100 * run.wasted:.0f} % of the slots' time went into answers that nobody took.")
    return f"{' '.join(words)} Put in: {runs[0].storm}. One seed is one storm: try others."


def table(runs: Sequence[StormRun]) -> pd.DataFrame:
    """Return the numbers: a row a policy."""
    return storm_table(runs)


def rate_limited(apps: dict[str, Any], *, probability: float = 0.05, seed: int = 7, requests: int = 400) -> pd.DataFrame:
    """Return how apps fare where some attempts are refused (429): a row an app.

    Args:
        apps: By the name that the table shows.
        probability: Share of attempts that are refused (0 to 1).
        seed: Of the weather.
        requests: An app.
    """
    from llmlab.lab.lab import Lab
    from llmlab.wire.faults import RateLimit

    runs = Lab(seed=seed, faults=[RateLimit(probability=probability)]).run_all(apps, requests=requests, load=Open(per_second=5.0))
    return pd.DataFrame(
        [
            {
                "app": app,
                "n": found["answered"].n,
                "answered (%)": found["answered"].text(1, scale=100),
                "attempts a request": f"{found['attempts_per_request'].value:.3f}",
                "p50 (s)": found["wait_p50"].text(2),
            }
            for app, found in runs.measures().items()
        ]
    )
