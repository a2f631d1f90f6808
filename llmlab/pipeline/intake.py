"""What comes in: the guards look at the question, at what was said before, and at the documents, before any of it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from llmlab.pipeline.answer import Finding, moved
from llmlab.pipeline.draft import Draft
from llmlab.pipeline.guardrails.base import Guard
from llmlab.pipeline.guardrails.redaction import Vault
from llmlab.pipeline.guardrails.verdict import Ask, Verdict, action_of, look, looks_at
from llmlab.pipeline.prompt import Document, as_documents

Stage = Callable[[str], AbstractContextManager[list[str]]]
"""Times a stage, and takes what the trace should say of it."""


class Intake:
    """The guards of what comes in, for one request.

    Args:
        guards: They look.
        draft: Takes note.
        stage: Times a stage.
        ask: Asks a model, for judges.
    """

    def __init__(self, guards: Iterable[Guard], draft: Draft, stage: Stage, ask: Ask) -> None:
        self._guards, self._draft, self._stage, self._ask = tuple(guards), draft, stage, ask
        self._redacting = tuple(guard for guard in self._guards if action_of(guard) == "redact")
        self.vault = Vault()
        """What was hidden."""

    async def question(self, text: str, history: Iterable[dict[str, str]]) -> tuple[str, list[dict[str, str]]]:
        """Return the question and the earlier messages as they may go on. Of earlier answers only what must be hidden is looked for."""
        messages = list(history)
        with self._stage("guards in") as note:
            verdict = await look(self._guards, _sound(text), "user", Verdict("question"), self._ask)
            note.append(verdict.note)
            if self._draft.take(verdict):
                text = self._hidden(_sound(text), verdict.redactions)
            for number, message in enumerate(messages, 1):
                if self._draft.status != "ok":
                    break
                said, mine = _sound(message["content"]), message["role"] == "user"
                guards, role = (self._guards, "user") if mine else (self._redacting, "assistant")
                verdict = await look(guards, said, role, Verdict(f"message {number}"), self._ask)
                if verdict.found or verdict.broken:
                    note.append(f"{verdict.where} {verdict.note}")
                if self._draft.take(verdict):
                    messages[number - 1] = {**message, "content": self._hidden(said, verdict.redactions)}
        return text, messages

    async def documents(self, question: str, given: Iterable[Any] | None, retrieve: Callable[[str], Any] | None) -> tuple[Document, ...]:
        """Return the documents that were given, or that are found, as they may go on; what the guards object to is left out."""
        if given is not None:
            found = as_documents(given)
        elif retrieve is None:
            return ()
        else:
            with self._stage("retrieval") as note:
                try:
                    found = as_documents(retrieve(question))
                    note.append(f"{len(found)} document{'' if len(found) == 1 else 's'}")
                except Exception as error:
                    note.append(self._draft.crashed("retrieval", error))
                    return ()
        found = tuple(page._replace(title=_sound(page.title), text=_sound(page.text)) for page in found)
        if not found or not (self._redacting or any(looks_at(guard, "document") for guard in self._guards)):
            return found
        kept, withheld = [], []
        with self._stage("guards on documents") as note:
            for document in found:
                verdict, allowed = await self._document(document)
                self._draft.note(verdict)
                if verdict.found or verdict.broken:
                    note.append(f"{verdict.where} {verdict.note}")
                if verdict.status == "ok":
                    kept.append(allowed)
                else:
                    withheld.append(document.id)
            note += [] if note else ["passed"]
        if withheld:
            self._draft.withheld = f"withheld: {len(withheld)} document{'' if len(withheld) == 1 else 's'} ({', '.join(withheld)})"
        return tuple(kept)

    async def _document(self, document: Document) -> tuple[Verdict, Document]:
        """Let the guards look at a document, its title first and then its text; return it as it may go on."""
        title = f"{document.title}\n" if document.title else ""
        verdict = await look(self._guards, title + document.text, "document", Verdict(f"document {document.id}"), self._ask)
        above = [one for one in verdict.redactions if one.start < len(title)]
        below = [moved(one, -len(title)) for one in verdict.redactions if one.end > len(title)]
        return verdict, document._replace(title=self._hidden(document.title, above), text=self._hidden(document.text, below))

    def _hidden(self, text: str, redactions: Iterable[Finding]) -> str:
        """Return a text with placeholders for what must not leave. Every text is given to the vault, so that it knows what stood there."""
        return self.vault.hide(text, redactions) if self._redacting else text


def _sound(text: str) -> str:
    """Return a text without halves of characters, which cannot be sent: each becomes U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
