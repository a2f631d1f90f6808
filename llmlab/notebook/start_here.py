"""The panel of notebook 00: one question, one fault, one fix, and what 40 users of three apps would have met.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
import pandas as pd

from llmlab.data.help_desk import Case, cases
from llmlab.evals.statistics import quantile
from llmlab.lab.apps import careful, naive
from llmlab.lab.lab import Lab
from llmlab.lab.pictures import Picture, storm_strip, waterfall
from llmlab.lab.runs import SLOW_SECONDS, Runs
from llmlab.notebook.chat import Playback
from llmlab.notebook.panel import Panel, Result
from llmlab.notebook.setting import FAULTS, FIXES, QUESTIONS, Setting
from llmlab.notebook.turn import Turn
from llmlab.pipeline.answer import Answer


class StartHere(Panel):
    """Choose a question, a fault and a fix; see the request's stages and attempts, and the storm strip."""

    released = 40

    def controls(self) -> dict[str, Any]:
        """Return the five controls."""
        by_id = {case.id: case for case in cases()}
        return {
            "question": widgets.Dropdown(
                options=[(by_id[name].question, name) for name in QUESTIONS], value=QUESTIONS[0], description="Question"
            ),
            "own": widgets.Text(placeholder="type it (simulated)", description="or your own"),
            "fault": widgets.Dropdown(options=FAULTS, value="spike", description="Fault", tooltip="Strikes the first attempt"),
            "seconds": widgets.FloatSlider(value=4.0, min=0.0, max=10.0, step=0.5, description="Fault (s)", readout_format=".1f"),
            "fix": widgets.Dropdown(options=FIXES, value="hedge", description="Fix"),
        }

    def more(self) -> dict[str, Any]:
        """Return the delays of the fixes, and how often the fault strikes."""
        return {
            "hedge_after": widgets.FloatSlider(value=1.0, min=0.5, max=5.0, step=0.5, description="Hedge (s)", readout_format=".1f"),
            "give_up_after": widgets.FloatSlider(value=2.0, min=0.5, max=5.0, step=0.5, description="Give up (s)", readout_format=".1f"),
            "struck": widgets.IntSlider(value=10, min=0, max=50, description="Struck (%)", tooltip="Share of attempts in the strip"),
        }

    def setting(self, seed: int, *, question: str, own: str, **values: Any) -> Setting:
        """Return what the controls say."""
        typed = own.strip()
        asked: Case | str = typed or next(case for case in cases() if case.id == question)
        return Setting(question=asked, seed=seed, **values)

    def experiment(self, turn: Turn, **values: Any) -> Result:
        """Ask the one question twice, then run three apps."""
        setting = self.setting(turn.seed, **values)
        heard = setting.ask()
        turn.check()
        storm = Lab(seed=setting.seed, faults=setting.often)
        runs = turn.play(storm, {"naive": naive, "careful": careful, "stack": setting.fixed})
        answers = {title: one.answer for title, one in heard.items()}
        who = f"Your question: a simulated provider answers. {storm.banner}" if setting.own else storm.banner
        return Result(
            sentence(setting, list(answers.values())),
            table(answers, runs),
            self._pictures(answers, runs),
            f"{many(runs, setting)} {who}",
        )

    def code(self, seed: int, **values: Any) -> str:
        """Return the lines that do the same."""
        return self.setting(seed, **values).code()

    def feel(self, turn: Turn, **values: Any) -> Sequence[Playback]:
        """Return the one question without and with the fix."""
        setting = self.setting(turn.seed, **values)
        question = setting.question.question if isinstance(setting.question, Case) else setting.question
        return [
            Playback(title, question, one.pieces, one.answer.timings.total, f"{one.answer.status}; {source(one.answer)}")
            for title, one in setting.ask().items()
        ]

    def _pictures(self, answers: dict[str, Answer], runs: Runs) -> tuple[Picture, ...]:
        return waterfall({title: answer.trace.frame for title, answer in answers.items()}), storm_strip(runs.frame)


