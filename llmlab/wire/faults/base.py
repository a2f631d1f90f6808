"""What a fault is: a name, attributes with units, a probability, and which attempts it strikes.

A fault is a class below `Fault`, which makes it a frozen dataclass. If it fires for an attempt (`sent`), its `strike(plan, sent)` writes
into the attempt's `plan`, without I/O and without a clock, and returns what it asked for, in words for the journal; an empty text means
that it did nothing. Chaos carries the plan out. Draws are `sent.draw(self.name, "purpose", ...)` and no others. There are seven kinds of
effects:

- late: `plan.timing.before_headers += 4.0` (a fault of times alone may write `delay(timing, seed, stamp)` instead of `strike`);
- refuse: `plan.answer(503, [(b"content-type", b"text/html")], b"<html>...", seconds=0.05)`: nobody behind is asked;
- break before the headers: `plan.fail("ConnectError", "refused", seconds=0.01)`; the client's timeouts are honored;
- change a reply in one piece: `plan.rewrite(change)` with `change(whole) -> bool | str`, which sets its body, status, header(), error;
- change a stream: `plan.spoil(spoil)` with an object of a class below `Spoil`: `open(head)`, `feed(piece) -> [bytes | Silence(seconds) |
  Break() | End()]`, `end()`; it sees whole events, or raw chunks with `whole_events = False`. Answers with a status other than 200 pass;
- change what the model says, in one piece or streamed: a class below `content_base._ContentFault`, which does both of these;
- change the request that goes in: `plan.body = {**plan.body, "messages": [...]}` (its JSON; make a new object, never change the old one).

Each of them composes with those of the faults before it, in the order given; the first that refuses or breaks is the only one. What acts on
a reply stands in the journal when a reply came that it changed: a fault may call both `rewrite` and `spoil`, and strikes whichever comes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, fields, replace
from functools import wraps
from typing import Any, ClassVar, Self, dataclass_transform

from llmlab.errors import BadInput, UnknownName
from llmlab.protocol.draws import prefixed
from llmlab.protocol.identity import Stamp
from llmlab.protocol.models import resolve
from llmlab.wire.faults.plan import Plan, Sent, Timing

FAULTS: dict[str, type[Fault]] = {}
"""Every fault by the name that users type."""


def _checked(init: Callable[..., None]) -> Callable[..., None]:
    """Return an `__init__` that says which attributes there are, where it is given others."""

    @wraps(init)
    def checked(self: Any, *places: object, **given: object) -> None:
        known = [part.name for part in fields(self)]
        for name in given:
            if name not in known:
                raise BadInput(f"{type(self).__name__} has no attribute {name!r}; it has: {', '.join(known)}")
        init(self, *places, **given)

    return checked


@dataclass_transform(frozen_default=True, kw_only_default=True)
class _Declared:
    """Makes every class below it a frozen dataclass with keyword-only fields. It may say `@dataclass` itself, and need not."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True, repr=False)(cls)
        del cls.__setattr__, cls.__delattr__  # dataclass refuses to write them twice; those below do the same
        cls.__init__ = _checked(cls.__init__)  # type: ignore[method-assign]

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")


