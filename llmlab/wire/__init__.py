"""A stub.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations


def answer() -> int:
    """Return the answer."""
    return 42
