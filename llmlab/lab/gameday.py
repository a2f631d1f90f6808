"""The game day: every app in the same weather, scenario after scenario, and a gate for CI."""

from __future__ import annotations

import importlib
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from llmlab.data.help_desk import Case
from llmlab.errors import BadInput, UnknownName
from llmlab.evals.statistics import Estimate, proportion
from llmlab.lab.apps import APPS
from llmlab.lab.fixes import effects
from llmlab.lab.lab import Lab
from llmlab.lab.run import App
from llmlab.lab.runs import Runs, over_seeds
from llmlab.lab.scenarios import SCENARIOS, Scenario, scenario_named
from llmlab.lab.source import TIMES

SCHEMA_VERSION = 1
SHARES = ("answered", "goodput", "right")
"""Measures that a gate can look at: shares of requests, more is better."""
PASSED, FAILED, CANNOT_MEASURE = 0, 1, 2


class Outcome(NamedTuple):
    """One scenario, all apps."""

    scenario: Scenario
    runs: Runs
    put_in: Mapping[str, str]
    """What was assumed, with its source."""
    fixes: Runs | None = None
    """What each fix does alone and together; None where one's own apps were run."""
    cached: Runs | None = None
    """The row with the cache."""
    seeds: tuple[Runs, ...] = ()
    """Where several seeds share the requests: each seed's runs, `runs` being the first of them."""

    @property
    def all_runs(self) -> Runs:
        """The requests of all seeds together: for counting, as each seed's weather is another."""
        seeds = self.seeds or (self.runs,)
        rows, attempts = [row for one in seeds for row in one.rows], [pair for one in seeds for pair in one._attempts]
        return Runs(rows, attempts, weather=self.runs.weather, banner=self.runs.banner)

    @property
    def uncovered(self) -> str:
        """Why nothing can be said of the weather, where a run is over before it is; else empty."""
        ends_at = max((fault.ends_at for fault in self.scenario.faults), default=0.0)
        if self.scenario.own is not None or not ends_at:
            return ""
        seeds = self.seeds or (self.runs,)
        times = [[row.intended_at for row in runs.rows] for runs in seeds]
        asked_until = min(max(some) - min(some) for some in times)
        if asked_until >= ends_at:
            return ""
        told = f"the weather lasts until second {ends_at:g}, and requests came until second {asked_until:.1f}"
        least = max(_arrivals(self.scenario.load.intended(runs.seed), ends_at) for runs in seeds)
        return f"{told}: ask for at least {least * len(seeds)} (--requests)" if least else f"{told}: ask for more (--requests)"

    def measures(self) -> dict[str, dict[str, Estimate]]:
        """Return the estimates of each app, by app and name: over seeds where there are several."""
        slow_seconds = self.scenario.slow_seconds
        return over_seeds(self.seeds, slow_seconds) if self.seeds else self.scenario.measures(self.runs, slow_seconds)


def _arrivals(intended: Iterator[float | None], until: float) -> int:
    """Return how many requests it takes until one is sent `until` seconds after the first; 0 where nobody intends a time."""
    first = next(intended)
    if first is None:
        return 0
    return 2 + sum(1 for _ in takewhile(lambda at: at is not None and at - first < until, intended))


class Verdict(NamedTuple):
    """What a gate says of one app in one scenario."""

    scenario: str
    app: str
    measure: str
    threshold: float
    estimate: Estimate
    code: int
    """0 passed, 1 failed, 2 cannot measure."""
    reason: str


