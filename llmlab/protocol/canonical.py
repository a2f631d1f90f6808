"""Canonical JSON: the same value gives the same bytes, so that requests can be compared and hashed."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def dumps(value: Any) -> bytes:
    """Return `value` as JSON in UTF-8: keys sorted, no spaces, no escapes that aren't needed.

    Raises:
        ValueError: `value` holds NaN or an infinity, which JSON has no word for.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")


def digest(value: Any, size: int = 8) -> str:
    """Return the BLAKE2b hash of the canonical JSON of `value`, as 2 * `size` hexadecimal digits."""
    return hashlib.blake2b(dumps(value), digest_size=size).hexdigest()
