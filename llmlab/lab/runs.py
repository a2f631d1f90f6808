"""What a run gave: a row a request, a row an attempt, and a summary that a table can show.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

from llmlab.errors import BadInput, UnknownName
from llmlab.evals.statistics import Estimate, clustered_proportion, mean, proportion, quantile
from llmlab.protocol.attempt import Attempt

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from llmlab.wire.faults import Fault

ANSWERED = ("ok", "degraded", "abstained")
"""Statuses of requests that got an answer."""
SLOW_SECONDS = 4.0
"""An answer whose first word comes later than this is too late."""
_LATE_SECONDS = 0.001
"""A request is late when it is sent so long after its time; timers of a real clock are no better."""


@dataclass(frozen=True, slots=True)
class Row:
    """One request of one user. Times are seconds."""

    app: str
    number: int
    """Place in the run, from 0."""
    case: str
    repetition: int
    status: str
    reason: str
    intended_at: float
    """When it was meant to be sent (after the start); where the load has no schedule, when it was sent."""
    sent_at: float
    wait_seconds: float | None
    """From sending to the first word that the user sees; without streaming to the whole answer; None if there is none."""
    wait_from_intended_seconds: float | None
    """From the intended time to the first word: what a user meets who does not wait for the tester."""
    total_seconds: float
    first_content_seconds: float | None
    """From sending to the first content on the wire, of whichever attempt."""
    attempts: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None
    source: str
    right: bool | None
    """Whether the answer holds what the case's gold says; None where there is no gold."""
    text: str
    """What the user saw, though a guard stopped it in the middle."""

    @property
    def answered(self) -> bool:
        """Whether the user got an answer, if only a worse one or an honest "I don't know"."""
        return self.status in ANSWERED

    @property
    def waited(self) -> float:
        """The wait for the first word (in seconds); infinite where no answer came of it, for a word and then an error is no answer."""
        return self.wait_seconds if self.answered and self.wait_seconds is not None else math.inf


class Weather(NamedTuple):
    """What an app ran in. Two apps can be compared request by request if it was the same."""

    seed: int
    faults: tuple[Fault, ...]
    source: str
    """Who answered: cassette, simulator or live."""
    over_time: bool
    """Whether any of it depends on the time, or on the load."""
    open_loop: bool
    """Whether requests were sent when they were due, however many were under way."""
    asked: str = ""
    """Hash of the questions, and of what answered them."""


