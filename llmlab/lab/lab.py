"""The lab: runs an app against questions, in weather, and measures it on the wire.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from functools import reduce
from itertools import cycle, islice
from operator import add
from pathlib import Path
from typing import Any, TypeVar

from llmlab.data.help_desk import Case, cases
from llmlab.errors import BadCases, BadInput
from llmlab.lab.handle import Handle
from llmlab.lab.load import Closed, Load, Zipf
from llmlab.lab.run import App, Progress, Run
from llmlab.lab.runs import Runs, Weather
from llmlab.lab.source import BANNERS, answering, chosen
from llmlab.pipeline.pipeline import Pipeline
from llmlab.protocol.canonical import digest
from llmlab.protocol.clock import simulate
from llmlab.protocol.draws import uniform
from llmlab.protocol.models import find
from llmlab.wire.chaos import Chaos
from llmlab.wire.faults import Fault, Latency

T = TypeVar("T")


class Lab:
    """A bench with weather.

    Args:
        seed: The weather's seed: the same seed gives the same storm, whatever stands in it.
        faults: What may strike an attempt.
        source: Who answers: cassette (recordings; what they lack is simulated), simulator or live. None: LLMLAB_SOURCE, else cassette.
        latency: Preset of the times of undisturbed answers, where recordings answer; the simulator and live providers have their own.
        cassette: A recording instead of the bundled one.
        simulator: A simulator instead of the bundled one (with source="simulator").
        max_requests: Live only: requests that this lab may send in all.
        max_usd: Live only: what it may spend (in USD).

    Raises:
        UnknownName: There is no such source or preset; the message lists those there are.

    Notebook: 00_start_here.ipynb
    """

    def __init__(
        self,
        *,
        seed: int = 7,
        faults: Sequence[Fault] = (),
        source: str | None = None,
        latency: str = "chat",
        cassette: Path | str | None = None,
        simulator: Any = None,
        max_requests: int = 20,
        max_usd: float = 1.0,
    ) -> None:
        if isinstance(faults, Fault):
            raise BadInput(f"faults is a list: faults=[{faults!r}]")
        self.seed, self.source = seed, chosen("simulator" if simulator is not None and source is None else source)
        calm = [] if self.source != "cassette" or any(isinstance(fault, Latency) for fault in faults) else [Latency(preset=latency)]
        self.faults: tuple[Fault, ...] = (*calm, *faults)
        self._cassette = Path(cassette) if cassette is not None else None
        self._simulator, self._max_requests, self._max_usd = simulator, max_requests, max_usd
        self._live: Any = None
        Chaos(answering("simulator"), *self.faults, seed=seed)  # refuses what is no weather now, not in the middle of a run

    @property
    def banner(self) -> str:
        """Who answers, in a line."""
        return BANNERS[self.source]

    def __repr__(self) -> str:
        return f"Lab(seed={self.seed}, faults={list(self.faults)!r}, source={self.source!r})"

    def transport(self, *, for_one: bool = False) -> Chaos:
        """Return the weather and who answers behind it, fresh: for a client of one's own.

        Args:
            for_one: A question of the user's own is expected: what no recording holds is simulated, also under LLMLAB_STRICT.
        """
        if self.source == "live":  # its caps hold for all that this lab sends
            self._live = self._live or answering("live", max_requests=self._max_requests, max_usd=self._max_usd)
            return Chaos(self._live, *self.faults, seed=self.seed)
        inner: Any = answering(self.source, self._cassette, self._simulator, lenient=for_one)
        if hasattr(inner, "reset"):
            inner.reset()
        return Chaos(inner, *self.faults, seed=self.seed)

    def run(
        self,
        app: App,
        cases: Sequence[Case | str] | None = None,
        *,
        requests: int = 500,
        load: Load | None = None,
        popularity: Zipf | None = None,
        name: str | None = None,
        progress: Progress | None = None,
        _on_start: Callable[[Callable[[], None]], None] | None = None,
    ) -> Runs:
        """Send `requests` questions to `app` and return what became of them.

        Args:
            app: Any async callable `(client, question) -> text`, an async generator that yields pieces of text, or a `Pipeline`.
            cases: What is asked: cases or plain questions; None: the help desk's.
            requests: How many.
            load: When they are sent; None: ten users at once.
            popularity: How often each is asked; None: all once in a keyed order, then all again.
            name: The app's name in tables; None: its own.
            progress: Called with (done, of how many).

        Raises:
            BadInput: There are no cases, no requests, fewer arrivals than requests, or the app is none.
            UnknownName: A route of the pipeline goes to a model that nobody here answers for.
            CassetteMiss: LLMLAB_STRICT is set, and a request is not recorded.
        """
        asked = _cases(cases)
        if load is not None and (isinstance(load, type) or not hasattr(load, "intended")):
            raise BadInput(f"load is a Closed(...), an Open(...) or an Arrivals(...), not {load!r}")
        if popularity is not None and not isinstance(popularity, Zipf):
            raise BadInput(f"popularity is a Zipf(...) or None, not {popularity!r}")
        if not isinstance(requests, int) or isinstance(requests, bool) or requests < 1:
            raise BadInput(f"requests is a whole number of at least 1, not {requests!r}")
        if self.source == "live" and requests > self._max_requests:
            raise BadInput(
                f"{requests} live requests are more than the cap of {self._max_requests}; raise it with max_requests (--max-requests)"
            )
        if isinstance(app, Pipeline) and self.source != "live":
            for route in app.routes:
                find(route.model)
        name = name or _name(app)
        run = Run(app, name, _plan(asked, requests, self.seed, popularity), load or Closed(), self.seed, progress)
        work = run.go(self.transport())
        rows, attempts = in_real_time(work, _on_start) if self.source == "live" else simulate(work, seed=self.seed, on_start=_on_start)
        return Runs(rows, attempts, weather={name: self._weather(load, asked)}, banner=self.banner)

    def _weather(self, load: Load | None, asked: Sequence[Case]) -> Weather:
        reacts = self.source == "live" or getattr(self._simulator, "reacts_to_load", False)
        answering = str(self._cassette or "") if self._simulator is None else f"simulator {id(self._simulator)}"
        questions = digest([[case.id, case.question] for case in asked] + [[answering]])
        over_time = reacts or any(fault.over_time for fault in self.faults)
        return Weather(self.seed, self.faults, self.source, over_time, load is not None and load.concurrency is None, questions)

    def run_all(self, apps: Mapping[str, App], cases: Sequence[Case | str] | None = None, **options: Any) -> Runs:
        """Run several apps in the same weather, one after the other; takes what `run` takes besides.

        Args:
            apps: Apps by the name that tables show; at least one.
            cases: As for `run`.
            options: As for `run`.
        """
        if not apps:
            raise BadInput("there are no apps to run: give at least one, as in {'naive': llmlab.naive}")
        return reduce(add, [self.run(app, cases, name=name, **options) for name, app in apps.items()])

    def start(self, app: App, cases: Sequence[Case | str] | None = None, *, requests: int = 500, **options: Any) -> Handle:
        """Begin a run in the background; takes what `run` takes.

        Returns:
            A handle with `.progress` (0 to 1), `.cancel()` and `.result()`.
        """
        return Handle(
            lambda progress, on_start: self.run(app, cases, requests=requests, **{"progress": progress, **options}, _on_start=on_start),
            requests,
        )


def _cases(given: Sequence[Case | str] | None) -> list[Case]:
    if given is None:
        return list(cases())
    if isinstance(given, str):
        raise BadCases("cases is a list of questions, not one text; put it in brackets: [question]")
    made = [one if isinstance(one, Case) else Case(id=f"case-{number}", question=one) for number, one in enumerate(given, 1)]
    if not made:
        raise BadCases("there are no cases: give at least one question, or None for the help desk's")
    return made


def _plan(asked: list[Case], requests: int, seed: int, popularity: Zipf | None = None) -> list[tuple[Case, int]]:
    """Return which case is asked when, and for which time (from 0), so that no two requests share an identity."""
    order = sorted(asked, key=lambda case: uniform(seed, "Lab", "order", case.id))
    ranks: Iterator[int] = cycle(range(len(order))) if popularity is None else popularity.ranks(len(order), seed)
    before: Counter[str] = Counter()
    plan = []
    for rank in islice(ranks, requests):
        case = order[rank]
        plan.append((case, before[case.id]))
        before[case.id] += 1
    return plan


def _name(app: object) -> str:
    from llmlab.lab.apps import APPS

    known = next((name for name, one in APPS.items() if one is app), None)
    return known or getattr(app, "__name__", None) or type(app).__name__.lower()


def in_real_time(work: Coroutine[Any, Any, T], on_start: Callable[[Callable[[], None]], None] | None = None) -> T:
    """Run on the real clock, also where a loop is running already; an interrupt of the caller stops it.

    Args:
        work: What to run.
        on_start: Called with a function that cancels the work from any thread.
    """
    outcome: list[T] = []
    trouble: list[BaseException] = []
    loop = asyncio.new_event_loop()
    task = loop.create_task(work)

    def cancel() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)

    def run() -> None:
        try:
            outcome.append(loop.run_until_complete(task))
        except BaseException as error:
            trouble.append(error)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    if on_start:
        on_start(cancel)
    thread = threading.Thread(target=run, name="llmlab-live", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        cancel()
        thread.join(10)
        raise
    if trouble:
        raise trouble[0]
    return outcome[0]
