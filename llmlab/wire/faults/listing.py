"""The catalogue of faults, for the docs, the command line, and whoever looks for one."""

from __future__ import annotations

from dataclasses import fields
from typing import NamedTuple

from llmlab.wire.faults.base import FAULTS, Fault


class Entry(NamedTuple):
    """One fault of the catalogue."""

    name: str
    family: str
    """latency, over time, refusals, stream, transport, ...: what kind of fault it is."""
    what: str
    """What goes wrong and what the client does about it, in a sentence."""
    attributes: str
    """Its own, with their defaults; all faults have those of `Fault` as well."""


class Catalogue(tuple[Entry, ...]):
    """Entries that show themselves one line each."""

    __slots__ = ()

    def __repr__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*((entry.family, entry.name) for entry in self), strict=True)]
        return "\n".join(f"{entry.family:<{widths[0]}}  {entry.name:<{widths[1]}}  {entry.what}" for entry in self)

    def markdown(self) -> str:
        """Return the table for the docs."""
        rows = [f"| {entry.family} | `{entry.name}` | {entry.what} |" for entry in self]
        return "\n".join(["| family | fault | what happens |", "|---|---|---|", *rows])


def catalogue() -> Catalogue:
    """Return llmlab's own faults, by family and name."""
    shared = {part.name for part in fields(Fault)}
    entries = []
    for name, kind in FAULTS.items():
        package, _, family = kind.__module__.rpartition(".")
        if package == "llmlab.wire.faults":
            own = ", ".join(f"{part.name}={part.default!r}" for part in fields(kind) if part.name not in shared)
            entries.append(
                Entry(
                    name, "over time" if kind.over_time else family.removesuffix("_json"), (kind.__doc__ or "").strip().split("\n")[0], own
                )
            )
    return Catalogue(sorted(entries, key=lambda entry: (entry.family, entry.name)))
