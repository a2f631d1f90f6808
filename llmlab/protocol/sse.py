"""Server-sent events on bytes, whatever the split.

The format is that of the HTML standard, section 9.2: events end with an empty line; lines end with LF, CRLF or CR; a line that starts with a
colon is a comment. Only `data` matters to the chat protocol, so the other fields are dropped.
"""

from __future__ import annotations

DONE = b"[DONE]"


class Events:
    """Collects bytes and gives back the `data` of each finished event.

    A chunk may end anywhere, also within a character or between CR and LF; text is decoded only when its event is whole.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    @property
    def rest(self) -> bytes:
        """The bytes of an event that has begun and not ended."""
        return self._rest

    def feed(self, data: bytes) -> list[bytes]:
        """Return the data fields that `data` completes, in order; events without data are dropped."""
        text = self._rest + data if self._rest else data
        held = b""
        if b"\r" in text:
            if text.endswith(b"\r"):  # its LF may be in the next chunk
                text, held = text[:-1], b"\r"
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, rest = text.split(b"\n\n")
        self._rest = rest + held
        fields = []
        for event in whole:
            if event.startswith(b"data: ") and b"\n" not in event:
                fields.append(event[6:])
            elif (field := _data(event)) is not None:
                fields.append(field)
        return fields


def _data(event: bytes) -> bytes | None:
    """Return the joined data lines of one event, or None where it has none."""
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None


def encode(data: bytes) -> bytes:
    """Return `data` as one event; each of its lines becomes a data line."""
    return b"".join(b"data: " + line + b"\n" for line in data.split(b"\n")) + b"\n"
