from __future__ import annotations

from typing import Any

import openai
import pandas as pd
import pytest

import llmlab
from llmlab.lab.pictures import Picture
from llmlab.notebook.check import Feedback
from llmlab.notebook.start_here_exercises import into_strip

check = llmlab.check
faults = llmlab.faults


def right(frame: pd.DataFrame) -> Any:
    stages = frame[frame["kind"] == "stage"]
    return stages.loc[(stages["end"] - stages["start"]).idxmax(), "name"]


def test_the_longest_stage_is_found_in_traces_that_the_learner_has_not_seen() -> None:
    assert check.longest_stage(right).passed


@pytest.mark.parametrize(
    ("answer", "text", "hint"),
    [
        ("routing", "'routing' is a name", "Write a function"),
        (5, "A function is needed, not int", "def longest_stage"),
        (lambda frame: None if len(frame) else 1, "returns nothing", "Return the name"),
        (lambda frame: "routing"[:], "'prompt assembly', and your function says 'routing'", "idxmax"),
        (lambda frame: frame["name"].iloc[frame["end"].argmax()], "is 'routing'", "ends last. Subtract"),
        (
            lambda frame: frame[frame["kind"] == "attempt"]["name"].iloc[0],
            "and your function says 'main #0'",
            "an attempt. Look at the stages",
        ),
        (lambda frame: frame["nonsense"], "Your code raised KeyError", "by itself"),
    ],
)
def test_a_wrong_longest_stage_is_explained(answer: Any, text: str, hint: str) -> None:
    feedback = check.longest_stage(answer)
    assert feedback.passed is False
    assert text in feedback.text
    assert hint in feedback.hint


@pytest.mark.parametrize(
    "answer",
    [
        faults.LatencySpike(probability=1, seconds=3.0),
        faults.SlowFirstToken(seconds=3.0),
        faults.SlowFirstToken(seconds=3.0).first(1),
        [faults.LatencySpike(probability=1, seconds=1.5), faults.SlowFirstToken(seconds=1.5)],
    ],
)
def test_more_than_one_fault_makes_a_slow_start(answer: Any) -> None:
    feedback = check.slow_start(answer)
    assert feedback.passed, feedback


@pytest.mark.parametrize(
    ("answer", "text", "hint"),
    [
        (faults.LatencySpike, "LatencySpike is the kind", "llmlab.faults.LatencySpike(probability=1, ...)"),
        (4.0, "4.0 is no fault", "objects such as"),
        (faults.LatencySpike(seconds=3.0), "already", "probability=1"),
        (faults.SlowDecode(), "already", "Which part of the answer"),
        (faults.LatencySpike(probability=1, seconds=9.0), "only", "by less"),
        (faults.LatencySpike(probability=1, seconds=900.0), "no word at all", "Less"),
        ([faults.Jitter(), faults.Jitter()], "two faults are named 'Jitter'", ""),
    ],
)
def test_a_fault_that_does_something_else_is_explained(answer: Any, text: str, hint: str) -> None:
    feedback = check.slow_start(answer)
    assert feedback.passed is False
    assert text.lower() in feedback.text.lower()
    assert hint in feedback.hint


async def streaming(client: openai.AsyncOpenAI, question: str) -> Any:
    messages: Any = [{"role": "user", "content": question}]
    async for chunk in await client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True):
        if chunk.choices and chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content


@pytest.mark.parametrize("answer", [llmlab.naive, llmlab.stack, streaming])
def test_any_async_app_goes_into_the_strip(answer: Any) -> None:
    feedback = check.own_app(answer)
    assert feedback.passed, feedback
    assert "seed 8" in feedback.text
    assert isinstance(into_strip(answer), Picture)


async def asks_nobody(client: openai.AsyncOpenAI, question: str) -> str:
    return "42"


async def returns_the_object(client: openai.AsyncOpenAI, question: str) -> Any:
    return await client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": question}])


async def says_nothing(client: openai.AsyncOpenAI, question: str) -> str:
    return ""


async def wrong_model(client: openai.AsyncOpenAI, question: str) -> Any:
    return (await client.chat.completions.create(model="gpt-0", messages=[{"role": "user", "content": question}])).id


@pytest.mark.parametrize(
    ("answer", "text", "hint"),
    [
        (42, "not int", "async def mine"),
        (lambda client, question: "42", "The app is not async", "async def mine"),
        (asks_nobody, "without asking the model", "create(...)"),
        (returns_the_object, "40 of 40 requests got no answer", "completion.choices[0].message.content"),
        (says_nothing, "no answer", "does it end with return"),
        (wrong_model, "no answer (NotFoundError: Error code: 404", "by itself"),
    ],
)
def test_an_app_that_is_none_is_explained(answer: Any, text: str, hint: str) -> None:
    feedback = check.own_app(answer)
    assert feedback.passed is False
    assert text in feedback.text
    assert hint in feedback.hint


@pytest.mark.parametrize("exercise", ["longest_stage", "slow_start", "own_app"])
def test_an_untouched_exercise_is_the_learners_turn(exercise: str) -> None:
    assert repr(getattr(check, exercise)(...)).startswith("Your turn: ")


def test_the_strip_waits_for_an_app() -> None:
    waiting = into_strip(...)
    assert isinstance(waiting, Feedback)
    assert waiting.passed is None
