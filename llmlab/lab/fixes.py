"""The fixes for latency, one by one or together, as pipelines that differ in nothing else.

Notebook: 01_latency_variance.ipynb
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llmlab.errors import UnknownName
from llmlab.lab.apps import stack
from llmlab.lab.compare import Comparison, compare
from llmlab.lab.runs import SLOW_SECONDS, Runs
from llmlab.pipeline.cache import Cache
from llmlab.pipeline.clocks import Clocks
from llmlab.pipeline.pipeline import Pipeline
from llmlab.pipeline.route import Route
from llmlab.pipeline.routing import Hedge, Retry

if TYPE_CHECKING:
    import pandas as pd

FIXES = {
    "stream": "show the words as they come",
    "timeout": "give up and start over",
    "hedge": "send a second attempt beside the first",
    "fallback": "give up and ask a faster model",
    "cache": "give an answer that was given before",
}
"""Each fix and what it does."""


def fixed(fixes: Iterable[str] = (), after_seconds: float = 1.5) -> Pipeline:
    """Return the stack's pipeline with these fixes for latency and no others.

    Args:
        fixes: Names out of `FIXES`; none: one attempt, not streamed, and hope.
        after_seconds: How long there may be silence before timeout, hedge or fallback act (in seconds). Beside a hedge the others wait
            twice as long, for it gets its chance first.

    Raises:
        UnknownName: There is no such fix.
    """
    chosen = list(fixes)
    for name in chosen:
        if name not in FIXES:
            raise UnknownName("fix", name, FIXES)
    gives_up = bool({"timeout", "fallback"} & {*chosen})
    patience = 2 * after_seconds if "hedge" in chosen else after_seconds
    clocks = Clocks(first_content_seconds=patience) if gives_up else Clocks()
    # The last resort is waited for: who gives up twice has nothing.
    last = Route("fast", model="fast") if "fallback" in chosen else Route("main again", model="main")
    main = Route("main", model="main", clocks=clocks)
    routes = [main, last] if gives_up else [main]
    return stack.replace(
        routes=[route if "stream" in chosen else _unstreamed(route) for route in routes],
        retry=Retry(attempts=1),
        hedge=Hedge(after_seconds=after_seconds) if "hedge" in chosen else None,
        cache=Cache() if "cache" in chosen else None,
    )


def _unstreamed(route: Route) -> Route:
    return replace(route, stream=False)


def words(fixes: Iterable[str], after_seconds: float) -> str:
    """Return the fixes for people, as in "stream, hedge after 1.5 s"."""
    plain = [name for name in fixes if name in ("stream", "cache")]
    late = [name for name in fixes if name in ("timeout", "fallback")]
    if "hedge" in fixes:
        plain.append(f"hedge after {after_seconds:g} s")
        after_seconds *= 2
    if late:
        plain.append(f"{' and '.join(late)} after {after_seconds:g} s")
    return ", ".join(plain) or "no fix"


LADDER: Sequence[tuple[str, ...]] = (
    (),
    ("stream",),
    ("stream", "timeout"),
    ("stream", "hedge"),
    ("stream", "fallback"),
    ("stream", "hedge", "fallback"),
)
"""What each fix does alone (beside streaming, for nobody minds a late end), and together."""


def ladder(after_seconds: float = 1.5) -> dict[str, Pipeline]:
    """Return a pipeline for each row of `LADDER`, by its words; the first has no fix."""
    return {words(fixes, after_seconds): fixed(fixes, after_seconds) for fixes in LADDER}


def effects(runs: Runs, metric: str = "slow", slow_seconds: float = SLOW_SECONDS) -> dict[str, Comparison]:
    """Return each app's comparison with the first app of `runs`, by its name."""
    first, *others = runs.apps
    return {app: compare(runs.only(first), runs.only(app), metric, slow_seconds=slow_seconds) for app in others}


def fix_table(runs: Runs, slow_seconds: float = SLOW_SECONDS) -> pd.DataFrame:
    """Return what each app changes beside the first one, and its price, for people."""
    import pandas as pd

    changes, measures = effects(runs, slow_seconds=slow_seconds), runs.measures(slow_seconds)
    base = measures[runs.apps[0]]

    def beside(app: str, name: str) -> str:
        value, before = measures[app][name].value, base[name].value
        if value is None or not before:
            return "unknown"
        return f"{value:.3f}" if app == runs.apps[0] else f"{100 * (value / before - 1):+.1f} %"

    lines = [
        {
            "fix": app,
            "n": found["slow"].n,
            f"after {slow_seconds:g} s or never (%)": found["slow"].text(1, scale=100),
            "change": changes[app].text() if app in changes else "",
            "verdict": changes[app].verdict if app in changes else "",
            "p50 (s)": found["wait_p50"].text(2),
            "attempts": beside(app, "attempts_per_request"),
            "USD per 1,000": beside(app, "usd_per_1000"),
        }
        for app, found in measures.items()
    ]
    return pd.DataFrame(lines)
