"""The scenarios of the game day. A later failure adds its own with `register`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from llmlab.errors import BadInput, UnknownName
from llmlab.evals.statistics import Estimate
from llmlab.lab import answers, attacks
from llmlab.lab.apps import stack
from llmlab.lab.fixes import ladder
from llmlab.lab.load import Load, Open, Zipf
from llmlab.lab.run import App
from llmlab.lab.runs import SLOW_SECONDS, Runs
from llmlab.lab.storm import DEFAULT, Storm, shortened
from llmlab.lab.storm_policies import REMEDIES, policy
from llmlab.lab.storm_run import as_runs
from llmlab.pipeline.cache import Cache
from llmlab.wire.faults import Fault, LatencySpike, Outage, RateLimit


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Weather, load, and what the user minds."""

    name: str
    title: str
    """The question it answers, for people."""
    faults: tuple[Fault, ...]
    """What is put in."""
    put_in: Mapping[str, str]
    """What was assumed, with its source: for the table beside the results."""
    load: Load
    slow_seconds: float = SLOW_SECONDS
    """The objective: the first word within this time (in seconds)."""
    source: str | None = None
    """A source of its own ("simulator" where load or prompts matter), or None."""
    seeds: int = 1
    """How many seeds share the requests. Weather over time strikes a whole run, so there the unit of n is the seed: at least 20."""
    fixes: Mapping[str, App] = field(default_factory=dict)
    """Rows of their own: what each fix does alone and together, beside the first of them, which has none."""
    cached: App | None = None
    """A row of its own: with a cache, where questions repeat as `popularity` says. The other rows have no cache."""
    own: Callable[[int, int], Runs] | None = None
    """Plays it for a seed and a number of requests, with apps of its own; nobody else's are played then. None: the apps of the game day,
    in a Lab."""
    measures: Callable[[Runs, float], dict[str, dict[str, Estimate]]] = Runs.measures
    """Returns the estimates of each app, given what is slow (in seconds); what it adds to those of `Runs.measures` are shares.
    Over several seeds there are the usual ones only."""
    popularity: Zipf | None = None
    """How often which question is asked, for the row with the cache; None: all alike."""


SCENARIOS: dict[str, Scenario] = {}


def register(scenario: Scenario) -> Scenario:
    """Add a scenario to the game day.

    Raises:
        BadInput: Its name is taken.
    """
    if scenario.name in SCENARIOS:
        raise BadInput(f"there is a scenario {scenario.name!r} already")
    SCENARIOS[scenario.name] = scenario
    return scenario


def scenario_named(name: str) -> Scenario:
    """Return a scenario.

    Raises:
        UnknownName: There is none of that name; the message lists those there are.
    """
    if name not in SCENARIOS:
        raise UnknownName("scenario", name, SCENARIOS)
    return SCENARIOS[name]


register(
    Scenario(
        name="latency",
        title="Staging was fast: why do users wait for 4 s?",
        faults=(LatencySpike(probability=0.04, seconds=4.0),),
        put_in={
            "spikes": "4 of 100 attempts, 4 s each (assumed)",
            "repeats": "cache row only: questions asked as 1/rank (Zipf, assumed)",
            "load": "open, 5 requests a second (assumed; Azure's conversations of 2023 had 5.5)",
        },
        load=Open(per_second=5.0),
        fixes=ladder(),
        cached=stack.replace(cache=Cache()),
        popularity=Zipf(exponent=1.0),
    )
)

register(
    Scenario(
        name="rate-limits",
        title="One in twenty is told to come back later: who does?",
        faults=(RateLimit(probability=0.05, retry_after_seconds=2.0),),
        put_in={
            "429s": "5 of 100 attempts, with retry-after 2 s, in OpenAI's dialect (assumed)",
            "load": "open, 5 requests a second (assumed)",
        },
        load=Open(per_second=5.0),
    )
)
register(
    Scenario(
        name="outage",
        title="The main model is gone for 8 seconds: who still answers?",
        faults=(Outage(start_seconds=8.0, duration_seconds=8.0).on(model="main"),),
        put_in={
            "outage": "from second 8 to 16 of about 25, the main model only (assumed)",
            "load": "open, 1 request a second (assumed)",
        },
        load=Open(per_second=1.0),
        seeds=20,
    )
)

STORM = shortened(Storm(per_second=1.71, slots=3), lead_seconds=5.0)
"""The lesson's storm, with a twelfth of its slots and of its load."""


def _storm(seed: int, requests: int) -> Runs:
    """Return what naive, careful and the stack make of the storm, as pipelines that wait and try again as they do."""
    storm = replace(STORM, seed=seed)
    apps = {"naive": policy(attempts=3, timeout_seconds=600.0), "careful": policy(), "stack": policy(REMEDIES)}
    return as_runs([storm.run(app, name) for name, app in apps.items()], "Answers: simulated, always the same; in virtual time.")


register(
    Scenario(
        name="retry-storm",
        title="The brown-out is over: who keeps it up?",
        faults=(replace(DEFAULT, start_seconds=5.0),),
        put_in={
            "load": f"open, {STORM.per_second:g} requests a second (assumed); utilization {STORM.utilization:.0%}",
            "provider": f"{STORM.slots} slots, 0.5 s + exponential 0.5 s an answer (assumed); who gave up keeps the slot",
            "brown-out": f"1 slot for {DEFAULT.duration_seconds:g} s (assumed)",
            "window": f"the {STORM.after_seconds:g} s after the brown-out; objective {STORM.objective_seconds:g} s, no deadline",
            "apps": "naive: timeout 600 s, 3 attempts; careful: 4 s, 4; stack: as careful, with jitter, retry budget, breaker, fallback",
        },
        load=Open(per_second=STORM.per_second),
        slow_seconds=STORM.objective_seconds,
        source="simulator",
        seeds=20,
        own=_storm,
    )
)

register(
    Scenario(
        name="attacks",
        title="Half of them mean no good, and so do some documents: who obeys, who tells, and who is turned away?",
        faults=attacks.FAULTS,
        put_in=attacks.PUT_IN,
        load=attacks.LOAD,
        source="simulator",
        own=attacks.play,
        measures=attacks.measures,
    )
)
register(
    Scenario(
        name="bad-json",
        title="Three in ten answers are almost JSON: who reads them, and who believes NaN?",
        faults=answers.BAD_JSON_FAULTS,
        put_in=answers.BAD_JSON_PUT_IN,
        load=answers.LOAD,
        source="simulator",
        own=answers.play_bad_json,
        measures=answers.bad_json,
    )
)
register(
    Scenario(
        name="made-up-facts",
        title="One answer in eight makes a fact up: who delivers it, and who says that it doesn't know?",
        faults=(),
        put_in=answers.MADE_UP_PUT_IN,
        load=answers.LOAD,
        source="simulator",
        own=answers.play_made_up,
        measures=answers.made_up,
    )
)