class Runs:
    """The outcome of one or several runs.

    Args:
        rows: A row a request.
        attempts: The attempts of each app, in the order of requests.
        weather: What each app ran in.
        banner: Who answered.
    """

    def __init__(
        self, rows: Sequence[Row], attempts: Sequence[tuple[str, Attempt]], *, weather: Mapping[str, Weather], banner: str
    ) -> None:
        self.rows, self._attempts, self.weather, self.banner = tuple(rows), tuple(attempts), dict(weather), banner

    def __add__(self, other: Runs) -> Runs:
        if self.seed != other.seed:
            raise BadInput(f"runs of seeds {self.seed} and {other.seed} met other weather; look at them apart")
        twice = [app for app, met in self.weather.items() if other.weather.get(app, met) != met]
        if twice:
            raise BadInput(f"{', '.join(twice)} met other weather in the other run; give it another name there: run(..., name=...)")
        here = {(row.app, row.case, row.repetition) for row in self.rows}
        again = next((row.app for row in other.rows if (row.app, row.case, row.repetition) in here), None)
        if again is not None:
            raise BadInput(
                f"{again} has these requests already: the same run twice is no new observation; name it otherwise: run(..., name=...)"
            )
        rows, attempts = self.rows + other.rows, self._attempts + other._attempts
        return Runs(rows, attempts, weather=self.weather | other.weather, banner=self.banner)

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, app: str) -> Runs:
        """Return the run of one app.

        Raises:
            UnknownName: It did not run; the message lists those that did.
        """
        if app not in self.apps:
            raise UnknownName("app in these runs", app, self.apps)
        rows, attempts = ([one for one in self.rows if one.app == app], [one for one in self._attempts if one[0] == app])
        return Runs(rows, attempts, weather={app: self.weather[app]}, banner=self.banner)

    @property
    def seed(self) -> int:
        """The weather's seed."""
        return next(iter(self.weather.values())).seed

    @property
    def apps(self) -> list[str]:
        """The apps that ran, in the order of running."""
        return list(dict.fromkeys(row.app for row in self.rows))

    @property
    def frame(self) -> pd.DataFrame:
        """A row a request; the columns are those of `Row`."""
        import pandas as pd

        names = [part.name for part in fields(Row)]
        return pd.DataFrame({name: [getattr(row, name) for row in self.rows] for name in names}, columns=names)

    @property
    def attempts(self) -> pd.DataFrame:
        """A row an attempt; the columns are those of the attempt event, and the app."""
        import pandas as pd

        names = [part.name for part in fields(Attempt)]
        table: dict[str, list[object]] = {"app": [app for app, _ in self._attempts]}
        table |= {name: [getattr(attempt, name) for _, attempt in self._attempts] for name in names}
        return pd.DataFrame(table)

    @property
    def sources(self) -> str:
        """How many requests were replayed, simulated or live, as in "488 replayed, 12 simulated"."""
        words = {"cassette": "replayed", "simulator": "simulated"}
        counts = Counter(words.get(row.source, row.source or "unanswered") for row in self.rows)
        return ", ".join(f"{count} {word}" for word, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])))

    def sdk_retries(self, app: str) -> int:
        """Return how many attempts of `app` were retries of the client itself: below an app that tries again, too, the two multiply."""
        return sum(attempt.role == "sdk retry" for name, attempt in self._attempts if name == app)

    def reasons(self, app: str) -> list[tuple[str, int]]:
        """Return why requests of `app` were not ok, and how many each, the commonest first."""
        return Counter(row.reason for row in self.rows if row.app == app and row.reason and row.status != "ok").most_common()

    def measures(self, slow_seconds: float = SLOW_SECONDS) -> dict[str, dict[str, Estimate]]:
        """Return the estimates of each app, by app and name.

        The unit of n is a request, which is right for faults that strike each attempt by itself (weather over time needs several seeds).
        For what was said it is a case: a question that is asked again, or an answer that is replayed again, is no new observation.

        Args:
            slow_seconds: An answer whose first word comes later is slow (in seconds); one that never comes is slow, too.
        """
        return {app: measured([row for row in self.rows if row.app == app], slow_seconds) for app in self.apps}

    def summary(self, slow_seconds: float = SLOW_SECONDS) -> pd.DataFrame:
        """Return a table for people: a row an app, each number with its 95 % interval."""
        return summary(self.measures(slow_seconds), slow_seconds)

    def omission(self) -> pd.DataFrame:
        """Return what the tester saw beside what users would have met who ask at the intended times.

        A tester who waits for an answer before sending on sends fewer requests while it is slow, and leaves out the waits that would have
        been long (coordinated omission). Where all is sent in time the two are the same.

        Returns:
            A row an app: n, how many were sent over 1 ms late, the longest such delay, and quantiles of the wait for the first word (all
            in seconds). They have 95 % intervals, but for users where requests were late: those wait behind the same slow answers, and an
            interval as if each were an observation of its own would mislead. A word that never comes is a wait longer than all.
        """
        import pandas as pd

        lines = []
        for app in self.apps:
            rows = [row for row in self.rows if row.app == app]
            delays = [row.sent_at - row.intended_at for row in rows]
            late = sum(delay > _LATE_SECONDS for delay in delays)
            line = {"app": app, "n": len(rows), "sent late": late, "longest delay s": f"{max(delays):.2f}"}
            late_by = [row.waited + delay for row, delay in zip(rows, delays, strict=True)]
            for who, waits in (("tester", [row.waited for row in rows]), ("users", late_by)):
                for percent in (50, 90, 99):
                    found = quantile(waits, percent / 100)
                    alone = "never" if _value(found) == math.inf else f"{_value(found):.2f}"
                    line[f"{who} p{percent} s"] = alone if who == "users" and late else found.text()
            lines.append(line)
        return pd.DataFrame(lines)

    def plot(self, slow_seconds: float = SLOW_SECONDS) -> Figure:
        """Return the storm strip: a column a request, a row an app; color is the outcome, height the wait."""
        from llmlab.lab.pictures import storm_strip

        return storm_strip(self.frame, slow_seconds=slow_seconds)

    def __repr__(self) -> str:
        parts = [f"{app}: {found['slow'].text(1, '%', 100)} slow" for app, found in self.measures().items()]
        return f"{len(self)} requests, seed {self.seed}, {self.sources}; {'; '.join(parts)}"


