"""The documents in a prompt, however an app writes them: tagged, bracketed, under headings, or as plain paragraphs."""

from __future__ import annotations

import json
import re
from contextlib import suppress

from llmlab.wire.finding import Document

_OPENED = re.compile(r"<((?:doc(?:ument)?|source|passage|article|context|snippet)[\w.:-]{0,64})((?:\s[^<>]*)?)>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([\w-]{1,40})\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_BRACKETED = re.compile(r"^[ \t]*\[([\w][\w./:-]{0,63})\][ \t:]*(.*)$", re.MULTILINE)
_MARKER = re.compile(r"</?data-[a-z]{8,24}>")
_DEEPEST = 3
_GAP = re.compile(r"\n[ \t]*\n")
_INSTRUCTS = re.compile(r"\s*(?:you are|answer|use only|use nothing|reply|respond|please|always|never|only)\b", re.IGNORECASE)
_HEADED = re.compile(r"^#{1,4}[ \t]+(.+)$", re.MULTILINE)
_NO_DOCUMENT = re.compile(r"question|instruction|rule|task|output|format|answer|request|style", re.IGNORECASE)
ASKED = re.compile(
    r"<(question|query)>([^<]*)</\1>"
    r"|^[ \t]*(?:(?:the )?(?:customer|user)(?:'s)? )?(?:question|query|customer|user)[ \t]*:(.*?)(?=\n[ \t]*\n|\Z)",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
"""A question that is labelled as one."""
_LABEL = re.compile(r"^\s*(?:context|documents?|sources?|information|knowledge(?: base)?|articles?)\s*:\s*", re.IGNORECASE)


def documents_in(text: str, *, plain: bool) -> tuple[list[Document], str]:
    """Return the documents in `text`, and what is left of it.

    Args:
        text: A message.
        plain: Whether paragraphs without any mark may be documents too.
    """
    found, rest = _tagged(text)
    if found:
        return found, rest
    text = _MARKER.sub("", text)  # it says what a text is, and is no part of it
    for find in (_bracketed, _headed):
        found, rest = find(text)
        if found:
            return found, rest
    label = _LABEL.match(text)
    if not plain and not label:
        return [], text
    paragraphs = [part for part in _GAP.split(text) if part.strip()]
    keep, found = [], []
    for number, part in enumerate(paragraphs):
        body = _LABEL.sub("", part)
        is_last = plain and number == len(paragraphs) - 1
        if is_last or len(body.split()) < 12 or ASKED.search(part) or _INSTRUCTS.match(body):
            keep.append(part)
            continue
        title, line, tail = body.partition("\n")
        titled = bool(line) and len(title.split()) <= 10 and not title.rstrip().endswith((".", "!", "?"))
        found.append(Document("", title.strip(" #:") if titled else "", tail if titled else body))
    return found, "\n\n".join(keep)


def _tagged(text: str, depth: int = 0) -> tuple[list[Document], str]:
    found: list[Document] = []
    rest, at, lower = [], 0, text.lower()
    while opened := _OPENED.search(text, at):
        closing = f"</{opened[1].lower()}>"
        end = lower.find(closing, opened.end())
        if end < 0:
            break
        body = text[opened.end() : end]
        found += (_tagged(body, depth + 1)[0] if depth < _DEEPEST else []) or [_document(body, opened[2])]
        rest.append(text[at : opened.start()])
        at = end + len(closing)
    return found, "".join([*rest, text[at:]])


def _document(body: str, attributes: str) -> Document:
    names = {name.lower(): one or two for name, one, two in _ATTRIBUTE.findall(attributes)}
    name = next((names[key] for key in ("id", "name", "doc", "source", "key", "index") if names.get(key)), "")
    title = names.get("title") or names.get("heading") or ""
    child = re.search(r"<title>([^<]*)</title>", body)
    if child:
        title, body = title or child[1].strip(), body.replace(child[0], "")
    return Document(name, title, re.sub(r"</?[a-z_-]{1,20}>", "", body).strip())


def _sections(pattern: re.Pattern[str], text: str) -> tuple[list[str], list[tuple[re.Match[str], str, bool]]]:
    """Return what stands before the first match, and each match with what follows it, and whether it is the last."""
    starts = list(pattern.finditer(text))
    ends = [*(match.start() for match in starts), len(text)]
    return [text[: ends[0]]], [(match, text[match.end() : end], match is starts[-1]) for match, end in zip(starts, ends[1:], strict=True)]


def _bracketed(text: str) -> tuple[list[Document], str]:
    found: list[Document] = []
    rest, sections = _sections(_BRACKETED, text)
    for match, body, last in sections:
        if last:
            body, left = _first_paragraph(body, bool(match[2].strip()))
            rest.append(left)
        title, text_of = (match[2].strip(), body.strip()) if body.strip() else ("", match[2].strip())
        if text_of:
            found.append(Document(match[1], title, text_of))
    return found, "\n".join(rest)


def _first_paragraph(body: str, titled: bool) -> tuple[str, str]:
    """Return the text of the last bracketed document, and what follows it."""
    label = re.search(r"\n(?=[ \t]*(?:question|customer|user)[ \t]*:)", body, re.IGNORECASE)
    end = label.start() if label else len(body)
    first, *others = _GAP.split(body[:end].strip("\n"), maxsplit=1)
    apart = titled and body.startswith("\n\n") and (len(first.split()) < 12 or first.rstrip().endswith("?"))
    return ("", body) if apart else (first, "\n\n".join([*others, body[end:]]))


def _headed(text: str) -> tuple[list[Document], str]:
    found: list[Document] = []
    rest, sections = _sections(_HEADED, text)
    for match, body, last in sections:
        paragraphs = _GAP.split(body.strip())
        if _NO_DOCUMENT.search(match[1]) or len(body.split()) < 8:
            rest.append(body)
            continue
        if last and len(paragraphs) > 1 and (paragraphs[-1].rstrip().endswith("?") or ASKED.search(paragraphs[-1])):
            rest.append(paragraphs.pop())
        found.append(Document("", match[1].strip(), "\n\n".join(paragraphs)))
    return found, "\n".join(rest)


def flat(text: str) -> str:
    """Return a tool's result as sentences."""
    with suppress(ValueError, AttributeError):
        said = {name.replace("_", " "): part if isinstance(part, str) else json.dumps(part) for name, part in json.loads(text).items()}
        return " ".join(f"The {name} is {part}." for name, part in said.items())
    return text
