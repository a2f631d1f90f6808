"""The three exercises of notebook 01.

Notebook: 01_latency_variance.ipynb
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from llmlab.lab.apps import naive
from llmlab.lab.fixes import fixed
from llmlab.lab.lab import Lab
from llmlab.lab.load import Open
from llmlab.lab.runs import SLOW_SECONDS
from llmlab.notebook.check import OTHER_SEEDS, Wrong, exercise
from llmlab.pipeline.pipeline import Pipeline
from llmlab.pipeline.routing import Hedge
from llmlab.wire.faults import LatencySpike

MOST_SLOW, MOST_EXTRA = 0.005, 0.08
"""What the first exercise asks for: share of requests over 4 s, and further attempts a request."""
REQUESTS = 600
"""On each of two seeds: 0.5 % of all are six requests."""
OFTEN = 0.08
"""Share of attempts that are struck in the second exercise."""
TAKEN_AWAY = 0.75
"""How much of what naive's users suffer the second exercise's hedge must take away."""


def _measured(app: Any, probability: float) -> tuple[float, float]:
    """Return the share of requests that were too slow, and the attempts a request, over both seeds."""
    slow, attempts = 0, 0
    for seed in OTHER_SEEDS:
        lab = Lab(seed=seed, faults=[LatencySpike(probability=probability, seconds=SLOW_SECONDS)])
        rows = lab.run(app, requests=REQUESTS, load=Open(per_second=5.0)).rows
        slow += sum(row.waited > SLOW_SECONDS for row in rows)
        attempts += sum(row.attempts for row in rows)
    n = REQUESTS * len(OTHER_SEEDS)
    return slow / n, attempts / n


@lru_cache(maxsize=1)
def _struck() -> float:
    return _measured(naive, OFTEN)[0]


@exercise(f"build a pipeline: at most {100 * MOST_SLOW:g} % after {SLOW_SECONDS:g} s, at most {100 * MOST_EXTRA:g} % more attempts.")
def calm_down(answer: Any) -> str:
    """Check a pipeline in the default weather, on two seeds of its own."""
    if not isinstance(answer, Pipeline):
        raise Wrong(f"a pipeline is needed, not {type(answer).__name__}.", "Begin with fixed(['stream', ...], after_seconds=...).")
    if answer.last_resort is not None:
        raise Wrong("a ready-made message is in time for everybody, and answers nobody.", "Leave last_resort out.")
    slow, attempts = _measured(answer, 0.04)
    found = f"{100 * slow:.2f} % after {SLOW_SECONDS:g} s, {100 * (attempts - 1):.1f} % more attempts, in {2 * REQUESTS} requests"
    if attempts < 1:
        raise Wrong(f"{found}: answers from the cache are no measure of the weather.", "Leave the cache out.")
    if slow > MOST_SLOW and attempts - 1 > MOST_EXTRA:
        raise Wrong(
            f"{found}: too slow, and too many attempts.",
            "What comes too early is spent on healthy answers, and a hedge's cap leaves none for the struck.",
        )
    if slow > MOST_SLOW:
        raise Wrong(f"{found}: too many still wait.", "Who is left? Those whose second attempt was struck, too: what could come third?")
    if attempts - 1 > MOST_EXTRA:
        raise Wrong(f"{found}: too many attempts.", "How many healthy answers take longer than your delay? Look at the ECDF.")
    return f"{found}, on two seeds that you have not seen."


@exercise(f"give the delay (in seconds) of a hedge that helps where {100 * OFTEN:g} of 100 attempts are struck.")
def patient_hedge(answer: Any) -> str:
    """Check a delay, or a whole `Hedge`, in rougher weather."""
    hedge = answer if isinstance(answer, Hedge) else None
    if hedge is None:
        if isinstance(answer, bool) or not isinstance(answer, int | float) or not 0 <= answer < math.inf:
            raise Wrong(f"a time in seconds is needed, or a llmlab.Hedge(...), not {answer!r}.", "For example 2.5.")
        hedge = Hedge(after_seconds=float(answer))
    struck = _struck()
    slow, attempts = _measured(fixed(["stream"]).replace(hedge=hedge), OFTEN)
    found = f"{100 * struck:.1f} % -> {100 * slow:.1f} % after {SLOW_SECONDS:g} s, for {100 * (attempts - 1):.1f} % more attempts"
    if attempts - 1 > 2 * OFTEN:
        raise Wrong(
            f"{found}: more than two attempts for each that was struck.",
            "You hedge healthy answers, until the cap leaves none for the struck. Wait a little longer.",
        )
    if slow > (1 - TAKEN_AWAY) * struck:
        waits = hedge.at_quantile is not None
        hint = "With 8 % struck, the 95th percentile lies within the slow ones: by then it is too late. Which quantile does not?"
        raise Wrong(f"{found}: three quarters should be gone.", hint if waits else "The second attempt needs its time, too: hedge earlier.")
    return f"{found}, on two seeds that you have not seen."


@exercise("say how many clicks it takes to meet a spike on 1 of 25 attempts with a probability of 95 %.")
def clicks_needed(answer: Any) -> str:
    """Check a number of clicks."""
    if isinstance(answer, bool) or not isinstance(answer, int | float) or not -1e9 < answer < 1e9:
        raise Wrong(f"a number is needed, not {answer!r}.", "n clicks meet none with probability 0.96**n.")
    right = math.ceil(math.log(0.05) / math.log(0.96))
    met = 1 - 0.96**answer if answer >= 0 else 0.0
    if answer < right:
        raise Wrong(f"{answer:g} clicks meet one with a probability of {100 * met:.1f} %.", "n clicks meet none with probability 0.96**n.")
    if answer >= right + 1:
        raise Wrong(f"{answer:g} clicks are more than it takes ({100 * met:.1f} %).", "Solve 0.96**n <= 0.05, and round up.")
    return f"{right} clicks meet a spike with a probability of {100 * (1 - 0.96**right):.1f} %; {right - 1} would not do."
