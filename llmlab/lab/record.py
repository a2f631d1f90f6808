"""Records what the bundled apps ask, several takes a request, so that notebooks and game day replay it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from llmlab.data.help_desk import cases
from llmlab.errors import BadInput, CassetteError
from llmlab.lab.apps import naive, stack
from llmlab.lab.load import Closed
from llmlab.lab.run import App, Run
from llmlab.lab.runs import Row
from llmlab.lab.source import answering, chosen
from llmlab.pipeline.route import Route
from llmlab.protocol.clock import simulate
from llmlab.wire.chaos import Chaos

TAKES = 5


class Recorded(NamedTuple):
    """What a recording holds."""

    path: Path
    interactions: int
    requests: int


def recipes() -> dict[str, App]:
    """Return what is asked: naive's prompt (careful's is the same), and the stack's on each of its routes, streamed and not."""
    routes = [Route(route.name, model=route.model, stream=stream) for stream in (True, False) for route in stack.routes]
    names = [f"stack on {route.name}{'' if route.stream else ', not streamed'}" for route in routes]
    alone = {name: stack.replace(routes=[route], hedge=None) for name, route in zip(names, routes, strict=True)}
    return {"naive": naive, **alone}


def record(
    path: Path,
    *,
    takes: int = TAKES,
    source: str | None = None,
    limit: int | None = None,
    max_requests: int = 20,
    max_usd: float = 1.0,
    say: Callable[[str], None] = print,
) -> Recorded:
    """Write a cassette with `takes` answers to each question of the help desk, for each recipe.

    Args:
        path: Where to; what stands there is replaced when the new recording is whole.
        takes: Answers a request.
        source: simulator (the default) or live.
        limit: Cases at most; None: all.
        max_requests: Live only: requests before it stops.
        max_usd: Live only: spending before it stops (in USD).
        say: Told how it goes.

    Raises:
        BadInput: `path` is a folder, or a live recording that was cut off lies in the way.
        CassetteError: A request failed; what stood at `path` stays.
    """
    from llmlab.lab.lab import in_real_time
    from llmlab.wire.cassette import Cassette

    origin = "live" if chosen(source) == "live" else "simulator"
    draft = path.with_name(f"{path.stem}.new{path.suffix}")
    journal = Path(f"{draft}.journal")
    if path.is_dir():
        raise BadInput(f"{path} is a folder; name a file in it, as in {path / 'help_desk.json'}")
    if origin == "live" and (draft.exists() or journal.exists()):
        raise BadInput(f"a recording that was cut off lies at {draft} (or {journal.name} beside it); keep it elsewhere or delete it first")
    draft.unlink(missing_ok=True)
    journal.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    asked = cases()[:limit]
    plan = [(case, take) for case in asked for take in range(takes)]
    cassette = Cassette(draft, answering(origin, max_requests=max_requests, max_usd=max_usd), record_mode="all")
    failures: list[Row] = []
    for name, app in recipes().items():
        work = Run(app, name, plan, Closed(concurrency=1), 0, None).go(Chaos(cassette))
        rows, _ = in_real_time(work) if origin == "live" else simulate(work)
        failed = [row for row in rows if row.status not in ("ok", "degraded")]
        failures += failed
        say(f"{name}: {len(rows)} requests, {len(failed)} failed{': ' + failed[0].reason if failed else ''}")
    cassette.close()
    if failures:
        what = f"{len(failures)} of {len(plan) * len(recipes())} requests failed ({failures[0].reason})"
        raise CassetteError(f"{what}; the recording at {path} stays as it was, and the new one lies at {draft}")
    draft.replace(path)
    return Recorded(path, cassette.recorded, len(plan) * len(recipes()))
