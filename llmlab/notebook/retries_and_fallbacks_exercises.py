"""The three exercises of notebook 03.

Notebook: 03_retries_and_fallbacks.ipynb
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llmlab.lab.lab import Lab
from llmlab.lab.load import Open
from llmlab.lab.storm import DEFAULT, Storm, shortened
from llmlab.lab.storm_policies import policy
from llmlab.notebook.check import OTHER_SEEDS, Wrong, exercise
from llmlab.pipeline.pipeline import Pipeline
from llmlab.pipeline.taxonomy import OTHER_ROUTE, RETRY, SHRINK, STOP, TAXONOMY
from llmlab.wire.faults import RateLimit

LEAST_OK, MOST_EXTRA, LEAST_IN_STORM = 0.99, 0.1, 0.95
"""What the first exercise asks for: share ok and further attempts a request where 5 % are refused, share in time in the storm."""
REFUSED = 0.05
REQUESTS = 400
"""On each of two seeds, where some are refused."""
ROUTES = {"main", "fast"}
EIGHT = (
    "rate_limit",
    "http_503",
    "connection_lost",
    "insufficient_quota",
    "model_not_found",
    "context_length_exceeded",
    "content_filter",
    "http_400",
)
"""The failures of the third exercise, by their reasons."""
ACTIONS = (RETRY, OTHER_ROUTE, SHRINK, STOP)


@exercise(
    f"build one pipeline: at least {LEAST_OK:.0%} ok for at most {MOST_EXTRA:.0%} more attempts where {REFUSED:.0%} are refused, and at "
    f"least {LEAST_IN_STORM:.0%} ok or degraded in time after the storm's brown-out."
)
def weather_both(answer: Any) -> str:
    """Check a pipeline in rate limits and in a storm, on two seeds of its own."""
    if not isinstance(answer, Pipeline):
        raise Wrong(f"a pipeline is needed, not {type(answer).__name__}.", "Begin with policy(['jitter', ...]).")
    if not {route.model for route in answer.routes} <= ROUTES or any(route.stream for route in answer.routes):
        raise Wrong("the storm knows the models main and fast, not streamed.", "Take policy([...]), and change its stages with replace.")
    if answer.cache is not None:
        raise Wrong("in a storm all ask the same: answers from the cache are no measure of it.", "Leave the cache out.")
    rows = [
        row
        for seed in OTHER_SEEDS
        for row in Lab(seed=seed, faults=[RateLimit(probability=REFUSED)]).run(answer, requests=REQUESTS, load=Open(per_second=5.0)).rows
    ]
    ok, extra = sum(row.status == "ok" for row in rows) / len(rows), sum(row.attempts for row in rows) / len(rows) - 1
    found = f"{100 * ok:.2f} % ok for {100 * extra:.1f} % more attempts where {100 * REFUSED:g} % are refused"
    if ok < LEAST_OK:
        raise Wrong(f"{found}: too few are ok.", "A refused attempt that comes again after a moment is mostly let in. A fallback degrades.")
    if extra > MOST_EXTRA:
        raise Wrong(f"{found}: too many attempts.", "How many retries does 5 % of refusals need?")
    runs = [shortened(Storm(seed=seed)).run(answer) for seed in OTHER_SEEDS]
    share = sum(run.share() for run in runs) / len(runs)
    found = f"{found}; {100 * share:.1f} % in time after the brown-out"
    if share < LEAST_IN_STORM:
        hint = "Who keeps the queue long? Limit the retries first." if runs[0].amplification > 1.5 else "And who answers meanwhile?"
        raise Wrong(f"{found}, for {runs[0].amplification:.1f} attempts a request.", hint)
    return f"{found}, on two seeds that you have not seen."


@exercise("say how long (in seconds) a brown-out may last until careful does not recover within a minute, to within a second; seed 7.")
def tipping_point(answer: Any) -> str:
    """Check a length: a second shorter recovers, a second longer does not."""
    if isinstance(answer, bool) or not isinstance(answer, int | float) or not 1 < answer < math.inf:
        raise Wrong(f"a time above 1 s is needed, not {answer!r}.", "For example 5.")
    shorter, longer = (_recovers(answer + change) for change in (-1.0, 1.0))
    if not shorter:
        raise Wrong(f"{answer - 1:g} s is too long already: it never recovers.", "Halve the interval in which the point must lie.")
    if longer:
        raise Wrong(f"even {answer + 1:g} s recovers.", "Halve the interval in which the point must lie.")
    return f"{answer - 1:g} s recovers, {answer + 1:g} s does not. On another seed the point lies elsewhere: near it, chance decides."


def _recovers(seconds: float) -> bool:
    return shortened(Storm(brown_out=replace(DEFAULT, duration_seconds=seconds))).run(policy()).recovered


@exercise(f"sort eight failures: give a dictionary from each of {', '.join(EIGHT)} to {', '.join(ACTIONS[:-1])} or {STOP}.")
def sort_failures(answer: Any) -> str:
    """Check what is done about each of eight failures."""
    if not isinstance(answer, Mapping):
        raise Wrong(f"a dictionary is needed, not {type(answer).__name__}.", f"For example {{'rate_limit': '{RETRY}', ...}}.")
    for reason in EIGHT:
        if answer.get(reason) not in ACTIONS:
            said = "is missing" if reason not in answer else f"is {answer[reason]!r}"
            raise Wrong(f"{reason} {said}; it must be one of {', '.join(ACTIONS)}.", "All eight, please.")
    right = {advice.reason: advice.action for advice in TAXONOMY}
    wrong = [reason for reason in EIGHT if answer[reason] != right[reason]]
    if wrong:
        hints = {
            RETRY: "It may well work in a moment.",
            OTHER_ROUTE: "The same provider will say the same in a moment; another may not.",
            SHRINK: "There is too much of something.",
            STOP: "Nobody will answer that, and each further attempt costs.",
        }
        raise Wrong(f"{len(EIGHT) - len(wrong)} of {len(EIGHT)} are right; look again at {wrong[0]}.", hints[right[wrong[0]]])
    return "all eight. The pipeline's table says the same: llmlab.pipeline.taxonomy.taxonomy()."
