"""From a hopeful json.loads to an answer that can be trusted: five rungs that differ in what they do with the same answer.

Notebook: 04_hallucination.ipynb
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, lru_cache, partial, reduce
from operator import add
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx2
import openai

from llmlab.data.help_desk import Case, cases, retrieve, says_dont_know
from llmlab.errors import BadInput, UnknownName
from llmlab.evals.statistics import Estimate, clustered_proportion, quantile
from llmlab.lab.answers import BAD_JSON, BAD_JSON_FAULTS, Heard, SupportAnswer
from llmlab.lab.lab import Lab
from llmlab.lab.run import App
from llmlab.lab.runs import Row, Runs
from llmlab.pipeline.abstain import Abstain
from llmlab.pipeline.grounding import THRESHOLD, GroundingGuard, check
from llmlab.pipeline.output import STRUCTURED
from llmlab.pipeline.parsing.prose import prose
from llmlab.pipeline.pipeline import Pipeline
from llmlab.pipeline.prompt import Prompt
from llmlab.pipeline.route import Route
from llmlab.protocol.models import MODELS
from llmlab.wire.faults import Fault
from llmlab.wire.habits import HABITS
from llmlab.wire.simulator import Simulator

if TYPE_CHECKING:
    import pandas as pd

RUNGS = {
    "naive": "json.loads, and hope",
    "+ schema": "what does not fit the schema is refused",
    "+ repair": "what is plain is mended, what is doubtful is asked for again",
    "+ grounding": "what no document says is shown with a warning",
    "+ abstain": "what no document says is not shown: I don't know",
}
"""Each rung and what it adds."""
MADE_UP = 0.12
"""Share of answers in which a fact is changed (assumed)."""
BEYOND = ("q003", "q010", "q040", "q041", "q043", "q045", "q053", "q083")
"""Questions for which the simulated model copies the wrong sentence although it makes nothing up: matching words is not understanding."""
OUTCOMES = ("right", "silently wrong", "degraded", "abstained", "failed")
"""What reaches the user. Degraded: with a warning, or right from a weaker model. Silent: wrong, without a warning."""


def questions() -> list[Case]:
    """Return the help desk's questions but those that are `BEYOND` the simulated model."""
    return [case for case in cases() if case.id not in BEYOND]


def spoilers(share: float = BAD_JSON) -> list[Fault]:
    """Return the faults that spoil this share of all answers in JSON, 0 to 1: 1 - (1 - p)^7 = share."""
    if not 0 <= share < 1:
        raise BadInput(f"a share of bad JSON lies between 0 and 1, not at {share!r}")
    each = 1 - (1 - share) ** (1 / len(BAD_JSON_FAULTS))
    return [type(fault)(probability=each) for fault in BAD_JSON_FAULTS] if share else []


def weather(seed: int = 7, bad_json: float = BAD_JSON, made_up: float = MADE_UP) -> Lab:
    """Return a lab with a simulated model that makes facts up, behind faults that spoil its JSON.

    Args:
        seed: Of the weather.
        bad_json: Share of answers that are spoiled (0 to 1).
        made_up: Share of answers in which a fact is changed though the documents hold it (0 to 1).
    """
    return _bench(seed, bad_json, made_up)


class _Bench(Lab):
    """A lab that knows what its model would have said if it made nothing up: what is graded right and made up nowhere, is right."""

    def __init__(self, seed: int, faults: Sequence[Fault], made_up: float) -> None:
        first = {model.name: HABITS[model.snapshots[0]] for model in MODELS}
        told, honest = ({name: replace(one, made_up=rate) for name, one in first.items()} for rate in (made_up, 0.0))
        self._heard = Heard(Simulator(models=honest, seed=seed), models=told, seed=seed)
        super().__init__(seed=seed, faults=faults, simulator=self._heard)

    def run(self, app: App, cases: Sequence[Case | str] | None = None, **options: Any) -> Runs:
        """Send questions to an app: see `Lab.run`."""
        self._heard.meant.clear()
        runs = super().run(app, cases, **options)
        rows = [replace(row, right=bool(row.right) and self._honest(row)) for row in runs.rows]
        return Runs(rows, runs._attempts, weather=runs.weather, banner=runs.banner)

    def _honest(self, row: Row) -> bool:
        meant = self._heard.meant.get(f"{row.case}/{row.repetition}", ())
        return not _by_id()[row.case].answerable or said(row.text) in map(said, meant)


