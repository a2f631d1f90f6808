"""Secrets, and how they are taken out of what is recorded, matched and replayed.

Two kinds: headers that are secret by name, and text that has the shape of a key wherever it stands. Each is replaced by `[scrubbed]`;
every other byte stays. A key that a model writes comes in pieces, cut by the network or spread over the deltas of a stream, so a stream
is also read as the texts that its deltas spell. Not found: a key in the log probabilities of its tokens, or behind JSON escapes of plain
letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

PLACEHOLDER = "[scrubbed]"
SECRET_HEADERS = frozenset(
    "api-key authorization cookie ocp-apim-subscription-key openai-organization openai-project "
    "proxy-authorization set-cookie x-api-key x-goog-api-key".split()
)
"""Headers whose value is never kept, by their lower-case names."""

# A key begins where a word begins: "task-force-of-the-ministry" holds none. An escape in JSON or in a URL ends in a letter and is no word.
_SECRET = re.compile(
    rb"""(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2}))
    (?:sk-(?:(?=[\w-]*[0-9])[A-Za-z0-9_-]{8,}|[A-Za-z0-9_-]{16,})
    |[Bb](?:earer|EARER)(?:[ \t+]|%20)+(?:(?=[\w.~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{12,}|[A-Za-z0-9._~+/=-]{24,})
    |A(?:KI|SI)A[0-9A-Z]{12,} | AIza[A-Za-z0-9_-]{20,}
    |gh[opsur]_[A-Za-z0-9]{16,} | github_pat_[A-Za-z0-9_]{16,} | xox[a-z]-[A-Za-z0-9-]{8,} | gsk_[A-Za-z0-9]{16,} | hf_[A-Za-z0-9]{16,})""",
    re.ASCII | re.VERBOSE,
)
_HINTS = (b"sk-", b"earer", b"EARER", b"xox")
_HINT_A, _HINT_UNDERSCORE = re.compile(rb"A(?:[KS]IA|Iza)"), re.compile(rb"_[A-Za-z0-9_]{16}")
_QUERY = re.compile(r"(?<=[?&])(api[-_]?key|key|token|access_token|sig|signature|subscription-key)=[^&#]*", re.IGNORECASE)
_EVENT = re.compile(rb"^data:.*", re.MULTILINE)
_PLACE = re.compile(rb'"(?:index|output_index|content_index|item_id)"\s*:\s*(?:\d+|"[^"]*")')
_DELTA = re.compile(rb'"(content|arguments|refusal|reasoning_content|reasoning|delta|text)"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"')


class Edit(NamedTuple):
    """A part of a body, and what stands there instead."""

    start: int
    """Its first byte."""
    end: int
    """The byte after its last."""
    text: bytes
    """The placeholder; empty for the later pieces of a secret that comes in several."""


def suspicious(data: bytes) -> bool:
    """Whether `data` may hold a secret: several times faster than looking for one, and nearly always no."""
    return any(hint in data for hint in _HINTS) or bool(_HINT_A.search(data) or _HINT_UNDERSCORE.search(data))


def scrub(data: bytes) -> bytes:
    """Return `data` without what has the shape of a key."""
    return _SECRET.sub(PLACEHOLDER.encode(), data) if suspicious(data) else data


def scrub_body(data: bytes, lengths: Sequence[int], *, stream: bool = False) -> tuple[bytes, Sequence[int]]:
    """Return the body of an answer without secrets, and the lengths that its chunks have then.

    There are as many chunks as before; a placeholder belongs to the chunk in which its secret began.

    Args:
        data: A whole body.
        lengths: The lengths of its chunks (in bytes).
        stream: Whether it is a stream of events, whose deltas may spell a secret together.
    """
    if stream:
        data, lengths = _edited(data, lengths, _strands(data))
    return _edited(data, lengths, [[slice(0, len(data))]])


def scrub_text(text: str) -> str:
    """Return `text` without what has the shape of a key."""
    return scrub(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")


def scrub_url(url: str) -> str:
    """Return `url` without passwords, without keys in its query, and without what has the shape of a key."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return scrub_text(_QUERY.sub(rf"\1={PLACEHOLDER}", url) if parts.query else url)


def scrub_header(name: str, value: str) -> str:
    """Return the value that header `name` may show."""
    return PLACEHOLDER if name.lower() in SECRET_HEADERS else scrub_text(value)


def _strands(data: bytes) -> Iterable[list[slice]]:
    """Return, for each text that the deltas of a stream spell, where its pieces stand.

    What belongs together is told by the field's name and the indices in its event: of the choice, the tool call, the output item.
    """
    strands: dict[tuple[bytes, ...], list[slice]] = {}
    for event in _EVENT.finditer(data):
        places = _PLACE.findall(event[0])
        for delta in _DELTA.finditer(data, *event.span()):
            strands.setdefault((delta[1], *places), []).append(slice(*delta.span(2)))
    return strands.values()


def _edited(data: bytes, lengths: Sequence[int], texts: Iterable[list[slice]]) -> tuple[bytes, Sequence[int]]:
    """Return `data` without the secrets that `texts` spell, each of them pieces of `data`, and the new lengths of its chunks."""
    edits: list[Edit] = []
    for pieces in texts:
        text = b"".join([data[piece] for piece in pieces])
        for secret in _SECRET.finditer(text) if suspicious(text) else ():
            at, mark = 0, PLACEHOLDER.encode()
            for piece in pieces:
                first, last = max(secret.start() - at, 0), min(secret.end() - at, piece.stop - piece.start)
                if first < last:
                    edits.append(Edit(piece.start + first, piece.start + last, mark))
                    mark = b""
                at += piece.stop - piece.start
    if not edits:
        return data, lengths
    edits.sort()
    parts, at = [], 0
    for edit in edits:
        parts += [data[at : edit.start], edit.text]
        at = edit.end
    edges = [_moved(edge, edits) for edge in accumulate(lengths, initial=0)]
    return b"".join([*parts, data[at:]]), [after - before for before, after in pairwise(edges)]


def _moved(edge: int, edits: list[Edit]) -> int:
    """Return where the edge of a chunk stands after `edits`."""
    shifts = (len(edit.text) - (min(edit.end, edge) - edit.start) for edit in edits if edit.start < edge)
    return edge + sum(shifts)
