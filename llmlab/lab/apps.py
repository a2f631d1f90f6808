"""The three apps of every comparison. All get the same documents; they differ in what they do about the wire.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import openai

from llmlab.data.help_desk import Document, retrieve
from llmlab.lab.run import App
from llmlab.pipeline import guardrails as guards
from llmlab.pipeline.clocks import Clocks
from llmlab.pipeline.pipeline import Pipeline
from llmlab.pipeline.prompt import Prompt
from llmlab.pipeline.route import Route
from llmlab.pipeline.routing import Hedge
from llmlab.protocol.models import ALIASES

Retrieve = Callable[[str], Iterable[Document]]


async def naive(client: openai.AsyncOpenAI, question: str, retrieve: Retrieve = retrieve, **options: Any) -> str | None:
    """Call once and hope: the client with its defaults (two retries, a timeout of ten minutes), no stream."""
    documents = "\n\n".join(f"{document.title}\n{document.text}" for document in retrieve(question))
    completion = await client.chat.completions.create(
        model=ALIASES["main"],
        messages=[
            {"role": "system", "content": "You answer questions of customers."},
            {"role": "user", "content": f"{documents}\n\nQuestion: {question}"},
        ],
        **options,
    )
    text: str | None = completion.choices[0].message.content
    return text


async def careful(client: openai.AsyncOpenAI, question: str, retrieve: Retrieve = retrieve, **options: Any) -> str | None:
    """What teams ship after the first incident: the same call with a timeout of 4 s and three retries."""
    return await naive(client.with_options(timeout=4.0, max_retries=3), question, retrieve, **options)


stack = Pipeline(
    routes=[Route("main", model="main", clocks=Clocks(first_content_seconds=3.0)), Route("fast", model="fast")],
    retrieve=retrieve,
    hedge=Hedge(after_seconds=1.75),
)
"""The stack: a pipeline that streams, hedges after 1.75 s, asks a faster model after 3 s of silence, and retries what may be mended."""

APPS: dict[str, App] = {"naive": naive, "careful": careful, "stack": stack}


def guarded(retrieve: Retrieve = retrieve) -> Pipeline:
    """Return the stack with guardrails at both ends: documents are marked as data, personal data does not leave and does not leak.

    Args:
        retrieve: Finds the documents.
    """
    return stack.replace(
        retrieve=retrieve,
        prompt=Prompt(spotlight=True, canary=True),
        guards_in=[guards.LengthGuard(), guards.InjectionGuard(), guards.PIIGuard(action="redact")],
        guards_out=[
            guards.LeakGuard(detector=guards.PIIGuard(), action="redact"),
            guards.SecretsGuard(),
            guards.LinkGuard(allow=("crumbwell.example",)),
            guards.PhraseGuard.tone(),
        ],
    )
