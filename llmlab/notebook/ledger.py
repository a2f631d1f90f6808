"""Put in, found out: what was assumed stands apart from what was measured.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from itertools import zip_longest


@dataclass(frozen=True, kw_only=True, repr=False)
class Ledger:
    """Two lists side by side, as a table for people."""

    put_in: Mapping[str, object]
    """What was assumed, each with its value and where it comes from."""
    found_out: Mapping[str, object]
    """What was measured."""

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The lines of both lists; the shorter one is filled up with empty texts."""
        texts = [[f"{name}: {value}" for name, value in given.items()] for given in (self.put_in, self.found_out)]
        return list(zip_longest(texts[0], texts[1], fillvalue=""))

    def __repr__(self) -> str:
        width = max(len("put in"), *(len(left) for left, _ in self.rows)) + 2
        return "\n".join(f"{left:<{width}}{right}".rstrip() for left, right in [("put in", "found out"), *self.rows])

    def _repr_html_(self) -> str:
        cell = '<td style="text-align: left; vertical-align: top; padding-right: 24px">'
        head = "".join(f'<th style="text-align: left">{word}</th>' for word in ("put in", "found out"))
        body = "".join(f"<tr>{cell}{escape(left)}</td>{cell}{escape(right)}</td></tr>" for left, right in self.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
