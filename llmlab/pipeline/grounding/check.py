"""Is an answer supported by its sources? Without a model: claims, their words and values, citations and quotes are compared.

Notebook: 04_hallucination.ipynb
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.grounding.citations import Citation, Quote, citations, quotes, without
from llmlab.pipeline.grounding.claims import Part, parts
from llmlab.pipeline.grounding.matching import Match, best
from llmlab.pipeline.grounding.passage import Passage, Sources, indexed, lower, passage
from llmlab.pipeline.prompt import Document, as_documents

_Placed = TypeVar("_Placed", Citation, Quote)
THRESHOLD = 0.55
"""A claim with this score is supported."""
MAX_ANSWER = 100_000
"""What comes behind this is one claim that nobody checked (in characters)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One thing that an answer says."""

    text: str
    start: int
    """First character (an offset in the answer)."""
    end: int
    """One past its last character."""
    supported: bool
    score: float
    """0 to 1; 1: the source says it in these words."""
    reason: str
    """Why the score is not 1, for people; empty: nothing is against it."""
    source: int | None
    """Index of the source that fits best; None: none has anything to do with it."""
    source_start: int = 0
    """First character of the sentence that fits best (an offset in that source)."""
    source_end: int = 0
    cited: tuple[str, ...] = ()
    """Ids that the answer names for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounding:
    """What the sources say to an answer."""

    score: float
    """The least of its claims' scores, 0 to 1. An answer that claims nothing ("I don't know", or no text at all) has 1."""
    supported: bool
    """Whether each claim is, and every citation and quote is real."""
    claims: tuple[Claim, ...]
    citations: tuple[Citation, ...]
    quotes: tuple[Quote, ...]
    findings: tuple[Finding, ...]
    """What is wrong, in the order of the answer: kind "claim", "citation" or "quote"."""

    @property
    def unsupported(self) -> tuple[Claim, ...]:
        """The claims that the sources do not support."""
        return tuple(claim for claim in self.claims if not claim.supported)


def check(answer: str, *, sources: Iterable[Any], question: str | None = None, threshold: float = THRESHOLD) -> Grounding:
    """Compare what `answer` says with what `sources` say.

    Each claim is compared with the sentences that share its rarest words. A number, unit, date, name or denial that differs there counts
    more than all the words that agree. It is a comparison of words, not an understanding: see `Grounding.score`.

    Args:
        answer: What a model said; citations in square brackets name documents by id.
        sources: Texts, mappings or objects with id, title and text; none: no claim is supported.
        question: What was asked; its words are no news in the answer.
        threshold: Least score of a supported claim, 0 to 1.

    Raises:
        BadInput: Something is no text, a source has none, or the threshold is not between 0 and 1.
    """
    for name, value in (("answer", answer), ("question", "" if question is None else question)):
        if not isinstance(value, str):
            raise BadInput(f"grounding: the {name} is a text, not {type(value).__name__}")
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise BadInput(f"grounding: the threshold lies between 0 and 1, not at {threshold!r}")
    documents = as_documents(sources)
    text = answer[:MAX_ANSWER]
    cited, quoted = citations(text, documents), quotes(text, documents)
    plain = without(text, cited)
    found = parts(plain)
    asked = passage((question or "")[:MAX_ANSWER])
    texts = indexed(tuple(document.text for document in documents))
    claims = []
    for number, part in enumerate(found):
        own = _cited(number, found, cited)
        match = _held_to(part, plain, asked, own, texts, documents)
        inside = _between(quoted, part.start, part.end)
        if any(not quote.sources for quote in inside):
            match = match._replace(score=min(match.score, 0.2), reason="the quote is in no source")
        elif 2 * sum(quote.end - quote.start for quote in inside) > part.end - part.start:
            match = match._replace(score=max(match.score, 0.75))
        claims.append(_claim(answer, part, match, own, texts, threshold))
    if len(answer) > MAX_ANSWER and answer[MAX_ANSWER:].strip():
        rest = f"only the first {MAX_ANSWER:,} characters are checked"
        claims.append(
            Claim(text=answer[MAX_ANSWER:], start=MAX_ANSWER, end=len(answer), supported=False, score=0.0, reason=rest, source=None)
        )
    findings = _findings(claims, cited, quoted)
    score = min((claim.score for claim in claims), default=1.0)
    if any(one.kind != "claim" for one in findings):
        score = min(score, 0.2)
    return Grounding(score=score, supported=not findings, claims=tuple(claims), citations=cited, quotes=quoted, findings=findings)


def _cited(number: int, found: Sequence[Part], cited: Sequence[Citation]) -> Sequence[Citation]:
    """Return the citations that belong to a claim: those in it and up to the next claim, or else the next ones in its sentence."""
    for place in range(number, len(found)):
        if found[place].sentence != found[number].sentence:
            break
        follows = found[place + 1].start if place + 1 < len(found) else math.inf
        if own := _between(cited, found[place].start, follows):
            return own
    return ()


def _between(ordered: Sequence[_Placed], start: float, end: float) -> Sequence[_Placed]:
    first, last = (bisect_left(ordered, place, key=lambda one: one.start) for place in (start, end))
    return ordered[first:last]


def _held_to(part: Part, text: str, asked: Passage, own: Sequence[Citation], texts: Sources, documents: Sequence[Document]) -> Match:
    """Return the match of a claim, within the documents that it cites if it cites any."""
    match = _match(part, text, asked, texts)
    places = sorted({one.source for one in own if one.source is not None})
    if not own or (places and (match.sentence is None or texts.place(match.sentence)[0] in places)):
        return match
    if not places:
        return match._replace(score=min(match.score, 0.2), reason="it cites a document that does not exist")
    there = _match(part, text, asked, texts, texts.within(places))
    if there.score >= 0.9 * match.score:
        return there
    holder = documents[texts.place(match.sentence or 0)[0]].id
    return match._replace(score=min(there.score, 0.3), reason=f"{holder} says it, and not the document that is cited")


def _match(part: Part, text: str, asked: Passage, texts: Sources, only: Container[int] | None = None) -> Match:
    """Return the match of a claim: to the letter, or else by words and values."""
    for start, end in ((part.start, part.end), part.sentence):
        same = texts.repeated(lower(text[start:end]).rstrip(" .!?;,"), only)
        if same is not None:
            return Match(1.0, "", same)
    return best(part.content, asked, texts, only)


def _claim(answer: str, part: Part, match: Match, own: Sequence[Citation], texts: Sources, threshold: float) -> Claim:
    place, start, end = (None, 0, 0) if match.sentence is None else texts.place(match.sentence)
    return Claim(
        text=answer[part.start : part.end],
        start=part.start,
        end=part.end,
        supported=match.score >= threshold,
        score=match.score,
        reason=match.reason,
        source=place,
        source_start=start,
        source_end=end,
        cited=tuple(one.id for one in own),
    )


def _findings(claims: Sequence[Claim], cited: Sequence[Citation], quoted: Sequence[Quote]) -> tuple[Finding, ...]:
    found = [Finding("claim", "grounding.claim", one.start, one.end, one.reason) for one in claims if not one.supported]
    found += [
        Finding("citation", "grounding.citation", one.start, one.end, f"there is no document {one.id!r}")
        for one in cited
        if one.source is None
    ]
    found += [Finding("quote", "grounding.quote", one.start, one.end, "the quote is in no source") for one in quoted if not one.sources]
    return tuple(sorted(found, key=lambda one: (one.start, one.end, one.kind)))
