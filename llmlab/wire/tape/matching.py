"""Which recorded answer belongs to a request.

Two requests are the same when their method, their path after the API's version (with its query) and their JSON in canonical form are.
Headers never count. The host counts only where the same request was recorded from several.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx2
from pydantic_core import from_json

from llmlab.protocol import canonical
from llmlab.protocol.identity import Stamp
from llmlab.wire.tape import scrub
from llmlab.wire.tape.interaction import Interaction, ours, to_bytes

_VERSION = re.compile(r"^(?P<prefix>.*?)/v\d+(?:alpha|beta)?\d*(?=/)")


class Place(NamedTuple):
    """A URL, in the parts that matter."""

    site: str
    """Host, and the path before the version."""
    path: str
    """The path after the version, with its query in order."""


class Wanted(NamedTuple):
    """What a request asks for."""

    digest: bytes
    """The same for every request that asks for the same, wherever it is sent."""
    method: str
    place: Place
    """Where it is sent."""
    model: str
    """The model in its body; empty where there is none."""
    text: bytes
    """The body in canonical form, without secrets."""

    @property
    def same(self) -> tuple[bytes, str]:
        """The same for every request that asks for the same of the same site."""
        return self.digest, self.place.site


class Index:
    """The interactions of a cassette by what was asked for.

    Args:
        interactions: In the order in which they are to be replayed.
    """

    def __init__(self, interactions: Sequence[Interaction]) -> None:
        self.interactions = interactions
        self.asked: list[tuple[str, str]] = []
        """The path and the model of each interaction."""
        self._recorded: dict[bytes, dict[str, list[int]]] = {}
        for number, interaction in enumerate(interactions):
            asked = wanted_by(interaction)
            self.asked.append((asked.place.path, asked.model))
            self._recorded.setdefault(asked.digest, {}).setdefault(asked.place.site, []).append(number)
        for sites in self._recorded.values():
            for site, numbers in sites.items():
                sites[site] = [number for number in numbers if not ours(interactions[number]).get("abandoned")] or numbers

    def takes(self, wanted: Wanted) -> Sequence[int]:
        """Return the numbers of the interactions that answer `wanted`, in recorded order.

        What the client abandoned half-way is left out where there is a take that it did not.
        """
        sites = self._recorded.get(wanted.digest, {})
        return next(iter(sites.values())) if len(sites) == 1 else sites.get(wanted.place.site, ())

    def sites(self, wanted: Wanted) -> list[str]:
        """Return the sites from which the same request was recorded, in recorded order."""
        return list(self._recorded.get(wanted.digest, {}))


def wanted(request: httpx2.Request, stamp: Stamp) -> Wanted:
    """Return what `request`, whose body was read, asks for."""
    return _wanted(request.method, str(request.url), request.content, stamp.body)


def wanted_by(interaction: Interaction) -> Wanted:
    """Return what a recorded request asked for."""
    request = interaction["request"]
    body = to_bytes(request["body"])
    try:
        parsed = from_json(body) if body else None
    except ValueError:
        parsed = None
    return _wanted(request["method"], request["uri"], body, parsed)


def _wanted(method: str, url: str, body: bytes, parsed: Any) -> Wanted:
    place, text = place_of(url), _text(body, parsed)
    digest = hashlib.blake2b(b"\n".join((method.upper().encode(), place.path.encode("utf-8", "surrogatepass"), text)), digest_size=16)
    model = parsed.get("model") if isinstance(parsed, dict) else None
    return Wanted(digest.digest(), method, place, model if isinstance(model, str) else "", text)


def _text(body: bytes, parsed: Any) -> bytes:
    """Return what is compared of a body: its canonical JSON, or its bytes where it is none."""
    if parsed is None:
        return scrub.scrub(body)
    try:
        text = canonical.dumps(parsed)
        clean = scrub.scrub(text)
        return text if clean is text else canonical.dumps(from_json(clean))
    except (ValueError, RecursionError):
        return scrub.scrub(body)


@lru_cache(maxsize=4096)
def place_of(url: str) -> Place:
    """Return the parts of `url` that matter."""
    parts = urlsplit(scrub.scrub_url(url))
    host = parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")
    path = unquote(parts.path)
    prefix = ""
    if version := _VERSION.match(path):
        prefix, path = version["prefix"], path[version.end() :]
    query = sorted(parse_qsl(parts.query, keep_blank_values=True))
    return Place(host + prefix, path + ("?" + "&".join(f"{name}={value}" for name, value in query) if query else ""))
