"""Faults of a stream: it is cut, broken, silent, or holds what it should not.

They strike answers that were asked for as a stream and come as one, with status 200; an answer that is shorter than the fault's place is
spared. An unmodified openai client never tries again once headers have come, and of about half of these faults it notices nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from pydantic_core import to_json

from llmlab.protocol import sse
from llmlab.protocol.chunks import parsed
from llmlab.wire.faults.base import Fault
from llmlab.wire.faults.body import PAGE
from llmlab.wire.faults.plan import Break, End, Plan, Sent, Silence, Spoil, Step, Whole, choice_of

_DONE = sse.encode(sse.DONE)
_KEEP_ALIVE = b": keep-alive\n\n"
Act = Callable[[bytes], Sequence[Step]]


class _Each(Spoil):
    """Does `act` to every piece; it strikes with the first that does not come as it was."""

    tells = True

    def __init__(self, act: Act, *, whole_events: bool = True) -> None:
        self._act, self.whole_events = act, whole_events

    def feed(self, piece: bytes) -> Sequence[Step]:
        steps = self._act(piece)
        if steps != (piece,):
            self.tell("")
        return steps


class _At(Spoil):
    """Does `act` to the content event after the first `tokens` ones, once."""

    tells = True

    def __init__(self, tokens: int, act: Act) -> None:
        self._left, self._act = tokens, act

    def feed(self, piece: bytes) -> Sequence[Step]:
        if self._left < 0 or choice_of(piece) is None:
            return (piece,)
        self._left -= 1
        return (piece,) if self._left >= 0 else self._strike(piece)

    def _strike(self, piece: bytes) -> Sequence[Step]:
        self.tell("")
        return self._act(piece)


class _Swap(_At):
    """Lets the next content event overtake this one."""

    _held: tuple[bytes, ...] = ()

    def _strike(self, piece: bytes) -> Sequence[Step]:
        self._held = (piece,)
        return ()

    def feed(self, piece: bytes) -> Sequence[Step]:
        if not self._held:
            return super().feed(piece)
        held, self._held = self._held, ()
        if choice_of(piece) is None:
            return (*held, piece)
        self.tell("")
        return (piece, *held)

    def end(self) -> Sequence[Step]:
        return self._held


class _StreamFault(Fault):
    """A fault that strikes streams only."""

    strikes_streams: ClassVar[bool | None] = True


class _Placed(_StreamFault):
    """A fault that strikes after some tokens."""

    after_tokens: int = 5
    """Events with content that pass before it strikes; a shorter answer is spared."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_count(after_tokens=self.after_tokens)

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Strike once, in its place."""
        plan.spoil(_At(self.after_tokens, self._act))
        return f"after {self.after_tokens} tokens"

    def _act(self, event: bytes) -> Sequence[Step]:
        raise NotImplementedError


class CutStream(_Placed):
    """The stream ends too early, as if all had been said: the client notices nothing."""

    def _act(self, event: bytes) -> Sequence[Step]:
        return (End(),)


class ResetStream(_Placed):
    """The connection breaks in mid-stream: the client raises `APIConnectionError`, and what had come was delivered."""

    def _act(self, event: bytes) -> Sequence[Step]:
        return (Break("RemoteProtocolError", "peer closed connection without sending complete message body (incomplete chunked read)"),)


class HalfEvent(_Placed):
    """Half an event comes, and then the end: the client drops it and notices nothing."""

    def _act(self, event: bytes) -> Sequence[Step]:
        return (event[: len(event) // 2], End())


class MalformedEvent(_Placed):
    """An event's JSON is cut off: the client raises a bare `json.JSONDecodeError`, which is no openai error."""

    def _act(self, event: bytes) -> Sequence[Step]:
        return (event.rstrip()[:-3] + b"\n\n",)


class InvalidUtf8(_Placed):
    """An event holds bytes that are no text: the client raises a bare `UnicodeDecodeError`."""

    def _act(self, event: bytes) -> Sequence[Step]:
        before, mark, after = event.rpartition(b'"content":"')
        return (before + mark + b"\xff\xfe" + after if mark else event[:6] + b"\xff" + event[6:],)


