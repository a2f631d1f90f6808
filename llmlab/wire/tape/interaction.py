"""One recorded request with what came back: a mapping, the same in memory, in the journal and in the file.

    request:   {method, uri, body, headers: {name: [value]}}
    response:  {status: {code, message}, headers: {name: [value]}, body: {string}, llmlab: {...}}

This is vcrpy's form. What vcrpy has no place for stands under "llmlab", which it ignores: the source, the chunks' lengths and when each
came, when the headers did, how the answer broke, whether the client abandoned it. All times are seconds after the request was sent. Where
no answer came, there is no status. A body is text; bytes in it that are no UTF-8 are lone surrogates (PEP 383).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import accumulate, pairwise
from typing import Any

from llmlab.wire.tape import scrub
from llmlab.wire.transport import SOURCE, Failure, Piece, Reply

Interaction = dict[str, Any]
OURS = "llmlab"
"""The key of the response that holds what vcrpy has no place for."""
RECORDED_FROM = "llmlab.recorded_from"
"""Response extension: who answered when a replayed answer was recorded; empty where the file does not say."""
_EVENT = re.compile(rb".+?(?:\r?\n\r?\n|\Z)", re.DOTALL)
_NO_TEXT = re.compile("[\ud800-\udfff]")


def ours(interaction: Interaction) -> dict[str, Any]:
    """Return what vcrpy has no place for; empty in a recording by others."""
    known = interaction["response"].get(OURS)
    return known if isinstance(known, dict) else {}


def to_text(body: bytes) -> str:
    """Return `body` as an interaction holds it."""
    return body.decode("utf-8", "surrogateescape")


def to_bytes(body: str | None) -> bytes:
    """Return the bytes of a body that an interaction holds."""
    return (body or "").encode("utf-8", "surrogateescape")


def is_text(body: str | None) -> bool:
    """Whether a body is text in UTF-8, which anybody can read."""
    return not body or body.isascii() or not _NO_TEXT.search(body)


def joined(values: Iterable[float]) -> str:
    """Return `values` as one text; a list would take a line for each in the file."""
    return " ".join(f"{value:.6f}".rstrip("0").rstrip(".") for value in values)


def clean(interaction: Interaction) -> Interaction:
    """Return `interaction` without secrets, and with a body that is no longer compressed, where it was and can be read.

    The client gets the same content, and what stands between can look into it: weather, meters, the scrubber.
    """
    sent, response = interaction["request"], interaction["response"]
    request = {
        "method": sent["method"],
        "uri": scrub.scrub_url(sent["uri"]),
        "body": sent["body"] and to_text(scrub.scrub(to_bytes(sent["body"]))),
        "headers": _shown(sent["headers"]),
    }
    if "status" not in response:
        return {"request": request, "response": response}
    headers, known = _shown(response["headers"]), ours(interaction)
    names = {name.lower(): name for name in headers}
    stored = to_bytes(response["body"]["string"])
    chunks: Sequence[bytes] = _split(stored, known.get("chunks", "")) or ([stored] if stored else [])
    encoding = names.get("content-encoding", "")
    if encoding and (plain := _decompressed(chunks, ",".join(headers[encoding]))) is not None:
        chunks = plain
        del headers[encoding]
    chunks = scrub.scrub_chunks(chunks, stream=_is_stream(headers, chunks))
    body = b"".join(chunks)
    if "content-length" in names and (body != stored or (encoding and encoding not in headers)):
        headers[names["content-length"]] = [str(len(body))]
    changed = {**response, "headers": headers, "body": {"string": to_text(body)}}
    if "chunks" in known:
        changed[OURS] = {**known, "chunks": joined(map(len, chunks))}
    return {"request": request, "response": changed}


def reply(interaction: Interaction, pace: float) -> Reply:
    """Return the answer as a plan: the recorded chunks, or an event a chunk where nobody noted them.

    Args:
        interaction: One that is clean but for what somebody has written into its body by hand.
        pace: 0 for all at once, 1 for the recorded times, 2 for twice as long.
    """
    status = interaction["response"].get("status")
    if status and scrub.suspicious(to_bytes(interaction["response"]["body"]["string"])):
        interaction = clean(interaction)
    response, known = interaction["response"], ours(interaction)
    headers = response["headers"] if status else {}
    body = to_bytes(response["body"]["string"]) if status else b""
    headers_at = float(known.get("headers_at", 0.0)) * pace
    times = [float(word) * pace for word in str(known.get("at", "")).split()]
    chunks = _split(body, known.get("chunks", ""))
    if not chunks:
        chunks, times = _EVENT.findall(body) if _is_stream(headers, [body]) else [body] if body else [], times[:1]
    times += [times[-1] if times else headers_at] * (len(chunks) - len(times))
    failure = known.get("failure")
    return Reply(
        int(status["code"]) if status else 0,
        [(name.encode("ascii", "replace"), value.encode("utf-8", "replace")) for name, values in headers.items() for value in values],
        headers_at,
        [Piece(at, chunk) for at, chunk in zip(times, chunks, strict=False)],
        Failure(float(failure["at"]) * pace, failure["name"], str(failure["message"])) if failure else None,
        {SOURCE: "cassette", RECORDED_FROM: str(known.get("source") or "")},
    )


def _shown(headers: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: [scrub.scrub_header(name, value) for value in values] for name, values in headers.items()}


def _split(body: bytes, lengths: Any) -> list[bytes]:
    """Return `body` in chunks of the recorded `lengths`; in none where nobody noted them, or somebody has edited it by hand."""
    edges = list(accumulate(map(int, str(lengths).split()), initial=0))
    return [body[start:end] for start, end in pairwise(edges)] if edges[-1] == len(body) else []


def _is_stream(headers: dict[str, list[str]], chunks: Sequence[bytes]) -> bool:
    """Whether a body is a stream of events, also where its header was lost."""
    kind = next((values[0] for name, values in headers.items() if name.lower() == "content-type" and values), "")
    return kind.startswith("text/event-stream") or (not kind and bool(chunks) and chunks[0].startswith((b"data:", b"event:")))


def _decompressed(chunks: Sequence[bytes], encoding: str) -> list[bytes] | None:
    """Return `chunks` without their gzip or deflate `encoding`, as many as there were, or None where that can't be done."""
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
    with suppress(zlib.error):
        if encoding.lower() in ("gzip", "x-gzip", "deflate"):
            return [decoder.decompress(chunk) for chunk in chunks]
    return list(chunks) if is_text(to_text(b"".join(chunks))) else None  # text was decoded by whoever recorded it
