"""A stub."""

from __future__ import annotations

import sys


def main() -> None:
    """Say what was asked."""
    sys.stdout.write(f"stub {sys.argv[1:]}\n")
