"""What a prompt holds, as far as a simulated model sees it: documents, a question, wishes about the answer, instructions smuggled in.

Documents may be tagged (`<document id="x" title="...">...</document>`), bracketed (`[x] title`, then text), headed (`## title`) or plain
paragraphs. The question is what the last message of the user asks; what stands around it are wishes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import zip_longest
from typing import Any, NamedTuple

from llmlab.protocol.tokens import content_text
from llmlab.wire.documents import ASKED, documents_in, flat
from llmlab.wire.finding import Document, sentences

_FEEDBACK = re.compile(
    r"\b(?:your (?:last |previous )?(?:answer|reply|response|output)|that|it)\b.{0,40}\b(?:was not|wasn't|is not|isn't|did not|didn't"
    r"|does not|doesn't|could not|lacks?|has no|failed|invalid)\b|\btry again\b|\bcorrect (?:it|the json)\b|\bnot valid json\b"
    r"|\byour answer cannot be used\b",
    re.IGNORECASE | re.DOTALL,
)

_CITE = re.compile(
    r"\bcit(?:e|es|ed|ing|ations?)\b|\bsquare brackets\b|\b(?:document|source|doc)(?:'s)?[ -]ids?\b|\bname the (?:document|source)",
    re.IGNORECASE,
)
_ADMIT = re.compile(
    r"\b(?:(?:don't|do not|doesn't) know|not sure|(?:cannot|can't|can not|unable to) (?:answer|find)|no answer|abstain"
    r"|not (?:be )?(?:in|covered by|answered by|found in) the (?:documents?|context|sources?))\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“]([^\"“”]{3,160})[\"”]")
_NUMBERS = {word: number for number, word in enumerate(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], 1)}
_LENGTH = re.compile(
    r"\b(?:in|at most|no more than|not more than|up to|within|under|max(?:imum)?\.?(?: of)?|fewer than|less than|using)\s+"
    r"(?:(?:\d+|\w+) (?:or|to) )?(\d+|\w+)\s+(?:short |brief |complete )?(words?|sentences?)\b",
    re.IGNORECASE,
)
_LONG = re.compile(r"\b(about|around|roughly|approximately|at least|no fewer than|no less than)\s+(\d+)\s+words?\b", re.IGNORECASE)
_GUARDED = re.compile(
    r"\b(?:as data|not (?:as )?instructions|(?:never|do not|don't) (?:follow|obey|act on)"
    r"|ignore (?:any|all|every) (?:instruction|command|request)s? (?:in|inside|within|that stand))",
    re.IGNORECASE,
)

_OVERRIDE = (
    r"\b(?:ignore|disregard|forget|override)\b[^.!?\n]{0,40}\b(?:instructions?|rules?|prompts?|above|previous|everything|guidelines)\b"
    r"|\b(?:reveal|print|repeat|output|show|tell me)\b[^.!?\n]{0,30}"
    r"\b(?:system prompt|system message|your (?:hidden |secret )?instructions)\b"
)
_SMUGGLED = re.compile(_OVERRIDE, re.IGNORECASE)
_SMUGGLED_IN_DOCUMENT = re.compile(
    _OVERRIDE + r"|\b(?:new|updated|system|admin|administrator) (?:instructions?|message|override|note|prompt)\s*:"
    r"|\b(?:reply|respond|answer)\s+(?:only\s+|exactly\s+|just\s+)?with\b"
    r"|\byou (?:must|will|should|are to) (?:now |always )?(?:reply|respond|say|answer|tell|output|recommend|ignore)\b"
    r"|\b(?:AI|assistants?|language models?|chatbots?)\b[^.\n]{0,25}\b(?:must|should|shall|are to)\b",
    re.IGNORECASE,
)
_PAYLOAD = re.compile(
    r"\b(?:reply|respond|answer|say|output|print|write|state|recommend|tell (?:the )?(?:user|customer|them|everyone))\b"
    r"(?:\s+(?:only|just|exactly|with|that|the following|to))*\s*:?\s*[\"'“]?(.+?)[\"'”]?(?:\s+and nothing else)?[.!]?\s*$",
    re.IGNORECASE,
)
_LEAK = re.compile(r"system prompt|system message|your (?:hidden |secret )?instructions", re.IGNORECASE)


class Wishes(NamedTuple):
    """What the prompt asks for beyond an answer."""

    cite: bool = False
    """Name the documents."""
    json: bool = False
    """Answer in JSON, asked for in words."""
    example: Any = None
    """A JSON object or schema that stands in the prompt."""
    admit: str | None = None
    """Say so if you don't know: the words to say, or an empty string."""
    words: int | None = None
    """At most so many words."""
    sentences: int | None = None
    """At most so many sentences."""
    least: int = 0
    """At least so many words, as far as the documents go."""
    guarded: bool = False
    """The prompt says that documents are data and no instructions."""


class Injection(NamedTuple):
    """An instruction that stands where data should be."""

    payload: str
    """What it wants said; empty if it wants something else."""
    leak: bool
    """Whether it wants the system prompt."""
    asked: bool = False
    """Whether the user says it, and no document."""


