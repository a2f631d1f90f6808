"""What a fault is, and the plan of times that the latency faults write into."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from llmlab.errors import BadInput, UnknownName
from llmlab.protocol.draws import uniform
from llmlab.protocol.identity import Stamp

FAULTS: dict[str, type[Fault]] = {}
"""Every fault by the name that users type."""


@dataclass(slots=True)
class Timing:
    """When the parts of one answer arrive: what the faults that fired have asked for, together."""

    first_at: float | None = None
    """The whole answer's times are set: first token (in seconds after sending), ..."""
    per_token: float = 0.0
    """... and then this long a token (in seconds)."""
    before_headers: float = 0.0
    """Added before the headers (in seconds)."""
    before_content: float = 0.0
    """Added between the headers and the first content (in seconds)."""
    gaps: list[Callable[[int], float]] = field(default_factory=list)
    """Seconds added before token number n (from 1; the first content is token 0), and so to all after it."""
    wobbles: list[Callable[[int], float]] = field(default_factory=list)
    """Seconds by which chunk n alone is late."""

    def gap(self, token: int) -> float:
        """Return the seconds added before token number `token`."""
        return math.fsum(gap(token) for gap in self.gaps)

    def wobble(self, chunk: int) -> float:
        """Return the seconds by which chunk number `chunk` alone is late."""
        return math.fsum(wobble(chunk) for wobble in self.wobbles)


@dataclass(frozen=True, kw_only=True, repr=False)
class Fault:
    """Something that goes wrong with one attempt.

    Whether it fires is a keyed draw: the same seed, request and attempt meet it again. A higher probability fires for the same attempts and more.
    """

    name: str = ""
    """Tells two of a kind apart, in draws and in the journal; the class's name if empty."""
    probability: float = 1.0
    """Share of attempts that it strikes (0 to 1)."""

    def __init_subclass__(cls) -> None:
        FAULTS[cls.__name__] = cls

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", type(self).__name__)
        if not isinstance(self.probability, int | float) or not 0 <= self.probability <= 1:
            raise BadInput(f"{type(self).__name__}: probability is a share from 0 to 1, not {self.probability!r}")

    def __repr__(self) -> str:
        given = []
        for part in fields(self):
            value = getattr(self, part.name)
            default = type(self).__name__ if part.name == "name" else part.default
            if value != default or part.default is MISSING:
                given.append(f"{part.name}={value!r}")
        return f"{type(self).__name__}({', '.join(given)})"

    def fires(self, seed: int, stamp: Stamp) -> bool:
        """Whether it strikes this attempt."""
        if self.probability >= 1:
            return True
        return self.probability > 0 and uniform(seed, self.name, "fires", *stamp.key) < self.probability

    def delay(self, timing: Timing, seed: int, stamp: Stamp) -> str:
        """Write into `timing` what this fault does to the attempt's times.

        Returns:
            What was injected, for the journal.
        """
        raise NotImplementedError

    def _check_seconds(self, **seconds: float) -> None:
        for label, value in seconds.items():
            if not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise BadInput(f"{type(self).__name__}: {label} is a time of 0 seconds or more, not {value!r}")


def fault_named(name: str, **attributes: Any) -> Fault:
    """Return the fault that is called `name`.

    Raises:
        UnknownName: There is none; the message lists those there are.
    """
    try:
        kind = FAULTS[name]
    except KeyError:
        raise UnknownName("fault", name, sorted(FAULTS)) from None
    return kind(**attributes)
