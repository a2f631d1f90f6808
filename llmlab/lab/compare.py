"""Before and after: one number of two runs, their difference with its interval, and a verdict.

Notebook: 01_latency_variance.ipynb
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from llmlab.errors import BadInput, UnknownName
from llmlab.evals.differences import (
    difference,
    mean_difference,
    paired_proportion_difference,
    paired_share_difference,
    proportion_difference,
    quantile_difference,
)
from llmlab.evals.statistics import Estimate, clustered_proportion, least_n, mean, proportion, quantile
from llmlab.lab.runs import SLOW_SECONDS, Row, Runs

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_METHODS = {
    "share": ("Wilson's score interval", "Tango's score interval", "Newcombe's hybrid score interval"),
    "quantile": ("between order statistics", "ellipse of rank scores", "ellipse of rank scores"),
    "mean": ("compound score interval", "compound score interval of differences", "MOVER of compound score intervals"),
}
"""By kind: of one side, of the difference of pairs, of the difference where there are none."""


class Metric(NamedTuple):
    """A number that two runs can be compared by."""

    kind: str
    """share, quantile or mean."""
    unit: str
    """Unit of its values and of the margin; a share lies between 0 and 1."""
    more_is_better: bool
    of: Callable[[Row, float], float | None]
    """What it takes from a row, given the objective (in seconds)."""
    q: float = 0.5


def _total(row: Row, slow_seconds: float = 0.0) -> float:
    return row.total_seconds if row.answered else math.inf


METRICS: dict[str, Metric] = {
    "slow": Metric("share", "share", False, lambda row, slow: row.waited > slow),
    "goodput": Metric("share", "share", True, lambda row, slow: row.waited <= slow),
    "answered": Metric("share", "share", True, lambda row, slow: row.answered),
    "right": Metric("share", "share", True, lambda row, slow: row.right),
    **{f"wait_p{q}": Metric("quantile", "s", False, lambda row, slow: row.waited, q / 100) for q in (50, 90, 99)},
    **{f"total_p{q}": Metric("quantile", "s", False, _total, q / 100) for q in (50, 90, 99)},
    "attempts": Metric("mean", "attempts a request", False, lambda row, slow: row.attempts),
    "usd": Metric("mean", "USD per 1,000 requests", False, lambda row, slow: None if row.usd is None else 1000 * row.usd),
}
"""What can be compared. A request that failed has waited forever; one that nobody priced makes the price unknown."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison:
    """One number before and after. Its repr is a sentence."""

    name: str
    """Of the metric."""
    apps: tuple[str, str]
    """Before and after, as they are called in tables."""
    before: Estimate
    after: Estimate
    difference: Estimate
    """After - before, in the metric's unit; n counts pairs, or the requests of the smaller side."""
    paired: bool
    pairing: str
    """How they were matched; if they were not, why not."""
    margin: float | None
    """Largest loss that is accepted, in the metric's unit; None: any loss that can be seen is one."""
    slow_seconds: float
    """The objective (in seconds)."""
    rows: pd.DataFrame = field(compare=False)
    """A row a request of both."""

    @property
    def metric(self) -> Metric:
        """What is compared."""
        return METRICS[self.name]

    @property
    def gain(self) -> Estimate:
        """The difference, turned so that more is better."""
        value, low, high, n = self.difference
        if self.metric.more_is_better:
            return self.difference
        worse, mid, best = (None if part is None else -part for part in (high, value, low))
        return Estimate(mid, worse, best, n)

    @property
    def verdict(self) -> str:
        """The 95 % interval of the difference in words.

        better: all of it is a gain. worse: all of it is a loss greater than the margin. no difference shown: neither; with a margin, the
        loss is shown to be within it. cannot measure: no interval, or one that reaches beyond the margin.
        """
        low, high, margin = self.gain.low, self.gain.high, self.margin or 0.0
        if low is None or high is None:
            return "cannot measure"
        if low > 0:
            return "better"
        if high < -margin:
            return "worse"
        return "no difference shown" if self.margin is None or low >= -margin else "cannot measure"

    @property
    def enough(self) -> int | None:
        """About how many requests (or cases) a side would do where it cannot be measured; None where that cannot be told."""
        value, low, n = self.gain.value, self.gain.low, self.gain.n
        if value is None or self.verdict != "cannot measure":
            return None
        if low is None:
            return least_n(self.metric.q) if self.metric.kind == "quantile" else None
        room = value + (self.margin or 0.0)
        if room <= 0 or not math.isfinite(value - low):
            return None
        needed = n * ((value - low) / room) ** 2
        step: int = 10 ** max(0, len(str(int(needed))) - 2)
        return math.ceil(needed / step) * step

    @property
    def frame(self) -> pd.DataFrame:
        """Rows before, after and difference; value, low and high in the unit, n, unit, and the method of the interval."""
        import pandas as pd

        alone, pairs, others = _METHODS[self.metric.kind]
        methods = (alone, alone, pairs if self.paired else others)
        found = zip((self.before, self.after, self.difference), methods, strict=True)
        lines = [{**one._asdict(), "unit": self.metric.unit, "method": method} for one, method in found]
        return pd.DataFrame(lines, index=["before", "after", "difference"]).astype({"value": float, "low": float, "high": float})

    @property
    def shown(self) -> tuple[float, str, int]:
        """For people: the factor of values, the unit then, and the digits."""
        unit = self.metric.unit
        return (100.0, "%", 1) if unit == "share" else (1.0, unit, 2 if unit == "s" else 3)

    def text(self) -> str:
        """Return the difference with its interval, as in "-2.48 [-2.90, -2.10] s"."""
        scale, unit, digits = self.shown
        value, low, high, n = self.difference
        if value is None or low is None or high is None:
            return f"not measurable at n = {n}"
        words = [f"{part * scale:+.{digits}f}" for part in (value, low, high)]
        return f"{words[0]} [{words[1]}, {words[2]}] {'points' if unit == '%' else unit}"

    def plot(self) -> Figure:
        """Return a picture: each request before against after where times were paired, else the interval of the difference."""
        pictures: Any = import_module("llmlab.lab.pictures")
        if self.paired and self.metric.kind == "quantile":
            scatter: Figure = pictures.paired_scatter(self.rows, *self.apps, slow_seconds=self.slow_seconds)
            return scatter
        return _interval(self, pictures)

    def __repr__(self) -> str:
        scale, unit, digits = self.shown
        short = f" {unit}" if unit in ("s", "%") else ""
        sides = [
            "unknown" if value is None else "never" if math.isinf(value) else f"{value * scale:.{digits}f}{short}"
            for value in (self.before.value, self.after.value)
        ]
        n = f"{self.difference.n}" if self.paired else f"{self.before.n} and {self.after.n}"
        of = " cases" if self.name == "right" else ""
        would = f" (about {self.enough:,}{of or ' requests'} would do)" if self.enough else ""
        return (
            f"{self.name.replace('_', ' ')}: {sides[0]} -> {sides[1]}, difference {self.text()}"
            f" ({self.pairing}, n = {n}{of}): {self.verdict}{would}"
        )


