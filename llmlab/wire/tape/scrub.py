"""Secrets, and how they are taken out of what is recorded, matched and replayed.

Two kinds: headers that are secret by name, and text that has the shape of a key wherever it stands. Each is replaced by `[scrubbed]`;
every other byte stays. A key that a model writes comes in pieces, cut by the network or spread over the deltas of a stream, so a stream
is also read as the texts that its deltas spell. Not found: a key in the log probabilities of its tokens, or behind JSON escapes of plain
letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate
from urllib.parse import urlsplit, urlunsplit

PLACEHOLDER = "[scrubbed]"
_SECRET_HEADER = re.compile(
    "(x-|x-goog-)?api-key|(proxy-)?authorization|(set-)?cookie|ocp-apim-subscription-key|openai-(organization|project)", re.IGNORECASE
)

# A key begins where a word begins: "task-force-of-the-ministry" holds none. An escape in JSON or in a URL ends in a letter and is no word.
_SECRET = re.compile(
    rb"""(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2}))
    (?:sk-(?:(?=[\w-]*[0-9])[A-Za-z0-9_-]{8,}|[A-Za-z0-9_-]{16,})
    |[Bb](?:earer|EARER)(?:[ \t+]|%20)+(?:(?=[\w.~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{12,}|[A-Za-z0-9._~+/=-]{24,})
    |A(?:KI|SI)A[0-9A-Z]{12,} | AIza[A-Za-z0-9_-]{20,}
    |gh[opsur]_[A-Za-z0-9]{16,} | github_pat_[A-Za-z0-9_]{16,} | xox[a-z]-[A-Za-z0-9-]{8,} | gsk_[A-Za-z0-9]{16,} | hf_[A-Za-z0-9]{16,})""",
    re.ASCII | re.VERBOSE,
)
_HINTS = (b"sk-", b"earer", b"EARER", b"xox", b"github_pat_")
_HINT_A, _HINT_UNDERSCORE = re.compile(rb"A(?:[KS]IA|Iza)"), re.compile(rb"_[A-Za-z0-9]{16}")
_QUERY = re.compile(r"(?<=[?&])(api[-_]?key|key|token|access_token|sig|signature|subscription-key)=[^&#]*", re.IGNORECASE)
_EVENT = re.compile(rb"^data:.*", re.MULTILINE)
_PLACE = re.compile(rb'"(?:index|output_index|content_index|item_id)"\s*:\s*(?:\d+|"[^"]*")')
_DELTA = re.compile(rb'"(content|arguments|refusal|reasoning_content|reasoning|delta|text)"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"')


def suspicious(data: bytes) -> bool:
    """Whether `data` may hold a secret: several times faster than looking for one, and nearly always no."""
    return any(hint in data for hint in _HINTS) or bool(_HINT_A.search(data) or _HINT_UNDERSCORE.search(data))


def scrub(data: bytes) -> bytes:
    """Return `data` without what has the shape of a key."""
    return _SECRET.sub(PLACEHOLDER.encode(), data) if suspicious(data) else data


def scrub_chunks(chunks: Sequence[bytes], *, stream: bool = False) -> Sequence[bytes]:
    """Return the body of an answer without secrets, in as many chunks; a placeholder stands where its secret began.

    Args:
        chunks: A whole body.
        stream: Whether it is a stream of events, whose deltas may spell a secret together.
    """
    data = b"".join(chunks)
    instead: dict[int, bytes] = {}
    for pieces in [*(_strands(data) if stream else ()), [slice(0, len(data))]]:
        text = b"".join([data[piece] for piece in pieces])
        if suspicious(text):
            places = [place for piece in pieces for place in range(piece.start, piece.stop)]
            for secret in _SECRET.finditer(text):
                first, *rest = places[slice(*secret.span())]
                instead = {first: PLACEHOLDER.encode(), **dict.fromkeys(rest, b""), **instead}
    starts = accumulate(map(len, chunks), initial=0)
    return [
        b"".join([instead.get(place, data[place : place + 1]) for place in range(start, start + len(chunk))]) if instead else chunk
        for start, chunk in zip(starts, chunks, strict=False)
    ]


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
    return PLACEHOLDER if _SECRET_HEADER.fullmatch(name) else scrub_text(value)


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