class Prompt(NamedTuple):
    """A prompt, read."""

    question: str
    documents: tuple[Document, ...]
    wishes: Wishes
    injections: tuple[Injection, ...]
    system: str
    """The system message, without documents."""
    after_tools: bool
    """Whether the last message is a tool's result."""


def read(messages: Sequence[dict[str, Any]]) -> Prompt:
    """Return what `messages` hold."""
    texts = tuple((message["role"], content_text(message.get("content"))) for message in messages)
    if sum(len(text) for _, text in texts) > 100_000:
        return _read.__wrapped__(texts)
    return _read(texts)


@lru_cache(maxsize=256)
def _read(texts: tuple[tuple[str, str], ...]) -> Prompt:
    documents: list[Document] = []
    wishes: list[str] = []
    system: list[str] = []
    asked: list[str] = []
    for role, text in texts:
        if role in ("tool", "function"):
            documents.append(Document(f"result-{len(documents) + 1}", "", flat(text)))
        elif role != "assistant":
            found, rest = documents_in(text, plain=role == "user")
            documents += found
            wishes.append(rest)
            if role != "user":
                system.append(rest)
                continue
            question = _question(rest, bool(found))
            if not (asked and _FEEDBACK.search(question)):
                asked.append(question)
    numbered = tuple(document if document.id else document._replace(id=str(number)) for number, document in enumerate(documents, 1))
    question = asked[-1] if asked else ""
    return Prompt(
        question=question,
        documents=numbered,
        wishes=_wishes("\n".join(wishes)),
        injections=tuple(_injections(numbered, question)),
        system=" ".join(" ".join(system).split()),
        after_tools=bool(texts) and texts[-1][0] in ("tool", "function"),
    )


def _question(text: str, had_documents: bool) -> str:
    labelled = list(ASKED.finditer(text))
    if labelled:
        return (labelled[-1][2] or labelled[-1][3] or "").strip()
    paragraphs = [part.strip() for part in re.split(r"\n[ \t]*\n", text) if part.strip()]
    if not had_documents or len(paragraphs) < 2:
        return text.strip()
    return next((part for part in reversed(paragraphs) if part.endswith("?")), paragraphs[-1])


def _wishes(text: str) -> Wishes:
    limits = {}
    for bound, number in _LONG.findall(text):
        limits["least"] = int(number)
        if bound.lower() not in ("at least", "no fewer than", "no less than"):
            limits["words"] = int(number)
    for number, unit in _LENGTH.findall(text):
        count = int(number) if number.isdigit() else _NUMBERS.get(number.lower())
        if count:
            limits["words" if unit.lower().startswith("word") else "sentences"] = count
    wants_json = bool(re.search(r"\bjson\b", text, re.IGNORECASE))
    return Wishes(
        cite=bool(_CITE.search(text)),
        json=wants_json,
        example=_example(text) if wants_json else None,
        admit=_admission(text),
        guarded=bool(_GUARDED.search(text)),
        **limits,
    )


def _admission(text: str) -> str | None:
    """Return the quoted words that are to be said: they stand in the line that says when, and not before; empty if there are none."""
    admit = _ADMIT.search(text)
    if not admit:
        return None
    for quote in _QUOTED.finditer(text):
        if quote.end() > admit.start() and "\n" not in text[min(admit.start(), quote.start()) : max(admit.end(), quote.end())]:
            return quote[1]
    return ""


def _example(text: str) -> Any:
    """Return the first JSON object in `text`, or the names of fields that look like one, or None."""
    decoder = json.JSONDecoder()
    for match in re.finditer(r"\{", text):
        with suppress(ValueError):
            value, _ = decoder.raw_decode(text, match.start())
            if value:
                return value
    skeleton = re.search(r"\{[^{}]*\}", text)
    names = re.findall(r"[\"'](\w+)[\"']\s*:", skeleton[0]) if skeleton else []
    if not names:
        listed = re.search(r"\b(?:keys?|fields?|propert(?:y|ies))\b\s*:?\s*([^.\n]+)", text, re.IGNORECASE)
        names = re.findall(r"[\"'`](\w+)[\"'`]", listed[1]) if listed else []
    return dict.fromkeys(names, "") or None


def _injections(documents: tuple[Document, ...], question: str) -> Iterator[Injection]:
    given = [*((_SMUGGLED_IN_DOCUMENT, document.text, False) for document in documents), (_SMUGGLED, question, True)]
    for pattern, text, asked in given:
        parts = sentences(text) if pattern.search(text) else ()
        for part, after in zip_longest(parts, parts[1:], fillvalue=""):
            if pattern.search(part):
                payload = _PAYLOAD.search(part) or _PAYLOAD.search(after)
                yield Injection(payload[1].strip() if payload else "", bool(_LEAK.search(part)), asked)
                break


@lru_cache(maxsize=8192)
def smuggled(sentence: str) -> bool:
    """Whether a document's sentence is an instruction to the model."""
    return bool(_SMUGGLED_IN_DOCUMENT.search(sentence))
