"""Payloads in another coding, found and read: base64, hex, percent and escape codes, rot13, reversed text.

A payload that doesn't decode to readable text is none. Nothing here judges: a guard looks at the decoded texts with its own rules.
"""

from __future__ import annotations

import base64
import codecs
import itertools
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import unquote

MOST = 32
"""Payloads that are read in one text; what comes after is not decoded."""
DEPTH = 3
"""How often a decoded text is decoded again."""


class Payload(NamedTuple):
    """A part of a text that says something in another coding."""

    coding: str
    """base64, hex, binary, escapes, percent, rot13 or reversed."""
    start: int
    """Offset of its first character."""
    end: int
    text: str
    """What it says."""


def _base64(match: re.Match[str]) -> str:
    raw = re.sub(r"\s", "", match[0]).rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(raw[: len(raw) - (len(raw) % 4 == 1)] + "=" * (-len(raw) % 4)).decode()


def _hex(match: re.Match[str]) -> str:
    return bytes.fromhex(re.sub(r"0x|\\x|[\s:,]", "", match[0])).decode()


def _binary(match: re.Match[str]) -> str:
    return bytes(int(bits, 2) for bits in match[0].split()).decode()


def _escapes(match: re.Match[str]) -> str:
    return re.sub(r"(?:\\u|&#x)([0-9a-fA-F]{4}|[0-9a-fA-F]{2});?", lambda code: chr(int(code[1], 16)), match[0])


_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    ("binary", re.compile(r"(?<![01])[01]{8}(?:\s[01]{8}){5,}(?![01])"), _binary),
    ("hex", re.compile(r"(?<![0-9a-fA-F])(?:(?:0x|\\x)?[0-9a-fA-F]{2}[\s:,]?){10,}(?![0-9a-fA-F])"), _hex),
    ("base64", re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]{16,})*={0,2}"), _base64),
    ("escapes", re.compile(r"(?:(?:\\u|&#x)[0-9a-fA-F]{2,4};?){6,}"), _escapes),
    ("percent", re.compile(r"(?<![\w%.~+-])(?:[\w.~+-]{0,24}%[0-9a-fA-F]{2}){3,}[\w.~+-]{0,24}"), lambda match: unquote(match[0].replace("+", " "))),
)

_LINES: tuple[tuple[str, re.Pattern[str], Callable[[str], str]], ...] = (
    ("rot13", re.compile(r"(?i)\b(?:vtaber|qvfertneq|sbetrg|cerivbhf|vafgehpgvbaf?|cebzcg|erirny)\b"), lambda line: codecs.decode(line, "rot13")),
    ("reversed", re.compile(r"(?i)\b(?:erongi|dragersid|tegrof|suoiverp|snoitcurtsni|tpmorp|laever)\b"), lambda line: line[::-1]),
)
"""What leaves words words is known by a few of them, and read by the line."""
_LINE = re.compile(r"[^\n]{1,2000}")


def _readable(text: str) -> bool:
    """Return whether `text` looks like words: nearly all of it is printable, and most of it is letters and spaces."""
    shown = sum(char.isprintable() or char in "\n\t" for char in text)
    words = sum(char.isalpha() or char == " " for char in text)
    return len(text) >= 6 and shown >= 0.95 * len(text) and words >= 0.7 * len(text)


def payloads(text: str) -> Iterator[Payload]:
    """Yield what `text` holds in another coding, kind by kind, at most `MOST` of them."""
    yield from itertools.islice(_payloads(text), MOST)


def _payloads(text: str) -> Iterator[Payload]:
    for coding, pattern, read in _KINDS:
        for match in pattern.finditer(text):
            try:
                said = read(match)
            except ValueError:
                continue
            if said != match[0] and _readable(said):
                yield Payload(coding, match.start(), match.end(), said)
    for coding, hint, turn in _LINES:
        if hint.search(text):
            for line in _LINE.finditer(text):
                if hint.search(line[0]):
                    yield Payload(coding, line.start(), line.end(), turn(line[0]))
