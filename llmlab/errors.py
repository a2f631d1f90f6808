"""Every exception that llmlab raises.

```
LlmlabError
├── BadInput (ValueError)         what the caller gave cannot be used
│   ├── UnknownName               a model, fault, source or scenario that does not exist; lists those that do
│   └── BadCases                  a file of cases
├── SimulationError
│   ├── WaitingForever            every task waits and no timer will wake one
│   └── NotInVirtualTime          a socket, a thread or the sync client inside a simulation
├── CassetteError
│   ├── BrokenCassette            the file cannot be read
│   ├── CassetteInUse             somebody else writes it
│   └── CassetteMiss              nothing recorded answers this request
├── LiveLimit                     live mode reached its cap of requests or USD
└── AttemptFailed                 one attempt through the client failed; the pipeline's own reading of it
    ├── AttemptRefused            the provider refused: a 4xx that no repetition mends
    ├── AttemptLimited            429: too many requests or tokens, or no quota
    ├── AttemptUnavailable        5xx, or the connection failed
    ├── AttemptTimeout            one of the attempt's four clocks ran out
    └── AttemptBroken             the reply came, and is not a whole reply
```
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any


class LlmlabError(Exception):
    """Base of all errors that llmlab raises."""


class BadInput(LlmlabError, ValueError):
    """Something that was given cannot be used; the message says what is allowed."""


class UnknownName(BadInput):
    """A name that does not exist.

    Args:
        what: The kind of thing, as in "model".
        name: The name that was asked for.
        known: The names that exist.
    """

    def __init__(self, what: str, name: object, known: Iterable[str]) -> None:
        self.what, self.name, self.known = what, name, tuple(known)
        super().__init__(f"there is no {what} {name!r}; there is: {', '.join(self.known)}")

    def __reduce__(self) -> tuple[Any, ...]:  # so that it can come back from another process
        return type(self), (self.what, self.name, self.known)


class BadCases(BadInput):
    """A file of cases that cannot be used."""


class SimulationError(LlmlabError, RuntimeError):
    """A simulation cannot go on."""


class WaitingForever(SimulationError):
    """Every task waits, and no timer will wake one."""


class NotInVirtualTime(SimulationError):
    """Something that virtual time cannot hold was used inside a simulation."""


class CassetteError(LlmlabError):
    """A cassette cannot be used."""


class BrokenCassette(CassetteError, ValueError):
    """The file is no cassette, or is damaged; the message names the place."""


class CassetteInUse(CassetteError):
    """Another recorder holds the cassette."""


class CassetteMiss(CassetteError, LookupError):
    """Nothing recorded answers this request; the message shows the nearest recorded one and how to record."""


class LiveLimit(LlmlabError):
    """Live mode reached its cap of requests or USD."""


class AttemptFailed(LlmlabError):
    """One attempt failed.

    Args:
        reason: A short word for tables, as in "rate_limit" or "stream_truncated".
        detail: What happened, for people.
        retryable: Whether the same attempt may succeed later.
        retry_after_seconds: How long the provider asked to wait (in seconds), or None.
        status_code: HTTP status, or None where there was none.
    """

    def __init__(
        self, reason: str, detail: str, *, retryable: bool, retry_after_seconds: float | None = None, status_code: int | None = None
    ) -> None:
        self.reason, self.detail, self.retryable = reason, detail, retryable
        self.retry_after_seconds, self.status_code = retry_after_seconds, status_code
        super().__init__(f"{reason}: {detail}")

    def __reduce__(self) -> tuple[Any, ...]:  # so that it can come back from another process
        given = {name: getattr(self, name) for name in ("retryable", "retry_after_seconds", "status_code")}
        return partial(type(self), **given), (self.reason, self.detail)


class AttemptRefused(AttemptFailed):
    """The provider refused, and no repetition mends it."""


class AttemptLimited(AttemptFailed):
    """Too many requests or tokens, or no quota left."""


class AttemptUnavailable(AttemptFailed):
    """The provider failed, or could not be reached."""


class AttemptTimeout(AttemptFailed):
    """One of the attempt's four clocks ran out."""


class AttemptBroken(AttemptFailed):
    """The reply came, and is not a whole reply."""
