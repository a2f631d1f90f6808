"""What is to happen to one attempt: the plan that the faults that strike write into, without I/O, in the order they were given."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx2

from llmlab.protocol.chunks import content_index, parsed
from llmlab.protocol.draws import key_bytes, uniform
from llmlab.protocol.identity import Stamp
from llmlab.wire.transport import FAILURES, Failure, Piece, Reply

Header = tuple[bytes, bytes]
_USUAL = b'"choices":[{"index":0,"delta":{"content":"'
"""How an event with text begins on OpenAI's wire; it cannot stand within a JSON text, where quotes are escaped. Most need no parsing."""
_EMPTY = (b'"', b"")


@dataclass(slots=True)
class Sent:
    """One attempt, as the faults see it."""

    request: httpx2.Request
    stamp: Stamp
    seed: int
    at: float
    """When it was sent (in seconds since the first request through this Chaos)."""
    now: float
    """The same on the clock in use (in seconds)."""
    memory: dict[str, Any] = field(default_factory=dict)
    """What faults remember from attempt to attempt, by their names; emptied by `Chaos.reset`."""
    dated: float | None = None
    """What `date` is (in seconds since 1970); None: a fixed day, and the time since the first request."""
    _key: bytes = b""

    @property
    def key(self) -> bytes:
        """The attempt's part of a draw's key, for `draws.prefixed`."""
        if not self._key:
            self._key = key_bytes(*self.stamp.key)
        return self._key

    def draw(self, *purpose: object) -> float:
        """Return a number in (0, 1) that belongs to this attempt and `purpose`, which begins with the fault's name."""
        return uniform(self.seed, *purpose, *self.stamp.key)

    @property
    def streamed(self) -> bool:
        """Whether the answer was asked for as a stream."""
        body = self.stamp.body
        return isinstance(body, dict) and body.get("stream") is True


@dataclass(slots=True)
class Timing:
    """When the parts of one answer arrive: what the faults that fired have asked for, together."""

    first_at: float | None = None
    """The whole answer's times are set: first token (in seconds after sending), ..."""
    per_token: float = 0.0
    """... and then this long a token (in seconds)."""
    stretch: float = 1.0
    """Times so much the time that the answer takes by itself, before anything is added."""
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


@dataclass(slots=True)
class Whole:
    """A reply: in one piece where a `rewrite` sees it, its head alone where a `Spoil` opens it. Both may change what they see."""

    status: int
    headers: list[Header]
    body: bytes = b""
    error: Break | None = None
    """Raised while the body is read, after all of `body`."""

    def header(self, name: str, value: str | None) -> None:
        """Set a header (once), or take it out."""
        key = name.encode().lower()
        self.headers = [(known, old) for known, old in self.headers if known.lower() != key]
        if value is not None:
            self.headers.append((key, value.encode()))


class Break(NamedTuple):
    """In a stream: the connection breaks here."""

    name: str = "ReadError"
    """A key of `transport.FAILURES`."""
    message: str = "Connection reset by peer"


class Silence(NamedTuple):
    """In a stream: nothing comes for a while; the client's read timeout may end it."""

    seconds: float


class End(NamedTuple):
    """In a stream: it ends here, as if all had been sent."""


Step = bytes | Silence | Break | End
Rewrite = Callable[[Whole], bool | str]
"""Changes a reply in one piece, and may say for the journal what it did; False or empty where it left it alone, and so did not strike."""


class Spoil:
    """Changes one stream, piece by piece. One object an attempt, so it may count."""

    whole_events = True
    """Whether `feed` gets whole events, each with the empty line that ends it, or chunks as the transport cut them."""
    tells = False
    """Whether it calls `tell` with what it did, if it did anything; else it has struck once it was opened."""
    tell: Callable[[str], None]
    """Set before `ahead` and `open`."""

    def ahead(self, pieces: Sequence[Piece]) -> Sequence[Piece] | None:
        """Return what is sent where all that comes is known beforehand, with its times; None: it is to be fed, piece by piece.

        So who must know the end before the beginning can keep the times. It acts before those that are fed.
        """
        return None

    def open(self, head: Whole) -> bool:
        """Look at the reply's head, and change its headers if need be; False spares this stream."""
        return True

    def feed(self, piece: bytes) -> Sequence[Step]:
        """Return what is sent instead of `piece`, in order; nothing follows an `End` or a `Break`."""
        return (piece,)

    def end(self) -> Sequence[Step]:
        """Return what is sent after the last piece."""
        return ()