@lru_cache(maxsize=16)
def _bench(seed: int, bad_json: float, made_up: float) -> Lab:
    """Return the same lab for the same numbers, so that runs can be told to have met the same."""
    return _Bench(seed, spoilers(bad_json), made_up)


def said(text: str) -> str:
    """Return the words in an answer: those of its field `answer`, or the text itself where it is no object."""
    found = json.loads(text) if text.lstrip().startswith("{") else {}
    return str(found.get("answer", text))


_ROUTES = [Route("main", model="main", stream=False), Route("fast", model="fast", stream=False)]


async def _asked(client: openai.AsyncOpenAI, question: str, route: Route = _ROUTES[0]) -> str:
    """Return what the model wrote, asked as the pipeline asks."""
    body: dict[str, Any] = route.body(Prompt().messages(question, retrieve(question)), SupportAnswer)
    response = await client.post("/chat/completions", body=body, cast_to=httpx2.Response)
    return str(response.json()["choices"][0]["message"]["content"])


async def _naive(client: openai.AsyncOpenAI, question: str) -> str:
    return str(json.loads(await _asked(client, question))["answer"])


async def _schema(client: openai.AsyncOpenAI, question: str, route: Route = _ROUTES[0]) -> str:
    return SupportAnswer.model_validate_json(await _asked(client, question, route)).answer


def rung(name: str, threshold: float = THRESHOLD) -> App:
    """Return the app of a rung.

    Args:
        name: Out of `RUNGS`.
        threshold: Least score of an answer that is shown (as it is), on the two last rungs: see `llmlab.grounding.check`.

    Raises:
        UnknownName: There is no such rung.
    """
    if name not in RUNGS:
        raise UnknownName("rung", name, RUNGS)
    if name in ("naive", "+ schema"):
        return _naive if name == "naive" else _schema
    repaired = Pipeline(routes=_ROUTES, output=SupportAnswer, retrieve=retrieve)
    if name == "+ repair":
        return repaired
    abstains = name == "+ abstain"
    guard = GroundingGuard(threshold=threshold, action="abstain" if abstains else "flag")
    return repaired.replace(guards_out=[guard], abstain=Abstain() if abstains else None)


def ways_to_ask() -> dict[str, App]:
    """Return the second rung for each way of asking for JSON: in words alone, in the provider's JSON mode, and by the schema."""
    return {mode: partial(_schema, route=replace(_ROUTES[0], structured=mode)) for mode in reversed(STRUCTURED)}


def ladder(threshold: float = THRESHOLD, top: str = "+ abstain") -> dict[str, App]:
    """Return the app of each rung, from the lowest to `top`."""
    names = list(RUNGS)
    rung(top)
    return {name: rung(name, threshold) for name in names[: names.index(top) + 1]}


def with_warnings(runs: Runs) -> Runs:
    """Return runs with `+ grounding` after `+ repair`: a warning changes nothing that was asked or said, so nobody is asked again."""
    made = runs.only("+ repair")
    rows, attempts = [replace(row, app="+ grounding") for row in made.rows], [("+ grounding", attempt) for _, attempt in made._attempts]
    warned = Runs(rows, attempts, weather={"+ grounding": made.weather["+ repair"]}, banner=runs.banner)
    parts = [part for app in runs.apps for part in ([runs.only(app), warned] if app == "+ repair" else [runs.only(app)])]
    return reduce(add, parts)


@cache
def _by_id() -> dict[str, Case]:
    return {case.id: case for case in cases()}


@lru_cache(maxsize=8192)
def score(question: str, text: str) -> float:
    """Return the grounding score of an answer, 0 to 1: the least of all texts in it."""
    return min((check(said.text, sources=retrieve(question), question=question).score for said in prose(text)), default=1.0)


