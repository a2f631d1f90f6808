"""The guard of formats: nothing in a text that a page would run, load or hide."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import RuleGuard

_LONGEST = 110
"""What of a tag is covered by the span (in characters)."""
_TAGS = (
    "a abbr applet area article audio b base body br button canvas center code col dd del details dialog div dl dt em embed fieldset font "
    "footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins label li link main map marquee math meta nav "
    "noscript object ol optgroup option p param picture pre q s script section select small source span strike strong style sub sup svg "
    "table tbody td template textarea tfoot th thead title tr track tt u ul var video wbr xml"
)
_NAMES = frozenset(_TAGS.split())
_TAG = re.compile(r"</?([a-z][a-z0-9]{0,9})(?=[\s/>])|<!--|<!doctype(?=\s)|<\?xml(?=\s)", re.IGNORECASE)
_UNFINISHED = re.compile(r"<(?:/?(?:[a-z][a-z0-9]{0,9})?|!-?|!d[octype]{0,6}|\?x?m?l?)\Z", re.IGNORECASE)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, kw_only=True)
class FormatGuard(RuleGuard):
    """Finds HTML, for an answer that is shown as plain text or Markdown, and characters that steer a terminal or turn the direction.

    A less-than sign is no tag: only known names count. Lengths are for `LengthGuard`, and JSON is for the pipeline's `output`.
    """

    roles: tuple[str, ...] = ("assistant",)

    looks_back: ClassVar[int] = 1

    def check(self, text: str, role: str = "assistant") -> list[Finding]:
        """Return a finding for each tag and each control character. The span covers the first 110 characters of a long tag."""
        found = [Finding("control", "format.control", *match.span(), "a control character") for match in _CONTROL.finditer(text)]
        for match in _TAG.finditer(text):
            name = (match[1] or "").lower()
            if not name or name in _NAMES:
                found.append(
                    Finding("html", f"format.{name or 'markup'}", match.start(), _end(text, match.start())[0], f"HTML: {match[0]}")
                )
        return sorted(found, key=lambda finding: finding.start)

    def open_from(self, text: str) -> int:
        """Return where a tag may still begin, or has not ended."""
        tail = max(0, len(text) - _LONGEST)
        for match in _TAG.finditer(text, tail):
            if (not match[1] or match[1].lower() in _NAMES) and not _end(text, match.start())[1]:
                return match.start()
        unfinished = _UNFINISHED.search(text, tail)
        return unfinished.start() if unfinished else len(text)


def _end(text: str, start: int) -> tuple[int, bool]:
    """Return where the tag that begins at `start` ends, and whether more text changes nothing."""
    limit = start + _LONGEST
    end = text.find(">", start, limit) + 1
    return end or min(limit, len(text)), bool(end) or len(text) >= limit
