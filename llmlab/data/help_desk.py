"""The help desk of Crumbwell, a maker of bread machines that exists in this package only.

42 short documents and 120 questions, 96 with a gold answer and 24 that the documents do not answer. A case lists the strings that a right
answer must contain, so grading needs no model: it is exact, and it knows no synonyms. "two years" fails where the gold says "2 years".
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from llmlab.errors import BadCases, BadInput


@dataclass(frozen=True, slots=True)
class Document:
    """One page of the help desk."""

    id: str
    """A short slug, as in "returns-window"."""
    title: str
    """The heading that a customer sees."""
    text: str
    """80 to 150 words, one fact a sentence."""


@dataclass(frozen=True, slots=True)
class Case:
    """One question, with what is needed to grade an answer to it."""

    id: str
    """Unique within its file."""
    question: str
    """In the words of a customer, slips included."""
    documents: tuple[str, ...] = ()
    """Ids of the documents that hold the answer; empty if none does."""
    answer: str | None = None
    """The gold answer in one or two sentences, or None."""
    must: tuple[str, ...] = ()
    """Strings that a right answer contains (see `grade`)."""
    tags: tuple[str, ...] = ()
    """Topic first, then shape: one-fact, two-facts, two-documents, trap, unanswerable."""

    @property
    def answerable(self) -> bool:
        """Whether the documents hold an answer: the case doesn't have the tag "unanswerable"."""
        return "unanswerable" not in self.tags

    @property
    def gradable(self) -> bool:
        """Whether `grade` can tell right from wrong; a user's own case without `must` can be run, but not graded."""
        return bool(self.must) or not self.answerable


@cache
def documents() -> tuple[Document, ...]:
    """Return the 42 documents of the help desk, in the order of its table of contents."""
    return tuple(Document(**json.loads(line)) for line in _bundled("documents.jsonl").splitlines())


@cache
def cases() -> tuple[Case, ...]:
    """Return the 120 cases of the help desk; in every run of five, from the first on, one is unanswerable."""
    return tuple(_cases(_bundled("questions.jsonl"), "questions.jsonl"))


def _bundled(name: str) -> str:
    return resources.files("llmlab.data").joinpath("help_desk", name).read_text(encoding="utf-8")


_PLAIN = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201b\u2032", "'")
    | dict.fromkeys("\u201c\u201d\u201f\u2033", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-")
)
"""Typographic quotes, primes and dashes, and what they are on a keyboard."""

# Retrieval: Okapi BM25.

_WORD = re.compile(r"[^\W_]+")
_STOP = frozenset(
    _WORD.findall(
        "a about am an and any are as at be been but by can could did do does for from get had has have how i if in is it its just me my of"
        " on or our so than that the their them then there they this to too up us was we were what when where which while who why will with"
        " would you your"
    )
)
_SATURATION, _LENGTH, _TITLE = 1.2, 0.75, 2


def _terms(text: str) -> list[str]:
    """Return the words of `text` in lower case without stop words, each cut to a crude stem."""
    words = _WORD.findall(text.translate(_PLAIN).lower().replace("'", ""))
    return [re.sub(r"(?<=\w{3})(ations?|ments?|ings?|ies|ied|ed|es|e|s|y)$", "", word) for word in words if word not in _STOP]


@cache
def _index() -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Return the weight of every term (inverse document frequency), and for every document the saturated frequency of its terms."""
    counts = {page.id: Counter(_terms(page.title) * _TITLE + _terms(page.text)) for page in documents()}
    sizes = {name: sum(count.values()) for name, count in counts.items()}
    mean = sum(sizes.values()) / len(sizes)
    held = Counter(term for count in counts.values() for term in count)
    weights = {term: math.log(1 + (len(counts) - n + 0.5) / (n + 0.5)) for term, n in held.items()}
    floor = {name: _SATURATION * (1 - _LENGTH + _LENGTH * size / mean) for name, size in sizes.items()}
    return weights, {name: {term: n * (_SATURATION + 1) / (n + floor[name]) for term, n in count.items()} for name, count in counts.items()}


def retrieve(question: str, k: int = 3) -> tuple[Document, ...]:
    """Return the `k` documents that fit `question` best, best first, by Okapi BM25 over title (counted twice) and text.

    Every app gets its documents from here, so that apps differ in what they do with them. There are always `k` documents (or all of them,
    if there are fewer), also for a question that shares no word with any; ties go by document id.

    Raises:
        BadInput: `k` is less than 1.
    """
    if k < 1:
        raise BadInput(f"k={k!r}: ask for at least 1 document")
    weights, pages = _index()
    terms = [term for term in dict.fromkeys(_terms(question)) if term in weights]
    scores = {name: math.fsum(weights[term] * page[term] for term in terms if term in page) for name, page in pages.items()}
    return tuple(sorted(documents(), key=lambda page: (-scores[page.id], page.id))[:k])


# Grading.

_DONT_KNOW = (
    "do not know",
    "could not find",
    "can not find",
    "no information",
    "not have information",
    "not have that information",
    "not enough information",
    "not have enough information",
    "documents do not",
    "not in the documents",
    "not mentioned",
    "not specified",
    "not stated",
    "can not answer",
    "not able to answer",
    "unable to answer",
)
"""What counts as admitting not to know, normalized. None of it occurs in a document of the help desk, so a copied sentence never counts."""


def normalize(text: str) -> str:
    """Return `text` in lower case with plain quotes and dashes, single spaces, "not" written out, and no separators in thousands."""
    text = " ".join(text.translate(_PLAIN).lower().split())
    text = re.sub(r"(?<=\d)[,'](?=\d{3}(?!\d))", "", text)
    return text.replace("cannot", "can not").replace("can't", "can not").replace("won't", "will not").replace("n't", " not")


def says_dont_know(text: str) -> bool:
    """Return whether `text` admits that it has no answer, by a short list of English phrases."""
    text = normalize(text)
    return any(phrase in text for phrase in _DONT_KNOW)


def _contains(text: str, item: str) -> bool:
    """Return whether normalized `item` stands in normalized `text` as whole words: "$14" isn't in "$149", nor "5 days" in "15 days"."""
    before = r"(?<!\w)(?<!\d\.)" if item[0].isalnum() else ""
    after = r"(?!\w)(?!\.\d)" if item[-1].isalnum() else ""
    return re.search(before + re.escape(item) + after, text) is not None


