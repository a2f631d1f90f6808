"""Keyed draws: random numbers that belong to a thing, not to a moment.

A shared generator hands out its next number to whoever asks first, so one more retry shifts everybody's luck. A keyed draw is a hash of
what it is for. It is the same at concurrency 1 and 100, on every machine and Python, and two apps that face the same request face the same
fault.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import TypeVar

T = TypeVar("T")
_normal_quantile = NormalDist().inv_cdf


def uniform(*key: object) -> float:
    """Return a number in (0, 1) that depends on nothing but `key`.

    Args:
        key: What the draw is for: seed, fault's name, purpose, request identity, call kind, model, ordinal of the attempt. Each part counts
            by its `str`.

    Returns:
        One of 2**52 equally spaced values, never 0 or 1, so that every inverse CDF is finite.
    """
    return _uniform(hashlib.blake2b(key_bytes(*key), digest_size=8))


def key_bytes(*key: object) -> bytes:
    """Return what is hashed of `key`."""
    return "\x1f".join(map(str, key)).encode("utf-8", "surrogatepass")


def _uniform(hashed: hashlib.blake2b) -> float:
    return ((int.from_bytes(hashed.digest(), "big") >> 12) + 0.5) / 2**52


@lru_cache(maxsize=4096)
def prefixed(*prefix: object) -> Callable[[bytes], float]:
    """Return a `uniform` whose key begins with `prefix`, hashed once; it takes the rest as `key_bytes` gives it."""
    begun = hashlib.blake2b(key_bytes(*prefix, ""), digest_size=8)

    def rest(key: bytes) -> float:
        hashed = begun.copy()
        hashed.update(key)
        return _uniform(hashed)

    return rest


def choice(options: Sequence[T], *key: object) -> T:
    """Return one of `options`, each equally likely."""
    return options[int(uniform(*key) * len(options))]


def microseconds(seconds: float) -> float:
    """Return `seconds` rounded to whole microseconds.

    Rounding keeps the last bits of `exp` and `log`, which differ between platforms, out of every comparison.
    """
    return round(seconds, 6)


def lognormal(u: float, *, median: float, sigma: float) -> float:
    """Return the log-normal quantile of `u`: median * exp(sigma * z(u)).

    Args:
        u: A uniform number in (0, 1).
        median: Median, exp(mu), in the unit of the result.
        sigma: Standard deviation of the logarithm (no unit).
    """
    return median * math.exp(sigma * _normal_quantile(u))


def exponential(u: float, *, mean: float) -> float:
    """Return the exponential quantile of `u`: -mean * log(1 - u)."""
    return -mean * math.log1p(-u)
