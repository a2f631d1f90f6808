"""What to say when nothing recorded answers a request: the nearest that was recorded, what differs, and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmlab.wire.interaction import Interaction
from llmlab.wire.matching import Index, Wanted, wanted_by

_LOOKED_AT = 2_000
_COMPARED = 20
_SHOWN = 8
_WIDTH = 50
_LONGEST = 20_000


def explain(path: Path, method: str, wanted: Wanted, index: Index) -> str:
    """Return the message of a miss.

    Args:
        path: The cassette.
        method: The request's method.
        wanted: What it asks for.
        index: What is recorded.
    """
    lines = [f"nothing recorded in {path} answers this request:", f"  {_title(method, wanted)}"]
    sites = index.sites(wanted)
    number = nearest(wanted, index)
    if sites:
        lines.append(f"It was recorded from {', '.join(sites[:5])}, and the host must tell these apart: send it to one of them.")
    elif number is None:
        lines.append("It holds no interaction at all." if not index.interactions else "It holds no request that is like it.")
    else:
        recorded = index.interactions[number]
        lines.append(f"nearest recorded request (interaction {number + 1} of {len(index.interactions)}):")
        lines.append(f"  {_title(recorded.request.method, wanted_by(recorded))}")
        differences = list(_differences(method, wanted, recorded))
        lines.append("what differs, recorded -> sent:")
        lines += [f"  {line}" for line in differences[:_SHOWN]]
        if len(differences) > _SHOWN:
            lines.append(f"  and {len(differences) - _SHOWN} more")
    lines.append("To record it: llmlab record")
    lines.append(f"or, in Python: Cassette({str(path)!r}, inner=..., record_mode='new_episodes')")
    return "\n".join(lines)


def nearest(wanted: Wanted, index: Index) -> int | None:
    """Return the number of the recorded request that differs least in its text; of those with the same path and model, if any.

    The work is bounded: in a big cassette, requests are first compared by how they end.
    """
    from rapidfuzz import process
    from rapidfuzz.distance import Levenshtein

    groups = index.by_path
    alike = (
        groups.get((wanted.place.path, wanted.model))
        or [number for (path, _), numbers in groups.items() if path == wanted.place.path for number in numbers]
        or [number for numbers in groups.values() for number in numbers]
    )
    if not alike:
        return None
    step = -(-len(alike) // _LOOKED_AT)
    texts = {number: wanted_by(index.interactions[number]).text.decode("utf-8", "replace") for number in alike[::step]}
    sent = wanted.text.decode("utf-8", "replace")
    ends = {number: _end(text) for number, text in texts.items()}
    best = process.extract(_end(sent), ends, scorer=Levenshtein.normalized_similarity, limit=_COMPARED)
    return min((Levenshtein.distance(sent[:_LONGEST], texts[number][:_LONGEST]), number) for _, _, number in best)[1]


def _end(text: str) -> str:
    """Return what is likely to tell requests apart: the end of the last message or of the input."""
    try:
        body = json.loads(text)
        messages = body.get("messages") or body.get("input")
        last = messages[-1] if isinstance(messages, list) else messages
        return json.dumps(last, ensure_ascii=False)[-300:]
    except (ValueError, AttributeError, IndexError):
        return text[-300:]


def _title(method: str, wanted: Wanted) -> str:
    model = f", model {wanted.model}" if wanted.model else ""
    return f"{method} {wanted.place.site} ...{_short(wanted.place.path, 0)[1:-1]} ({len(wanted.text):,} bytes{model})"


def _differences(method: str, wanted: Wanted, recorded: Interaction) -> Iterator[str]:
    was = wanted_by(recorded)
    if recorded.request.method != method:
        yield f"method: {recorded.request.method} -> {method}"
    if was.place.path != wanted.place.path:
        yield f"path: {was.place.path[:80]} -> {wanted.place.path[:80]}"
    if was.text == wanted.text:
        return
    try:
        yield from _json_differences("", json.loads(was.text), json.loads(wanted.text))
    except (ValueError, RecursionError):
        yield "body: " + _pair(was.text.decode("utf-8", "replace"), wanted.text.decode("utf-8", "replace"))


_ABSENT = object()


def _json_differences(path: str, was: Any, now: Any) -> Iterator[str]:
    if isinstance(was, dict) and isinstance(now, dict):
        for name in sorted({**was, **now}):
            yield from _json_differences(f"{path}.{name}" if path else name, was.get(name, _ABSENT), now.get(name, _ABSENT))
    elif isinstance(was, list) and isinstance(now, list):
        for at in range(max(len(was), len(now))):
            yield from _json_differences(f"{path}[{at}]", was[at] if at < len(was) else _ABSENT, now[at] if at < len(now) else _ABSENT)
    elif type(was) is not type(now) or was != now:
        yield f"{path or 'body'}: {_pair(was, now)}"


def _pair(was: Any, now: Any) -> str:
    """Return both values, shortened around the first place where they differ."""
    if isinstance(was, str) and isinstance(now, str):
        at = next((at for at, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))
        return f"{_short(was, at)} -> {_short(now, at)}"
    return f"{_value(was)} -> {_value(now)}"


def _value(value: Any) -> str:
    if value is _ABSENT:
        return "absent"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def _short(text: str, at: int) -> str:
    first = max(0, min(at - _WIDTH // 3, len(text) - _WIDTH))
    shown = json.dumps(text[first : first + _WIDTH], ensure_ascii=False)[1:-1]
    return f'"{"..." if first else ""}{shown}{"..." if first + _WIDTH < len(text) else ""}"'
