"""The panel of notebook 04: bad JSON, made-up facts, and what each rung of the ladder lets through to the user.

Notebook: 04_hallucination.ipynb
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import pandas as pd

from llmlab.data.grounding_probes import HALVES, probes
from llmlab.data.help_desk import Case, retrieve
from llmlab.evals import grounding as measured
from llmlab.evals.abstention import risk_coverage
from llmlab.lab.lab import Lab
from llmlab.lab.ladder import RUNGS, Scored, ladder, questions, reached, rung, said, scored, shares, weather, with_warnings
from llmlab.lab.pictures import Beside, Picture, price_bar, reach, reach_table, risk_curve
from llmlab.lab.run import App
from llmlab.lab.runs import Runs
from llmlab.notebook.chat import Playback
from llmlab.notebook.one import Heard, listen
from llmlab.notebook.panel import Panel, Result
from llmlab.notebook.turn import Turn
from llmlab.pipeline.grounding import THRESHOLD
from llmlab.pipeline.pipeline import Pipeline
from llmlab.protocol.draws import uniform

TOP = "+ abstain"
SHOWN = "q081"
"""Whose answer the panel shows first: with the default weather and seed, a fact in it is made up."""
_SUPPORTED = ("paraphrase", "literal", "cited", "quoted")


def mixed(seed: int, n: int = 2000, made_up: float = 0.08) -> Scored:
    """Return `n` answers out of the grounding probes, some of them made up, with the score of each.

    The simulated model copies its sentences; the probes say things in other words, and what is wrong in them is better hidden.

    Args:
        seed: Of the draws.
        n: How many, with repetitions.
        made_up: Share of unsupported ones (0 to 1).
    """
    sides = [[one for one in probes() if one.supported == side] for side in (False, True)]
    drawn = []
    for number in range(n):
        side = sides[uniform(seed, "mixed", "side", number) >= made_up]
        drawn.append(side[int(uniform(seed, "mixed", "which", number) * len(side))])
    return Scored(
        [round(1 - measured.llmlab(one), 9) for one in drawn], [not one.supported for one in drawn], [one.family for one in drawn]
    )


def detection_table() -> pd.DataFrame:
    """Return how well the check ranks what is made up, beside detectors that look at the surface only: AUROC by half of the probes."""
    halves = [measured.areas(probes(half)) for half in HALVES]
    titles = [f"{half} half, {found['llmlab'].n} questions" for half, found in zip(HALVES, halves, strict=True)]
    return pd.DataFrame(
        {"detector": name, **{title: found[name].text(3) for title, found in zip(titles, halves, strict=True)}} for name in halves[0]
    )


def undetected_table() -> pd.DataFrame:
    """Return what the check flags of each kind, least first; supported kinds stand below, with their false alarms."""
    every, held = measured.flagged(probes()), measured.flagged(probes("held"))
    order = sorted(every, key=lambda kind: (kind in _SUPPORTED, every[kind].value or 0.0))
    return pd.DataFrame(
        {
            "kind": kind,
            "is": "supported" if kind in _SUPPORTED else "made up",
            "questions": every[kind].n,
            "flagged (%)": every[kind].text(0, scale=100),
            "in the held half (%)": held[kind].text(0, scale=100),
        }
        for kind in order
    )


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the controls say, as the objects that do it."""

    bad_json: int = 30
    made_up: int = 12
    top: str = TOP
    threshold: float = THRESHOLD
    question: str = SHOWN
    seed: int = 7

    @property
    def lab(self) -> Lab:
        """The weather."""
        return weather(self.seed, self.bad_json / 100, self.made_up / 100)

    @property
    def apps(self) -> dict[str, App]:
        """The rungs up to the one that was chosen."""
        return ladder(self.threshold, self.top)

    @property
    def case(self) -> Case:
        """The question whose answer is shown."""
        return next(case for case in questions() if case.id == self.question)

    def heard(self, name: str) -> Heard:
        """Return the answer of a rung to the question; those below repair answer as repair does, or crash."""
        app = rung(name, self.threshold)
        return listen(self.lab, app if isinstance(app, Pipeline) else _repair(), self.case)

    def code(self) -> str:
        """Return the lines that do the same."""
        given = f"seed={self.seed}, bad_json={self.bad_json / 100:g}, made_up={self.made_up / 100:g}"
        curve = self.top not in ("naive", "+ schema")
        return "\n".join(
            [
                "from llmlab.evals.abstention import risk_coverage",
                "from llmlab.lab.ladder import ladder, questions, reached, scored, weather",
                "from llmlab.lab.pictures import price_bar, reach, reach_table, risk_curve",
                "",
                f"lab = weather({given})",
                f"runs = lab.run_all(ladder({self.threshold:g}, {self.top!r}), questions(), requests=200)",
                f"frame = reached(runs, {self.threshold:g})",
                f"reach(frame), price_bar(runs.frame){f', risk_curve(risk_coverage(*scored(runs)), {self.threshold:g})' if curve else ''}",
                "reach_table(frame)",
            ]
        )