def outcome(row: Row, threshold: float = THRESHOLD) -> str:
    """Return which of `OUTCOMES` became of a request.

    Args:
        row: A request of an app of this ladder.
        threshold: Which the app had.
    """
    if row.status in ("failed", "blocked"):
        return "failed"
    if row.status == "abstained" or says_dont_know(row.text):
        return "abstained"
    if row.app == "+ grounding" and score(_by_id()[row.case].question, row.text) < threshold:
        return "degraded"
    if not row.right:
        return "silently wrong"
    return "degraded" if row.status == "degraded" else "right"


def reached(runs: Runs, threshold: float = THRESHOLD) -> pd.DataFrame:
    """Return what reached the user: a row a request, with app, case, repetition, outcome, and whether the documents hold an answer."""
    import pandas as pd

    lines = [(row.app, row.case, row.repetition, outcome(row, threshold), _by_id()[row.case].answerable) for row in runs.rows]
    return pd.DataFrame(lines, columns=["app", "case", "repetition", "outcome", "answerable"])


def shares(frame: pd.DataFrame) -> dict[str, dict[str, Estimate]]:
    """Return the share of each outcome by app, with intervals clustered by question.

    Two more: "delivered right", of what was answered; "coverage", of the questions that have an answer the share that was answered.

    Args:
        frame: As `reached` gives it.
    """
    found = {}
    for app, part in frame.groupby("app", sort=False):
        given = part[part["outcome"].isin(OUTCOMES[:3])]
        found[str(app)] = {name: _share(part, part["outcome"] == name) for name in OUTCOMES} | {
            "delivered right": _share(given, given["outcome"] != "silently wrong"),
            "coverage": _share(part[part["answerable"]], part["outcome"].isin(OUTCOMES[:3])),
        }
    return found


def _share(frame: pd.DataFrame, hit: pd.Series) -> Estimate:
    return clustered_proportion(hit[frame.index].groupby(frame["case"]).mean().tolist())


def became(frame: pd.DataFrame, app: str, what: str, on: str) -> dict[str, int]:
    """Return what the requests with one outcome on a rung are on another: how many each.

    Args:
        frame: As `reached` gives it.
        app: A rung.
        what: Which of its outcomes.
        on: The other rung.
    """
    sides = [frame[frame["app"] == name].set_index(["case", "repetition"])["outcome"] for name in (app, on)]
    counts = sides[1][sides[0][sides[0] == what].index].value_counts()
    return {name: int(counts[name]) for name in OUTCOMES if name in counts}


class Scored(NamedTuple):
    """Answers as `llmlab.evals.abstention` takes them."""

    scores: Sequence[float]
    """The grounding score of each; -inf where there is no answer."""
    wrong: Sequence[bool]
    clusters: Sequence[str]
    """The question of each."""


def scored(runs: Runs, app: str = "+ repair") -> Scored:
    """Return the answers of a rung below grounding, each with its score."""
    rows = runs.only(app).rows
    no_answer = [outcome(row) in ("abstained", "failed") for row in rows]
    found = [float("-inf") if none else score(_by_id()[row.case].question, row.text) for row, none in zip(rows, no_answer, strict=True)]
    return Scored(found, [not row.right for row in rows], [row.case for row in rows])


def price(runs: Runs) -> pd.DataFrame:
    """Return what each rung costs: a row an app. Times are those until the end, an answer or not."""
    import pandas as pd

    return pd.DataFrame(
        {
            "rung": app,
            "n": found["answered"].n,
            "attempts a request": f"{found['attempts_per_request'].value:.3f}",
            "tokens a request": f"{found['tokens_per_request'].value:.0f}",
            "p50 (s)": quantile([row.total_seconds for row in runs.only(app).rows], 0.5).text(2),
            "p90 (s)": quantile([row.total_seconds for row in runs.only(app).rows], 0.9).text(2),
            "USD per 1,000": f"{found['usd_per_1000'].value:.3f}",
        }
        for app, found in runs.measures().items()
    )
