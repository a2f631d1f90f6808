"""An object while it streams in: the fields that can no longer change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from llmlab.pipeline.output import root_kinds
from llmlab.pipeline.parsing.parse import Parsed, parse
from llmlab.pipeline.parsing.scan import Scan


class Fields(Mapping[str, Any]):
    """The first fields of an object that still grows: it does not change, and costs the same however many there are.

    Args:
        fields: All of them; further ones may come.
        places: Which stands where.
        size: How many are shown.
    """

    def __init__(self, fields: Mapping[str, Any], places: Mapping[str, int], size: int) -> None:
        self._fields, self._places, self._size = fields, places, size

    def __repr__(self) -> str:
        return repr(dict(self))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[str]:
        return islice(self._fields, self._size)

    def __getitem__(self, name: str) -> Any:
        if self._places[name] < self._size:
            return self._fields[name]
        raise KeyError(name)


class PartialObject:
    """Takes the pieces of an answer, and shows the fields of its object as they come to their end.

    A field is shown when what ends it has come, a comma or a bracket: before that a number may have further digits, and a quote may stand
    in the middle of a string. What is shown is never taken back or changed. It is JSON, not yet validated: `finish` does that, with the
    same result as for the whole text at once, and refuses the whole where a later part leaves a doubt.

    Args:
        output: A pydantic model, or another type that pydantic knows. Fields are shown only where it is an object.
    """

    def __init__(self, output: Any) -> None:
        self._output, self._pieces = output, list[str]()
        kinds = root_kinds(output)
        self._scan = Scan(kinds)
        self._shows = "object" in kinds and "string" not in kinds
        self._settled: dict[str, Any] = {}
        self._places: dict[str, int] = {}
        self.fields = Fields(self._settled, self._places, 0)
        """The fields so far, in their order. With a further one this is another object; the old one stays as it is."""

    def feed(self, piece: str) -> Fields:
        """Take a piece, and return the fields that can no longer change: the same object as before where none came."""
        self._pieces.append(piece)
        if self._shows and not self._scan.over:
            self._scan.feed(piece)
            found = self._scan.first or self._scan.reader or self._scan.stuck
            if found is not None and not self._settled:
                self._settled = found.settled
            known = len(self._places)
            if len(self._settled) > known:
                new = islice(reversed(self._settled), len(self._settled) - known)
                self._places.update((name, place) for name, place in zip(new, range(len(self._settled) - 1, known - 1, -1), strict=True))
                self.fields = Fields(self._settled, self._places, len(self._settled))
        return self.fields

    def finish(self) -> Parsed:
        """Return what `parse` makes of the whole text."""
        return parse("".join(self._pieces), self._output)
