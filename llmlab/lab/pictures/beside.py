"""An answer beside its sources: each claim is linked to the sentence that it rests on, or underlined as having none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import pandas as pd

from llmlab.lab.pictures.base import BLUE, RUST
from llmlab.pipeline.grounding import THRESHOLD, Claim, Grounding, check
from llmlab.pipeline.prompt import Document, as_documents
from llmlab.protocol.canonical import digest

_NAME = "font-size: 11px; vertical-align: super; margin: 0 1px"
_UNDERLINED = "text-decoration: underline 2px; text-underline-offset: 3px; color: #222"
_HEAD = "margin: 6px 0 2px 0; font-size: 12px; color: #555"
_COLUMN = "flex: 1 1 300px; min-width: 0; font-size: 14px; line-height: 1.6; text-align: left"


def _safe(text: str) -> str:
    """Return a text for HTML. A dollar stands in an element of its own, for between two of them a notebook reads a formula."""
    return escape(text).replace("$", "<span>$</span>")


@dataclass(frozen=True, kw_only=True, repr=False)
class Beside:
    """An answer and the documents that it was to rest on. All of it is escaped."""

    question: str
    answer: str
    """In words."""
    documents: Sequence[Any]
    threshold: float = THRESHOLD
    """Least score of a supported claim."""

    @cached_property
    def grounding(self) -> Grounding:
        """What the documents say to the answer."""
        return check(self.answer, sources=self.documents, question=self.question, threshold=self.threshold)

    @property
    def table(self) -> pd.DataFrame:
        """A row a claim: its score, the document and the sentence that fit best, and what is against it."""
        lines = []
        for number, claim in enumerate(self.grounding.claims, 1):
            page = self._page(claim)
            lines.append(
                {
                    "": number,
                    "claim": claim.text,
                    "score": f"{claim.score:.2f}",
                    "source": f"{page.id}: {page.text[claim.source_start : claim.source_end]}" if page and claim.supported else "no source",
                    "against it": claim.reason,
                }
            )
        return pd.DataFrame(lines)

    def _page(self, claim: Claim) -> Document | None:
        return None if claim.source is None else as_documents(self.documents)[claim.source]

    def __repr__(self) -> str:
        lines = [f"{self.question} (score {self.grounding.score:.2f})"]
        lines += [f"{row['']}. {row['claim']} -> {row['source']}" for row in self.table.to_dict("records")]
        return "\n".join(lines)

    def html(self) -> str:
        """Return the answer and its sources side by side."""
        mark = f"claim-{digest([self.question, self.answer], 4)}"
        pages = "".join(self._source(number, page, mark) for number, page in enumerate(as_documents(self.documents)))
        head = f"{_safe(self.question)} &middot; score {self.grounding.score:.2f}"
        return (
            f'<div style="max-width: 800px"><p style="margin: 4px 0"><b>{head}</b></p>'
            f'<div style="display: flex; flex-flow: row wrap; gap: 20px"><div style="{_COLUMN}"><p style="{_HEAD}">the answer</p>'
            f"{self._claims(mark)}</div>"
            f'<div style="{_COLUMN}"><p style="{_HEAD}">what it rests on</p>{pages or "nothing"}</div></div></div>'
        )

    def _repr_html_(self) -> str:
        rows: list[list[object]] = [[*self.table], *self.table.to_numpy().tolist()] if self.grounding.claims else []
        cells = (
            "".join(f'<{kind} style="text-align: left">{_safe(str(value))}</{kind}>' for value in row)
            for row, kind in zip(rows, ["th"] + ["td"] * len(rows), strict=False)
        )
        lines = "".join(f"<tr>{line}</tr>" for line in cells)
        return self.html() + (f"<table>{lines}</table>" if lines else "")

    def _claims(self, mark: str) -> str:
        """Return the answer with its claims underlined: linked and numbered, or named "no source"."""
        made, at = [], 0
        for number, claim in enumerate(self.grounding.claims, 1):
            said = _safe(self.answer[claim.start : claim.end])
            made.append(_safe(self.answer[at : claim.start]))
            if claim.supported:
                link = f'<a href="#{mark}-{number}" style="{_UNDERLINED}; text-decoration-color: {BLUE}">{said}</a>'
                made.append(f'{link}<span style="{_NAME}; color: {BLUE}">{number}</span>')
            else:
                style = f"{_UNDERLINED}; text-decoration-color: #D55E00; background: #FDF1E8"
                made.append(f'<span style="{style}">{said}</span><span style="{_NAME}; color: {RUST}">{number}: no source</span>')
            at = claim.end
        return "".join([*made, _safe(self.answer[at:])])

    def _source(self, place: int, page: Document, mark: str) -> str:
        """Return a document with the sentences that claims rest on, numbered like them; nothing where none does."""
        mine = [(number, claim) for number, claim in enumerate(self.grounding.claims, 1) if claim.supported and claim.source == place]
        if not mine:
            return ""
        made, at = [], 0
        spans: dict[tuple[int, int], list[int]] = {}
        for number, claim in sorted(mine, key=lambda one: (one[1].source_start, one[0])):
            spans.setdefault((claim.source_start, claim.source_end), []).append(number)
        for (start, end), numbers in spans.items():
            start = max(start, at)
            ids = "".join(f'<span id="{mark}-{number}"></span>' for number in numbers)
            style = "background: #DCEBF5; color: #222"
            said = f'{ids}<span style="{style}">{_safe(page.text[start:end])}</span>'
            made += [_safe(page.text[at:start]), said, f'<span style="{_NAME}; color: {BLUE}">{", ".join(map(str, numbers))}</span>']
            at = max(at, end)
        return f'<p style="{_HEAD}">{_safe(page.title or page.id)}</p>{"".join([*made, _safe(page.text[at:])])}'