def source(answer: Answer) -> str:
    """Return who answered, for people."""
    names = {attempt.source for attempt in answer.attempts if attempt.source}
    words = {"cassette": "replayed from a recording of a simulated provider", "simulator": "a simulated answer", "live": "a live answer"}
    return ", ".join(words.get(name, name) for name in sorted(names)) or "nobody answered"


def first_word(answer: Answer) -> str:
    """Return when the user saw the first word, as in "4.41 s"."""
    at = answer.timings.delivered_first_content
    return "never" if at is None else f"{at:.2f} s"


def ending(answer: Answer) -> str:
    """Return how and when the answer ended, as in "whole answer after 4.88 s"."""
    if answer.status == "blocked":
        return f"blocked ({answer.reason})"
    word = "broke off" if answer.status == "failed" else "whole answer"
    return f"{word} after {answer.timings.total:.2f} s"


def sentence(setting: Setting, answers: Sequence[Answer]) -> str:
    """Return the result and its price."""
    before, after = answers[0], answers[-1]
    words = [first_word(answer) for answer in (before, after)]
    seen = "no first word" if words[0] == "never" else f"first word after {words[0]}"
    basis = f"(one question, {setting.fix_words}, seed {setting.seed})"
    if setting.fix == "none":
        return f"{seen[0].upper()}{seen[1:]}, {ending(before)} {basis}"
    if words[0] == words[1] and ending(before) == ending(after):
        return f"No difference: {seen}, {ending(before)}, with and without {basis}"
    more = len(after.attempts) - len(before.attempts)
    price = f"{more} more attempt{'' if more == 1 else 's'}" if more else "no more attempts"
    if before.cost_usd and after.cost_usd is not None:
        price += f" and {100 * (float(after.cost_usd / before.cost_usd) - 1):+.0f} % USD"
    return f"First word after {words[0]} → {words[1]}, for {price} {basis}"


def many(runs: Runs, setting: Setting) -> str:
    """Return what became of many requests, in a sentence."""
    late = {app: 100 * found["slow"].value for app, found in runs.measures().items() if found["slow"].value is not None}
    shares = ", ".join(f"{app} {share:.1f} %" for app, share in late.items())
    count = len(runs) // len(late)
    struck = f"{setting.struck} of 100 attempts are struck" if setting.fault != "none" else "nothing is struck"
    return f"{count} requests an app, {struck}; first word after {SLOW_SECONDS:g} s or never: {shares}."


def table(answers: dict[str, Answer], runs: Runs) -> pd.DataFrame:
    """Return the numbers of both pictures."""
    lines = []
    for title, answer in answers.items():
        cost = "unknown" if answer.cost_usd is None else f"{1000 * answer.cost_usd:.3f}"
        lines.append([title, 1, first_word(answer), f"{answer.timings.total:.2f} s", "", f"{len(answer.attempts)}", cost])
    measures = runs.measures()
    for app in runs.apps:
        found = measures[app]
        median, late, usd = (found[name].value for name in ("wait_p50", "slow", "usd_per_1000"))
        ends = quantile([row.total_seconds for row in runs.rows if row.app == app], 0.5).value
        lines.append(
            [
                app,
                found["slow"].n,
                "never" if median is None or math.isinf(median) else f"{median:.2f} s",
                f"{ends:.2f} s",
                f"{100 * (late or 0.0):.1f} %",
                f"{found['attempts_per_request'].value:.3f}",
                "unknown" if usd is None else f"{usd:.3f}",
            ]
        )
    columns = [
        "",
        "n",
        "first word (median)",
        "whole answer (median)",
        f"after {SLOW_SECONDS:g} s or never",
        "attempts a request",
        "USD per 1,000",
    ]
    return pd.DataFrame(lines, columns=columns)
