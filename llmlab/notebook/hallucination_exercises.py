"""The three exercises of notebook 04.

Notebook: 04_hallucination.ipynb
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

from llmlab.evals.abstention import least_answers
from llmlab.notebook.check import OTHER_SEEDS, Wrong, exercise
from llmlab.notebook.hallucination import mixed
from llmlab.protocol.draws import uniform
from llmlab.wire.faults import FAULTS
from llmlab.wire.faults.content_base import Scene, _ContentFault
from llmlab.wire.faults.retelling import Said

MOST_WRONG = 0.02
"""Share of wrong ones among the answers."""
FEWER = 0.05
"""How much less than the best threshold one may answer (as a share of all)."""
ANSWERS = 2000
"""On each of two seeds."""
AMOUNTS = (129.95, 1045.0, 79.5, 12.0, 1234.5, 60.25)
MEANINGS = ("ChangedNumber", "ChangedName", "Refusal", "EmptyAnswer", "OtherLanguage")
"""Faults that change what is meant, or leave nothing: whatever JSON then comes is valid."""


@lru_cache(maxsize=4)
def _answers(seed: int) -> tuple[tuple[float, bool], ...]:
    found = mixed(seed, ANSWERS)
    return tuple(zip(found.scores, found.wrong, strict=True))


def _measured(threshold: float) -> tuple[float, float]:
    """Return risk and coverage at a threshold, over both seeds."""
    given = [wrong for seed in OTHER_SEEDS for score, wrong in _answers(seed) if score >= threshold]
    return (sum(given) / len(given) if given else 0.0), len(given) / (ANSWERS * len(OTHER_SEEDS))


@lru_cache(maxsize=1)
def _best() -> float:
    """Return the largest coverage that keeps the risk."""
    found = (_measured(number / 100) for number in range(101))
    return max(coverage for risk, coverage in found if risk <= MOST_WRONG)


@exercise(f"give a threshold: at most {100 * MOST_WRONG:g} % of answers wrong, and as few abstentions as that allows.")
def careful_threshold(answer: Any) -> str:
    """Check a threshold on answers of two other seeds."""
    if isinstance(answer, bool) or not isinstance(answer, int | float) or not 0 <= answer <= 1:
        raise Wrong(f"a score from 0 to 1 is needed, not {answer!r}.", "What scores less is not shown.")
    risk, coverage = _measured(float(answer))
    found = f"{100 * risk:.2f} % of answers wrong, {100 * coverage:.1f} % answered, of {ANSWERS * len(OTHER_SEEDS):,}"
    if risk > MOST_WRONG:
        raise Wrong(f"{found}: too many are wrong.", "Look where the curve comes below 2 %, and leave some room: other seeds, other luck.")
    if coverage < _best() - FEWER:
        raise Wrong(f"{found}: right, and silent too often.", f"{100 * _best():.1f} % can be answered within the limit.")
    return f"{found}, on two seeds that you have not seen."


class Spoiled(NamedTuple):
    """A text, and what is wrong with it."""

    fault: str
    text: str
    amount: float


@lru_cache(maxsize=1)
def _spoiled() -> tuple[Spoiled, ...]:
    return tuple(_texts())


def _texts() -> Iterator[Spoiled]:
    """Yield refunds in JSON, whole and after every fault of content that can change them."""
    for number, amount in enumerate(AMOUNTS):
        text = json.dumps({"order": f"ORD-{1042 + number}", "reason": "arrived damaged", "amount": amount})
        yield Spoiled("none", text, amount)
        for name, kind in FAULTS.items():
            if issubclass(kind, _ContentFault):
                for again in range(4):
                    said = Said(text)
                    scene = Scene({"messages": [{"role": "user", "content": text}]}, partial(uniform, 7, name, number, again))
                    fault: Any = kind(probability=1.0)
                    if fault.retell(said, scene) and said.text != text:
                        yield Spoiled(name, said.text, amount)


@exercise("write a function that takes what a model wrote and returns the amount of its refund, or None where that is in doubt.")
def sure_amount(answer: Any) -> str:
    """Run a function against every fault of content."""
    if not callable(answer):
        raise Wrong(f"a function is needed, not {type(answer).__name__}.", "def amount(text): ...")
    read, changed = 0, set()
    tried = _spoiled()
    for fault, text, amount in tried:
        try:
            given = answer(text)
        except Exception as error:
            raise Wrong(f"{fault}: it raised {type(error).__name__}: {error}", f"It was given {text[:90]!r}") from None
        if given is None:
            if fault == "none":
                raise Wrong(f"it refuses {text!r}, with which nothing is wrong.", "Begin with what json.loads reads.")
            continue
        if isinstance(given, bool) or not isinstance(given, int | float) or math.isnan(given):
            raise Wrong(f"{fault}: it returned {given!r}, which is no amount.", f"It was given {text[:90]!r}")
        if given != amount and fault in MEANINGS:
            changed.add(fault)
            continue
        if given != amount:
            raise Wrong(
                f"{fault}: it returned {given:g}, and the model meant {amount:g}. It was given {text[-60:]!r}.",
                "A number at the very end may have been longer. llmlab.pipeline.parsing.parse says what is in doubt.",
            )
        read += 1
    fences = [answer(text) for fault, text, _ in tried if fault in ("JsonInFence", "JsonInProse", "TrailingComma")]
    if None in fences:
        raise Wrong("it refuses JSON in a fence, between two sentences, or with a comma too many.", "Mend what leaves no doubt.")
    through = f" {', '.join(sorted(changed))} got through, as they must: only the source knows better." if changed else ""
    return f"{read} of {len(tried)} texts read, no amount was a truncated one.{through}"


@exercise("say how many answers without an error it takes to claim 99 % at 95 % confidence.")
def answers_needed(answer: Any) -> str:
    """Check a number of answers."""
    if isinstance(answer, bool) or not isinstance(answer, int | float) or not -1e9 < answer < 1e9:
        raise Wrong(f"a number is needed, not {answer!r}.", "An app that is right in 99 % of cases has n right answers with 0.99**n.")
    right = least_answers(0.99)
    luck = 100 * 0.99**answer if answer >= 0 else 100.0
    if answer < right:
        raise Wrong(f"an app with 1 % of errors shows none in {answer:g} answers {luck:.1f} % of the time.", "That must be at most 5 %.")
    if answer >= right + 1:
        raise Wrong(f"{answer:g} answers are more than it takes ({luck:.1f} %).", "Solve 0.99**n <= 0.05, and round up.")
    return f"{right}: an app with 1 % of errors shows none in as many only {luck:.2f} % of the time. One error, and you need 473."
