"""Secrets, and how they are taken out of what is recorded, matched and replayed.

Two kinds: headers that are secret by name, and text that has the shape of a key wherever it stands. Each is replaced by `[scrubbed]`;
every other byte stays. A key that a model writes comes in pieces, cut by the network or spread over the deltas of a stream, so a stream
is also read as the texts that its deltas spell. Not found: a key in the log probabilities of its tokens, or behind JSON escapes of plain
letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

PLACEHOLDER = "[scrubbed]"
_MARK = PLACEHOLDER.encode()

SECRET_HEADERS = frozenset(
    {
        "api-key",
        "authorization",
        "cookie",
        "ocp-apim-subscription-key",
        "openai-organization",
        "openai-project",
        "proxy-authorization",
        "set-cookie",
        "x-api-key",
        "x-goog-api-key",
    }
)
"""Headers whose value is never kept, by their lower-case names."""

# A key begins where a word begins: "task-force-of-the-ministry" holds none. An escape in JSON or in a URL ends in a letter and is no word.
_BEGIN = rb"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2}))"
_SHAPES = (
    rb"sk-(?:(?=[\w-]*[0-9])[A-Za-z0-9_-]{8,}|[A-Za-z0-9_-]{16,})",
    rb"[Bb](?:earer|EARER)(?:[ \t+]|%20)+(?:(?=[\w.~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{12,}|[A-Za-z0-9._~+/=-]{24,})",
    rb"A(?:KI|SI)A[0-9A-Z]{12,}",
    rb"AIza[A-Za-z0-9_-]{20,}",
    rb"gh[opsur]_[A-Za-z0-9]{16,}",
    rb"github_pat_[A-Za-z0-9_]{16,}",
    rb"xox[a-z]-[A-Za-z0-9-]{8,}",
    rb"gsk_[A-Za-z0-9]{16,}",
    rb"hf_[A-Za-z0-9]{16,}",
)
_SECRET = re.compile(_BEGIN + b"(?:" + b"|".join(_SHAPES) + b")", re.ASCII)
_HINTS = (b"sk-", b"xox", b"bearer")
_HINT_A, _HINT_B, _HINT_UNDERSCORE = (
    re.compile(shape) for shape in (rb"A(?:[KS]IA|Iza)[0-9A-Za-z_-]{12}", rb"B(?:earer|EARER)", rb"_[A-Za-z0-9_]{16}")
)
_QUERY = re.compile(r"(?<=[?&])(api[-_]?key|key|token|access_token|sig|signature|subscription-key)=[^&#]*", re.IGNORECASE)
_FIELDS = rb"(?:content|arguments|refusal|reasoning_content|reasoning|delta|text)"
_PART = re.compile(
    rb"""^data:"""
    rb"""|"(?:index|output_index|content_index|item_id)"\s*:\s*(?P<place>\d+|"[^"]*")"""
    rb"""|"(?P<field>""" + _FIELDS + rb""")"\s*:\s*"(?P<text>(?:[^"\\]|\\.)*)\"""",
    re.MULTILINE | re.DOTALL,
)
_SPELLED = re.compile(rb'"(' + _FIELDS + rb')"\s*:\s*"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SEVERAL = re.compile(rb'"(?:index|output_index|content_index)"\s*:\s*[1-9]')


class Edit(NamedTuple):
    """A span of a body, and what stands there instead."""

    start: int
    """Its first byte."""
    end: int
    """The byte after its last."""
    text: bytes
    """The placeholder; empty for the later pieces of a secret that comes in several."""


def find(data: bytes, *, stream: bool = False) -> list[Edit]:
    """Return what must be replaced in `data`, in order, without overlaps.

    Args:
        data: A whole body.
        stream: Whether it is a stream of events, whose deltas may spell a secret together.
    """
    edits = [Edit(*match.span(), _MARK) for match in _SECRET.finditer(data)] if _suspicious(data) else []
    if stream and _may_spell(data):
        for strand in _strands(data):
            edits += _across(data, strand)
    return _merged(edits) if len(edits) > 1 else edits


def apply(data: bytes, edits: Sequence[Edit]) -> bytes:
    """Return `data` with all of `edits` done."""
    parts, at = [], 0
    for edit in edits:
        parts += [data[at : edit.start], edit.text]
        at = edit.end
    return b"".join([*parts, data[at:]])


def resize(lengths: Iterable[int], edits: Sequence[Edit]) -> list[int]:
    """Return the lengths that the chunks of a body have after `edits`.

    There are as many chunks as before; a placeholder belongs to the chunk in which its secret began.

    Args:
        lengths: Lengths of the chunks before (in bytes).
        edits: What was replaced in the joined chunks.
    """
    resized, before, after, at, shift = [], 0, 0, 0, 0
    for length in lengths:
        before += length
        while at < len(edits) and edits[at].end <= before:
            shift += len(edits[at].text) - (edits[at].end - edits[at].start)
            at += 1
        end = before + shift
        if at < len(edits) and edits[at].start < before:
            end = edits[at].start + shift + len(edits[at].text)
        resized.append(end - after)
        after = end
    return resized


def scrub(data: bytes) -> bytes:
    """Return `data` without what has the shape of a key."""
    return _SECRET.sub(_MARK, data) if _suspicious(data) else data


def scrub_text(text: str) -> str:
    """Return `text` without what has the shape of a key."""
    data = text.encode("utf-8", "surrogatepass")
    return _SECRET.sub(_MARK, data).decode("utf-8", "surrogatepass") if _suspicious(data) else text


def scrub_url(url: str) -> str:
    """Return `url` without passwords, without keys in its query, and without what has the shape of a key."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return scrub_text(_QUERY.sub(rf"\1={PLACEHOLDER}", url) if parts.query else url)


def scrub_header(name: str, value: str) -> str:
    """Return the value that header `name` may show."""
    return PLACEHOLDER if name.lower() in SECRET_HEADERS else scrub_text(value)


def is_stream(content_type: str, body: bytes) -> bool:
    """Whether `body` is a stream of events, also where its header was lost."""
    return content_type.startswith("text/event-stream") or (not content_type and body.startswith((b"data:", b"event:")))


def _suspicious(data: bytes) -> bool:
    """Whether `data` may hold a secret: several times faster than looking for one, and nearly always no."""
    return (
        any(hint in data for hint in _HINTS)
        or _HINT_UNDERSCORE.search(data) is not None
        or _HINT_A.search(data) is not None
        or _HINT_B.search(data) is not None
    )


def _may_spell(data: bytes) -> bool:
    """Whether the deltas of a stream may spell a secret together."""
    if _SEVERAL.search(data):
        return True
    spelled: dict[bytes, list[bytes]] = {}
    for field, text in _SPELLED.findall(data):
        spelled.setdefault(field, []).append(text)
    return any(_suspicious(b"".join(texts)) for texts in spelled.values())


def _strands(data: bytes) -> Iterator[list[tuple[int, int]]]:
    """Yield, for each text that the deltas of a stream spell, the spans of its pieces.

    What belongs together is told by the field's name and the indices in its event: of the choice, the tool call, the output item.
    """
    strands: dict[tuple[bytes, ...], list[tuple[int, int]]] = {}
    places: list[bytes] = []
    texts: list[tuple[bytes, tuple[int, int]]] = []

    def end_of_event() -> None:
        for field, span in texts:
            strands.setdefault((field, *places), []).append(span)
        places.clear()
        texts.clear()

    for match in _PART.finditer(data):
        if match["field"]:
            texts.append((match["field"], match.span("text")))
        elif match["place"]:
            places.append(match["place"])
        else:
            end_of_event()
    end_of_event()
    yield from (strand for strand in strands.values() if len(strand) > 1)


def _across(data: bytes, strand: list[tuple[int, int]]) -> Iterator[Edit]:
    """Yield the edits of what is a secret only when the pieces of `strand` are joined."""
    joined = b"".join([data[start:end] for start, end in strand])
    if not _suspicious(joined):
        return
    for match in _SECRET.finditer(joined):
        at, text = 0, _MARK
        for start, end in strand:
            first, last = max(match.start(), at), min(match.end(), at + end - start)
            if first < last:
                yield Edit(start + first - at, start + last - at, text)
                text = b""
            at += end - start


def _merged(edits: list[Edit]) -> list[Edit]:
    merged: list[Edit] = []
    for edit in sorted(edits):
        if merged and edit.start < merged[-1].end:
            last = merged[-1]
            merged[-1] = Edit(last.start, max(last.end, edit.end), last.text or edit.text)
        else:
            merged.append(edit)
    return merged
