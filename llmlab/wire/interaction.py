"""One recorded request with what came back, in vcrpy's terms and ours.

vcrpy keeps a status, headers and a body. What it has no place for stands under the key "llmlab" of the response, which vcrpy ignores: the
chunks and when each came, how a stream broke, where the answer came from. All times are seconds after the request was sent.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from llmlab.wire import scrub
from llmlab.wire.transport import FAILURES, SOURCE, Failure, Piece, Reply

RECORDED_FROM = "llmlab.recorded_from"
"""Response extension: who answered when a replayed answer was recorded; empty where the file does not say."""
OURS = "llmlab"
"""The key of the response that holds what vcrpy has no place for."""
_NOT_KEPT = ("accept-encoding", "connection", "content-length", "host", "user-agent", "x-llmlab-request")


@dataclass(slots=True)
class Interaction:
    """A request and its answer as a cassette holds them."""

    request: Any
    """A `vcr.request.Request`."""
    response: dict[str, Any]
    """vcrpy's response; without a status where none came."""

    @property
    def ours(self) -> dict[str, Any]:
        """What vcrpy has no place for; empty in a recording by others."""
        ours = self.response.get(OURS)
        return ours if isinstance(ours, dict) else {}

    @property
    def whole(self) -> bool:
        """Whether the answer ended by itself: it was not abandoned by the client, and did not break."""
        return not self.ours.get("abandoned") and not self.ours.get("failure")

    @property
    def body(self) -> bytes:
        """The request's body."""
        body = self.request.body_bytes
        return body if isinstance(body, bytes) else b""

    def scrub(self) -> None:
        """Take out every secret."""
        request, response = self.request, self.response
        request.uri = scrub.scrub_url(request.uri)
        request.headers = {name: scrub.scrub_header(name, str(value)) for name, value in request.headers.items()}
        if self.body:
            request.body = scrub_json(self.body)
        if "status" in response:
            self.response = scrubbed(decoded(response))


class Take:
    """An interaction made ready to be replayed: scrubbed, decoded, its chunks counted."""

    __slots__ = ("abandoned", "body", "chunks", "failure", "headers", "headers_at", "reason", "source", "status")

    def __init__(self, interaction: Interaction) -> None:
        response = interaction.response
        if "status" in response:
            response = scrubbed(decoded(response))
        ours = Interaction(interaction.request, response).ours
        self.status = int(response["status"]["code"]) if "status" in response else 0
        self.reason = str(response["status"].get("message") or "") if "status" in response else ""
        self.headers = [
            (name.encode("ascii", "replace"), _header_bytes(value))
            for name, values in header_lists(response.get("headers")).items()
            for value in values
        ]
        self.body = body_bytes(response)
        self.headers_at = float(ours.get("headers_at", 0.0))
        lengths = numbers(ours["chunks"], int) if "chunks" in ours else _events(content_type(response), self.body)
        times = numbers(ours.get("at", ""), float)
        if sum(lengths) != len(self.body):  # somebody has edited the body by hand
            lengths, times = _events(content_type(response), self.body), times[:1]
        times += [times[-1] if times else self.headers_at] * (len(lengths) - len(times))
        self.chunks: list[tuple[int, float]] = list(zip(lengths, times, strict=False))
        failure = ours.get("failure")
        self.failure = Failure(float(failure["at"]), failure["name"], str(failure["message"])) if failure else None
        if self.failure and self.failure.name not in FAILURES:
            self.failure = self.failure._replace(name="ReadError" if self.status else "ConnectError")
        self.abandoned = bool(ours.get("abandoned"))
        self.source = str(ours.get("source") or "")

    def reply(self, pace: float) -> Reply:
        """Return the answer as a plan.

        Args:
            pace: 0 for all at once, 1 for the recorded times, 2 for twice as long.
        """
        pieces, at = [], 0
        for length, came in self.chunks:
            pieces.append(Piece(came * pace, self.body[at : at + length]))
            at += length
        extensions: dict[str, Any] = {SOURCE: "cassette", RECORDED_FROM: self.source}
        if self.reason.isascii() and self.reason:
            extensions["reason_phrase"] = self.reason.encode()
        failure = self.failure and self.failure._replace(at=self.failure.at * pace)
        return Reply(self.status, self.headers, self.headers_at * pace, pieces, failure, extensions)


def request_headers(request: httpx2.Request) -> dict[str, str]:
    """Return the headers that are kept: not those that describe the machine or the connection, which differ on every recording."""
    items = request.headers.multi_items()
    return {name: value for name, value in items if name not in _NOT_KEPT and not name.startswith("x-stainless-")}


def header_lists(headers: Any) -> dict[str, list[str]]:
    """Return `headers` as lists of text, whatever a recorder made of them."""
    lists = {}
    for name, values in headers.items() if isinstance(headers, dict) else ():
        if values is not None:
            lists[str(name)] = [str(value) for value in values] if isinstance(values, list | tuple) else [str(values)]
    return lists


def content_type(response: dict[str, Any]) -> str:
    """Return the recorded content type, or an empty string."""
    for name, values in header_lists(response.get("headers")).items():
        if name.lower() == "content-type" and values:
            return values[0]
    return ""


