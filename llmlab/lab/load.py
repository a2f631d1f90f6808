"""Load: when requests are meant to be sent, and which questions they ask.

Notebook: 01_latency_variance.ipynb
"""

from __future__ import annotations

import csv
import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, chain, count, pairwise, repeat
from os import PathLike
from statistics import fmean, pstdev
from typing import ClassVar, Protocol

from llmlab.errors import BadInput, UnknownName
from llmlab.protocol.draws import exponential, microseconds, uniform

_BURSTINESS = (0.01, 100.0)


class Load(Protocol):
    """Anything that says when requests are sent, and how many at once."""

    @property
    def concurrency(self) -> int | None:
        """Requests at once at most; None: as many as come."""
        ...

    def intended(self, seed: int) -> Iterator[float | None]:
        """Yield the intended send times (in seconds after the start); None: as soon as a user is free."""
        ...


@dataclass(frozen=True, kw_only=True)
class Closed:
    """A number of users, each of whom asks again when the answer is there. Slow answers slow it down: it hides what waits outside.

    Without `per_second` nobody intends a time. With it there is a schedule, which the users share in turn: request k is due at
    k / per_second and belongs to user k mod concurrency. A user who still waits for the request before sends late. The intended and the
    actual time are both kept, so that what such a tester leaves out can be seen (`Runs.omission`).
    """

    concurrency: int | None = 10
    """Users at once."""
    per_second: float | None = None
    """Requests a second that all users together are meant to send; None: as many as they can."""

    def __post_init__(self) -> None:
        if not isinstance(self.concurrency, int) or self.concurrency < 1:
            raise BadInput(f"Closed: concurrency is a whole number of at least 1, not {self.concurrency!r}")
        if self.per_second is not None:
            _check_rate("Closed", self.per_second)

    def intended(self, seed: int) -> Iterator[float | None]:
        """Yield the schedule, or None where there is none."""
        if self.per_second is None:
            return repeat(None)
        return (microseconds(number / self.per_second) for number in count())


@dataclass(frozen=True, kw_only=True)
class Open:
    """Requests come when they come, whether or not the earlier ones are answered.

    The gaps are gamma with shape 1 / burstiness^2, which at 1 is a Poisson process. Measured for Azure's LLM services in 2023: 1.09 for
    conversation (5.5 requests a second), 13.2 for code (2.6 a second). A gamma that bursty has the trace's coefficient of variation, not
    its shape: it puts 90 % of the requests into the same microsecond as the one before, where the trace has none. Replay such a trace
    with `Arrivals`.
    """

    concurrency: ClassVar[None] = None
    """As many at once as come."""
    per_second: float = 5.0
    """Mean arrivals a second."""
    burstiness: float = 1.0
    """Coefficient of variation of the gaps: standard deviation / mean (no unit), 0.01 to 100. Below 1 is more regular than Poisson."""

    def __post_init__(self) -> None:
        _check_rate("Open", self.per_second)
        least, most = _BURSTINESS
        if not isinstance(self.burstiness, int | float) or not least <= self.burstiness <= most:
            raise BadInput(f"Open: burstiness is a coefficient of variation of {least:g} to {most:g}, not {self.burstiness!r}")

    def intended(self, seed: int) -> Iterator[float]:
        """Yield times, each gap a keyed draw through the inverse CDF."""
        from scipy.special import gammaincinv

        at, mean, variance = 0.0, 1 / self.per_second, self.burstiness**2
        for number in count():
            u = uniform(seed, "Open", number)
            gap = exponential(u, mean=mean) if variance == 1 else mean * variance * float(gammaincinv(1 / variance, u))
            at = microseconds(at + gap)
            yield at


