"""Puts other words into a model's mouth: what is said is taken from a reply or a stream, changed as a whole, and put back.

In a stream, the new text is spread over the events of the old one. Their number and times stay where the reply is known beforehand, as from
a cassette or the simulator. A live stream is held back until its end, for the last word may decide what becomes of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json

from llmlab.protocol import sse
from llmlab.protocol.chunks import parsed
from llmlab.wire.faults.plan import Spoil, Step, Whole
from llmlab.wire.spoiling import split_events
from llmlab.wire.transport import Piece


@dataclass(slots=True)
class Call:
    """A call of a tool."""

    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Said:
    """What the model said in the first choice."""

    text: str = ""
    calls: list[Call] = field(default_factory=list)


Change = Callable[[Said], str]
"""Changes what was said, and returns what it did, in words; empty if it left it alone."""


class Retelling(Spoil):
    """Lets `change` act on what a stream says."""

    tells = True

    def __init__(self, change: Change) -> None:
        self._change = change
        self._held: list[bytes] = []

    def ahead(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """Return the pieces with other words, each at its time. An event comes with the piece that ends it."""
        places, events, rest = [], [], b""
        for place, piece in enumerate(pieces):
            whole, rest = split_events(rest + piece.data)
            places += [place] * len(whole)
            events += whole
        retold = self._retold(events)
        if retold is events:
            return pieces
        made = [b""] * (len(pieces) - 1) + [rest]
        for place, event in zip(reversed(places), reversed(retold), strict=True):
            made[place] = event + made[place]
        return [Piece(piece.at, data) for piece, data in zip(pieces, made, strict=True) if data]

    def feed(self, piece: bytes) -> Sequence[Step]:
        """Hold it back."""
        self._held.append(piece)
        return self.end() if piece.startswith(b"data: [DONE]") else ()

    def end(self) -> Sequence[Step]:
        """Return all that was held back, with other words."""
        held, self._held = self._held, []
        return self._retold(held)

    def _retold(self, events: list[bytes]) -> list[bytes]:
        """Return the events with other words, as many; the very same list where nothing is changed."""
        chunks = [parsed(b"\n".join(sse.Events().feed(event))) for event in events]
        slots: dict[tuple[int, str], list[_Slot]] = {}
        for number, chunk in enumerate(chunks):
            for key, holder, name in _slots(chunk, "delta"):
                slots.setdefault(key, []).append(_Slot(number, holder, name))
        effect, changed = _change(slots, self._change)
        if not effect:
            return events
        self.tell(effect)
        return [sse.encode(to_json(chunks[number])) if number in changed else event for number, event in enumerate(events)]


def retold_whole(change: Change, whole: Whole) -> str:
    """Let `change` act on what a reply in one piece says."""
    reply = parsed(whole.body) if whole.status == 200 else None
    effect, _ = _change({key: [_Slot(0, holder, name)] for key, holder, name in _slots(reply, "message")}, change)
    if effect:
        whole.body = to_json(reply)
    return effect


@dataclass(slots=True)
class _Slot:
    """Where a part of a text stands."""

    event: int
    holder: dict[str, Any]
    name: str


def _slots(chunk: dict[str, Any] | None, inside: str) -> Iterator[tuple[tuple[int, str], dict[str, Any], str]]:
    """Yield where the first choice has text: of which text it is a part (call, or -1, and field), the object, and the field in it."""
    choices = chunk.get("choices") if chunk else None
    for choice in choices if isinstance(choices, list) else ():
        message = choice.get(inside) if isinstance(choice, dict) and choice.get("index", 0) == 0 else None
        if not isinstance(message, dict):
            continue
        if isinstance(message.get("content"), str):
            yield (-1, "text"), message, "content"
        calls = message.get("tool_calls")
        for place, call in enumerate(calls if isinstance(calls, list) else ()):
            function = call.get("function") if isinstance(call, dict) else None
            if not isinstance(function, dict):
                continue
            for name in ("name", "arguments"):
                if isinstance(function.get(name), str):
                    number = call.get("index")
                    yield (number if isinstance(number, int) else place, name), function, name


def _change(slots: dict[tuple[int, str], list[_Slot]], change: Change) -> tuple[str, set[int]]:
    """Let `change` act on the texts in `slots`, and put the new ones back; return what it did, and the events that it concerns."""
    old = {key: "".join(part.holder[part.name] for part in parts) for key, parts in slots.items()}
    numbers = sorted({number for number, _ in old if number >= 0})
    calls = [Call(old.get((number, "name"), ""), old.get((number, "arguments"), "")) for number in numbers]
    said = Said(old.get((-1, "text"), ""), calls)
    effect = change(said)
    changed: set[int] = set()
    if effect:
        new = {(-1, "text"): said.text}
        for number, call in zip(numbers, calls, strict=True):
            new |= {(number, "name"): call.name, (number, "arguments"): call.arguments}
        for key, parts in slots.items():
            if new[key] != old[key]:
                changed |= _spread(new[key], parts)
    return effect, changed


def _spread(text: str, parts: list[_Slot]) -> set[int]:
    """Spread `text` over `parts`, to each its share by the length of what it held; return the events that change."""
    lengths = [len(part.holder[part.name]) for part in parts]
    total, told, begun, changed = sum(lengths), 0, 0, set()
    for part, length in zip(parts, lengths, strict=True):
        told += length
        end = len(text) * told // total
        if part.holder[part.name] != text[begun:end]:
            part.holder[part.name] = text[begun:end]
            changed.add(part.event)
        begun = end
    return changed