class SplitCharacter(_StreamFault):
    """A character of several bytes comes in two chunks, wherever there is one: harmless to the client; whoever decodes chunks stumbles."""

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Split every chunk within its first such character."""

        def split(chunk: bytes) -> Sequence[Step]:
            at = next((place for place, byte in enumerate(chunk) if byte >= 0xC0), None) if not chunk.isascii() else None
            return (chunk,) if at is None else (chunk[: at + 1], chunk[at + 1 :])

        plan.spoil(_Each(split, whole_events=False))
        return "characters split over chunks"


class InBandError(_Placed):
    """An error comes as an event, for the status was sent already: the client raises `APIError` and does not try again."""

    message: str = "The server had an error while processing your request. Sorry about that!"
    """What the provider says."""

    def _act(self, event: bytes) -> Sequence[Step]:
        error = {"message": self.message, "type": "server_error", "param": None, "code": None}
        return (sse.encode(to_json({"error": error})), End())


class DuplicatedChunk(_Placed):
    """A chunk comes twice: the client notices nothing, and a piece of the text stands there twice."""

    def _act(self, event: bytes) -> Sequence[Step]:
        return (event, event)


class MissingChunk(_Placed):
    """A chunk does not come: the client notices nothing, and a piece of the text is missing."""

    def _act(self, event: bytes) -> Sequence[Step]:
        return ()


class ReorderedChunks(_Placed):
    """Two neighboring chunks change places: the client notices nothing, and the text is garbled."""

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Let a chunk be overtaken."""
        plan.spoil(_Swap(self.after_tokens, self._act))
        return f"after {self.after_tokens} tokens"


class EmptyChoices(_Placed):
    """An event without choices comes in between: the client passes it on, and `chunk.choices[0]` raises an `IndexError` in the app."""

    def _act(self, event: bytes) -> Sequence[Step]:
        chunk: dict[str, Any] = parsed(event[6:]) or {}
        return (sse.encode(to_json({**chunk, "choices": []})), event)


class MissingUsage(_StreamFault):
    """The usage that was asked for does not come: the client notices nothing, and the bill has a hole."""

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Take the usage out, where it was asked for."""
        options = sent.stamp.body.get("stream_options")
        if not isinstance(options, dict) or not options.get("include_usage"):
            return ""
        plan.spoil(_Each(_without_usage))
        return "no usage"


def _without_usage(event: bytes) -> Sequence[Step]:
    chunk = parsed(event[6:]) if b'"usage":' in event and b'"usage":null' not in event else None
    if chunk is None or not chunk.get("usage"):
        return (event,)
    return (sse.encode(to_json({**chunk, "usage": None})),) if chunk.get("choices") else ()


class KeepAliveOnly(_StreamFault):
    """Comments come and no content, so that no read timeout runs out; then the end: the client waits all the time and notices nothing."""

    seconds: float = 60.0
    """How long they come (in seconds)."""
    every_seconds: float = 5.0
    """Time between two of them (more than 0 seconds)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every_seconds < 0.001 or self.seconds / self.every_seconds > 100_000:
            raise self._bad(f"every_seconds is at least 0.001 and a 100,000th of seconds, not {self.every_seconds!r}")

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Send comments instead of events."""
        count = math.floor(self.seconds / self.every_seconds)
        plan.spoil(_Each(lambda chunk: (*(_KEEP_ALIVE, Silence(self.every_seconds)) * count, _KEEP_ALIVE, End()), whole_events=False))
        return f"keep-alive for {self.seconds:g} s"


class HtmlStream(_StreamFault):
    """A page comes instead of the stream, with status 200, as from a proxy's login: the client sees no chunk and notices nothing."""

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Send a page."""
        plan.spoil(_Html(lambda chunk: (PAGE, End()), whole_events=False))
        return "a page with status 200"


class _Html(_Each):
    def open(self, head: Whole) -> bool:
        head.header("content-type", "text/html; charset=utf-8")
        return True


class EmptyStream(_StreamFault):
    """The headers come, and then the end: the client sees no chunk and notices nothing."""

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Send nothing."""
        plan.spoil(_Each(lambda chunk: (End(),), whole_events=False))
        return "nothing after the headers"


class StallAfterDone(_StreamFault):
    """All is said, and the connection stays open: harmless to the client, which stops at [DONE]; whoever reads to the end waits."""

    seconds: float = 30.0
    """How long it stays open (in seconds)."""

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Put off the end."""
        plan.spoil(_Each(lambda event: (event, Silence(self.seconds)) if event == _DONE else (event,)))
        return f"the end {self.seconds:g} s after [DONE]"


class RoleThenSilence(_StreamFault):
    """The role comes and no content: the client raises `APITimeoutError` at its read timeout, and does not try again."""

    seconds: float = 900.0
    """When the connection breaks, if the client's read timeout does not run out before (in seconds after the role)."""

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Fall silent before the first content."""
        plan.spoil(_At(0, lambda event: (Silence(self.seconds), Break())))
        return f"silence of {self.seconds:g} s after the role"
