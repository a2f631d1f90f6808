"""The panel of notebook 01: what staging saw, what production does, and what each fix changes and costs.

Notebook: 01_latency_variance.ipynb
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ipywidgets as widgets
import pandas as pd

from llmlab.data.help_desk import Case, cases
from llmlab.lab.apps import careful, naive
from llmlab.lab.compare import compare
from llmlab.lab.fixes import FIXES, fixed, words
from llmlab.lab.lab import Lab
from llmlab.lab.load import Closed, Open
from llmlab.lab.pictures import Picture, ecdf, paired_scatter, price_bar, storm_strip
from llmlab.lab.run import App
from llmlab.lab.runs import SLOW_SECONDS, Runs
from llmlab.notebook.chat import Playback
from llmlab.notebook.choice import Choice
from llmlab.notebook.one import listen
from llmlab.notebook.panel import Panel, Result
from llmlab.notebook.turn import Turn
from llmlab.pipeline.pipeline import Pipeline
from llmlab.wire.faults import LatencySpike

PER_SECOND = 5.0
"""Requests a second in production: open loop, close to the 5.5 of Azure's conversations of 2023."""
NO_FIX = "no fix"
"""The stack's pipeline with none of the fixes: what they are compared with."""
AS_IT_COMES = 0
"""Answers of the length that the recordings have."""
WORDS_A_TOKEN = 0.75


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the controls say, as the objects that do it."""

    clicks: int = 20
    spikes: int = 4
    seconds: float = 4.0
    tokens: int = AS_IT_COMES
    fixes: tuple[str, ...] = ()
    delay: float = 1.75
    seed: int = 7

    @property
    def lab(self) -> Lab:
        """The weather. A length that was asked for is in no recording, so the simulator answers then."""
        faults = [LatencySpike(probability=self.spikes / 100, seconds=self.seconds)] if self.spikes else []
        return Lab(seed=self.seed, faults=faults, source="simulator" if self.tokens else None)

    @property
    def cases(self) -> list[Case] | None:
        """The help desk's questions, with a wish for the answer's length if there is one."""
        if not self.tokens:
            return None
        wish = f"Answer in about {round(self.tokens * WORDS_A_TOKEN)} words."
        return [replace(case, question=f"{case.question} {wish}") for case in cases()]

    @property
    def app(self) -> Pipeline:
        """The stack with the fixes that are on."""
        return fixed(self.fixes, self.delay)

    @property
    def words(self) -> str:
        """The fixes, for people."""
        return words(self.fixes, self.delay)

    def code(self) -> str:
        """Return the lines that do the same."""
        spike = f"[llmlab.faults.LatencySpike(probability={self.spikes / 100:g}, seconds={self.seconds:g})]" if self.spikes else "[]"
        source = ', source="simulator"' if self.tokens else ""
        lines = [
            "import llmlab",
            "from llmlab.lab.fixes import fixed",
            "from llmlab.lab.pictures import ecdf, paired_scatter, price_bar, storm_strip",
            "",
            f"lab = llmlab.Lab(seed={self.seed}, faults={spike}{source})",
        ]
        if self.tokens:
            wish = f"Answer in about {round(self.tokens * WORDS_A_TOKEN)} words."
            lines += [
                "from dataclasses import replace",
                "from llmlab.data.help_desk import cases",
                f'questions = [replace(case, question=f"{{case.question}} {wish}") for case in cases()]',
            ]
        lines += [
            f"stack = fixed({list(self.fixes)!r}, after_seconds={self.delay:g})",
            f"load = llmlab.Open(per_second={PER_SECOND:g})",
            'apps = {"naive": llmlab.naive, "careful": llmlab.careful, "no fix": fixed(), "stack": stack}',
            f"runs = lab.run_all(apps, {'questions, ' if self.tokens else ''}requests=200, load=load)",
            "storm_strip(runs.frame), ecdf(runs.frame)",
            'paired_scatter(runs.frame, "no fix", "stack"), price_bar((runs.only("no fix") + runs.only("stack")).frame)',
            'llmlab.compare(runs.only("no fix"), runs.only("stack"), metric="slow")',
        ]
        return "\n".join(lines)


class LatencyVariance(Panel):
    """Choose the weather and the fixes; see who waits, and what it costs."""

    pictures = 4

    def controls(self) -> dict[str, Any]:
        """Return the six controls."""
        default = Setting()
        lengths = [("as is", AS_IT_COMES), *((f"{tokens} tokens", tokens) for tokens in (20, 40, 80, 120, 200, 300, 400))]
        return {
            "clicks": widgets.IntSlider(value=default.clicks, min=1, max=200, description="Staging", tooltip="Clicks before the release"),
            "spikes": widgets.IntSlider(value=default.spikes, min=0, max=20, description="Spikes (%)", tooltip="Share of attempts struck"),
            "seconds": widgets.FloatSlider(
                value=default.seconds, min=0, max=20, step=0.5, description="Spike (s)", readout_format=".1f", tooltip="How late"
            ),
            "tokens": widgets.SelectionSlider(options=lengths, value=AS_IT_COMES, description="Answers", tooltip="Length asked for"),
            "fixes": Choice({name: what for name, what in FIXES.items() if name != "cache"}, default.fixes, "Fixes of the stack"),
            "delay": widgets.FloatSlider(
                value=default.delay,
                min=0.5,
                max=5,
                step=0.25,
                description="Fix after (s)",
                readout_format=".2f",
                tooltip="Silence before it acts",
            ),
        }

    def experiment(self, turn: Turn, **values: Any) -> Result:
        """Click in staging, then run three apps in production."""
        setting = Setting(seed=turn.seed, **values)
        lab = setting.lab
        apps: dict[str, App] = {"naive": naive, "careful": careful, NO_FIX: fixed()}
        if setting.fixes:
            apps["stack"] = setting.app
        runs = turn.play(lab, apps, setting.cases, load=Open(per_second=PER_SECOND))
        staged = staging(setting)
        return Result(
            sentence(setting, staged, runs), table(staged, runs), self._pictures(setting, staged, runs), note(setting, runs, lab.banner)
        )

    def _pictures(self, setting: Setting, staged: Runs, runs: Runs) -> tuple[Picture, ...]:
        both = pd.concat([runs.frame, staged.frame], ignore_index=True)
        mine = runs.frame[runs.frame["app"].isin([NO_FIX, "stack"])]  # the same prompt: what is dearer is the fixes
        always = storm_strip(runs.frame), ecdf(both if not setting.fixes else runs.frame)
        return (*always, paired_scatter(runs.frame, NO_FIX, "stack"), price_bar(mine)) if setting.fixes else always

    def code(self, seed: int, **values: Any) -> str:
        """Return the lines that do the same."""
        return Setting(seed=seed, **values).code()

    def feel(self, turn: Turn, **values: Any) -> Sequence[Playback]:
        """Return the request that waited longest without a fix, and what becomes of it with the fixes."""
        setting = Setting(seed=turn.seed, **values)
        lab, plain = setting.lab, fixed()
        runs = lab.run(plain, setting.cases, requests=100, load=Open(per_second=PER_SECOND))
        worst = max(runs.rows, key=lambda row: row.waited)
        case = next(one for one in setting.cases or cases() if one.id == worst.case)
        heard = {"no fix": listen(lab, plain, case, worst.repetition), setting.words: listen(lab, setting.app, case, worst.repetition)}
        return [
            Playback(title, case.question, one.pieces, one.answer.timings.total, f"{one.answer.status}; the slowest of 100")
            for title, one in heard.items()
        ]


def staging(setting: Setting) -> Runs:
    """Return what a team saw that clicked so often before the release, on a calm day."""
    weather = Lab(seed=setting.seed, source=setting.lab.source)
    return weather.run(naive, setting.cases, requests=setting.clicks, load=Closed(concurrency=1), name=f"staging, {setting.clicks} clicks")


def slow_share(runs: Runs, app: str) -> float:
    """Return the share of an app's requests whose first word came too late, or never."""
    return runs.measures()[app]["slow"].value or 0.0