def play(
    names: Sequence[str] = (),
    *,
    apps: Mapping[str, App] | None = None,
    cases: Sequence[Case] | None = None,
    requests: int = 500,
    seed: int = 7,
    source: str | None = None,
    max_requests: int = 20,
    max_usd: float = 1.0,
) -> list[Outcome]:
    """Run each app through each scenario. A scenario that has apps of its own is left out where others are given, or live.

    Args:
        names: Scenarios; none means all of them.
        apps: Apps by name; None: naive, careful and stack.
        cases: What is asked; None: the help desk's.
        requests: Requests an app and scenario.
        seed: The weather's seed.
        source: Who answers; None: the scenario's own choice, LLMLAB_SOURCE, or cassette.
        max_requests: Live only: requests in a scenario, all apps together.
        max_usd: Live only: spending in a scenario (in USD).

    Raises:
        UnknownName: There is no such scenario.
        BadInput: Live only: so many requests are more than the cap. Or a scenario that is asked for has apps of its own.
    """
    outcomes = []
    for scenario in [scenario_named(name) for name in names or SCENARIOS]:
        lab = Lab(seed=seed, faults=scenario.faults, source=source or scenario.source, max_requests=max_requests, max_usd=max_usd)
        if scenario.own is not None:
            if apps is None and lab.source != "live":
                played = tuple(scenario.own(seed + number, requests) for number in range(scenario.seeds))
                outcomes.append(Outcome(scenario, played[0], scenario.put_in, seeds=played if scenario.seeds > 1 else ()))
            elif names:
                raise BadInput(f"{scenario.name} has apps of its own, and is never live: leave out your app (--app), or ask for others")
            continue
        chosen: Mapping[str, App] = apps or APPS
        if lab.source == "live" and requests * len(chosen) > max_requests:
            raise BadInput(
                f"{requests} live requests for each of {len(chosen)} apps are more than the cap of {max_requests}; "
                "ask for fewer (--requests), or raise the cap (--max-requests)"
            )
        given: dict[str, Any] = {"requests": requests, "load": scenario.load}
        seeds: tuple[Runs, ...] = ()
        if scenario.seeds > 1 and lab.source != "live":
            given["requests"] = max(1, requests // scenario.seeds)
            weathers = (Lab(seed=seed + number, faults=scenario.faults, source=lab.source) for number in range(scenario.seeds))
            seeds = tuple(weather.run_all(chosen, cases, **given) for weather in weathers)
        total = seeds[0] if seeds else lab.run_all(chosen, cases, **given)
        fixes = cached = None
        if apps is None and lab.source != "live":
            fixes = lab.run_all(scenario.fixes, cases, **given) if scenario.fixes else None
            if scenario.cached is not None:
                cached = lab.run(scenario.cached, cases, name="stack, cache", popularity=scenario.popularity, **given)
        outcomes.append(Outcome(scenario, total, {"undisturbed times": TIMES[lab.source], **scenario.put_in}, fixes, cached, seeds))
    return outcomes


def report(outcomes: Sequence[Outcome], verdicts: Sequence[Verdict], *, requests: int, seed: int) -> dict[str, Any]:
    """Return all of it as JSON: the same run gives the same bytes on every machine."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "gameday",
        "seed": seed,
        "requests": requests,
        "scenarios": [
            {
                "name": outcome.scenario.name,
                "title": outcome.scenario.title,
                "put_in": dict(outcome.put_in),
                "faults": [repr(fault) for fault in outcome.scenario.faults],
                "slow_seconds": outcome.scenario.slow_seconds,
                "sources": outcome.all_runs.sources,
                "seeds": max(1, len(outcome.seeds)),
                "uncovered": outcome.uncovered,
                "apps": _apps(outcome.all_runs, outcome.measures()),
                "fixes": _fixes(outcome),
                "cached": _cached(outcome),
            }
            for outcome in outcomes
        ],
        "gate": [{**verdict._asdict(), "estimate": _plain(verdict.estimate)} for verdict in verdicts],
    }


def _apps(runs: Runs, found: Mapping[str, Mapping[str, Estimate]]) -> list[dict[str, Any]]:
    return [
        {
            "app": app,
            "measures": {name: _plain(estimate) for name, estimate in measures.items()},
            "reasons": dict(runs.reasons(app)),
            "sdk_retries": runs.sdk_retries(app),
        }
        for app, measures in found.items()
    ]


def _fixes(outcome: Outcome) -> list[dict[str, Any]]:
    if outcome.fixes is None:
        return []
    slow_seconds = outcome.scenario.slow_seconds
    changes = effects(outcome.fixes, slow_seconds=slow_seconds)
    told = {app: {"slow_change": _plain(found.difference), "verdict": found.verdict} for app, found in changes.items()}
    return [{**one, **told.get(one["app"], {})} for one in _apps(outcome.fixes, outcome.fixes.measures(slow_seconds))]


def _cached(outcome: Outcome) -> list[dict[str, Any]]:
    """Answers out of the cache are no independent observations, so nothing here has an interval."""
    if outcome.cached is None:
        return []
    (told,) = _apps(outcome.cached, outcome.cached.measures(outcome.scenario.slow_seconds))
    bare = {name: {**estimate, "low": None, "high": None} for name, estimate in told["measures"].items()}
    return [{**told, "measures": bare, "sources": outcome.cached.sources}]


def _plain(estimate: Estimate) -> dict[str, float | int | str | None]:
    """Return an estimate for JSON: null is not measurable at this n, and "inf" is never."""

    def tidy(value: float | None) -> float | str | None:
        return value if value is None else "inf" if math.isinf(value) else round(value, 6)

    return {"value": tidy(estimate.value), "low": tidy(estimate.low), "high": tidy(estimate.high), "n": estimate.n}


def parse_gate(texts: Sequence[str]) -> dict[str, float]:
    """Return the thresholds in texts such as "goodput=0.99".

    Raises:
        UnknownName: There is no such measure.
        BadInput: A threshold is no share above 0 and at most 1.
    """
    gate = {}
    for text in texts:
        name, _, number = text.partition("=")
        if name not in SHARES:
            raise UnknownName("measure to gate on", name, SHARES)
        try:
            gate[name] = float(number)
        except ValueError:
            gate[name] = math.nan
        if not 0 < gate[name] <= 1:
            raise BadInput(f"--fail-under {text!r}: write a share above 0 and at most 1, as in goodput=0.99")
    return gate


def judge(outcomes: Sequence[Outcome], gate: Mapping[str, float]) -> list[Verdict]:
    """Hold each app's measures against the gate.

    An app passes when the whole interval lies at or above the threshold, fails when its measured share lies below, and otherwise cannot be
    judged at this n: too few requests to promise what is asked. Nor can it where the run is over before the weather is.
    """
    verdicts = []
    for outcome in outcomes:
        unit, uncovered = "seeds" if outcome.seeds else "requests", outcome.uncovered
        for app, measures in outcome.measures().items():
            for name, threshold in gate.items():
                code, reason = _judged(measures[name], threshold, "cases (--cases)" if name == "right" else unit)
                if uncovered:
                    code, reason = CANNOT_MEASURE, uncovered
                verdicts.append(Verdict(outcome.scenario.name, app, name, threshold, measures[name], code, reason))
    return verdicts


def _judged(found: Estimate, threshold: float, unit: str = "requests") -> tuple[int, str]:
    if found.value is None or found.low is None:
        return CANNOT_MEASURE, "nothing to measure it on (cases without gold have no right or wrong)"
    if found.value < threshold:
        return FAILED, f"{found.text(4)} lies under {threshold:g}"
    if found.low >= threshold:
        return PASSED, f"{found.text(4)} lies at or above {threshold:g}"
    return CANNOT_MEASURE, f"{found.text(4)}: too few {unit} to promise {threshold:g}{_enough(found.value, threshold)}"


def _enough(share: float, threshold: float) -> str:
    """Return how many of them would do at this share, as a clause; nothing where no number would."""
    n = 100
    while n <= 1_000_000:
        low = proportion(math.floor(share * n), n).low
        if low is not None and low >= threshold:
            return f"; at this share about {n:,} would do"
        n = math.ceil(n * 1.25 / 100) * 100
    return ""


def load_app(path: str) -> tuple[str, App]:
    """Return the name and the app that "module:callable" means; the present folder is searched, too.

    Raises:
        BadInput: There is no such module or callable; the message says which.
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise BadInput(f"an app is given as module:callable, not {path!r}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise BadInput(f"the module {module_name!r} cannot be imported: {error}; run this where the module lies, or install it") from error
    app = getattr(module, attribute, None)
    if app is None:
        names = [name for name in vars(module) if name.isidentifier() and not name.startswith("_")]
        raise BadInput(f"{module_name} has no {attribute!r}; it has: {', '.join(names)}")
    return attribute, app
