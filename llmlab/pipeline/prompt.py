"""Prompt assembly: question and documents become messages. A prompt's version is a hash of its templates, so no change goes unseen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llmlab.errors import BadInput
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


@dataclass(frozen=True)
class Prompt:
    """Templates for the messages (Jinja, sandboxed).

    Args:
        system: Template of the system message.
        user: Template of the user's message; it sees `question` and `documents` (each with id, title and text).
    """

    system: str = SYSTEM
    user: str = USER

    def __post_init__(self) -> None:
        _ = self._templates

    @cached_property
    def version(self) -> str:
        """Hash of both templates (8 hexadecimal digits)."""
        return digest([self.system, self.user], size=4)

    @cached_property
    def _templates(self) -> tuple[Any, Any]:
        from jinja2 import StrictUndefined, TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=False)
        try:
            return environment.from_string(self.system), environment.from_string(self.user)
        except TemplateError as error:
            raise BadInput(f"the prompt is no valid template: {error}") from error

    def messages(self, question: str, documents: Sequence[Any] = (), history: Sequence[Mapping[str, str]] = ()) -> list[dict[str, str]]:
        """Return the chat messages for a question.

        Args:
            question: What the user asks.
            documents: Texts, mappings or objects with id, title and text.
            history: Earlier messages (role and content), oldest first.

        Raises:
            BadInput: The template asks for something that is not there, or a document has no text.
        """
        from jinja2 import TemplateError

        system, user = self._templates
        values = {"question": question, "documents": [_document(number, one) for number, one in enumerate(documents, 1)]}
        try:
            first, last = system.render(values), user.render(values)
        except TemplateError as error:
            raise BadInput(f"the prompt cannot be filled in: {error}; it may use question and documents (id, title, text)") from error
        return [
            {"role": "system", "content": first},
            *({"role": message["role"], "content": message["content"]} for message in history),
            {"role": "user", "content": last},
        ]


def document_id(number: int, document: Any) -> str:
    """Return the id of the document that stands at place `number` (from 1)."""
    return str(_document(number, document)["id"])


def _document(number: int, document: Any) -> Mapping[str, Any]:
    if isinstance(document, str):
        return {"id": f"document-{number}", "title": "", "text": document}
    if isinstance(document, Mapping):
        found = {name: document.get(name, "") for name in ("id", "title", "text")}
    else:
        found = {name: getattr(document, name, "") for name in ("id", "title", "text")}
    if not found["text"]:
        raise BadInput(f"document {number} has no text; give a string, or id, title and text")
    return {**found, "id": found["id"] or f"document-{number}"}
