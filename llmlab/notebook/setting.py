"""What the panel of notebook 00 is set to, as the objects that do it: a question, a fault, a fix.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

from dataclasses import dataclass

from llmlab.data.help_desk import Case
from llmlab.lab.apps import stack
from llmlab.lab.lab import Lab
from llmlab.notebook.one import Heard, listen
from llmlab.pipeline.clocks import Clocks
from llmlab.pipeline.pipeline import Pipeline
from llmlab.pipeline.route import Route
from llmlab.pipeline.routing import Hedge, Retry
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