@dataclass(slots=True)
class Plan:
    """What is to happen to one attempt."""

    body: Any = None
    """The JSON of the request that goes in; another object where a fault changed it."""
    instead: Reply | None = None
    """Answered instead of asking the transport behind; a reply with status 0 breaks before the headers."""
    extensions: dict[str, Any] = field(default_factory=dict)
    """Request extensions for the transports behind."""
    rewrites: list[tuple[str, Rewrite]] = field(default_factory=list)
    """The name of a fault, and what it does to a reply in one piece."""
    streams: list[tuple[str, Spoil]] = field(default_factory=list)
    """The name of a fault, and what it does to a stream."""
    told: dict[str, Any] = field(default_factory=dict)
    """Lines of the journal that wait for a reply that is changed, by the fault's name."""
    afterwards: list[Callable[[float], None]] = field(default_factory=list)
    """Called once when the attempt is over, however it ends, with the time (in seconds on the clock in use)."""
    _timing: Timing | None = None
    _striking: str = ""

    @property
    def timing(self) -> Timing:
        """What is asked of the answer's times."""
        if self._timing is None:
            self._timing = Timing()
        return self._timing

    @property
    def timed(self) -> bool:
        """Whether anything is asked of the times."""
        return self._timing is not None

    def strikes(self, name: str) -> None:
        """From here on, what is written belongs to the fault `name`."""
        self._striking = name

    @property
    def waits_for_reply(self) -> bool:
        """Whether the fault that writes now strikes only when there is a reply, and one that it can change."""
        return any(name == self._striking for changes in (self.rewrites, self.streams) for name, _ in changes)

    @property
    def reaches_reply(self) -> bool:
        """Whether there is anything to do once the reply comes."""
        return bool(self.timed or self.rewrites or self.streams or self.afterwards)

    def over(self, now: float) -> None:
        """The attempt is over: call what waits for it, once."""
        while self.afterwards:
            self.afterwards.pop(0)(now)

    def answer(self, status: int, headers: Sequence[Header], body: bytes, seconds: float = 0.0) -> bool:
        """Answer after `seconds`, instead of the transport behind; False where somebody does already."""
        if self.instead is not None:
            return False
        given = [*headers, (b"content-length", b"%d" % len(body))]
        self.instead = Reply(status, given, seconds, [Piece(seconds, body)] if body else ())
        return True

    def fail(self, name: str, message: str, seconds: float = 0.0) -> bool:
        """Raise the error `name` (a key of `transport.FAILURES`) after `seconds`, or at the client's timeout if that is earlier."""
        assert name in FAILURES, f"{name} is no transport error"
        if self.instead is not None:
            return False
        self.instead = Reply(0, failure=Failure(seconds, name, message))
        return True

    def rewrite(self, change: Rewrite) -> None:
        """Let `change` act on the reply, if it comes in one piece."""
        self.rewrites.append((self._striking, change))

    def spoil(self, spoil: Spoil) -> None:
        """Let `spoil` act on the reply, if it is a stream with status 200."""
        self.streams.append((self._striking, spoil))


def choice_of(field: bytes) -> int | None:
    """Return the index of the choice to which an event brings content, or None where it brings none.

    Args:
        field: The event's data, or a whole event of one line.
    """
    at = field.find(_USUAL)
    if at >= 0 and field[at + len(_USUAL) : at + len(_USUAL) + 1] not in _EMPTY:
        return 0
    event = parsed(field.removeprefix(b"data: "))
    return None if event is None else content_index(event)
