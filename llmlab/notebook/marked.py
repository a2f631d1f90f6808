"""A text as people see it, with what hides in it and what guards found in it, and as the guard reads it.

Notebook: 02_guardrails.ipynb
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.decode import payloads
from llmlab.pipeline.guardrails.normalise import fold, normalise

_LONGEST = 1_500
"""More than this is not shown (in characters)."""
_MARK = "text-decoration: underline 3px; text-underline-offset: 3px; text-decoration-color: #D55E00; background: #FDF1E8; color: #222"
_NAME = "font-size: 11px; vertical-align: super; color: #A84300; margin: 0 4px 0 2px"
_HIDDEN = "border: 1px dashed #555; border-radius: 3px; padding: 0 1px; color: #444"


@dataclass(frozen=True, kw_only=True, repr=False)
class Marked:
    """A text with the findings of guards. All of it is escaped."""

    text: str
    """As it was sent."""
    findings: Sequence[Finding] = ()
    score: float | None = None
    """How much speaks for an attack (0 to 1), where somebody asked."""

    @property
    def read(self) -> str:
        """The text as the rules read it."""
        return normalise(self.text).text

    def __repr__(self) -> str:
        found = [f"{one.kind} ({one.rule}) at {one.start}-{one.end}" for one in self.findings] or ["nothing found"]
        return "\n".join([f"read as: {_shown(self.read)!r}", *found])

    def _repr_html_(self) -> str:
        head = "" if self.score is None else f", score {self.score:.2f}"
        lines = {f"with what is hidden, and what was found{head}": self._spans(), "as the guard reads it": escape(_shown(self.read))}
        places = {(finding.start, finding.end) for finding in self.findings}
        inside = [one for one in payloads(self.text) if (one.start, one.end) in places]
        lines |= {f"decoded from {one.coding}": escape(_shown(one.text)) for one in inside}
        if any(_hidden(char) for char in self.text):
            lines = {"as people see it": f"<bdi>{escape(_shown(self.text))}</bdi>", **lines}
        rows = (
            f'<p style="margin: 6px 0 0 0; font-size: 12px; color: #555">{name}</p>'
            f'<p style="margin: 0; line-height: 1.7; white-space: pre-wrap; overflow-wrap: anywhere">{line}</p>'
            for name, line in lines.items()
        )
        return f'<div style="max-width: 800px; font-size: 14px">{"".join(rows)}</div>'

    def _spans(self) -> str:
        """Return the text with its findings underlined and named; of those that overlap, the names stand together."""
        made, at = [], 0
        for start, end, names in _merged(self.findings):
            marked = _visible(self.text[start : min(end, _LONGEST)])
            name = f'<span style="{_NAME}">{escape(", ".join(names))}</span>'
            made += [_visible(self.text[at:start]), f'<span style="{_MARK}">{marked}</span>{name}' if marked else ""]
            at = end
        return "".join([*made, _visible(self.text[at:_LONGEST])])


def _merged(findings: Sequence[Finding]) -> list[tuple[int, int, dict[str, None]]]:
    merged: list[tuple[int, int, dict[str, None]]] = []
    for one in sorted(findings, key=lambda finding: finding.start):
        if one.start >= _LONGEST:
            break
        if merged and one.start < merged[-1][1]:
            start, end, names = merged[-1]
            merged[-1] = start, max(end, one.end), names | {one.rule: None}
        else:
            merged.append((one.start, one.end, {one.rule: None}))
    return merged


def _hidden(char: str) -> bool:
    return char not in "\n\t" and unicodedata.category(char) in ("Cf", "Cc", "Cs", "Co", "Cn")


def _visible(text: str) -> str:
    """Return a text for HTML. What nobody would see is drawn in a box: tags as their letters, others by their numbers."""
    parts = ((hidden, "".join(chars)) for hidden, chars in groupby(text, _hidden))
    return "".join(f'<span style="{_HIDDEN}">{_named(part)}</span>' if hidden else escape(part) for hidden, part in parts)


def _named(hidden: str) -> str:
    letters = fold(hidden)
    return escape(
        "".join(
            sign if sign.isprintable() and not _hidden(sign) else f" {ord(char):X} " for char, sign in zip(hidden, letters, strict=True)
        )
    )


def _shown(text: str) -> str:
    cut = text[:_LONGEST].encode("utf-8", "replace").decode()
    return cut if len(text) <= _LONGEST else f"{cut} ... ({len(text):,} characters)"
