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
from llmlab.wire import phrasing
from llmlab.wire.calling import Call, calls
from llmlab.wire.chat_request import ChatRequest
from llmlab.wire.finding import Found, Sentence, find
from llmlab.wire.habits import Habits
from llmlab.wire.json_schema import Draw, Facts, fill
from llmlab.wire.reading import Prompt, read, smuggled

Answerable = Callable[[str, str], bool | None]
"""Says of a question and the text of the prompt's documents whether the text answers it; None: it can't say."""

_SURE_ENOUGH = 0.33
_USEFUL = 0.7
_EFFORT = {"none": 0.0, "minimal": 0.25, "low": 0.5, "medium": 1.0, "high": 2.5, "xhigh": 5.0}
_SAY = re.compile(
    r"^\s*(?:please )?(?:just )?(?:say|repeat|reply with|respond with|answer with|write)\b(?: only| just| exactly)?:?\s+"
    r"[\"']?(.+?)[\"']?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_GREETING = re.compile(r"^\s*(?:hello|hi|hey|good (?:morning|day|evening))\b[^?]{0,40}$", re.IGNORECASE)


class Answer(NamedTuple):
    """One choice of a completion."""

    text: str | None
    calls: tuple[Call, ...] = ()
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
    prompt = read(request.messages)
    prefix = "\x1f".join(map(str, key))
    return [
        _answer(request, prompt, habits, partial(uniform, f"{prefix}\x1f{index}" if index else prefix), answerable)
        for index in range(request.choices)
    ]


def _answer(request: ChatRequest, prompt: Prompt, habits: Habits, draw: Draw, answerable: Answerable | None) -> Answer:
    thought = _thought(request, habits, draw)
    if request.tools and request.tool_choice != "none" and not (prompt.after_tools and request.tool_choice == "auto"):
        made = calls(request, prompt.question, draw)
        if made:
            return Answer(None, made, thought)
    saying = _obeyed(prompt, habits, draw) or _said(prompt, habits, draw, answerable)
    if request.format == "text" and not prompt.wishes.json:
        return Answer(_text(saying, prompt, habits, draw), (), thought)
    return Answer(_json(saying, request, prompt, habits, draw), (), thought)


def _thought(request: ChatRequest, habits: Habits, draw: Draw) -> int:
    median = habits.reasoning_tokens * _EFFORT[request.effort or "none"]
    return 64 * max(1, round(lognormal(draw("reasoning"), median=median, sigma=0.6) / 64)) if median else 0


def _obeyed(prompt: Prompt, habits: Habits, draw: Draw) -> _Saying | None:
    """Return what an injected instruction makes it say, or None where there is none or it does not obey."""
    if not prompt.injections:
        return None
    rate = habits.obeys_injection * (1 - habits.heeds_warning if prompt.wishes.guarded else 1)
    for number, injection in enumerate(prompt.injections):
        if draw("obeys", number) < rate:
            if injection.leak and prompt.system:
                return _Saying((f"My instructions are: {prompt.system[:400]}",))
            return _Saying((injection.payload or "Understood. I will disregard my earlier instructions.",))
    return None


def _said(prompt: Prompt, habits: Habits, draw: Draw, answerable: Answerable | None) -> _Saying:
    if not prompt.documents:
        return _without_documents(prompt, habits, draw)
    found = find(prompt.documents, prompt.question)
    ranked = [sentence for sentence in found.ranked if not smuggled(sentence.text)]
    if not ranked:
        return _without_documents(prompt, habits, draw)
    text = "\n\n".join(document.text for document in prompt.documents)
    known = answerable(prompt.question, text) if answerable else None
    if known is None:
        known = found.sure >= _SURE_ENOUGH
    rate = (
        (habits.overcautious if known else habits.admits_if_asked)
        if prompt.wishes.admit is not None
        else 0.0
        if known
        else habits.admits_unasked
    )
    if draw("admits") < rate:
        return _Saying((phrasing.admission(prompt.wishes.admit, draw),), known=False)
    picked = _picked(found, ranked, habits, draw)
    texts = [sentence.text for sentence in picked]
    if known:
        if draw("made up") < habits.made_up:
            texts[0] = phrasing.changed_fact(texts[0], [sentence.text for sentence in found.ranked[1:]], draw)
    elif draw("made up unknown") < habits.made_up_unknown:
        texts = [_made_up(texts[0], found, prompt.question, draw)]
    title = prompt.documents[picked[0].document].title
    names = [prompt.documents[sentence.document].id for sentence in picked[: len(texts)]]
    if draw("miscites") < habits.miscites and len(prompt.documents) > 1:
        names[0] = phrasing.pick([document.id for document in prompt.documents if document.id != names[0]] or names, draw, "wrong document")
    end = phrasing.closer(draw) if draw("closer") < habits.verbosity / 2 else ""
    return _Saying(tuple(texts), tuple(names), title, text, opener=phrasing.opener(draw), closer=end)


def _made_up(nearest: str, found: Found, question: str, draw: Draw) -> str:
    if draw("kind of invention") < 0.5:
        return phrasing.invention(question, draw)
    return phrasing.changed_fact(nearest, [sentence.text for sentence in found.ranked[1:]], draw)


def _picked(found: Found, ranked: list[Sentence], habits: Habits, draw: Draw) -> list[Sentence]:
    """Return the sentences to say: the best one and what adds to it."""
    if len(ranked) > 1 and draw("misreads") < habits.misreads:
        return [ranked[1]]
    best = ranked[0]
    also = [
        (sentence, use)
        for sentence, use in zip(found.also, found.uses, strict=True)
        if sentence is not best and not smuggled(sentence.text)
    ]
    picked, words = [best], len(best.text.split())
    spare = []
    for sentence, use in also:
        size = len(sentence.text.split())
        if use >= _USEFUL * found.best and len(picked) <= habits.further and words + size <= habits.words:
            picked.append(sentence)
            words += size
        elif words + size <= habits.words:
            spare.append(sentence)
    if spare and len(picked) == 1 and draw("more") < habits.verbosity:
        picked.append(phrasing.pick(spare, draw, "spare"))
    return picked


def _without_documents(prompt: Prompt, habits: Habits, draw: Draw) -> _Saying:
    said = _SAY.match(prompt.question)
    if said:
        return _Saying((said[1][:1].upper() + said[1][1:],))
    if not prompt.question or _GREETING.match(prompt.question):
        return _Saying(("Hello! How can I help you today?",))
    if prompt.wishes.admit is not None and draw("admits") < habits.admits_if_asked:
        return _Saying((phrasing.admission(prompt.wishes.admit, draw),), known=False)
    if draw("made up without documents") < habits.made_up_without_documents:
        return _Saying((phrasing.invention(prompt.question, draw),), opener=phrasing.opener(draw))
    return _Saying((phrasing.admission(None, draw), "If you tell me more, I will gladly try to help."), known=False)


def _text(saying: _Saying, prompt: Prompt, habits: Habits, draw: Draw) -> str:
    """Return the answer as prose, with what the prompt wishes, as far as the model does that."""
    wishes = prompt.wishes
    cites = wishes.cite and draw("cites") < habits.cites_if_asked
    follows = (wishes.words or wishes.sentences) and draw("follows") < habits.follows
    names = [*saying.sources, *[""] * len(saying.parts)]
    parts = [phrasing.cited(part, name) if cites and name else part for part, name in zip(saying.parts, names, strict=False)]
    if not follows:
        return " ".join(filter(None, (_opened(saying, " ".join(parts)), saying.closer)))
    body = phrasing.joined(parts, wishes.sentences, saying.among)
    if wishes.words:
        body = phrasing.shortened(body, wishes.words)
    opened = _opened(saying, body)
    crowded = (wishes.words is not None and len(opened.split()) > wishes.words) or (wishes.sentences is not None and "." in saying.opener)
    return body if crowded else opened


def _opened(saying: _Saying, body: str) -> str:
    return saying.opener + (phrasing.lowered(body, saying.among) if saying.opener.endswith(": ") else body)


def _json(saying: _Saying, request: ChatRequest, prompt: Prompt, habits: Habits, draw: Draw) -> str:
    wishes = prompt.wishes
    facts = Facts(
        text=phrasing.joined(saying.parts, wishes.sentences, saying.among),
        quote=saying.parts[0] if saying.sources else "",
        sources=tuple(dict.fromkeys(saying.sources)),
        title=saying.title,
        question=prompt.question,
        known=saying.known,
    )
    if request.schema is not None:
        return json.dumps(fill(request.schema, facts, draw), ensure_ascii=False, separators=(",", ":"))
    text = phrasing.as_json(fill(_schema_of(wishes.example, wishes.cite), facts, draw))
    if request.format == "text" and draw("breaks") < habits.broken_format:
        return phrasing.broken_json(text, draw)
    return text


def _schema_of(example: Any, cite: bool) -> dict[str, Any]:
    """Return the schema that `example` is, or that it is an example of."""
    if isinstance(example, dict) and isinstance(example.get("properties"), dict):
        return {**example, "type": "object", "required": list(example["properties"])}
    if isinstance(example, dict) and example:
        return {
            "type": "object",
            "properties": {name: _kind_of(name, value) for name, value in example.items()},
            "required": list(example),
        }
    names = ["answer", "citations"] if cite else ["answer"]
    return {
        "type": "object",
        "properties": {name: _kind_of(name, [""] if name == "citations" else "") for name in names},
        "required": names,
    }


def _kind_of(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return {"type": "integer"}
    if isinstance(value, float):
        return {"type": "number", "minimum": 0, "maximum": 1} if 0 <= value <= 1 else {"type": "number"}
    if isinstance(value, list):
        return {"type": "array", "items": _kind_of(name, value[0]) if value else {"type": "string"}}
    if isinstance(value, dict):
        return _schema_of(value, False)
    if re.search(r"confiden|score|probab", name.lower()):
        return {"type": "number", "minimum": 0, "maximum": 1}
    if re.search(r"^(?:is|has|can)_|known|found|answerable|supported", name.lower()):
        return {"type": "boolean"}
    if re.search(r"citations|sources|references|documents", name.lower()):
        return {"type": "array", "items": {"type": "string"}}
    return {"type": "string"}
