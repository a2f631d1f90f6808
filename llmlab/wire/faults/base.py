"""What a fault is, and the plan of times that the latency faults write into."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, ClassVar, Self

from llmlab.errors import BadInput, UnknownName
from llmlab.protocol.draws import uniform
from llmlab.protocol.identity import Stamp
from llmlab.protocol.models import resolve

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

    @property
    def counts_tokens(self) -> bool:
        """Whether any of it depends on the tokens of the answer."""
        return self.first_at is not None or self.before_content > 0 or bool(self.gaps)

    def gap(self, token: int) -> float:
        """Return the seconds added before token number `token`."""
        return self.gaps[0](token) if len(self.gaps) == 1 else math.fsum(gap(token) for gap in self.gaps)

    def wobble(self, chunk: int) -> float:
        """Return the seconds by which chunk number `chunk` alone is late."""
        return math.fsum(wobble(chunk) for wobble in self.wobbles)


@dataclass(frozen=True, kw_only=True, repr=False)
class Fault:
    """Something that goes wrong with one attempt.

    Whether it fires is a keyed draw: the same seed, request and attempt meet it again. A higher probability fires for the same attempts and
    more.
    """

    over_time: ClassVar[bool] = False
    """Whether it depends on the time, rather than on each attempt by itself."""
    name: str = ""
    """Tells two of a kind apart, in draws and in the journal; the class's name if empty."""
    probability: float = 1.0
    """Share of attempts that it strikes (0 to 1)."""
    first_attempts: int | None = None
    """Strikes no more than the first so many attempts of a request to a model; None: any of them."""
    model: str = ""
    """Strikes attempts to this model only (a name or an alias); empty: to any."""

    def __init_subclass__(cls) -> None:
        FAULTS[cls.__name__] = cls

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise BadInput(f"{type(self).__name__}: name is a text, not {self.name!r}")
        if not self.name:
            object.__setattr__(self, "name", type(self).__name__)
        if not isinstance(self.probability, int | float) or not 0 <= self.probability <= 1:
            raise BadInput(f"{type(self).__name__}: probability is a share from 0 to 1, not {self.probability!r}")
        if self.first_attempts is not None and (not isinstance(self.first_attempts, int) or self.first_attempts < 1):
            raise BadInput(
                f"{type(self).__name__}: first_attempts is a whole number of at least 1, or None for all, not {self.first_attempts!r}"
            )

    def first(self, attempts: int) -> Self:
        """Return a copy that strikes no more than the first `attempts` attempts of a request to a model."""
        return replace(self, first_attempts=attempts)

    def on(self, *, model: str) -> Self:
        """Return a copy that strikes attempts to `model` only (a name or an alias)."""
        return replace(self, model=model)

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
        if self.first_attempts is not None and stamp.ordinal >= self.first_attempts:
            return False
        if self.model and stamp.model != resolve(self.model):
            return False
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


def fault_named(name: str, /, **attributes: Any) -> Fault:
    """Return the fault that is called `name`.

    Raises:
        UnknownName: There is none; the message lists those there are.
    """
    try:
        kind = FAULTS[name]
    except KeyError:
        raise UnknownName("fault", name, sorted(FAULTS)) from None
    return kind(**attributes)
