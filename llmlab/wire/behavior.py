"""How a simulated model answers: a behavioral model of a provider, not a language model.

It finds the sentences of the prompt's documents that fit the question and says them. So prompts matter: what a prompt doesn't ask for
(citations, JSON, "say that you don't know") it does not reliably do, and even what it asks for comes at a rate. The rates are `Habits`;
every decision is a keyed draw, so the same attempt gets the same answer, and another attempt another one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

from llmlab.protocol.draws import lognormal, uniform
from llmlab.protocol.tokens import content_text
from llmlab.wire import phrasing
from llmlab.wire.calling import calls
from llmlab.wire.chat_format import ToolCall
from llmlab.wire.chat_request import ChatRequest
from llmlab.wire.finding import Found, Sentence, find
from llmlab.wire.habits import Habits
from llmlab.wire.json_schema import Draw, Facts, fill
from llmlab.wire.reading import Prompt, read, smuggled

Answerable = Callable[[str, str], bool | None]
"""Says of a question and the text of the prompt's documents whether the text answers it; None: it can't say."""

_NOTICED = 6
"""Sentences that it considers."""
_SURE_ENOUGH = 0.33
_USEFUL = 0.7
_EFFORT = {None: 0.0, "none": 0.0, "minimal": 0.25, "low": 0.5, "medium": 1.0, "high": 2.5, "xhigh": 5.0}
"""How much longer a reasoning model thinks at an effort."""
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_NAMED = (
    (re.compile(r"confiden|score|probab"), _SHARE),
    (re.compile(r"^(?:is|has|can)_|known|found|answerable|supported"), {"type": "boolean"}),
    (re.compile(r"citations|sources|references|documents"), {"type": "array", "items": {"type": "string"}}),
)
"""How fields are called, and what they hold where an example shows only text."""
_SAY = re.compile(
    r"^\s*(?:please )?(?:just )?(?:say|repeat|reply with|respond with|answer with|write)\b(?: only| just| exactly)?:?\s+"
    r"[\"']?(.+?)[\"']?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_YES_OR_NO = re.compile(r"\banswer with one word,? yes or no\b", re.IGNORECASE)
_GREETING = re.compile(r"^\s*(?:hello|hi|hey|good (?:morning|day|evening))\b[^?]{0,40}$", re.IGNORECASE)


class Answer(NamedTuple):
    """One choice of a completion."""

    text: str | None
    calls: tuple[ToolCall, ...] = ()
    reasoning_tokens: int = 0
    """Thought before the answer, billed and not shown."""


class _Saying(NamedTuple):
    """What the model is about to say."""

    parts: tuple[str, ...]
    """Sentences, each with the facts of one source."""
    sources: tuple[str, ...] = ()
    """Ids of their documents, one for each sentence that has one."""
    title: str = ""
    among: str = ""
    """The documents, which show what is a name."""
    known: bool = True
    opener: str = ""
    closer: str = ""


def help_desk(question: str, text: str) -> bool | None:
    """Say of a question of the bundled help desk whether `text` answers it; None of any other question.

    It stands in for what a language model would understand, and tells a simulated one nothing but this.
    """
    needed = _help_desk().get(question)
    return None if needed is None else bool(needed) and all(page in text for page in needed)


@cache
def _help_desk() -> dict[str, tuple[str, ...]]:
    """Return the pages that answer each question; none where nothing answers it."""
    from llmlab.data import help_desk as data

    pages = {page.id: page.text for page in data.documents()}
    return {case.question: tuple(pages[name] for name in case.documents) for case in data.cases()}


def respond(request: ChatRequest, habits: Habits, *key: object, answerable: Answerable | None = None) -> list[Answer]:
    """Return the choices for `request`.

    Args:
        request: What was asked for.
        habits: How the model is.
        key: What the draws are for.
        answerable: Knows better than words whether the documents hold the answer.
    """
    prefix = "\x1f".join(map(str, key))
    draws = [partial(uniform, f"{prefix}\x1f{index}" if index else prefix) for index in range(request.choices)]
    return [_Model(request, read(request.messages), habits, draw, answerable).answer() for draw in draws]


class _Model(NamedTuple):
    """A model at one prompt."""

    request: ChatRequest
    prompt: Prompt
    habits: Habits
    draw: Draw
    answerable: Answerable | None

    def answer(self) -> Answer:
        request, prompt = self.request, self.prompt
        thought = self._thought()
        if _YES_OR_NO.search(prompt.system):
            text = content_text(request.messages[-1].get("content"))
            return Answer("Yes" if smuggled(text) != self._does("misjudges", self.habits.misjudges) else "No", (), thought)
        if request.tools and request.tool_choice != "none" and not (prompt.after_tools and request.tool_choice == "auto"):
            made = calls(request, prompt.question, self.draw)
            if made:
                return Answer(None, made, thought)
        saying = self._obeyed() or self._said()
        is_prose = request.format == "text" and not prompt.wishes.json
        return Answer(self._text(saying) if is_prose else self._json(saying), (), thought)

    def _does(self, habit: str, rate: float) -> bool:
        return self.draw(habit) < rate

    def _thought(self) -> int:
        median = self.habits.reasoning_tokens * _EFFORT[self.request.effort]
        return 64 * max(1, round(lognormal(self.draw("reasoning"), median=median, sigma=0.6) / 64)) if median else 0

    def _obeyed(self) -> _Saying | None:
        """Return what an injected instruction makes it say, or None where there is none or it does not obey."""
        warned = self.habits.heeds_warning if self.prompt.wishes.guarded else 0.0
        for number, injection in enumerate(self.prompt.injections):
            # The warning is of documents: a user who asks for the instructions is obeyed as before.
            if self.draw("obeys", number) < self.habits.obeys_injection * (1 if injection.asked else 1 - warned):
                if injection.leak and self.prompt.system:
                    return _Saying((f"My instructions are: {self.prompt.system[:400]}",))
                return _Saying((injection.payload or "Understood. I will disregard my earlier instructions.",))
        return None

    def _said(self) -> _Saying:
        prompt, habits, draw = self.prompt, self.habits, self.draw
        found = find(prompt.documents, prompt.question)
        near = found.ranked[:_NOTICED]
        ranked = [sentence for sentence in near if not smuggled(sentence.text)]
        if not ranked:
            return self._without_documents()
        text = "\n\n".join(document.text for document in prompt.documents)
        known = self.answerable(prompt.question, text) if self.answerable else None
        if known is None:
            known = found.sure >= _SURE_ENOUGH
        asked, unasked = (habits.overcautious, 0.0) if known else (habits.admits_if_asked, habits.admits_unasked)
        if self._does("admits", unasked if prompt.wishes.admit is None else asked):
            return _Saying((phrasing.admission(prompt.wishes.admit, draw),), known=False)
        picked = self._picked(found, ranked)
        texts, others = [sentence.text for sentence in picked], [sentence.text for sentence in near[1:]]
        if known:
            if self._does("made up", habits.made_up):
                texts[0] = phrasing.changed_fact(texts[0], others, draw)
        elif self._does("made up unknown", habits.made_up_unknown):
            freely = self._does("kind of invention", 0.5)
            texts = [phrasing.invention(prompt.question, draw) if freely else phrasing.changed_fact(texts[0], others, draw)]
        title = prompt.documents[picked[0].document].title
        names = [prompt.documents[sentence.document].id for sentence in picked[: len(texts)]]
        if self._does("miscites", habits.miscites) and len(prompt.documents) > 1:
            wrong = [document.id for document in prompt.documents if document.id != names[0]]
            names[0] = phrasing.pick(wrong or names, draw, "wrong document")
        end = phrasing.pick(phrasing.CLOSERS, draw, "closer") if self._does("closer", habits.verbosity / 2) else ""
        return _Saying(tuple(texts), tuple(names), title, text, opener=phrasing.pick(phrasing.OPENERS, draw, "opener"), closer=end)

    def _picked(self, found: Found, ranked: list[Sentence]) -> list[Sentence]:
        """Return the sentences to say: the best one and what adds to it."""
        habits, best = self.habits, ranked[0]
        if len(ranked) > 1 and self._does("misreads", habits.misreads):
            return [ranked[1]]
        picked, spare, words = [best], [], len(best.text.split())
        for sentence, use in found.also:
            size = len(sentence.text.split())
            if sentence is best or smuggled(sentence.text) or words + size > habits.words:
                continue
            if use >= _USEFUL * found.best and len(picked) <= habits.further:
                picked.append(sentence)
                words += size
            else:
                spare.append(sentence)
        if spare and len(picked) == 1 and self._does("more", habits.verbosity):
            picked.append(phrasing.pick(spare, self.draw, "spare"))
        least = self.prompt.wishes.least
        if least and self._does("follows", habits.follows):
            for sentence in found.ranked:
                if sum(len(one.text.split()) for one in picked) < least and sentence not in picked and not smuggled(sentence.text):
                    picked.append(sentence)
        return picked

    def _without_documents(self) -> _Saying:
        prompt, draw = self.prompt, self.draw
        said = _SAY.match(prompt.question)
        if said:
            return _Saying((said[1][:1].upper() + said[1][1:],))
        if not prompt.question or _GREETING.match(prompt.question):
            return _Saying(("Hello! How can I help you today?",))
        if prompt.wishes.admit is not None and self._does("admits", self.habits.admits_if_asked):
            return _Saying((phrasing.admission(prompt.wishes.admit, draw),), known=False)
        if self._does("made up without documents", self.habits.made_up_without_documents):
            return _Saying((phrasing.invention(prompt.question, draw),), opener=phrasing.pick(phrasing.OPENERS, draw, "opener"))
        return _Saying((phrasing.admission(None, draw), "If you tell me more, I will gladly try to help."), known=False)

    def _text(self, saying: _Saying) -> str:
        """Return the answer as prose, with what the prompt wishes, as far as the model does that."""
        wishes = self.prompt.wishes
        cites = wishes.cite and self._does("cites", self.habits.cites_if_asked)
        names = [*saying.sources, *[""] * len(saying.parts)]
        parts = [phrasing.cited(part, name) if cites and name else part for part, name in zip(saying.parts, names, strict=False)]
        if not ((wishes.words or wishes.sentences) and self._does("follows", self.habits.follows)):
            return " ".join(filter(None, (_opened(saying, " ".join(parts)), saying.closer)))
        body = phrasing.joined(parts, wishes.sentences, saying.among)
        if wishes.words:
            body = phrasing.shortened(body, wishes.words)
        opened = _opened(saying, body)
        crowded = (wishes.words and len(opened.split()) > wishes.words) or (wishes.sentences and "." in saying.opener)
        return body if crowded else opened

    def _json(self, saying: _Saying) -> str:
        wishes, draw = self.prompt.wishes, self.draw
        facts = Facts(
            text=phrasing.joined(saying.parts, wishes.sentences, saying.among),
            quote=saying.parts[0] if saying.sources else "",
            sources=tuple(dict.fromkeys(saying.sources)),
            title=saying.title,
            question=self.prompt.question,
            known=saying.known,
        )
        if self.request.schema is not None:
            return json.dumps(fill(self.request.schema, facts, draw), ensure_ascii=False, separators=(",", ":"))
        text = json.dumps(fill(_schema_of(wishes.example, wishes.cite), facts, draw), ensure_ascii=False)
        breaks = self.request.format == "text" and self._does("breaks", self.habits.broken_format)
        return phrasing.broken_json(text, draw) if breaks else text


def _opened(saying: _Saying, body: str) -> str:
    return saying.opener + (phrasing.lowered(body, saying.among) if saying.opener.endswith(": ") else body)


def _schema_of(example: Any, cite: bool = False) -> dict[str, Any]:
    """Return the schema that `example` is, or that it is an example of."""
    if not isinstance(example, dict) or not example:
        example = {"answer": "", "citations": [""]} if cite else {"answer": ""}
    if isinstance(example.get("properties"), dict):
        return {**example, "type": "object", "required": list(example["properties"])}
    properties = {name: _kind_of(name, value) for name, value in example.items()}
    return {"type": "object", "properties": properties, "required": list(example)}


def _kind_of(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"type": "array", "items": _kind_of("", value[0]) if value else {"type": "string"}}
    if isinstance(value, dict):
        return _schema_of(value)
    if isinstance(value, int | float):
        is_share = isinstance(value, float) and 0 <= value <= 1
        return _SHARE if is_share else {"type": {bool: "boolean", int: "integer"}.get(type(value), "number")}
    return next((kind for names, kind in _NAMED if names.search(name.lower())), {"type": "string"})
