"""The guard of formats: nothing in a text that a page would run, load or hide."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import RuleGuard

_LONGEST = 110
"""What of a tag is covered by the span (in characters)."""
_TAGS = (
    "a abbr applet area article audio b base basefont bdi bdo bgsound blink body br button canvas center code col dd del details dialog "
    "div dl dt em embed fencedframe fieldset font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html i iframe image img "
    "input ins keygen label li link listing main map marquee math meta nav noembed noframes noscript object ol optgroup option p param "
    "picture plaintext portal pre q s script section select small source span strike strong style sub sup svg table tbody td template "
    "textarea tfoot th thead title tr track tt u ul var video wbr xml xmp"
)
_NAMES = frozenset(_TAGS.split())
_TAG = re.compile(r"<(?:(?P<end>/?)(?P<name>[a-z][^\s/<>]{0,40})|!--|!doctype(?=\s)|\?xml(?=\s))", re.IGNORECASE)
_UNFINISHED = re.compile(r"<(?:/|!-?|!d[octype]{0,6}|\?x?m?l?)?\Z", re.IGNORECASE)
_ELEMENT = re.compile(r"[a-z][a-z0-9._]*-[a-z0-9._-]*")
"""An element that a page defines for itself."""
_ATTRIBUTE = re.compile(r"\s[\w:.-]+=|[\s/\"']on[a-z]+\s*=|\s{20}", re.IGNORECASE)
_HANDLER = re.compile(r"[\s/\"']on[a-z]+\s*=", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"[\w:.-]+")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, kw_only=True)
class FormatGuard(RuleGuard):
    """Finds HTML, for an answer that is shown as plain text or Markdown, and characters that steer a terminal or turn the direction.

    A less-than sign is no tag: a known name counts, one with a hyphen, and any that has an attribute. Lengths are for `LengthGuard`, and
    JSON is for the pipeline's `output`.
    """

    roles: tuple[str, ...] = ("assistant",)

    looks_back: ClassVar[int] = 1

    def check(self, text: str, role: str = "assistant") -> list[Finding]:
        """Return a finding for each tag and each control character. The span covers the first 110 characters of a long tag."""
        found = [Finding("control", "format.control", *match.span(), "a control character") for match in _CONTROL.finditer(text)]
        for match in _TAG.finditer(text):
            rule, end, _ = _tag(text, match)
            if rule:
                found.append(Finding("html", rule, match.start(), end, f"HTML: <{match['end'] or ''}{rule.removeprefix('format.')}"))
        return sorted(found, key=lambda finding: finding.start)

    def open_from(self, text: str) -> int:
        """Return where a tag may still begin, or has not ended."""
        tail = max(0, len(text) - _LONGEST)
        for match in _TAG.finditer(text, tail):
            if not _tag(text, match).settled:
                return match.start()
        unfinished = _UNFINISHED.search(text, tail)
        return unfinished.start() if unfinished else len(text)


class _Tag(NamedTuple):
    rule: str
    """What is wrong with it; empty: nothing."""
    end: int
    settled: bool
    """Whether more text changes nothing."""


def _tag(text: str, match: re.Match[str]) -> _Tag:
    start = match.start()
    limit = start + _LONGEST
    close = text.find(">", start, limit) + 1
    end, settled = close or min(limit, len(text)), bool(close) or len(text) >= limit
    if match["name"] is None:
        return _Tag("format.markup", end, settled)
    name, following = match["name"].lower(), text[match.end() : match.end() + 1]
    if not following:
        return _Tag("", end, settled=False)
    if name in _NAMES and following in " \t\r\n\f/>":
        return _Tag(f"format.{name}", end, settled)
    if match["end"] or following == "<":
        return _Tag("", end, settled=True)
    telling = _ATTRIBUTE if _PLAIN_NAME.fullmatch(name) else _HANDLER  # "i<n; x=1" is no tag
    runs = telling.search(text, match.end(), end) or (_ELEMENT.fullmatch(name) and following in " \t\r\n\f/>")
    return _Tag("format.element" if runs else "", end, settled)