def body_bytes(response: dict[str, Any]) -> bytes:
    """Return the recorded body."""
    body = response.get("body")
    text = body.get("string") if isinstance(body, dict) else body
    if isinstance(text, str):
        return text.encode("utf-8", "surrogatepass")
    return text if isinstance(text, bytes) else b""


def decoded(response: dict[str, Any]) -> dict[str, Any]:
    """Return `response` with a body that is no longer compressed, where it was and can be read.

    The client gets the same content, and what stands between can look into it: weather, meters, the scrubber.
    """
    headers = header_lists(response.get("headers"))
    names = [name for name in headers if name.lower() == "content-encoding"]
    if not names:
        return response
    body = body_bytes(response)
    plain = decompress([body], ",".join(headers[names[0]]))
    if plain is None and not is_text(body):
        return response
    # Text under a compressed name was decoded by whoever recorded it.
    return _with_body(response, plain[0] if plain else body, {name: values for name, values in headers.items() if name not in names})


def scrubbed(response: dict[str, Any]) -> dict[str, Any]:
    """Return `response` without secrets in its headers, its body and its chunks."""
    headers = {
        name: [scrub.scrub_header(name, value) for value in values] for name, values in header_lists(response.get("headers")).items()
    }
    body = body_bytes(response)
    edits = scrub.find(body, stream=scrub.is_stream(content_type(response), body))
    if not edits:
        return {**response, "headers": headers}
    changed = _with_body(response, scrub.apply(body, edits), headers)
    ours = response.get(OURS)
    if isinstance(ours, dict) and "chunks" in ours:
        changed[OURS] = {**ours, "chunks": joined(scrub.resize(numbers(ours["chunks"], int), edits))}
    return changed


def _with_body(response: dict[str, Any], body: bytes, headers: dict[str, list[str]]) -> dict[str, Any]:
    """Return `response` with another body, and the content-length, where there is one, to go with it."""
    lengths = {name: [str(len(body))] for name in headers if name.lower() == "content-length"}
    return {**response, "body": {"string": body}, "headers": {**headers, **lengths}}


def decompress(chunks: Sequence[bytes], encoding: str) -> list[bytes] | None:
    """Return `chunks` without their gzip or deflate `encoding`, as many as there were, or None where that can't be done."""
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return None
    for window in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        decoder = zlib.decompressobj(window)
        try:
            plain = [decoder.decompress(chunk) for chunk in chunks]
            if plain:
                plain[-1] += decoder.flush()
        except zlib.error:
            continue
        return plain
    return None


def scrub_json(body: bytes) -> bytes:
    """Return `body` without secrets; a JSON body is also searched as it reads without its escapes."""
    body = scrub.scrub(body)
    if b"\\u" in body:
        try:
            plain = json.dumps(json.loads(body), ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return body
        if scrub.scrub(plain) != plain:
            return scrub.scrub(plain)
    return body


def numbers(text: Any, kind: Any) -> list[Any]:
    """Return the numbers that `text` lists."""
    return [kind(word) for word in str(text).split()]


def joined(values: Sequence[float]) -> str:
    """Return `values` as one text; a list would take a line for each in the file."""
    return " ".join(f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value) for value in values)


def to_plain(interaction: Interaction) -> dict[str, Any]:
    """Return `interaction` as JSON can hold it; bytes that are no text are in base64."""
    request = interaction.request
    response = dict(interaction.response)
    if "status" in response:
        response["body"] = _plain_body(body_bytes(response))
    return {
        "request": {
            "method": request.method,
            "uri": request.uri,
            "body": _plain_body(interaction.body),
            "headers": {name: [value] for name, value in request.headers.items()},
        },
        "response": response,
    }


def from_plain(data: dict[str, Any]) -> Interaction:
    """Return the interaction that `to_plain` wrote.

    Raises:
        KeyError, TypeError, ValueError: It is none.
    """
    from vcr.request import Request

    request, response = data["request"], dict(data["response"])
    if "status" in response:
        response["body"] = {"string": _body_of(response["body"])}
    return Interaction(Request(request["method"], request["uri"], _body_of(request["body"]) or None, request["headers"]), response)


def is_text(body: bytes) -> bool:
    """Whether `body` is text in UTF-8."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _plain_body(body: bytes) -> dict[str, str]:
    return {"string": body.decode("utf-8")} if is_text(body) else {"base64": base64.b64encode(body).decode("ascii")}


def _body_of(body: dict[str, str]) -> bytes:
    return base64.b64decode(body["base64"]) if "base64" in body else body["string"].encode("utf-8")


def _header_bytes(value: str) -> bytes:
    return value.encode("ascii") if value.isascii() else value.encode("utf-8", "surrogatepass")


def _events(kind: str, body: bytes) -> list[int]:
    """Return the lengths of the chunks that a body of unknown chunks is given: an event a chunk in a stream, else all in one."""
    if not scrub.is_stream(kind, body):
        return [len(body)] if body else []
    lengths, at = [], 0
    for end in (b"\r\n\r\n", b"\n\n"):
        while (found := body.find(end, at)) >= 0:
            lengths.append(found + len(end) - at)
            at = found + len(end)
        if lengths:
            break
    return [*lengths, len(body) - at] if at < len(body) else lengths