def sentence(setting: Setting, staged: Runs, runs: Runs) -> str:
    """Return the result and its price."""
    n = len(runs) // len(runs.apps)
    late = {app: slow_share(runs, app) for app in runs.apps}
    if not setting.fixes:
        saw = sum(row.waited > SLOW_SECONDS for row in staged.rows)
        return (
            f"{100 * late['naive']:.1f} % of users wait for more than {SLOW_SECONDS:g} s; {setting.clicks} clicks in staging saw "
            f"{saw or 'none'} of it (n = {n}, seed {setting.seed})"
        )
    return (
        f"First word after {SLOW_SECONDS:g} s: {100 * late[NO_FIX]:.1f} % → {100 * late['stack']:.1f} %, for {more_attempts(runs)} "
        f"(n = {n}, seed {setting.seed})"
    )


def more_attempts(runs: Runs) -> str:
    """Return what the fixes cost in attempts, beside the same pipeline without them."""
    found = runs.measures()
    before, after = (found[app]["attempts_per_request"].value or math.nan for app in (NO_FIX, "stack"))
    more = 100 * (after / before - 1)
    return f"{abs(more):.1f} % {'more' if more >= 0 else 'fewer'} attempts"


def unread(runs: Runs) -> str:
    """Return the share of the stack's bill that was for attempts which nobody read."""
    sent = runs.only("stack").attempts
    known = [(status, float(cost)) for status, cost in zip(sent["status"], sent["cost_usd"], strict=True) if cost is not None]
    total = math.fsum(cost for _, cost in known)
    lost = math.fsum(cost for status, cost in known if status != "ok")
    return f"{100 * lost / total:.1f} % of the stack's bill is for words that nobody read." if total else "Nobody was paid."