@dataclass(frozen=True, kw_only=True, repr=False)
class Arrivals:
    """Requests come when they came in a trace, whether or not the earlier ones are answered. The seed changes nothing."""

    concurrency: ClassVar[None] = None
    """As many at once as come."""
    times: tuple[float, ...]
    """When they arrive (in seconds after the start), in order; kept in whole microseconds."""

    def __post_init__(self) -> None:
        try:
            times = tuple(map(float, self.times))
        except (TypeError, ValueError) as error:
            raise BadInput(f"Arrivals: times are numbers of seconds ({error})") from None
        if not times:
            raise BadInput("Arrivals: there are no times")
        for place, at in enumerate(times):
            if not 0 <= at < math.inf:
                raise BadInput(f"Arrivals: a time is a finite number of seconds, 0 or more; times[{place}] is {at!r}")
            if place and at < times[place - 1]:
                raise BadInput(f"Arrivals: times run backwards at times[{place}]: {at!r} after {times[place - 1]!r}")
        object.__setattr__(self, "times", tuple(map(microseconds, times)))

    @classmethod
    def read(cls, path: str | PathLike[str], column: str | None = None) -> Arrivals:
        """Return the trace in a CSV file; its first arrival is at 0.

        Args:
            path: The file.
            column: The column with the times, numbers of seconds or ISO 8601 (UTC where no zone is given); None: the first one, and then
                the line with the names may be missing.

        Raises:
            UnknownName: There is no such column.
            BadInput: The file or a time cannot be read, or a time lies before the one above it; the message names the line.
        """
        times: list[float] = []
        before = ""
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                lines = csv.reader(file)
                names = next(lines, [])
                if column is not None and column not in names:
                    raise UnknownName("column", column, names)
                place = 0 if column is None else names.index(column)
                unnamed = column is None and bool(names) and _seconds(names[0]) is not None
                for line in filter(None, chain([names] if unnamed else [], lines)):
                    text = line[place] if place < len(line) else ""
                    at = _seconds(text)
                    if at is None:
                        raise BadInput(f"{path}, line {lines.line_num}: {text!r} is no time; write seconds, or ISO 8601")
                    if times and at < times[-1]:
                        raise BadInput(f"{path}, line {lines.line_num}: times run backwards, {text!r} after {before!r}; sort the file")
                    times.append(at)
                    before = text
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise BadInput(f"{path} cannot be read as CSV: {error}") from error
        if not times:
            raise BadInput(f"{path} has no times")
        return cls(times=tuple(at - times[0] for at in times))

    @property
    def per_second(self) -> float:
        """Mean arrivals a second; infinite where all come at once."""
        seconds = self.times[-1] - self.times[0]
        return (len(self.times) - 1) / seconds if seconds else math.inf

    @property
    def burstiness(self) -> float:
        """Coefficient of variation of the gaps: standard deviation / mean (no unit), as in `Open`; 0 where all come at once."""
        gaps = [later - earlier for earlier, later in pairwise(self.times)]
        return pstdev(gaps) / fmean(gaps) if any(gaps) else 0.0

    def intended(self, seed: int) -> Iterator[float]:
        """Yield the times of the trace, and no more."""
        return iter(self.times)

    def __repr__(self) -> str:
        return f"<Arrivals: {len(self.times):,} in {self.times[-1]:,.2f} s, CV of gaps {self.burstiness:.3g}>"


@dataclass(frozen=True, kw_only=True)
class Zipf:
    """Some questions are asked again and again: the r-th most popular one with a probability proportional to 1 / r^exponent."""

    exponent: float = 1.0
    """How unequal (no unit); 0: all alike, drawn with repetition."""

    def __post_init__(self) -> None:
        if not isinstance(self.exponent, int | float) or not 0 <= self.exponent < math.inf:
            raise BadInput(f"Zipf: exponent is a number of 0 or more, not {self.exponent!r}")

    def ranks(self, cases: int, seed: int) -> Iterator[int]:
        """Yield the rank (from 0, the most popular) that each request asks for, each a keyed draw through the inverse CDF."""
        total = list(accumulate(float(rank) ** -self.exponent for rank in range(1, cases + 1)))
        return (bisect_left(total, uniform(seed, "Zipf", number) * total[-1]) for number in count())


def _check_rate(load: str, rate: object) -> None:
    if not isinstance(rate, int | float) or not 0 < rate < math.inf:
        raise BadInput(f"{load}: per_second is a rate above 0, not {rate!r}")


def _seconds(text: str) -> float | None:
    """Return the time that `text` says (in seconds); None where it says none."""
    try:
        at = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            return None
        at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return at if math.isfinite(at) else None
