"""The panel of notebook 00: one question, one fault, one fix, and what 40 users of three apps would have met.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import pandas as pd

from llmlab.data.help_desk import Case, cases
from llmlab.evals.statistics import quantile
from llmlab.lab.apps import careful, naive, stack
from llmlab.lab.lab import Lab
from llmlab.lab.pictures import Picture, storm_strip, waterfall
from llmlab.lab.runs import SLOW_SECONDS, Runs
from llmlab.notebook.chat import Playback
from llmlab.notebook.one import Heard, listen
from llmlab.notebook.panel import Panel, Result
from llmlab.notebook.turn import Turn
from llmlab.pipeline.answer import Answer
from llmlab.pipeline.clocks import Clocks
from llmlab.pipeline.pipeline import Pipeline
from llmlab.pipeline.routing import Hedge, Retry, Route
from llmlab.wire.faults import Fault, LatencySpike, SlowDecode, Stall

QUESTIONS = ("q021", "q022", "q011", "q016", "q018")
"""Five short ones of the help desk; the last is not answered by its documents."""
FAULTS = ("none", "spike", "slow decode", "stall")
FIXES = ("none", "hedge", "fallback", "both")
TOKENS = 20
"""Slow decode spreads its seconds over this many tokens."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the controls say, as the objects that do it."""

    question: Case | str
    fault: str = "spike"
    seconds: float = 4.0
    fix: str = "hedge"
    hedge_after: float = 1.0
    give_up_after: float = 2.0
    struck: int = 10
    """Attempts out of 100 that the fault strikes, among many requests."""
    seed: int = 7

    @property
    def own(self) -> bool:
        """Whether the question is the user's own: then the simulator answers it."""
        return not isinstance(self.question, Case)

    @property
    def source(self) -> str | None:
        """Who answers the one question; None: the lab's own choice."""
        return "simulator" if self.own else None

    def fault_at(self, probability: float) -> Fault | None:
        """Return the fault with this probability, or None."""
        kinds: dict[str, Fault] = {
            "spike": LatencySpike(probability=probability, seconds=self.seconds),
            "slow decode": SlowDecode(probability=probability, seconds_per_token=round(self.seconds / TOKENS, 3)),
            "stall": Stall(probability=probability, seconds=self.seconds),
        }
        return kinds.get(self.fault)

    @property
    def aimed(self) -> list[Fault]:
        """The weather of the one question: the fault surely strikes the first attempt on the main model."""
        fault = self.fault_at(1.0)
        return [fault.first(1).on(model="main")] if fault else []

    @property
    def often(self) -> list[Fault]:
        """The weather of many requests: the fault strikes each attempt with its probability."""
        fault = self.fault_at(self.struck / 100)
        return [fault] if fault else []

    @property
    def plain(self) -> Pipeline:
        """The pipeline without a fix."""
        return stack.replace(routes=[Route("main", model="main")], hedge=None)

    @property
    def fixed(self) -> Pipeline:
        """The pipeline with the fix."""
        pipeline = self.plain
        if self.fix in ("fallback", "both"):
            main = Route("main", model="main", clocks=Clocks(first_content_seconds=self.give_up_after))
            pipeline = pipeline.replace(routes=[main, Route("fast", model="fast")], retry=Retry(attempts=1))
        if self.fix in ("hedge", "both"):
            pipeline = pipeline.replace(hedge=Hedge(after_seconds=self.hedge_after))
        return pipeline

    @property
    def fix_words(self) -> str:
        """The fix, for titles."""
        words = {
            "none": "no fix",
            "hedge": f"hedge after {self.hedge_after:g} s",
            "fallback": f"fallback after {self.give_up_after:g} s",
            "both": f"hedge after {self.hedge_after:g} s, fallback after {self.give_up_after:g} s",
        }
        return words[self.fix]

    def ask(self) -> dict[str, Heard]:
        """Ask the one question without the fix and, if there is one, with it; by title."""
        lab = Lab(seed=self.seed, faults=self.aimed, source=self.source)
        heard = {"no fix": listen(lab, self.plain, self.question)}
        if self.fix != "none":
            heard[self.fix_words] = listen(lab, self.fixed, self.question)
        return heard

    def code(self) -> str:
        """Return the lines that do the same."""
        asked = (
            f"next(case for case in cases() if case.id == {self.question.id!r})" if isinstance(self.question, Case) else repr(self.question)
        )
        aimed, often = self.fault_at(1.0), self.fault_at(self.struck / 100)
        weather = f"seed={self.seed}" + (", faults=[fault]" if aimed else "") + (', source="simulator"' if self.own else "")
        lines = [
            "import llmlab",
            "from llmlab.data.help_desk import cases",
            "from llmlab.lab.pictures import waterfall",
            "from llmlab.notebook.one import ask",
            "",
            f"question = {asked}",
            f"fault = llmlab.faults.{aimed!r}.first(1).on(model='main')" if aimed else "",
            f"weather = llmlab.Lab({weather})",
            'before = llmlab.stack.replace(routes=[llmlab.Route("main", model="main")], hedge=None)',
            *self._fix_code(),
            "answers = [ask(weather, pipeline, question) for pipeline in (before, after)]",
            'figure = waterfall({"before": answers[0].trace.frame, "after": answers[1].trace.frame})',
            "",
            f"storm = llmlab.Lab(seed={self.seed}{f', faults=[llmlab.faults.{often!r}]' if often else ''})",
            'apps = {"naive": llmlab.naive, "careful": llmlab.careful, "stack": after}',
            "runs = [storm.run(app, requests=40, name=name) for name, app in apps.items()]",
            "strip = (runs[0] + runs[1] + runs[2]).plot()",
        ]
        return "\n".join(lines)

    def _fix_code(self) -> list[str]:
        lines = []
        stages = []
        if self.fix in ("fallback", "both"):
            lines = [
                f'main = llmlab.Route("main", model="main", clocks=llmlab.Clocks(first_content_seconds={self.give_up_after:g}))',
                'fast = llmlab.Route("fast", model="fast")',
            ]
            stages = ["routes=[main, fast]", "retry=llmlab.Retry(attempts=1)"]
        if self.fix in ("hedge", "both"):
            stages.append(f"hedge=llmlab.Hedge(after_seconds={self.hedge_after:g})")
        return [*lines, f"after = before.replace({', '.join(stages)})" if stages else "after = before"]


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
