"""Which recorded answer belongs to a request; and where none does, which is the nearest, and what differs.

Two requests are the same when their method, their path after the API's version (with its query) and their JSON in canonical form are.
Headers never count. The host counts only where the same request was recorded from several.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic_core import from_json

from llmlab.protocol import canonical
from llmlab.wire.tape import scrub
from llmlab.wire.tape.interaction import Interaction, ours, to_bytes

_VERSION = re.compile(r"^(?P<prefix>.*?)/v\d+(?:alpha|beta)?\d*(?=/)")
_AFTER_MESSAGES = b',"model":'
"""What follows the messages in canonical JSON."""
_END = 300
_LOOKED_AT = 2_000
_COMPARED = 20
_LONGEST = 20_000
_SHOWN = 8
_WIDTH = 50


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
    model: str
    """Empty where its body names none."""
    text: bytes
    """The body in canonical form, without secrets."""


class Index:
    """The interactions of a cassette by what was asked for.

    Args:
        interactions: In the order in which they are to be replayed.
    """

    def __init__(self, interactions: Sequence[Interaction]) -> None:
        self._interactions = interactions
        self._asked: list[tuple[str, str]] = []
        self._recorded: dict[bytes, dict[str, list[int]]] = {}
        for number, interaction in enumerate(interactions):
            asked = wanted_by(interaction)
            self._asked.append((asked.place.path, asked.model))
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

    def nearest(self, wanted: Wanted) -> int | None:
        """Return the number of the recorded request that differs least in its text; of those with the same path and model, if any.

        The work is bounded: in a big cassette, requests are first compared by how their messages end.
        """
        from rapidfuzz import process
        from rapidfuzz.distance import Levenshtein

        likeness = [(path == wanted.place.path) * (1 + (model == wanted.model)) for path, model in self._asked]
        most = max(likeness, default=0)
        alike = [number for number, same in enumerate(likeness) if same == most]
        texts = {number: wanted_by(self._interactions[number]).text for number in alike[:: len(alike) // _LOOKED_AT + 1]}
        sent, *ends = (text.split(_AFTER_MESSAGES)[0][-_END:] for text in (wanted.text, *texts.values()))
        found = process.extract(sent, dict(zip(texts, ends, strict=True)), scorer=Levenshtein.normalized_similarity, limit=_COMPARED)
        distances = [(Levenshtein.distance(wanted.text[:_LONGEST], texts[number][:_LONGEST]), number) for _, _, number in found]
        return min(distances)[1] if distances else None

    def explain(self, path: Path, wanted: Wanted) -> str:
        """Return what to say when nothing in the cassette at `path` answers: the nearest, what differs, and what to do."""
        lines = [f"nothing recorded in {path} answers this request:", f"  {_title(wanted)}"]
        number = self.nearest(wanted)
        if number is None:
            lines.append("It holds no interaction at all.")
        elif sites := self._recorded.get(wanted.digest):
            lines.append(f"It was recorded from {', '.join([*sites][:5])}, and the host must tell these apart: send it to one of them.")
        else:
            recorded = wanted_by(self._interactions[number])
            was, now = _leaves(recorded), _leaves(wanted)
            differing = [name for name in {**was, **now} if was.get(name) != now.get(name)]
            lines.append(f"nearest recorded request (interaction {number + 1} of {len(self._interactions)}):")
            lines += [f"  {_title(recorded)}", "what differs, recorded -> sent:"]
            lines += [f"  {name[:_WIDTH]}: {_pair(was.get(name, 'absent'), now.get(name, 'absent'))}" for name in differing[:_SHOWN]]
            if len(differing) > _SHOWN:
                lines.append(f"  and {len(differing) - _SHOWN} more")
        in_python = f"or, in Python: Cassette({str(path)!r}, inner=..., record_mode='new_episodes')"
        return "\n".join([*lines, "To record it: llmlab record", in_python])


def wanted_by(interaction: Interaction) -> Wanted:
    """Return what a recorded request asked for."""
    request = interaction["request"]
    body, parsed = to_bytes(request["body"]), None
    with suppress(ValueError):
        parsed = from_json(body) if body else None
    return wanted(request["method"], request["uri"], body, parsed)


def wanted(method: str, url: str, body: bytes, parsed: Any) -> Wanted:
    """Return what a request asks for; `parsed` is the JSON in its body, None where it is none."""
    place, text = place_of(url), body
    with suppress(ValueError, RecursionError):
        text = body if parsed is None else canonical.dumps(parsed)
    text = scrub.scrub(text)
    digest = hashlib.blake2b(b"\n".join((method.upper().encode(), place.path.encode("utf-8", "surrogatepass"), text)), digest_size=16)
    model = parsed.get("model") if isinstance(parsed, dict) else None
    return Wanted(digest.digest(), method, place, model if isinstance(model, str) else "", text)


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


def _title(wanted: Wanted) -> str:
    model = f", model {wanted.model}" if wanted.model else ""
    return f"{wanted.method} {wanted.place.site} ...{wanted.place.path[:_WIDTH]} ({len(wanted.text):,} bytes{model})"


def _leaves(wanted: Wanted) -> dict[str, str]:
    """Return each value in a request by its place, as JSON."""
    leaves = {"HTTP method": wanted.method, "URL path": wanted.place.path}

    def add(name: str, value: Any) -> None:
        if value and isinstance(value, dict):
            for key, part in value.items():
                add(f"{name}.{key}" if name else key, part)
        elif value and isinstance(value, list):
            for at, part in enumerate(value):
                add(f"{name}[{at}]", part)
        else:
            leaves[name or "body"] = json.dumps(value, ensure_ascii=False)

    try:
        add("", json.loads(wanted.text))
    except (ValueError, RecursionError):
        add("", wanted.text.decode("utf-8", "replace"))
    return leaves


def _pair(was: str, now: str) -> str:
    """Return both values, shortened around the first place where they differ."""
    at = next((at for at, (one, other) in enumerate(zip(was, now, strict=False)) if one != other), min(len(was), len(now)))
    first = max(0, min(at - _WIDTH // 3, max(len(was), len(now)) - _WIDTH))
    end = first + _WIDTH
    return " -> ".join(f"{'...' if first else ''}{text[first:end]}{'...' if end < len(text) else ''}" for text in (was, now))
