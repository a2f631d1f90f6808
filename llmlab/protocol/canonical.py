"""Canonical JSON: the same value gives the same bytes, so that requests can be compared and hashed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_EXACT = 2**53
"""Below it every whole number is a float of its own."""


def dumps(value: Any) -> bytes:
    """Return `value` as JSON in UTF-8: keys sorted, no spaces, no escapes that aren't needed, and 1 for 1.0, as other languages write it.

    Raises:
        ValueError: `value` holds NaN or an infinity, which JSON has no word for.
    """
    text = _text(value)
    if ".0" in text or "e+" in text:  # perhaps within a string, which does no harm
        text = _text(_whole(value))
    return text.encode("utf-8", "surrogatepass")


def digest(value: Any, size: int = 8) -> str:
    """Return the BLAKE2b hash of the canonical JSON of `value`, as 2 * `size` hexadecimal digits."""
    return hashlib.blake2b(dumps(value), digest_size=size).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _whole(value: Any) -> Any:
    """Return `value` with an int for every float that is a whole number."""
    if isinstance(value, dict):
        return {key: _whole(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value
