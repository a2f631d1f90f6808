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
    bits = re.sub(r"\s", "", match[0])
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)).decode()


def _percent(match: re.Match[str]) -> str:
    return unquote(match[0].replace("+", " "))


def _escapes(match: re.Match[str]) -> str:
    return re.sub(r"(?:\\u|&#x)([0-9a-fA-F]{4}|[0-9a-fA-F]{2});?", lambda code: chr(int(code[1], 16)), match[0])


class _Coding(NamedTuple):
    name: str
    signs: str
    """The pattern is only tried where at least `least` of these characters are."""
    least: int
    pattern: re.Pattern[str]
    read: Callable[[re.Match[str]], str]


# Letters of ASCII are bytes from 20 to 7f, and so a payload in hex starts with a digit and is full of them.
_CODINGS = (
    _Coding("binary", "01", 48, re.compile(r"(?<![01])[01]{8}(?:\s?[01]{8}){5,}(?![01])"), _binary),
    _Coding(
        "hex",
        "234567",
        9,
        re.compile(r"[2-7](?<![0-9a-fA-F].)[0-9a-fA-F](?:[\s:,]{0,2}(?:0x|\\x)?[0-9a-fA-F]{2}){9,}(?![0-9a-fA-F])"),
        _hex,
    ),
    _Coding("base64", "", 0, re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]{16,})*={0,2}"), _base64),
    _Coding("escapes", "\\&", 6, re.compile(r"(?:(?:\\u|&#x)[0-9a-fA-F]{2,4};?){6,}"), _escapes),
    _Coding("percent", "%", 3, re.compile(r"(?<![\w%.~+-])(?:[\w.~+-]{0,24}%[0-9a-fA-F]{2}){3,}[\w.~+-]{0,24}"), _percent),
)
_UNBROKEN = re.compile("[A-Za-z0-9+/_-]{16}")

_LINES: tuple[tuple[str, tuple[str, ...], Callable[[str], str]], ...] = (
    ("rot13", ("vtaber", "qvfertneq", "sbetrg", "cerivbhf", "vafgehpgvba", "cebzcg", "erirny"), lambda line: codecs.decode(line, "rot13")),
    ("reversed", ("erongi", "dragersid", "tegrof", "suoiverp", "snoitcurtsni", "tpmorp", "laever"), lambda line: line[::-1]),
)
"""What leaves words words is known by a few of them, and read by the line."""
_LINE = re.compile(r"[^\n]{1,2000}")


def _readable(text: str) -> bool:
    """Return whether `text` looks like words: nearly all of it is printable, and most of it is letters and spaces."""
    shown = sum(char.isprintable() or char in "\n\t" for char in text)
    words = sum(char.isalpha() or char == " " for char in text)
    return len(text) >= 6 and shown >= 0.95 * len(text) and words >= 0.7 * len(text)


def _any(signs: tuple[str, ...], text: str) -> bool:
    # A generator would take as long again.
    for sign in signs:  # noqa: SIM110
        if sign in text:
            return True
    return False


def payloads(text: str) -> Iterator[Payload]:
    """Yield what `text` holds in another coding, kind by kind, at most `MOST` of them."""
    yield from itertools.islice(_payloads(text), MOST)


def _payloads(text: str) -> Iterator[Payload]:
    # A search in the whole text would take much longer.
    unbroken = any(_UNBROKEN.search(word) for word in text.split() if len(word) >= 16)
    for coding in _CODINGS:
        if sum(map(text.count, coding.signs)) < coding.least or (coding.name == "base64" and not unbroken):
            continue
        for match in coding.pattern.finditer(text):
            try:
                said = coding.read(match)
            except ValueError:
                continue
            if said != match[0] and _readable(said):
                yield Payload(coding.name, match.start(), match.end(), said)
    lower = text.lower()
    for name, signs, turn in _LINES:
        if _any(signs, lower):
            for line in _LINE.finditer(text):
                if _any(signs, line[0].lower()):
                    yield Payload(name, line.start(), line.end(), turn(line[0]))
