"""The grammar of JSON, and what of it models leave out: where a value, a name, a comma or a bracket belongs."""

from __future__ import annotations

from typing import Any

from llmlab.pipeline.parsing.repair import Repair, pointer

DEEPEST = 200
"""Deepest nesting that is read, as in pydantic."""


class _Frame:
    """A container under way."""

    __slots__ = ("box", "comma", "key")

    def __init__(self, box: Any) -> None:
        self.box, self.key, self.comma = box, "", False

    @property
    def closing(self) -> str:
        return "}" if isinstance(self.box, dict) else "]"


class Grammar:
    """Puts tokens together to one value, without recursion."""

    def __init__(self) -> None:
        self.value: Any = None
        self.repairs: list[Repair] = []
        self.whole = self.cut = self.stuck = False
        """Whether the value has come to its end; the text has, before the value; something came that cannot be read."""
        self.telling = False
        """Whether a string or a colon was read: what has neither may be brackets in prose."""
        self.settled: dict[str, Any] = {}
        """The fields of the outermost object that can no longer change. After the first doubt none is added: the whole is refused."""
        self.containers = 0
        """How many objects and arrays were begun. In a single one there is no doubt where a bracket belongs."""
        self._sure = True
        self._stack: list[_Frame] = []
        self._want = "value"
        """value (after a colon, or the whole), item (or the end of an array), key (or the end of an object), colon, after (a value)."""
        self._unsettled: str | None = None

    @property
    def end(self) -> int:
        """Where it stopped reading, in the whole text (in characters)."""
        raise NotImplementedError

    def _open(self, box: Any) -> None:
        self._stack.append(_Frame(box))
        self._want = "key" if isinstance(box, dict) else "item"
        self.containers += 1

    def _take_string(self, string: str) -> None:
        """Put a string where it belongs: a value, or a name."""
        frame = self._stack[-1] if self._stack else None
        if self._want in ("value", "item"):
            self._put(string)
        elif frame is not None and isinstance(frame.box, dict) and self._want in ("key", "after"):
            if self._want == "after":  # where no colon follows, it is stuck
                self._note("missing_comma")
            frame.key, self._want = string, "colon"
        else:
            self.stuck = True

    def _punctuation(self, char: str) -> None:
        frame, want = self._stack[-1] if self._stack else None, self._want
        if char in "{[":
            if want == "after" and frame is not None and isinstance(frame.box, list) and isinstance(frame.box[-1], dict | list):
                self._note("missing_comma")
                want = "item"
            self.stuck = want not in ("value", "item") or len(self._stack) >= DEEPEST
            if not self.stuck:
                self._open({} if char == "{" else [])
        elif char == ":":
            self.stuck = want != "colon"
            self._want, self.telling = "value", True
        elif frame is None or (want == "colon") or (char == "," and want in ("key", "item")):
            self.stuck = True
        else:
            if want == "value":
                self._note("missing_value")
                self._put(None)
            if char == ",":
                self._settle()
                frame.comma, self._want = True, "key" if isinstance(frame.box, dict) else "item"
            else:
                self._close(char)

    def _close(self, char: str) -> None:
        """Take a closing bracket; those that must stand before it are put in."""
        self._want = "after"
        if self._stack[-1].comma:
            self._note("trailing_comma")
        self.stuck = all(frame.closing != char for frame in self._stack)
        while not self.stuck and self._stack[-1].closing != char:
            self._pop("brackets")
        if not self.stuck:
            self._pop()

    def _put(self, value: Any) -> None:
        """Add a finished value to its container."""
        if not self._stack:
            self.value, self.whole = value, True
            return
        frame = self._stack[-1]
        if isinstance(frame.box, list):
            frame.box.append(value)
        else:
            if frame.key in frame.box:
                self._note("same_twice" if repr(frame.box[frame.key]) == repr(value) else "conflict")
            frame.box[frame.key] = value
            self._settle()
            if len(self._stack) == 1:
                self._unsettled = frame.key
        frame.comma, self._want = False, "after"

    def _pop(self, kind: str = "") -> None:
        """Close the innermost container."""
        if kind:
            self._note(kind)
        self._settle()
        box = self._stack.pop().box
        self._want = "value"
        self._put(box)

    def _settle(self) -> None:
        """Note that a field of the outermost object is followed by what ends it."""
        if len(self._stack) == 1 and self._unsettled is not None:
            if self._sure:
                self.settled[self._unsettled] = self._stack[0].box[self._unsettled]
            self._unsettled = None

    def _note(self, kind: str) -> None:
        """Record a repair of the value under way, or of its container."""
        repair = Repair(kind=kind, path=self._path(), start=self.end)
        self.repairs.append(repair)
        self._sure = self._sure and not repair.doubtful

    def _path(self) -> str:
        frames = self._stack if self._want in ("value", "item") else self._stack[:-1]
        return pointer(frame.key if isinstance(frame.box, dict) else len(frame.box) for frame in frames)