def grade(case: Case, text: str) -> bool:
    """Return whether `text` is a right answer to `case`.

    An answerable case wants every string of `must`, after `normalize` and as whole words; an unanswerable one wants `says_dont_know`. The
    grader reads nothing else: a text that adds something wrong to the right strings passes.

    Raises:
        BadCases: The case has neither `must` nor the tag "unanswerable" (`Case.gradable` is False).
    """
    if not case.answerable:
        return says_dont_know(text)
    if not case.must:
        raise BadCases(f'case {case.id!r} cannot be graded: give it "must", strings that a right answer contains, or tag it "unanswerable"')
    text = normalize(text)
    return all(_contains(text, normalize(item)) for item in case.must)


# A user's own cases.


def load_cases(path: str | os.PathLike[str]) -> tuple[Case, ...]:
    """Return the cases of a JSONL file: one JSON object a line, in UTF-8.

    "id" and "question" are required; "documents", "answer", "must" and "tags" may be left out; other keys and blank lines are ignored.

    Raises:
        BadCases: The file cannot be read, holds no case, or a line is wrong. The message names the file and the line, and what to do.
    """
    place = os.fspath(path)
    try:
        text = Path(place).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadCases(f"{place}: there is no such file; give the path of a JSONL file of cases") from None
    except IsADirectoryError:
        raise BadCases(f"{place}: this is a directory; give the path of a JSONL file in it") from None
    except UnicodeDecodeError as error:
        raise BadCases(f"{place}: not UTF-8 (byte {error.start}); save the file as UTF-8 text") from None
    except (OSError, ValueError) as error:
        raise BadCases(f"{place}: cannot be read ({error}); check the path and its permissions") from None
    found = tuple(_cases(text, place))
    if not found:
        raise BadCases(f'{place}: no cases in it; write one JSON object a line, as in {{"id": "q1", "question": "How much is it?"}}')
    return found


def _cases(text: str, place: str) -> Iterator[Case]:
    """Yield the case of every line of `text`; `place` names the file in errors."""
    seen: dict[str, int] = {}
    # Not splitlines: JSON strings may hold U+2028 and its like unescaped.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{place}, line {number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadCases(f"{where}: not valid JSON ({error}); write one whole JSON object a line") from None
        case = _case(value, where)
        if case.id in seen:
            raise BadCases(f"{where}: the id {case.id!r} was used on line {seen[case.id]} already; give every case its own id")
        seen[case.id] = number
        yield case


def _case(value: Any, where: str) -> Case:
    if not isinstance(value, dict):
        raise BadCases(f'{where}: a JSON object is needed, with "id" and "question"; this is {_kind(value)}')
    for key in ("id", "question"):
        if not isinstance(value.get(key), str) or not value[key].strip():
            raise BadCases(f"{where}: {key!r} must be a string with text in it, and is {_kind(value[key]) if key in value else 'missing'}")
    answer = value.get("answer")
    if answer is not None and not isinstance(answer, str):
        raise BadCases(f"{where}: 'answer' must be a string or null, and is {_kind(answer)}")
    lists = {key: _strings(value.get(key), key, where) for key in ("documents", "must", "tags")}
    case = Case(id=value["id"], question=value["question"], answer=answer, **lists)
    if case.must and not case.answerable:
        raise BadCases(f"{where}: a case with the tag 'unanswerable' cannot have 'must'; remove one of them")
    try:
        "".join((case.id, case.question, answer or "", *case.documents, *case.must, *case.tags)).encode()
    except UnicodeEncodeError:
        raise BadCases(f"{where}: half of a surrogate pair (\\ud800 to \\udfff) stands alone; write the whole character") from None
    return case


def _strings(value: Any, key: str, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise BadCases(f'{where}: {key!r} must be a list of strings with text in them, as in ["30 days"]')
    return tuple(value)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "a string" if value.strip() else "empty"
    return {dict: "an object", list: "a list", bool: "true or false", type(None): "null"}.get(type(value), "a number")
