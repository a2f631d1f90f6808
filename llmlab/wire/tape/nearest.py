"""What to say when nothing recorded answers a request: the nearest that was recorded, what differs, and what to do."""

from __future__ import annotations

import json
from os.path import commonprefix
from pathlib import Path
from typing import Any

from llmlab.wire.tape.matching import Index, Wanted, wanted_by

_AFTER_MESSAGES = b',"model":'
_END = 300
_LOOKED_AT = 2_000
_COMPARED = 20
_SHOWN = 8
_WIDTH = 50
_LONGEST = 20_000


def explain(path: Path, wanted: Wanted, index: Index) -> str:
    """Return the message of a miss in the cassette at `path`, which holds what `index` knows."""
    lines = [f"nothing recorded in {path} answers this request:", f"  {_title(wanted)}"]
    number = nearest(wanted, index)
    if sites := index.sites(wanted):
        lines.append(f"It was recorded from {', '.join(sites[:5])}, and the host must tell these apart: send it to one of them.")
    elif number is None:
        lines.append("It holds no interaction at all.")
    else:
        recorded = wanted_by(index.interactions[number])
        was, now = _leaves(recorded), _leaves(wanted)
        differing = [name for name in {**was, **now} if was.get(name) != now.get(name)]
        lines.append(f"nearest recorded request (interaction {number + 1} of {len(index.interactions)}):")
        lines += [f"  {_title(recorded)}", "what differs, recorded -> sent:"]
        lines += [f"  {name[:_WIDTH]}: {_pair(was.get(name, 'absent'), now.get(name, 'absent'))}" for name in differing[:_SHOWN]]
        if len(differing) > _SHOWN:
            lines.append(f"  and {len(differing) - _SHOWN} more")
    lines.append("To record it: llmlab record")
    lines.append(f"or, in Python: Cassette({str(path)!r}, inner=..., record_mode='new_episodes')")
    return "\n".join(lines)


def nearest(wanted: Wanted, index: Index) -> int | None:
    """Return the number of the recorded request that differs least in its text; of those with the same path and model, if any.

    The work is bounded: in a big cassette, requests are first compared by how their messages end, before the model in canonical JSON.
    """
    from rapidfuzz import process
    from rapidfuzz.distance import Levenshtein

    alike = [(path == wanted.place.path) + ((path, model) == (wanted.place.path, wanted.model)) for path, model in index.asked]
    most = max(alike, default=0)
    candidates = [number for number, likeness in enumerate(alike) if likeness == most]
    step = -(-len(candidates) // _LOOKED_AT) or 1
    texts = {number: wanted_by(index.interactions[number]).text for number in candidates[::step]}
    sent, *ends = (text.split(_AFTER_MESSAGES)[0][-_END:] for text in (wanted.text, *texts.values()))
    best = process.extract(sent, dict(zip(texts, ends, strict=True)), scorer=Levenshtein.normalized_similarity, limit=_COMPARED)
    return min(
        (number for _, _, number in best),
        key=lambda number: (Levenshtein.distance(wanted.text[:_LONGEST], texts[number][:_LONGEST]), number),
        default=None,
    )


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
    at = len(commonprefix([was, now]))
    return f"{_short(was, at)} -> {_short(now, at)}"


def _short(text: str, at: int) -> str:
    first = max(0, min(at - _WIDTH // 3, len(text) - _WIDTH))
    return f"{'...' if first else ''}{text[first : first + _WIDTH]}{'...' if first + _WIDTH < len(text) else ''}"
