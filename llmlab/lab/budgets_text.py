"""What is measured for the budgets of reading texts: guards, hold-back, grounding.

Beside each, as a measure of the machine, the words of the same text are found.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from llmlab.lab.bench import ROUNDS, Figure, measures, medians

_WORDS = re.compile(r"\w+")
_CHUNK = re.compile(r"\s*\S{1,6}")


def _beside(work: Callable[[], object], text: str, times: int) -> tuple[float, float, float]:
    """Return the medians (in seconds) of `work`, of finding the words of `text`, and of their ratio; they take turns."""

    def seconds(one: Callable[[], object]) -> float:
        started = time.perf_counter()
        for _ in range(times):
            one()
        return (time.perf_counter() - started) / times

    def words() -> object:
        return _WORDS.findall(text)

    work()
    return medians([(seconds(work), seconds(words)) for _ in range(ROUNDS)])


def _texts() -> tuple[list[str], list[str]]:
    from llmlab.data.help_desk import cases, documents

    return [document.text for document in documents()], [case.question for case in cases()]


@measures("guards")
def guards() -> Figure:
    """The slower of the guards of instructions and of personal data, over the help desk's pages and questions, a kB."""
    from llmlab.pipeline.guardrails import InjectionGuard, PIIGuard

    pages, questions = _texts()
    whole = " ".join([*pages, *questions])
    kilobytes = len(whole.encode()) / 1000
    figures = []
    for guard, roles in ((InjectionGuard(), ("document", "user")), (PIIGuard(), ("document", "user"))):

        def look(guard: InjectionGuard | PIIGuard = guard, roles: Sequence[str] = roles) -> None:
            for role, texts in zip(roles, (pages, questions), strict=True):
                for text in texts:
                    guard.check(text, role=role)

        ours, words, ratio = _beside(look, whole, 3)
        figures.append((ours, words, ratio, type(guard).__name__))
    ours, words, ratio, name = max(figures)
    return Figure("guards", ours * 1e6 / kilobytes, f"us a kB ({name})", words * 1e6 / kilobytes, ratio, 3, "finding words", "<= 150 us")


@measures("holdback")
def holdback() -> Figure:
    """A streamed answer behind guards of leaks and links, a chunk."""
    from llmlab.pipeline.guardrails import LeakGuard, LinkGuard, PIIGuard, Streaming
    from llmlab.pipeline.guardrails.holdback import HoldBack

    text = " ".join(_texts()[0][:12])
    chunks = _CHUNK.findall(text)
    guards: list[Streaming] = [LeakGuard(detector=PIIGuard()), LinkGuard()]

    def stream() -> None:
        held = HoldBack(guards)
        for chunk in chunks:
            held.feed(chunk)
        held.finish()

    ours, words, ratio = _beside(stream, text, 3)
    count = len(chunks)
    return Figure("holdback", ours * 1e6 / count, "us a chunk", words * 1e6 / count, ratio, 3 * count, "finding words", "<= 20 us")


@measures("grounding")
def grounding() -> Figure:
    """An answer of 60 words against three pages that were never seen before."""
    from llmlab.data.help_desk import cases, retrieve
    from llmlab.pipeline.grounding import check, passage

    asked = [case for case in cases() if case.answer]
    tasks = []
    for first, second, third in zip(asked, asked[1:], asked[2:], strict=False):
        answer = " ".join(f"{case.answer}" for case in (first, second, third))
        tasks.append((" ".join(answer.split()[:60]), [page.text for page in retrieve(first.question)], first.question))

    def compare() -> None:
        passage.forget()
        for answer, sources, question in tasks:
            check(answer, sources=sources, question=question)

    ours, words, ratio = _beside(compare, " ".join(answer for answer, _, _ in tasks), 1)
    count = len(tasks)
    return Figure("grounding", ours * 1e3 / count, "ms an answer", words * 1e3 / count, ratio, count, "finding words", "<= 1 ms")
