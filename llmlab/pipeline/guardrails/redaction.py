"""Redaction: personal data leaves as placeholders and comes back in the answer; or it is masked for good.

The model sees "Write to [EMAIL_ADDRESS_1]", answers with the placeholder, and the user reads the address. A `Vault` lives as long as one
request; it belongs in no cache, trace or recording.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable

from llmlab.pipeline.answer import Finding

# Models write it in lower case, with spaces or hyphens, or escaped for Markdown: [email_address_1], [Email Address 1], [EMAIL\_ADDRESS\_1].
_LONGEST_NAME = 40
_PLACEHOLDER = re.compile(rf"\[ ?([A-Za-z][A-Za-z_\\ -]{{0,{_LONGEST_NAME}}}[_\\ -])([0-9]{{1,6}}) ?\]")
_OPEN = re.compile(rf"\[(?: ?(?:[A-Za-z][A-Za-z_\\ -]{{0,{_LONGEST_NAME + 1}}}(?:(?<=[_\\ -])[0-9]{{1,6}} ?)?)?)?\Z")
_NOT_NAME = re.compile("[^A-Z]+")
_JOINTS = re.compile(r"[_\\ -]+")


class Vault:
    """What was hidden in one request, and how to bring it back.

    Hide every text that goes into the prompt, those without findings too: only so is a placeholder that a user wrote told apart from ours.
    """

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._placeholders: dict[tuple[str, str], str] = {}
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"Vault({len(self._values)} hidden)"

    def __len__(self) -> int:
        return len(self._values)

    def hide(self, text: str, findings: Iterable[Finding]) -> str:
        """Return `text` with a placeholder for each finding; the same value has the same one throughout the request.

        A placeholder that stands in the text already stays as it is, and is never restored to anything. Where ours had its name first (in a
        text that was hidden before), it is hidden itself.
        """
        spans = _spans(text, findings)
        ends, planted = [end for _, _, end in spans], []
        for written in _PLACEHOLDER.finditer(text):
            name = _name(written)
            if name not in self._values:
                self._taken.add(name)
                continue
            following = bisect_right(ends, written.start())
            if following == len(spans) or written.end() <= spans[following][1]:
                planted.append((name.rpartition("_")[0], *written.span()))
        return _replaced(text, sorted(spans + planted, key=lambda span: span[1]), self._placeholder)

    def show(self, text: str, *, escaped: bool = False) -> str:
        """Return `text` with what was hidden in place of its placeholders, also where they are written a little differently.

        Args:
            text: An answer.
            escaped: Whether it is JSON: a value then stays inside of its string, whatever quotes it holds.
        """

        def value(written: re.Match[str]) -> str:
            hidden = self._values.get(_name(written))
            return written[0] if hidden is None else _escaped(hidden) if escaped else hidden

        return _PLACEHOLDER.sub(value, text) if self._values else text

    def cover(self, text: str) -> str:
        """Return `text` with its placeholder for each hidden value that stands in it: for what a model is told of a restored answer.

        A value is covered as it is, and as JSON or Python would quote it; of two that begin at one place, the longer. What is a
        placeholder already stays.
        """
        if not self._values:
            return text
        placeholders = {form: f"[{name}]" for name, value in self._values.items() for form in (repr(value)[1:-1], _escaped(value), value)}
        known = "|".join(re.escape(form) for form in sorted(placeholders, key=len, reverse=True))
        return re.sub(f"{known}|{_PLACEHOLDER.pattern}", lambda found: placeholders.get(found[0], found[0]), text)

    def _placeholder(self, kind: str, value: str) -> str:
        kind = _NOT_NAME.sub("_", kind.upper())[:_LONGEST_NAME].strip("_") or "DATA"
        # One person, whether she writes Ada@ or ada@.
        key = (kind, value.lower() if kind == "EMAIL_ADDRESS" else value)
        if key not in self._placeholders:
            number = self._numbers.get(kind, 0) + 1
            while f"{kind}_{number}" in self._taken:
                number += 1
            self._numbers[kind] = number
            self._values[f"{kind}_{number}"] = value
            self._placeholders[key] = f"[{kind}_{number}]"
        return self._placeholders[key]


class Restorer:
    """Restores an answer that comes in pieces: the text is the same however it is split.

    Args:
        vault: Of the request.
        escaped: Whether the answer is JSON, as in `Vault.show`.
    """

    def __init__(self, vault: Vault, *, escaped: bool = False) -> None:
        self._vault = vault
        self._escaped = escaped
        self._held = ""

    def __repr__(self) -> str:
        return f"Restorer({self._vault!r})"

    def feed(self, piece: str) -> str:
        """Return what can be released now: all but the beginning of a placeholder at the end."""
        if not self._vault:
            return piece
        text = self._held + piece
        last = text.rfind("[")
        edge = last if last >= 0 and _OPEN.match(text, last) else len(text)
        self._held = text[edge:]
        return self._vault.show(text[:edge], escaped=self._escaped)

    def finish(self) -> str:
        """Return the rest."""
        rest, self._held = self._held, ""
        return rest


def masked(text: str, findings: Iterable[Finding]) -> str:
    """Return `text` with `[KIND]` in place of each finding, for good."""
    return _replaced(text, _spans(text, findings), lambda kind, _: f"[{kind.upper()}]")


def _escaped(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _name(written: re.Match[str]) -> str:
    return f"{_JOINTS.sub('_', written[1].strip()).strip('_').upper()}_{int(written[2])}"


def _spans(text: str, findings: Iterable[Finding]) -> list[tuple[str, int, int]]:
    """Return kind, start and end of what is to be replaced, in order; findings that overlap are one, of the first's kind."""
    spans: list[tuple[str, int, int]] = []
    for finding in sorted(findings, key=lambda finding: (finding.start, -finding.end)):
        start, end = max(0, finding.start), min(finding.end, len(text))
        if spans and start < spans[-1][2]:
            kind, start, before = spans.pop()
            spans.append((kind, start, max(before, end)))
        elif start < end:
            spans.append((finding.kind, start, end))
    return spans


def _replaced(text: str, spans: list[tuple[str, int, int]], replacement: Callable[[str, str], str]) -> str:
    pieces, at = [], 0
    for kind, start, end in spans:
        pieces += [text[at:start], replacement(kind, text[start:end])]
        at = end
    return "".join([*pieces, text[at:]])