class Fault(_Declared):
    """Something that goes wrong with one attempt.

    Whether it fires is a keyed draw: the same seed, request and attempt meet it again. A higher probability fires for the same attempts and
    more. The attempts of a request to a model count from 1. An attribute with `seconds` in its name is a time of 0 seconds or more, or None
    where that is its default.
    """

    over_time: ClassVar[bool] = False
    """Whether it depends on the time, rather than on each attempt by itself."""
    strikes_streams: ClassVar[bool | None] = None
    """True: it can strike streams only; False: replies in one piece only; None: both."""
    name: str = ""
    """Tells two of a kind apart, in draws and in the journal; the class's name if empty."""
    probability: float = 1.0
    """Share of attempts that it strikes (0 to 1)."""
    first_attempts: int | None = None
    """Strikes no more than the first so many attempts of a request to a model; None: any of them."""
    attempt: int | None = None
    """Strikes this attempt only (from 1); None: any of them."""
    pattern: tuple[bool, ...] = ()
    """Whether it may strike the first attempt, the second, ..., and none after these; empty: any of them."""
    window: tuple[float, float] | None = None
    """Strikes attempts sent from the first time until before the second (in seconds after the first request); None: at any time."""
    model: str = ""
    """Strikes attempts to this model only (a name or an alias); empty: to any."""
    host: str = ""
    """Strikes attempts to this host only, as in api.openai.com; empty: to any."""
    stream: bool | None = None
    """Strikes attempts that ask for a stream (True) or for one piece (False) only; None: both."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not cls.__name__.startswith("_"):
            FAULTS[cls.__name__] = cls

    def __post_init__(self) -> None:
        for label, value in (("name", self.name), ("model", self.model), ("host", self.host)):
            if not isinstance(value, str):
                raise self._bad(f"{label} is a text, not {value!r}")
        if not self.name:
            object.__setattr__(self, "name", type(self).__name__)
        if not is_number(self.probability) or not 0 <= self.probability <= 1:
            raise self._bad(f"probability is a share from 0 to 1, not {self.probability!r}")
        for label, count, otherwise in (("first_attempts", self.first_attempts, "all"), ("attempt", self.attempt, "any")):
            if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
                raise self._bad(f"{label} is a whole number of at least 1, or None for {otherwise}, not {count!r}")
        if not isinstance(self.pattern, tuple) or not all(isinstance(part, bool) for part in self.pattern):
            raise self._bad(f"pattern is a sequence of True and False, not {self.pattern!r}")
        if not isinstance(self.stream, bool | None):
            raise self._bad(f"stream is True, False, or None for both, not {self.stream!r}")
        if None not in (self.stream, self.strikes_streams) and self.stream != self.strikes_streams:
            only = "streams" if self.strikes_streams else "replies in one piece"
            raise self._bad(f"it strikes {only} only, so that with stream={self.stream} it never strikes")
        for part in fields(self):
            value = getattr(self, part.name)
            if "seconds" in part.name and not (value is None is part.default) and not (is_number(value) and 0 <= value < math.inf):
                raise self._bad(f"{part.name} is a time of 0 seconds or more, not {value!r}")
        if self.window is not None:
            self._check_window(self.window)
            object.__setattr__(self, "over_time", True)
        if not any(map(self._may_strike, range(max(1, self.attempt or 0, len(self.pattern))))):
            given = ", ".join(f"{label}={value!r}" for label, value in self._given() if label in ("first_attempts", "attempt", "pattern"))
            raise self._bad(f"{given} exclude each other, so that it never strikes")
        object.__setattr__(self, "_anywhere", self.strikes_streams is None and not self.script())

    def first(self, attempts: int) -> Self:
        """Return a copy that strikes no more than the first `attempts` attempts of a request to a model."""
        return replace(self, first_attempts=attempts)

    def nth(self, attempt: int) -> Self:
        """Return a copy that strikes attempt number `attempt` (from 1) of a request to a model only."""
        return replace(self, attempt=attempt)

    def sequence(self, *strikes: bool) -> Self:
        """Return a copy that strikes the first attempt of a request to a model, the second, ... as told, and none after these."""
        if not strikes:
            raise self._bad("sequence takes True or False for the first attempt, the second, ..., as in sequence(True, False, True)")
        return replace(self, pattern=strikes)

    def between(self, start_seconds: float, end_seconds: float) -> Self:
        """Return a copy that strikes attempts sent at `start_seconds` or later, and before `end_seconds` (after the first request)."""
        return replace(self, window=(start_seconds, end_seconds))

    def on(self, *, model: str | None = None, host: str | None = None, stream: bool | None = None, attempt: int | None = None) -> Self:
        """Return a copy that strikes attempts to `model`, to `host`, that ask for a stream or don't, or of this number only."""
        given = {"model": model, "host": host, "stream": stream, "attempt": attempt}
        for label, value in given.items():
            if value == "":
                raise self._bad(f"on({label}='') would strike nothing; leave {label} out to strike any")
        return replace(self, **{label: value for label, value in given.items() if value is not None})  # type: ignore[arg-type]

    @property
    def ends_at(self) -> float:
        """When weather that ends is over (in seconds after the first request); 0 where it may strike at any time."""
        return 0.0 if self.window is None else self.window[1]

    def script(self) -> list[str]:
        """Return the attributes that say which attempts it strikes, beside the probability."""
        parts = [part for part in fields(Fault) if part.name not in ("name", "probability")]
        return [part.name for part in parts if getattr(self, part.name) != part.default]

    def _given(self) -> list[tuple[str, Any]]:
        given = []
        for part in fields(self):
            value = getattr(self, part.name)
            default = type(self).__name__ if part.name == "name" else part.default
            if value != default or part.default is MISSING:
                given.append((part.name, value))
        return given

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{label}={value!r}' for label, value in self._given())})"

    def _may_strike(self, ordinal: int) -> bool:
        if self.attempt is not None and ordinal + 1 != self.attempt:
            return False
        if self.first_attempts is not None and ordinal >= self.first_attempts:
            return False
        return not self.pattern or (ordinal < len(self.pattern) and self.pattern[ordinal])

    def applies(self, sent: Sent) -> bool:
        """Whether it may strike this attempt, whatever the draw says."""
        if self._anywhere:  # type: ignore[attr-defined]
            return True
        if self.model and sent.stamp.model != resolve(self.model):
            return False
        if self.host and sent.request.url.host != self.host:
            return False
        if any(only is not None and sent.streamed != only for only in (self.stream, self.strikes_streams)):
            return False
        if self.window is not None and not self.window[0] <= sent.at < self.window[1]:
            return False
        return self._may_strike(sent.stamp.ordinal)

    def fires(self, sent: Sent) -> bool:
        """Whether it strikes this attempt."""
        if self.probability <= 0 or not self.applies(sent):
            return False
        return self.probability >= 1 or prefixed(sent.seed, self.name, "fires")(sent.key) < self.probability

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Write into `plan` what this fault does to the attempt.

        Returns:
            What was asked for, for the journal; empty if nothing was.
        """
        return self.delay(plan.timing, sent.seed, sent.stamp)

    def delay(self, timing: Timing, seed: int, stamp: Stamp) -> str:
        """Write into `timing` what a fault of times does to the attempt's, and return it in words."""
        raise NotImplementedError

    def _bad(self, what: str) -> BadInput:
        return BadInput(f"{type(self).__name__}: {what}")

    def _check_count(self, least: int = 0, **counts: int) -> None:
        for label, value in counts.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise self._bad(f"{label} is a whole number of at least {least}, not {value!r}")

    def _check_window(self, window: tuple[float, float]) -> None:
        if not isinstance(window, tuple) or len(window) != 2 or not all(map(is_number, window)):
            raise self._bad(f"window is two times in seconds, start and end, not {window!r}")
        start, end = window
        if not 0 <= start < end:
            raise self._bad(f"a window starts at 0 s or later and ends after it starts, which {start:g} s to {end:g} s does not")


def is_number(value: object) -> bool:
    """Whether `value` is a number, which a bool is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


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