def note(setting: Setting, runs: Runs, banner: str) -> str:
    """Return how often a team misses a spike, whether the difference is sure, and who answered."""
    rate = setting.spikes / 100
    missed = "No spikes."
    if rate:
        share = 100 * (1 - rate) ** setting.clicks
        missed = f"A spike strikes {setting.spikes} of 100 attempts: {share:.0f} % of teams that click {setting.clicks} times meet none."
    sure = ""
    if setting.fixes:
        found = compare(runs.only(NO_FIX), runs.only("stack"), metric="slow")
        sure = f" Stack ({setting.words}) against no fix: {found.text()}, {found.verdict}. {unread(runs)}"
    return f"{missed}{sure} {runs.sources}. {banner}"


def table(staged: Runs, runs: Runs) -> pd.DataFrame:
    """Return the numbers of the pictures: a row a run, with intervals."""
    lines = []
    for part in (staged, runs):
        for app, found in part.measures().items():
            usd = found["usd_per_1000"].value
            lines.append(
                {
                    "": app,
                    "n": found["slow"].n,
                    f"after {SLOW_SECONDS:g} s or never (%)": found["slow"].text(1, scale=100),
                    "p50 (s)": found["wait_p50"].text(2),
                    "p90 (s)": found["wait_p90"].text(2),
                    "p99 (s)": found["wait_p99"].text(2),
                    "attempts": f"{found['attempts_per_request'].value:.3f}",
                    "USD per 1,000": "unknown" if usd is None else f"{usd:.3f}",
                }
            )
    return pd.DataFrame(lines)


def chances(spike: float = 0.04, clicks: int = 20, questions: int = 10) -> Mapping[str, float]:
    """Return how likely a rare spike stays unseen in staging, and how likely a user meets it.

    1 - (1 - p)**n for one who asks n times, where each attempt is struck with probability p by itself.

    Args:
        spike: Share of attempts that are struck (0 to 1).
        clicks: Clicks in staging.
        questions: Questions that a user asks.

    Returns:
        Probabilities (0 to 1), by what they are of.
    """
    return {f"{clicks} clicks meet none": (1 - spike) ** clicks, f"{questions} questions meet one": 1 - (1 - spike) ** questions}
