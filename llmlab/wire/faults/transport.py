"""Faults of the transport: the connection is not made, or breaks.

An unmodified openai client tries again, twice by default, as long as no headers have come: it raises `APIConnectionError`, or
`APITimeoutError` where a clock ran out (connect 5 s, read 600 s by default; a clock of the client that is shorter than the fault's time
runs out first). Once headers have come it never tries again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from llmlab.wire.faults.base import Fault
from llmlab.wire.faults.plan import Break, Plan, Sent, Spoil, Step, Whole


class _Broken(Fault):
    """A fault that raises an error before the headers."""

    seconds: float = 0.0
    error: ClassVar[tuple[str, str]]
    """What is raised: a key of `transport.FAILURES`, and the message."""

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Raise the error."""
        return f"{self.error[0]} after {self.seconds:g} s" if plan.fail(*self.error, self.seconds) else ""


class ConnectionRefused(_Broken):
    """Nobody listens: the client tries again, then raises `APIConnectionError`."""

    seconds: float = 0.001
    """When it is refused (in seconds after sending)."""
    error = ("ConnectError", "[Errno 111] Connection refused")


class DnsFailure(_Broken):
    """The name of the host is not found: the client tries again, then raises `APIConnectionError`."""

    seconds: float = 0.02
    """When the search for the name fails (in seconds after sending)."""
    error = ("ConnectError", "[Errno -2] Name or service not known")


class ConnectTimeout(_Broken):
    """Packets are lost on the way there: after its connect timeout the client tries again, then raises `APITimeoutError`."""

    seconds: float = 60.0
    """When the system gives up, if the client's connect timeout does not before (in seconds after sending)."""
    error = ("ConnectTimeout", "the connection was not made in time")


class ReadTimeout(_Broken):
    """The request is taken, and nothing comes back: after its read timeout the client tries again, then raises `APITimeoutError`."""

    seconds: float = 600.0
    """When the system gives up, if the client's read timeout does not before (in seconds after sending)."""
    error = ("ReadTimeout", "no answer came in time")


class ResetBeforeHeaders(_Broken):
    """The connection is reset while the answer is made: the client tries again, then raises `APIConnectionError`."""

    seconds: float = 0.1
    """When it is reset (in seconds after sending)."""
    error = ("ReadError", "[Errno 104] Connection reset by peer")


class ResetAfterBytes(Fault):
    """The connection is reset in the middle of the body; longer answers are hit more often than short ones.

    In a stream the client raises `APIConnectionError` and does not try again; of a reply in one piece it reads the body within the attempt,
    and tries again.
    """

    bytes: int = 1000
    """Bytes of the body that come before the reset; a shorter body is spared."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_count(bytes=self.bytes)

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Break off the body."""
        count = self.bytes

        def broken(whole: Whole) -> bool:
            if len(whole.body) <= count:
                return False
            whole.header("content-length", None)
            whole.body, whole.error = whole.body[:count], Break()
            return True

        plan.rewrite(broken)
        plan.spoil(_AfterBytes(count))
        return f"reset after {count} bytes"


class _AfterBytes(Spoil):
    whole_events, tells = False, True

    def __init__(self, count: int) -> None:
        self._left = count

    def feed(self, piece: bytes) -> Sequence[Step]:
        if len(piece) <= self._left:
            self._left -= len(piece)
            return (piece,)
        self.tell("")
        return (piece[: self._left], Break())
