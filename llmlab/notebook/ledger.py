"""Put in, found out: what was assumed stands apart from what was measured.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest

import pandas as pd


def ledger(*, put_in: Mapping[str, object], found_out: Mapping[str, object]) -> pd.DataFrame:
    """Return two lists side by side.

    Args:
        put_in: What was assumed, each with its value and where it comes from.
        found_out: What was measured.
    """

    def texts(given: Mapping[str, object]) -> list[str]:
        return [f"{name}: {value}" for name, value in given.items()]

    pairs = list(zip_longest(texts(put_in), texts(found_out), fillvalue=""))
    return pd.DataFrame(pairs, columns=["put in", "found out"], index=[""] * len(pairs))