def compare(
    before: Runs, after: Runs, metric: str = "slow", margin: float | None = None, *, slow_seconds: float = SLOW_SECONDS
) -> Comparison:
    """Compare two runs by one number.

    Requests are paired where both apps met the same weather with each of them: the same seed, faults, source and questions, and, if the
    weather changes over time, at the same times under open-loop load. Answers are right or wrong by question, so those are paired by case.

    Args:
        before: The run of one app.
        after: The run of another, or of the same app changed.
        metric: slow, goodput, answered, right, wait_p50, wait_p90, wait_p99, total_p50, total_p90, total_p99, attempts or usd.
        margin: The largest loss that you accept, in the metric's unit (a share: 0.02 is 2 points); None: none is named.
        slow_seconds: The objective of slow and goodput (in seconds).

    Raises:
        BadInput: There are several apps in a run, or the margin is none.
        UnknownName: There is no such metric; the message lists those there are.
    """
    for side, runs in (("before", before), ("after", after)):
        if len(runs.apps) != 1:
            raise BadInput(f'{side} is the run of one app; here are {", ".join(runs.apps) or "none"}: take runs.only("name")')
    if metric not in METRICS:
        raise UnknownName("metric", metric, METRICS)
    if margin is not None and not (isinstance(margin, int | float) and 0 <= margin < math.inf):
        raise BadInput(f"margin is the largest loss that you accept, 0 or more, not {margin!r}")
    reason = _apart(before, after)
    if metric == "right":
        paired, found = _by_case(before, after)
        pairing = f"paired by case{', although ' + reason if reason else ''}" if paired else "not paired: the cases differ"
    else:
        paired, pairing = not reason, f"not paired: {reason}" if reason else "paired"
        found = _by_request(METRICS[metric], before, after, paired, slow_seconds)
    if any(runs.weather[runs.apps[0]].over_time for runs in (before, after)):
        pairing += "; this one storm only"
    names = (before.apps[0], after.apps[0])
    if names[0] == names[1]:
        names = (f"{names[0]} (before)", f"{names[1]} (after)")
    import pandas as pd

    rows = pd.concat([before.frame.assign(app=names[0]), after.frame.assign(app=names[1])], ignore_index=True)
    sides = dict(zip(("before", "after", "difference"), found, strict=True))
    return Comparison(name=metric, apps=names, **sides, paired=paired, pairing=pairing, margin=margin, slow_seconds=slow_seconds, rows=rows)


