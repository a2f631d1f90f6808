"""Answers that can be trusted or not: bad JSON, and made-up facts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import httpx2
import openai
from pydantic import BaseModel, Field
from pydantic_core import from_json

from llmlab.data import help_desk
from llmlab.evals.statistics import Estimate, clustered_proportion, proportion
from llmlab.lab.apps import careful, naive, stack
from llmlab.lab.lab import Lab
from llmlab.lab.load import Open
from llmlab.lab.run import App
from llmlab.lab.runs import Row, Runs
from llmlab.pipeline.abstain import Abstain
from llmlab.pipeline.grounding.guard import GroundingGuard
from llmlab.pipeline.grounding.relevance import RELEVANT
from llmlab.pipeline.output import response_format
from llmlab.pipeline.parsing.parse import parse
from llmlab.pipeline.route import Route
from llmlab.protocol.identity import EXTENSION
from llmlab.wire.faults import FAULTS, Fault
from llmlab.wire.habits import HABITS, Habits
from llmlab.wire.simulator import Simulator
from llmlab.wire.transport import Reply

LOAD = Open(per_second=5.0)
BAD_JSON = 0.3
"""Share of answers that a fault makes bad JSON."""
_KINDS = ("JsonInFence", "JsonInProse", "TrailingComma", "SingleQuotes", "JsonComments", "JsonCutOff", "JsonNaN")
BAD_JSON_FAULTS: tuple[Fault, ...] = tuple(FAULTS[name](probability=1 - (1 - BAD_JSON) ** (1 / len(_KINDS))) for name in _KINDS)
"""All that leaves no JSON, each as likely; where one has struck, there is no JSON for another to strike."""
BAD_JSON_PUT_IN = {
    "bad JSON": "30 of 100 answers, in 7 ways alike (assumed): fence, prose, comma, quotes, comment, cut off, NaN",
    "asked for": "answer, citations, confidence from 0 to 1, by json_schema: without a fault it is always valid",
    "true": "equal to what the model had said in an attempt of this request before the fault struck",
    "apps": "naive: json.loads; careful: as naive, 4 s, 3 retries of the call; stack: Pipeline(output=..., reask=2)",
}

MODEL: Habits = replace(HABITS["gpt-4o-2024-08-06"], made_up=0.12)
GROUNDED = 0.44
"""Least score of a claim that is delivered: chosen for a coverage of 80 % on other draws of the same questions (seeds 1 to 3)."""
MADE_UP_PUT_IN = {
    "made up": "one fact in 12 of 100 answers that the documents hold (assumed); all else as in the bundled model",
    "questions": "the help desk's: 96 answerable, 24 not; the stack asks 6/5, the others 1/4 of the requests",
    "right": "graded right, and word for word what the same model says when it makes nothing up; n questions, not answers",
    "apps": f"stack: GroundingGuard(threshold={GROUNDED}, relevant={RELEVANT}) abstains, and so does who says that it doesn't know",
}
_ROUTES = [Route("main", model="main", stream=False)]


class SupportAnswer(BaseModel):
    """What a page of the help desk shows."""

    answer: str
    citations: list[str]
    confidence: float = Field(ge=0, le=1)


class Heard(Simulator):
    """A simulator, and what it meant: its words before any weather, or those of an honest twin that draws the same and makes nothing up."""

    def __init__(self, twin: Simulator | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._twin = twin
        self.meant: dict[str, list[str]] = {}
        """By request, a text for each attempt."""

    def plan(self, request: httpx2.Request, now: float) -> Reply:
        """Return the answer, and note what was meant."""
        reply = super().plan(request, now)
        honest = reply if self._twin is None else self._twin.plan(request, now)
        said = from_json(b"".join(piece.data for piece in honest.pieces))
        self.meant.setdefault(request.extensions[EXTENSION].identity, []).append(said["choices"][0]["message"]["content"])
        return reply


class _Heeded(Runs):
    """Runs of which it is known what the model meant."""

    def __init__(self, parts: Sequence[Runs], meant: Mapping[str, Mapping[str, Sequence[str]]], rows: Sequence[Row]) -> None:
        weather = {name: met for one in parts for name, met in one.weather.items()}
        super().__init__(rows, (), weather=weather, banner=parts[0].banner)
        self._meant = meant

    def meant(self, row: Row) -> Sequence[str]:
        """Return what the model meant in each attempt of a request."""
        return self._meant[row.app].get(f"{row.case}/{row.repetition}", ())


async def _loaded(client: openai.AsyncOpenAI, question: str, app: Any) -> str:
    """Return what an app answers in JSON, if it is any."""
    text = str(await app(client, question, response_format=response_format(SupportAnswer)))
    json.loads(text)
    return text


def _given(row: Row) -> SupportAnswer | None:
    """Return what the app's caller gets, validated; None where there is nothing, or it does not fit."""
    if not row.answered:
        return None
    if row.app == "stack":
        found: SupportAnswer | None = parse(row.text, SupportAnswer).value
        return found
    with suppress(ValueError):
        return SupportAnswer.model_validate(json.loads(row.text))
    return None


