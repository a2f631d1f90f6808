"""Finds the JSON in what a model wrote: among prose, in a fence, once or several times."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import json_repair

from llmlab.pipeline.parsing.reader import Reader
from llmlab.pipeline.parsing.repair import Repair

LONGEST = 100_000
"""Longest text that is mended (in characters). Strict JSON may be longer."""
_LONGEST_GUESS, _DEEPEST_GUESS = 20_000, 50
"""json_repair recurses, and needs time that grows with the square of some texts."""
_OPEN, _BRACKET = re.compile(r"[{\[]"), re.compile(r"[{\[(]|([}\])])")
_PART = re.compile(r"""["'”’]\s*:""")
"""Stands in the text around a value if the value is a part of something."""
_NEXT = (",", ":", '"', "'", "“")
"""Begins the text after it then."""
_BRACKETS = re.compile(r"[\]},;\s`]*")
_LANGUAGE = re.compile(r"[\w-]*\n")


class Scan:
    """Finds the values in a text that comes in pieces.

    Args:
        kinds: What is looked for: object, array.
    """

    def __init__(self, kinds: Collection[str]) -> None:
        self._kinds = kinds
        self.reader: Reader | None = None
        """Reads now."""
        self.first: Reader | None = None
        """Has read the first value of a kind that is looked for."""
        self.several = self.over = False
        """Whether there is more than one value; whether nothing more is looked for."""
        self.stuck: Reader | None = None
        self._seen = 0

    def feed(self, piece: str) -> None:
        """Look on."""
        base, self._seen = self._seen, self._seen + len(piece)
        if self.reader is None:
            self._look(piece, 0, base)
        else:
            self.reader.feed(piece)
            self._follow()

    def close(self) -> None:
        """Say that nothing follows."""
        while self.reader is not None:
            self.reader.close()
            self._follow()

    def _look(self, text: str, at: int, base: int) -> None:
        """Look for values in `text`, from `at`; its first character is the character `base` of the whole."""
        while not self.over and self.reader is None and (found := _OPEN.search(text, at)) is not None:
            self.reader = Reader(base + found.start())
            self.reader.feed(text, found.start())
            if not self.reader.over:
                return
            reader, self.reader = self.reader, None
            self._take(reader)
            text, at, base = reader.text, reader.at, reader.end - reader.at

    def _follow(self) -> None:
        """Go on behind a value that has come to its end."""
        if self.reader is not None and self.reader.over:
            reader, self.reader = self.reader, None
            self._take(reader)
            self._look(reader.text, reader.at, reader.end - reader.at)

    def _take(self, reader: Reader) -> None:
        if reader.stuck:
            if reader.telling:
                self.stuck, self.over = reader, True
        elif ("object" if isinstance(reader.value, dict) else "array") in self._kinds:
            if self.first is None:
                self.first = reader
            else:
                self.several = self.over = True


def mended(text: str, kinds: Collection[str]) -> tuple[Any, tuple[Repair, ...]]:
    """Return what `text` holds as far as that can be known, and what was done to read it.

    Where it can only be guessed, json_repair guesses, and the whole is in doubt.

    Args:
        text: What the model wrote, which is no strict JSON.
        kinds: What is looked for, as JSON Schema calls it: object, array, string, ...
    """
    scan = Scan(kinds)
    scan.feed(text)
    scan.close()
    if scan.first is None and scan.stuck is None and not {*kinds} <= {"object", "array"}:
        inner = text.strip()
        fenced = inner.startswith("```") and inner.endswith("```")
        if fenced:
            inner = inner.strip("`")
            language = _LANGUAGE.match(inner)
            inner = inner[language.end() if language else 0 :].strip()
        reader = Reader(text.find(inner))
        reader.feed(inner)
        reader.close()
        if reader.cut or (reader.whole and reader.at == len(reader.text)):
            around = [Repair(kind="fence")] if fenced else [] if reader.repairs else [Repair(kind="whitespace")]
            return reader.value, (*reader.repairs, *around)
    if scan.first is None:
        begin = scan.stuck.start if scan.stuck else 0
        return _guessed(text[begin:]), (Repair(kind="guess", start=begin),)
    repairs = (*scan.first.repairs, *_around(text, scan, scan.first))
    guess = _guessed(text) if any(repair.kind in ("cut_off", "missing_value", "several") for repair in repairs) else None
    return guess or scan.first.value, repairs


def _around(text: str, scan: Scan, first: Reader) -> list[Repair]:
    """Return what the text around the first value says of it."""
    before, after = text[: first.start].strip(), text[first.end :].strip()
    left_over = _BRACKETS.fullmatch(after) is not None
    closed = left_over and first.containers == 1 and isinstance(first.value, dict) and "]" not in after
    part = _PART.search(before) or before.endswith(",") or not _balanced(before)
    part = part or _PART.search(after) or (after[:1] in _NEXT and not left_over) or not (closed or _balanced(after))
    found = [Repair(kind="several", start=first.start)] if scan.several or scan.stuck or part else []
    if "```" in before or "```" in after:
        found.append(Repair(kind="fence", start=0))
    if left_over and after.strip("`").strip():
        found.append(Repair(kind="extra_bracket", start=first.end))
    if re.sub(r"```+[\w-]*", "", before).strip() or not left_over:
        found.append(Repair(kind="prose", start=0))
    return found or ([] if first.repairs else [Repair(kind="whitespace", start=0)])


def _balanced(text: str) -> bool:
    return text.count("{") == text.count("}") and text.count("[") == text.count("]")


def _guessed(text: str) -> Any:
    """Return what json_repair makes of it, or None."""
    depth = deepest = 0
    for bracket in _BRACKET.finditer(text[:_LONGEST_GUESS]):
        depth += -1 if bracket[1] else 1
        deepest = max(deepest, depth)
    if len(text) > _LONGEST_GUESS or deepest > _DEEPEST_GUESS:
        return None
    try:
        return json_repair.loads(text, skip_json_loads=True)
    except Exception:  # it stumbles over some texts, in several ways
        return None
