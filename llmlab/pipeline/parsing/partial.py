"""An object while it streams in: the fields that can no longer change."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from llmlab.pipeline.output import root_kinds
from llmlab.pipeline.parsing.parse import Parsed, parse
from llmlab.pipeline.parsing.scan import Scan


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
        self._fields: dict[str, Any] = {}

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields so far, in their order."""
        return MappingProxyType(self._fields)

    def feed(self, piece: str) -> Mapping[str, Any]:
        """Take a piece, and return the fields that can no longer change."""
        self._pieces.append(piece)
        if self._shows and not self._scan.over:
            self._scan.feed(piece)
            found = self._scan.first or self._scan.reader or self._scan.stuck
            if found is not None and not self._fields:
                self._fields = found.settled
        return self.fields

    def finish(self) -> Parsed:
        """Return what `parse` makes of the whole text."""
        return parse("".join(self._pieces), self._output)
