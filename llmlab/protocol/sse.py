"""Server-sent events on bytes, whatever the split.

The format is that of the HTML standard, section 9.2: events end with an empty line; lines end with LF, CRLF or CR; a line that starts with
a colon is a comment. Only `data` matters to the chat protocol, so the other fields are dropped.
"""

from __future__ import annotations

DONE = b"[DONE]"
_BOM = b"\xef\xbb\xbf"


class Events:
    """Collects bytes and gives back the `data` of each finished event.

    A chunk may end anywhere, also within a character or between CR and LF; text is decoded only when its event is whole.
    """

    __slots__ = ("_begun", "_rest", "_returned")

    def __init__(self) -> None:
        self._rest = b""
        self._returned = False  # a CR has just ended a line, and a LF would belong to it
        self._begun = False

    @property
    def rest(self) -> bytes:
        """The bytes of an event that has begun and not ended, with LF for every end of a line."""
        return self._rest

    def feed(self, data: bytes) -> list[bytes]:
        """Return the data fields that `data` completes, in order; events without data are dropped."""
        if not self._rest and data[:6] == b"data: " and data.find(b"\n") == len(data) - 2 and data[-1:] == b"\n" and b"\r" not in data:
            self._begun, self._returned = True, False  # one whole event of one line: nearly always
            return [data[6:-2]]
        if self._returned and data:
            data = data.removeprefix(b"\n")
            self._returned = False
        if b"\r" in data:
            self._returned = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        text = self._rest + data if self._rest else data
        if not self._begun:
            if len(text) < 3 and _BOM.startswith(text):
                self._rest = text
                return []
            self._begun, text = True, text.removeprefix(_BOM)
        *whole, self._rest = text.split(b"\n\n")
        fields = []
        for event in whole:
            if event.startswith(b"data: ") and b"\n" not in event:
                fields.append(event[6:])
            elif (field := _data(event)) is not None:
                fields.append(field)
        return fields


def _data(event: bytes) -> bytes | None:
    """Return the joined data lines of one event, or None where it has none."""
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:") or line == b"data"]
    return b"\n".join(lines) if lines else None


def encode(data: bytes) -> bytes:
    """Return `data` as one event; each of its lines, however it ends, becomes a data line."""
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return b"".join(b"data: " + line + b"\n" for line in lines) + b"\n"