def play_bad_json(seed: int, requests: int) -> Runs:
    """Return what naive, careful and the stack make of bad JSON; right is what is valid and true to what the model meant.

    Args:
        seed: Of the weather and of the answers.
        requests: Half of these are sent, an app.
    """
    reading = stack.replace(routes=_ROUTES, hedge=None, output=SupportAnswer, reask=2)
    apps: dict[str, App] = {"naive": partial(_loaded, app=naive), "careful": partial(_loaded, app=careful), "stack": reading}
    return _heard(apps, dict.fromkeys(apps, requests // 2), lambda: Heard(seed=seed), _true_to, seed, BAD_JSON_FAULTS)


def _true_to(row: Row, meant: Sequence[str]) -> bool:
    given = _given(row)
    return given is not None and given in [SupportAnswer.model_validate_json(text) for text in meant]


def bad_json(runs: Runs, slow_seconds: float) -> dict[str, dict[str, Estimate]]:
    """Return the usual estimates of each app, and what became of the JSON: the faults strike each attempt by itself, so n is requests.

    Args:
        runs: As `play_bad_json` gives them.
        slow_seconds: As for `Runs.measures`.
    """
    found = runs.measures(slow_seconds)
    for app, measures in found.items():
        rows = [row for row in runs.rows if row.app == app]
        shares = {
            "valid_and_true": [bool(row.right) for row in rows],
            "silently_wrong": [row.answered and not row.right for row in rows],
            "failed": [not row.answered for row in rows],
        }
        measures |= {name: proportion(sum(hits), len(rows)) for name, hits in shares.items()}
    return found


def play_made_up(seed: int, requests: int) -> Runs:
    """Return what naive, careful and the stack deliver of a model that makes facts up; right is what is graded so and made up nowhere.

    Args:
        seed: Of the answers.
        requests: A fifth more are sent by the stack, and a quarter of these by the others, which differ in nothing.
    """
    grounded = stack.replace(
        routes=_ROUTES, hedge=None, guards_out=[GroundingGuard(threshold=GROUNDED, relevant=RELEVANT)], abstain=Abstain()
    )
    apps: dict[str, App] = {"naive": naive, "careful": careful, "stack": grounded}
    sent = {"naive": requests // 4, "careful": requests // 4, "stack": 6 * requests // 5}
    models, honest = {"main": MODEL}, {"main": replace(MODEL, made_up=0.0)}
    cases = {case.id: case for case in help_desk.cases()}

    def right(row: Row, meant: Sequence[str]) -> bool:
        return bool(row.right) and (row.text in meant or not cases[row.case].answerable)

    return _heard(apps, sent, lambda: Heard(Simulator(models=honest, seed=seed), models=models, seed=seed), right, seed)


def made_up(runs: Runs, slow_seconds: float) -> dict[str, dict[str, Estimate]]:
    """Return the usual estimates of each app, and what was delivered, by question: answers to one question are not independent.

    Args:
        runs: As `play_made_up` gives them.
        slow_seconds: As for `Runs.measures`.
    """
    assert isinstance(runs, _Heeded)
    found = runs.measures(slow_seconds)
    known = {case.id for case in help_desk.cases() if case.answerable}
    for app, measures in found.items():
        rows = [(row, _delivers(row)) for row in runs.rows if row.app == app]
        given = [row for row, delivers in rows if delivers and row.case in known]
        measures |= {
            "coverage": _by_question((row.case, delivers) for row, delivers in rows if row.case in known),
            "right_of_delivered": _by_question((row.case, bool(row.right)) for row in given),
            "made_up_of_delivered": _by_question((row.case, row.text not in runs.meant(row)) for row in given),
            "silently_wrong": _by_question((row.case, delivers and not row.right) for row, delivers in rows),
            "unanswerable_abstained": _by_question((row.case, not delivers) for row, delivers in rows if row.case not in known),
        }
    return found


def _delivers(row: Row) -> bool:
    """Whether the user is told something, and not that there is no answer."""
    return row.status in ("ok", "degraded") and not help_desk.says_dont_know(row.text)


def _by_question(outcomes: Iterable[tuple[str, bool]]) -> Estimate:
    questions: dict[str, list[bool]] = {}
    for case, true in outcomes:
        questions.setdefault(case, []).append(true)
    return clustered_proportion([sum(some) / len(some) for some in questions.values()])


def _heard(
    apps: Mapping[str, App],
    requests: Mapping[str, int],
    simulator: Callable[[], Heard],
    right: Callable[[Row, Sequence[str]], bool],
    seed: int,
    faults: Sequence[Fault] = (),
) -> Runs:
    """Run each app on a simulator of its own, and say of each row whether it is right, given what the model meant."""
    parts, meant, rows = [], {}, []
    for name, app in apps.items():
        heard = simulator()
        parts.append(Lab(seed=seed, faults=faults, simulator=heard).run(app, requests=max(1, requests[name]), load=LOAD, name=name))
        meant[name] = heard.meant
        rows += [replace(row, right=right(row, heard.meant.get(f"{row.case}/{row.repetition}", ()))) for row in parts[-1].rows]
    return _Heeded(parts, meant, rows)
