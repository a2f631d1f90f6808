"""Citations in square brackets, resolved to documents, and quotes, looked up to the letter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from llmlab.pipeline.grounding.passage import lower
from llmlab.pipeline.prompt import Document

_BRACKET = re.compile(r"\[([^\[\]\n]{1,200})\](?!\()")
_ID = re.compile(r"[^\s,;]+")
_QUOTE = re.compile(r"[\"“]([^\"“”\n]{1,2000})[\"”]")
_MIN_QUOTE = 3
"""A quote of fewer words is a way of writing a name."""
_SPACE = re.compile(r"\s+")


class Citation(NamedTuple):
    """A document that the answer names."""

    id: str
    start: int
    """First character of the id (an offset in the answer)."""
    end: int
    source: int | None
    """Index of the document; None: there is none of this id."""


class Quote(NamedTuple):
    """Words that the answer gives as somebody else's."""

    start: int
    """First character inside of the quotation marks (an offset in the answer)."""
    end: int
    sources: tuple[int, ...]
    """Indexes of the documents that hold it to the letter, but for spaces, case, and punctuation at its end."""


def citations(answer: str, documents: Sequence[Document]) -> tuple[Citation, ...]:
    """Return the citations of `answer`: `[id]`, several as in `[one, two]`, or by number, as in `[1]`, where no id is a number.

    Brackets with several words in them, none of them an id, are no citation.
    """
    known = {document.id.lower(): number for number, document in reversed(list(enumerate(documents)))}
    numbered = {str(number): number - 1 for number in range(1, len(documents) + 1)}
    found = []
    for bracket in _BRACKET.finditer(answer):
        place = bracket.start(1)
        if bracket.group(1).strip().lower() in known:
            whole = bracket.group(1)
            first = place + len(whole) - len(whole.lstrip())
            found.append(Citation(whole.strip(), first, first + len(whole.strip()), known[whole.strip().lower()]))
            continue
        ids = [Citation(one.group(), place + one.start(), place + one.end(), None) for one in _ID.finditer(bracket.group(1))]
        ids = [one._replace(source=known.get(one.id.lower(), numbered.get(one.id))) for one in ids]
        if len(ids) == 1 or re.search("[,;]", bracket.group(1)) or any(one.source is not None for one in ids):
            found += ids
    return tuple(found)


def without(answer: str, cited: Sequence[Citation]) -> str:
    """Return `answer` with spaces in place of the brackets of its citations, so that offsets stay."""
    kept, last = [], 0
    for one in cited:
        first = answer.rfind("[", last, one.start)
        if first >= last:
            end = answer.find("]", one.end) + 1
            kept += [answer[last:first], " " * (end - first)]
            last = end
    return "".join([*kept, answer[last:]])


def quotes(answer: str, documents: Sequence[Document]) -> tuple[Quote, ...]:
    """Return the quotes of `answer` of three words and more, each with the documents that hold it."""
    texts: list[str] = []
    found = []
    for match in _QUOTE.finditer(answer):
        words = _plain(match.group(1)).rstrip(".,;:!? ")
        if len(words.split()) >= _MIN_QUOTE:
            texts = texts or [_plain(document.text) for document in documents]
            found.append(Quote(match.start(1), match.end(1), tuple(number for number, text in enumerate(texts) if words in text)))
    return tuple(found)


def _plain(text: str) -> str:
    return _SPACE.sub(" ", lower(text)).strip()
