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
from typing import Any

from llmlab.wire.tape import scrub
from llmlab.wire.transport import FAILURES, SOURCE, Failure, Piece, Reply

Interaction = dict[str, Any]
OURS = "llmlab"
"""The key of the response that holds what vcrpy has no place for."""
RECORDED_FROM = "llmlab.recorded_from"
"""Response extension: who answered when a replayed answer was recorded; empty where the file does not say."""
_EVENT = re.compile(rb".*?(?:\r?\n\r?\n|\Z)", re.DOTALL)
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
    chunks: Sequence[bytes] = _split(stored, _lengths(known.get("chunks", ""), len(stored))) or ([stored] if stored else [])
    encoding = names.get("content-encoding", "")
    if encoding:
        plain = _decompressed(chunks, ",".join(headers[encoding]))
        if plain is not None or is_text(response["body"]["string"]):  # text was decoded by whoever recorded it
            chunks = chunks if plain is None else plain
            del headers[encoding]
    chunks = scrub.scrub_chunks(chunks, stream=_is_stream(headers, chunks))
    body = b"".join(chunks)
    if "content-length" in names and (body != stored or encoding not in headers):
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
    lengths = _lengths(known.get("chunks", ""), len(body))
    if lengths:
        chunks = _split(body, lengths)
    else:  # somebody else recorded it, or has edited the body by hand
        chunks, times = _EVENT.findall(body) if _is_stream(headers, [body]) else [body], times[:1]
        chunks = [chunk for chunk in chunks if chunk]
    times += [times[-1] if times else headers_at] * (len(chunks) - len(times))
    failure = known.get("failure")
    if failure:
        failure = Failure(float(failure["at"]) * pace, {name: name for name in FAILURES}[failure["name"]], str(failure["message"]))
    extensions: dict[str, Any] = {SOURCE: "cassette", RECORDED_FROM: str(known.get("source") or "")}
    reason = str((status or {}).get("message") or "")
    if reason.isascii() and reason:
        extensions["reason_phrase"] = reason.encode()
    return Reply(
        int(status["code"]) if status else 0,
        [(name.encode("ascii", "replace"), value.encode("utf-8", "replace")) for name, values in headers.items() for value in values],
        headers_at,
        [Piece(at, chunk) for at, chunk in zip(times, chunks, strict=False)],
        failure,
        extensions,
    )


def _shown(headers: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: [scrub.scrub_header(name, value) for value in values] for name, values in headers.items()}


def _lengths(chunks: Any, size: int) -> list[int]:
    """Return the recorded lengths of the chunks of a body of `size` bytes, or none where they are not its."""
    lengths = [int(word) for word in str(chunks).split()]
    return lengths if sum(lengths) == size else []


def _split(body: bytes, lengths: Sequence[int]) -> list[bytes]:
    chunks, at = [], 0
    for length in lengths:
        chunks.append(body[at : at + length])
        at += length
    return chunks


def _is_stream(headers: dict[str, list[str]], chunks: Sequence[bytes]) -> bool:
    """Whether a body is a stream of events, also where its header was lost."""
    kind = next((values[0] for name, values in headers.items() if name.lower() == "content-type" and values), "")
    return kind.startswith("text/event-stream") or (not kind and bool(chunks) and chunks[0].startswith((b"data:", b"event:")))


def _decompressed(chunks: Sequence[bytes], encoding: str) -> list[bytes] | None:
    """Return `chunks` without their gzip or deflate `encoding`, as many as there were, or None where that can't be done."""
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return None
    for window in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        decoder = zlib.decompressobj(window)
        try:
            return [decoder.decompress(chunk) for chunk in chunks]
        except zlib.error:
            continue
    return None
