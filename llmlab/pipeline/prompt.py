"""Prompt assembly: question and documents become messages. A prompt's version is a hash of its templates, so no change goes unseen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from llmlab.errors import BadInput
from llmlab.pipeline import spotlight as defense
from llmlab.pipeline.guardrails.base import Guard
from llmlab.pipeline.guardrails.canary import CanaryGuard
from llmlab.protocol.canonical import digest

SYSTEM = """\
You answer questions of customers at a help desk.
Use nothing but the documents. Answer in one or two short sentences.
Name the document of each fact by its id in square brackets, as in [returns].
If the documents do not hold the answer, say that you don't know."""

USER = """\
{% for document in documents -%}
<document id="{{ document.id }}" title="{{ document.title }}">
{{ document.text }}
</document>
{% endfor -%}
Question: {{ question }}"""

_VALUES = ("documents", "question")


class Document(NamedTuple):
    """A text to answer from."""

    id: str
    title: str
    text: str


@dataclass(frozen=True)
class Prompt:
    """Templates for the messages (Jinja, sandboxed).

    Args:
        system: Template of the system message; empty: there is none.
        user: Template of the user's message. Both see `question` and `documents` (each with id, title and text).
        spotlight: Whether documents are marked as data: each text stands between markers that it cannot hold, tags in it are defused, and
            the system message says what that means (spotlighting by delimiters: Hines et al. 2024, arXiv:2403.14720).
        canary: Whether the system message holds a token that no answer has any business to hold: see `guards`.
        key: Of the HMAC that markers and canaries are: in live serving, a secret of your own.

    Raises:
        BadInput: A template is none, or uses a name that is not there; a switch or the key is none.
    """

    system: str = SYSTEM
    user: str = USER
    spotlight: bool = field(default=False, kw_only=True)
    canary: bool = field(default=False, kw_only=True)
    key: str = field(default="llmlab", kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if not (isinstance(self.spotlight, bool) and isinstance(self.canary, bool) and isinstance(self.key, str) and self.key):
            raise BadInput("Prompt: spotlight and canary are True or False, and key is a text that is not empty")
        for name, template in (("system", self.system), ("user", self.user)):
            if not isinstance(template, str):
                raise BadInput(f"Prompt: {name} is the text of a template, not {type(template).__name__}")
        _compiled(self.system, self.user)

    @cached_property
    def version(self) -> str:
        """Hash of both templates and of what the switches add to them (8 hexadecimal digits)."""
        return digest([self.system, self.user, *self._rules], size=4)

    @property
    def _rules(self) -> list[str]:
        return [rule for rule, there in ((defense.CANARY_RULE, self.canary), (defense.DATA_RULE, self.spotlight)) if there]

    def canary_of(self, question: str) -> str:
        """Return the canary of a request. It is the question's alone, so that leaving a document out does not change it."""
        return defense.token(self.key, "canary", question)

    def guards(self, question: str, documents: Iterable[Any] = ()) -> tuple[Guard, ...]:
        """Return the guards of this one request's answer: one that blocks an answer with its canary, if there is one.

        Args:
            question: What the user asks.
            documents: What it is answered from.
        """
        return (CanaryGuard(canary=self.canary_of(question)),) if self.canary else ()

    def messages(self, question: str, documents: Iterable[Any] = (), history: Iterable[Mapping[str, str]] = ()) -> list[dict[str, str]]:
        """Return the chat messages for a question.

        Args:
            question: What the user asks.
            documents: Texts, mappings or objects with id, title and text.
            history: Earlier messages (role and content), oldest first.

        Raises:
            BadInput: A template cannot be filled in, a document has no text, or an earlier message has no role or content.
        """
        given = as_documents(documents)
        marker = defense.marker(self.key, question, given) if self.spotlight else ""
        if marker:
            given = tuple(Document(defense.plain(id_), defense.plain(title), defense.marked(text, marker)) for id_, title, text in given)
        values = {"question": question, "documents": given}
        try:
            first, last = (template.render(values) for template in _compiled(self.system, self.user))
        except Exception as error:  # a template is a program: whatever it raises is its own
            raise BadInput(f"the prompt cannot be filled in: {error}; a document has id, title and text") from error
        # The canary comes first: whoever repeats the message from its start is stopped there, before a word of it was shown.
        canary = defense.CANARY_RULE.format(canary=self.canary_of(question)) if self.canary else ""
        first = "\n".join(filter(None, (canary, first, defense.DATA_RULE.format(marker=marker) if marker else "")))
        start = [{"role": "system", "content": first}] if first else []
        return [*start, *as_messages(history), {"role": "user", "content": last}]


@lru_cache(maxsize=64)
def _compiled(*templates: str) -> tuple[Any, ...]:
    """Return the templates, compiled once: that takes as long as thirty questions."""
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.meta import find_undeclared_variables
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    try:
        used = [find_undeclared_variables(environment.parse(template)) for template in templates]
        compiled = tuple(environment.from_string(template) for template in templates)
    except TemplateError as error:
        raise BadInput(f"the prompt is no valid template: {error}") from error
    if unknown := sorted(set().union(*used) - {*_VALUES, *environment.globals}):
        raise BadInput(f"the prompt uses {', '.join(unknown)}, and there is: {', '.join(_VALUES)}")
    return compiled


def as_documents(given: Iterable[Any]) -> tuple[Document, ...]:
    """Return texts, mappings or objects (with id, title and text) as documents; those without an id are numbered from 1.

    Raises:
        BadInput: It is one text instead of several, or a document has no text.
    """
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable) or hasattr(given, "text"):
        raise BadInput(f"documents is a list, as in [document], not one {type(given).__name__}")
    return tuple(one if isinstance(one, Document) else _as_document(number, one) for number, one in enumerate(given, 1))


def _as_document(number: int, given: Any) -> Document:
    if isinstance(given, str):
        given = {"text": given}
    named, title, text = (given.get(name) if isinstance(given, Mapping) else getattr(given, name, None) for name in Document._fields)
    if not isinstance(text, str) or not text:
        raise BadInput(f"document {number} has no text; give a string, or a mapping or an object with id, title and text")
    return Document(f"document-{number}" if named in (None, "") else str(named), "" if title is None else str(title), text)


def as_messages(history: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return earlier messages as a list of mappings with role and content.

    Raises:
        BadInput: It is one message instead of several, or a message has no role or content.
    """
    if isinstance(history, str | Mapping) or not isinstance(history, Iterable):
        raise BadInput(f"history is a list of messages, oldest first, not one {type(history).__name__}")
    messages = []
    for number, message in enumerate(history, 1):
        parts = [message.get(name) for name in ("role", "content")] if isinstance(message, Mapping) else []
        if not parts or not all(isinstance(part, str) for part in parts):
            raise BadInput(f"message {number} of the history is a mapping with role and content, both texts, not {type(message).__name__}")
        messages.append({"role": str(parts[0]), "content": str(parts[1])})
    return messages
