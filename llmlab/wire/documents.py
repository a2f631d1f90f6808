"""The documents in a prompt, however an app writes them: tagged, bracketed, under headings, or as plain paragraphs."""

from __future__ import annotations

import json
import re

from llmlab.wire.finding import Document

_OPENED = re.compile(r"<((?:doc(?:ument)?|source|passage|article|context|snippet)[\w.:-]{0,64})((?:\s[^<>]*)?)>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([\w-]{1,40})\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_BRACKETED = re.compile(r"^[ \t]*\[([\w][\w./:-]{0,63})\][ \t:]*(.*)$", re.MULTILINE)
_DEEPEST = 3
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
    for find in (_tagged, _bracketed, _headed):
        found, rest = find(text)
        if found:
            return found, rest
    label = _LABEL.match(text)
    if not plain and not label:
        return [], text
    paragraphs = [part for part in re.split(r"\n[ \t]*\n", text) if part.strip()]
    keep, found = [], []
    for number, part in enumerate(paragraphs):
        body = _LABEL.sub("", part)
        is_last = plain and number == len(paragraphs) - 1
        if is_last or len(body.split()) < 12 or ASKED.search(part) or _instructs(body):
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
        found += _inside(text[opened.end() : end], opened[2], depth)
        rest.append(text[at : opened.start()])
        at = end + len(closing)
    return found, "".join([*rest, text[at:]])


def _inside(body: str, attributes: str, depth: int) -> list[Document]:
    """Return the document between two tags, or those that it contains."""
    inner = _tagged(body, depth + 1)[0] if depth < _DEEPEST else []
    if inner:
        return inner
    names = {name.lower(): one or two for name, one, two in _ATTRIBUTE.findall(attributes)}
    name = next((names[key] for key in ("id", "name", "doc", "source", "key", "index") if names.get(key)), "")
    title = names.get("title") or names.get("heading") or ""
    child = re.search(r"<title>([^<]*)</title>", body)
    if child:
        title, body = title or child[1].strip(), body.replace(child[0], "")
    return [Document(name, title, re.sub(r"</?[a-z_-]{1,20}>", "", body).strip())]


def _bracketed(text: str) -> tuple[list[Document], str]:
    starts = list(_BRACKETED.finditer(text))
    found: list[Document] = []
    rest = [text[: starts[0].start()]] if starts else [text]
    for number, match in enumerate(starts):
        last = number == len(starts) - 1
        body = text[match.end() : starts[number + 1].start() if not last else len(text)]
        if last:
            body, left = _first_paragraph(body, bool(match[2].strip()))
            rest.append(left)
        title, text_of = (match[2].strip(), body.strip()) if body.strip() else ("", match[2].strip())
        if text_of:
            found.append(Document(match[1], title, text_of))
    return (found, "\n".join(rest)) if found else ([], text)


def _first_paragraph(body: str, titled: bool) -> tuple[str, str]:
    """Return the text of the last bracketed document, and what follows it."""
    label = re.search(r"\n(?=[ \t]*(?:question|customer|user)[ \t]*:)", body, re.IGNORECASE)
    end = label.start() if label else len(body)
    first, *others = re.split(r"\n[ \t]*\n", body[:end].strip("\n"), maxsplit=1)
    apart = titled and body.startswith("\n\n") and (len(first.split()) < 12 or first.rstrip().endswith("?"))
    return ("", body) if apart else (first, "\n\n".join([*others, body[end:]]))


def _headed(text: str) -> tuple[list[Document], str]:
    starts = list(_HEADED.finditer(text))
    found: list[Document] = []
    rest = [text[: starts[0].start()]] if starts else [text]
    for number, match in enumerate(starts):
        body = text[match.end() : starts[number + 1].start() if number + 1 < len(starts) else len(text)]
        paragraphs = re.split(r"\n[ \t]*\n", body.strip())
        if _NO_DOCUMENT.search(match[1]) or len(body.split()) < 8:
            rest.append(body)
            continue
        if number + 1 == len(starts) and len(paragraphs) > 1 and (paragraphs[-1].rstrip().endswith("?") or ASKED.search(paragraphs[-1])):
            rest.append(paragraphs.pop())
        found.append(Document("", match[1].strip(), "\n\n".join(paragraphs)))
    return (found, "\n".join(rest)) if found else ([], text)


def _instructs(text: str) -> bool:
    return bool(re.match(r"\s*(?:you are|answer|use only|use nothing|reply|respond|please|always|never|only)\b", text, re.IGNORECASE))


def flat(text: str) -> str:
    """Return a tool's result as sentences."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, dict):
        return " ".join(
            f"The {name.replace('_', ' ')} is {part if isinstance(part, str) else json.dumps(part)}." for name, part in value.items()
        )
    return text
