"""The fixes for latency, one by one or together, as pipelines that differ in nothing else.

Notebook: 01_latency_variance.ipynb
"""

from __future__ import annotations

from collections.abc import Iterable

from llmlab.errors import UnknownName
from llmlab.lab.apps import stack
from llmlab.pipeline.cache import Cache
from llmlab.pipeline.clocks import Clocks
from llmlab.pipeline.pipeline import Pipeline
from llmlab.pipeline.route import Route
from llmlab.pipeline.routing import Hedge, Retry

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
    chosen = set(fixes)
    for name in fixes:
        if name not in FIXES:
            raise UnknownName("fix", name, FIXES)
    gives_up = bool({"timeout", "fallback"} & chosen)
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
    return Route(route.name, model=route.model, clocks=route.clocks, stream=False)


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