class Hallucination(Panel):
    """Spoil the JSON, make facts up, climb the ladder, and look at what reaches the user."""

    pictures = 3

    def controls(self) -> dict[str, Any]:
        """Return the five controls."""
        default = Setting()
        return {
            "bad_json": widgets.IntSlider(
                value=default.bad_json, min=0, max=60, step=5, description="Bad JSON (%)", tooltip="Share of answers that a fault spoils"
            ),
            "made_up": widgets.IntSlider(
                value=default.made_up, min=0, max=40, description="Made up (%)", tooltip="Share of answers with a changed fact"
            ),
            "top": widgets.SelectionSlider(options=list(RUNGS), value=default.top, description="Ladder up to", tooltip="What is built"),
            "threshold": widgets.FloatSlider(
                value=default.threshold,
                min=0,
                max=1,
                step=0.05,
                description="Abstain below",
                readout_format=".2f",
                tooltip="Least score of an answer that is shown",
            ),
            "question": widgets.Dropdown(
                options=[(case.question, case.id) for case in questions()], value=default.question, description="Look at"
            ),
        }

    def experiment(self, turn: Turn, **values: Any) -> Result:
        """Run the rungs in the same weather, and look at one answer."""
        setting = Setting(seed=turn.seed, **values)
        runs = turn.play(setting.lab, {name: app for name, app in setting.apps.items() if name != "+ grounding"}, questions())
        runs = with_warnings(runs) if "+ grounding" in setting.apps else runs
        frame = reached(runs, setting.threshold)
        pictures: list[Picture] = [reach(frame), price_bar(runs.frame)]
        if "+ repair" in runs.apps:
            pictures.insert(1, risk_curve(risk_coverage(*scored(runs)), setting.threshold))
        return Result(sentence(setting, runs, frame), reach_table(frame), tuple(pictures), note(setting, runs), beside(setting).html())

    def code(self, seed: int, **values: Any) -> str:
        """Return the lines that do the same."""
        return Setting(seed=seed, **values).code()

    def feel(self, turn: Turn, **values: Any) -> Sequence[Playback]:
        """Return the answer to the question after repair, and on the rung that was chosen if that is higher."""
        setting = Setting(seed=turn.seed, **values)
        names = dict.fromkeys(["+ repair", setting.top if setting.top not in ("naive", "+ schema") else "+ repair"])
        return [_playback(name, setting) for name in names]


def _repair() -> Pipeline:
    app = rung("+ repair")
    assert isinstance(app, Pipeline)
    return app


def beside(setting: Setting) -> Beside:
    """Return the model's answer to the question of a setting, after repair, beside the documents."""
    case = setting.case
    answer = said(setting.heard("+ repair").answer.text)
    return Beside(question=case.question, answer=answer, documents=retrieve(case.question), threshold=setting.threshold)


def _playback(name: str, setting: Setting) -> Playback:
    heard = setting.heard(name)
    end = heard.answer.timings.total
    warned = "; a warning: " + heard.answer.findings[0].reason if heard.answer.findings and heard.answer.status == "ok" else ""
    return Playback(name, setting.case.question, [(end, said(heard.answer.text))], end, f"{heard.answer.status}{warned}")


def sentence(setting: Setting, runs: Runs, frame: pd.DataFrame) -> str:
    """Return the result and its price."""
    found, n = shares(frame), len(runs) // len(runs.apps)
    rungs = [app for app in runs.apps if app in ("naive", "+ repair", runs.apps[-1])]

    def path(name: str) -> str:
        return " → ".join(f"{100 * (found[app][name].value or 0.0):.1f}" for app in rungs)

    tokens = [runs.measures()[app]["tokens_per_request"].value or 0.0 for app in (runs.apps[0], runs.apps[-1])]
    more = f", for {100 * (tokens[1] / tokens[0] - 1):.1f} % more tokens" if len(rungs) > 1 else ""
    return (
        f"{' → '.join(rungs)}: failed {path('failed')} %, silently wrong {path('silently wrong')} %, "
        f'"I don\'t know" {path("abstained")} %{more} (n = {n} a rung, seed {setting.seed})'
    )


def note(setting: Setting, runs: Runs) -> str:
    """Return what the rungs between do, and who answered."""
    adds = "; ".join(f"{app}: {RUNGS[app]}" for app in runs.apps)
    return f"{adds[:1].upper()}{adds[1:]}. {runs.banner}"