def summary(measures: Mapping[str, Mapping[str, Estimate]], slow_seconds: float = SLOW_SECONDS) -> pd.DataFrame:
    """Return the estimates of apps, as `Runs.measures` gives them, as a table for people; others are taken for shares."""
    import pandas as pd

    lines, usual = [], measured(())
    for app, found in measures.items():
        more = {name: share for name, share in found.items() if name not in usual}
        lines.append(
            {
                "app": app,
                "n": found["answered"].n,
                "answered %": found["answered"].text(1, scale=100),
                f"first word after {slow_seconds:g} s %": found["slow"].text(1, scale=100),
                "wait p50 s": found["wait_p50"].text(2),
                "wait p99 s": found["wait_p99"].text(2),
                "right % of cases": found["right"].text(1, scale=100),
                "n cases": found["right"].n,
                "attempts a request": f"{_value(found['attempts_per_request']):.3f}",
                "USD per 1,000": "unknown" if found["usd_per_1000"].value is None else f"{found['usd_per_1000'].value:.3f}",
                **{f"{name.replace('_', ' ')} %": f"{share.text(1, scale=100)}, n = {share.n}" for name, share in more.items()},
            }
        )
    return pd.DataFrame(lines)


def over_seeds(runs: Sequence[Runs], slow_seconds: float = SLOW_SECONDS) -> dict[str, dict[str, Estimate]]:
    """Return the estimates of each app over several seeds, where the unit of n is the seed.

    Shares are means of the seeds' shares, with Wilson's interval at n = seeds, which is never too narrow. Quantiles are those of all waits
    together, and have no interval; what was said is counted by case, as ever.

    Args:
        runs: The same apps under each seed.
        slow_seconds: An answer whose first word comes later is slow (in seconds).
    """
    found = {}
    parts = [one.measures(slow_seconds) for one in runs]
    for app in runs[0].apps:
        together = measured([row for one in runs for row in one.rows if row.app == app], slow_seconds)
        for name in ("answered", "goodput", "slow"):
            together[name] = clustered_proportion([part[app][name].value or 0.0 for part in parts])
        for name in ("wait_p50", "wait_p90", "wait_p99"):
            together[name] = Estimate(together[name].value, None, None, len(runs))
        found[app] = together
    return found


def _value(estimate: Estimate) -> float:
    return math.nan if estimate.value is None else estimate.value


def measured(rows: Sequence[Row], slow_seconds: float = SLOW_SECONDS) -> dict[str, Estimate]:
    """Return the usual estimates of some requests of one app, by name: see `Runs.measures`."""
    n = len(rows)
    waits = [row.waited for row in rows]
    by_case: dict[str, list[bool]] = {}
    for row in rows:
        if row.right is not None:
            by_case.setdefault(row.case, []).append(row.right)
    return {
        "answered": proportion(sum(row.answered for row in rows), n),
        "goodput": proportion(sum(wait <= slow_seconds for wait in waits), n),
        "slow": proportion(sum(wait > slow_seconds for wait in waits), n),
        "wait_p50": quantile(waits, 0.5),
        "wait_p90": quantile(waits, 0.9),
        "wait_p99": quantile(waits, 0.99),
        "right": clustered_proportion([sum(map(bool, some)) / len(some) for some in by_case.values()]),
        "attempts_per_request": mean([row.attempts for row in rows]),
        "tokens_per_request": mean([row.prompt_tokens + row.completion_tokens for row in rows]),
        "usd_per_1000": mean([None if row.usd is None else 1000 * row.usd for row in rows]),
    }