def _apart(before: Runs, after: Runs) -> str:
    """Return why requests of the two cannot be paired, in words; nothing if they can."""
    one, other = before.weather[before.apps[0]], after.weather[after.apps[0]]
    if one.asked != other.asked:
        return "the questions differ"
    for what in ("seed", "faults", "source"):
        mine, theirs = getattr(one, what), getattr(other, what)
        if mine != theirs:
            return f"the {what.rstrip('s')}s differ" + ("" if what == "faults" else f" ({mine}, {theirs})")
    if one.source == "live":
        return "a live provider never meets the same weather twice"
    first, second = ({(row.case, row.repetition): row.intended_at for row in runs.rows} for runs in (before, after))
    if first.keys() != second.keys() or len(first) != len(before) or len(second) != len(after):
        return f"the requests differ ({len(before)}, {len(after)})" if len(before) != len(after) else "the requests differ"
    if one.over_time or other.over_time:
        if not (one.open_loop and other.open_loop):
            return "the weather changes over time, and only open-loop load meets it at the same times"
        if first != second:
            return "the weather changes over time, and the requests were due at other times"
    return ""


def _by_request(metric: Metric, before: Runs, after: Runs, paired: bool, slow_seconds: float) -> tuple[Estimate, Estimate, Estimate]:
    """Return the estimates before, after, and of the difference."""

    def values(runs: Runs) -> list[Any]:
        rows = sorted(runs.rows, key=lambda row: (row.case, row.repetition))
        return [metric.of(row, slow_seconds) for row in rows]

    old, new = values(before), values(after)
    if metric.kind == "quantile":
        one, other = quantile(old, metric.q), quantile(new, metric.q)
        return one, other, quantile_difference(old, new, metric.q, paired=paired)
    if metric.kind == "mean":
        return mean(old), mean(new), mean_difference(old, new, paired=paired)
    sides = proportion(sum(old), len(old)), proportion(sum(new), len(new))
    if not paired:
        return *sides, proportion_difference(sum(old), len(old), sum(new), len(new))
    pairs = list(zip(old, new, strict=True))
    counts = (pairs.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False)))
    return *sides, paired_proportion_difference(*counts)


def _by_case(before: Runs, after: Runs) -> tuple[bool, tuple[Estimate, Estimate, Estimate]]:
    """Return whether the same cases were asked, and the estimates."""

    def shares(rows: Sequence[Row]) -> dict[str, float]:
        found: dict[str, list[bool]] = {}
        for row in rows:
            if row.right is not None:
                found.setdefault(row.case, []).append(row.right)
        return {case: sum(some) / len(some) for case, some in sorted(found.items())}

    old, new = shares(before.rows), shares(after.rows)
    one, other = clustered_proportion(list(old.values())), clustered_proportion(list(new.values()))
    if old.keys() != new.keys():
        return False, (one, other, difference(one, other))
    return True, (one, other, paired_share_difference(list(old.values()), list(new.values())))


def _interval(found: Comparison, pictures: Any) -> Figure:
    """Return the interval of the difference on a line with 0 and the margin."""
    scale, measurable = found.shown[0], found.difference.measurable
    value, low, high = (part * scale if part is not None and measurable else 0.0 for part in found.difference[:3])
    margin, worse = (found.margin or 0.0) * scale, -1 if found.metric.more_is_better else 1
    picture: Figure = pictures.Picture(1.9)
    axes = picture.add_axes((0.04, 0.36, 0.92, 0.36))
    points = {"fontsize": pictures.FONT_POINTS, "color": pictures.INK}
    ends = [end for end in (0.0, low, high, 2 * margin * worse) if math.isfinite(end)]
    span = max(map(abs, ends)) or 1.0
    axes.set(xlim=(min(-0.25 * span, *ends) - 0.1 * span, max(0.25 * span, *ends) + 0.1 * span), ylim=(-1, 1), yticks=[])
    axes.axvline(0, color=pictures.INK, linewidth=1)
    if margin:
        axes.axvspan(0, margin * worse, color=pictures.PALE)
        axes.text(margin * worse / 2, 0.6, "accepted", ha="center", **points)
    if measurable:
        edge = axes.get_xlim()
        axes.plot([max(low, edge[0]), min(high, edge[1])], [0, 0], color=pictures.BLUE, linewidth=3, solid_capstyle="butt")
        axes.plot([value], [0], "o", color=pictures.BLUE, markersize=9)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="x", labelsize=pictures.FONT_POINTS)
    axes.set_xlabel(f"{found.apps[1]} - {found.apps[0]}: {found.text()}", **points)
    picture.text(0.04, 0.76, "\u2190 better" if worse > 0 else "\u2190 worse", ha="left", **points)
    picture.text(0.96, 0.76, "worse \u2192" if worse > 0 else "better \u2192", ha="right", **points)
    picture.text(0.5, 0.98, f"{found.name.replace('_', ' ')}: {found.verdict}", ha="center", va="top", weight="bold", **points)
    return picture
