"""The three exercises of notebook 00.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pandas as pd

from llmlab.data.help_desk import cases
from llmlab.lab.apps import naive
from llmlab.lab.lab import Lab
from llmlab.lab.pictures import Picture, storm_strip
from llmlab.lab.runs import SLOW_SECONDS
from llmlab.notebook.check import OTHER_SEEDS, Feedback, Wrong, exercise, untouched
from llmlab.notebook.one import ask
from llmlab.notebook.setting import QUESTIONS, Setting
from llmlab.pipeline.pipeline import Pipeline
from llmlab.wire.faults import Fault, LatencySpike

EARLIEST_SECONDS, LATEST_SECONDS = 3.0, 6.0
"""What the second exercise asks for: first word not before, end before."""
REQUESTS = 40


def _case(name: str) -> Any:
    return next(case for case in cases() if case.id == name)


@exercise("write a function that takes a trace's frame and returns the name of its longest stage.")
def longest_stage(answer: Callable[[pd.DataFrame], Any]) -> str:
    """Check a function from `trace.frame` to the name of the longest stage."""
    if isinstance(answer, str):
        raise Wrong(f"{answer!r} is a name, and the next trace may have another.", "Write a function: def longest_stage(frame): return ...")
    if not callable(answer):
        raise Wrong(f"a function is needed, not {type(answer).__name__}.", "def longest_stage(frame): return ...")
    for frame in _traces():
        stages = frame[frame["kind"] == "stage"]
        right = stages["name"].iloc[int((stages["end"] - stages["start"]).argmax())]
        given = answer(frame.copy())
        if given is ... or given is None:
            raise Wrong("your function returns nothing.", "Return the name: frame.loc[row, 'name'].")
        if given != right:
            raise Wrong(f"in one of the traces the longest stage is {right!r}, and your function says {given!r}.", _hint(frame, given))
    return "your function finds the longest stage, also in traces that you have not seen."


def _traces() -> list[pd.DataFrame]:
    """Return traces of other seeds; in two of them another stage than routing is made the longest, in one the last stage takes a while."""
    frames = []
    for number, (stretched, factor) in enumerate([("guards out", 0.1), ("prompt assembly", 2.0), ("post-processing", 2.0)]):
        seed = OTHER_SEEDS[number % len(OTHER_SEEDS)]
        setting = Setting(question=_case(QUESTIONS[number]), seed=seed)
        frame = ask(Lab(seed=seed, faults=setting.aimed), setting.fixed, setting.question).trace.frame
        row = frame.index[(frame["kind"] == "stage") & (frame["name"] == stretched)][0]
        longer = float(frame["end"].max()) * factor
        later = (frame["start"] >= frame.loc[row, "end"]) & (frame.index > row)
        frame.loc[later, ["start", "first_content", "end"]] += longer
        frame.loc[row, "end"] += longer
        frames.append(frame)
    return frames


def _hint(frame: pd.DataFrame, given: Any) -> str:
    if given == frame.loc[frame["kind"] == "stage", "name"].iloc[-1]:
        return "That is the row that ends last. Subtract: frame['end'] - frame['start']."
    if given in set(frame.loc[frame["kind"] == "attempt", "name"]):
        return "That is an attempt. Look at the stages only: frame[frame['kind'] == 'stage']."
    return "Subtract start from end in the rows whose kind is 'stage', and take idxmax()."


@exercise(f"build a fault: first word after {EARLIEST_SECONDS:g} s or more, whole answer in less than {LATEST_SECONDS:g} s.")
def slow_start(answer: Any) -> str:
    """Check a fault (or several) that delays the first word and little else."""
    faults: list[Fault] = list(answer) if isinstance(answer, list | tuple) else [answer]
    for fault in faults:
        if isinstance(fault, type):
            raise Wrong(f"{fault.__name__} is the kind; a fault is made of it.", f"llmlab.faults.{fault.__name__}(probability=1, ...)")
        if not isinstance(fault, Fault):
            raise Wrong(f"{fault!r} is no fault.", "Faults are objects such as llmlab.faults.LatencySpike(probability=1, seconds=1.0).")
    seen = []
    for seed in OTHER_SEEDS:
        for name in QUESTIONS[:3]:
            setting = Setting(question=_case(name), seed=seed)
            answered = ask(Lab(seed=seed, faults=faults), setting.plain, setting.question)
            first, total = answered.timings.delivered_first_content, answered.timings.total
            if first is None:
                raise Wrong(f"with seed {seed}, question {name} got no word at all.", "Less: the user should wait, not leave.")
            seen.append((first, total))
            where = f"with seed {seed}, question {name}"
            if first < EARLIEST_SECONDS:
                sure = all(fault.probability >= 1 for fault in faults)
                hint = "Which part of the answer does this fault delay: the first word, or what follows?" if sure else "probability=1."
                raise Wrong(f"{where} had its first word after {first:.2f} s already.", hint)
            if total >= LATEST_SECONDS:
                raise Wrong(f"{where} was answered after {total:.2f} s only.", "Delay the first word by less, and the tokens not at all.")
    firsts, totals = zip(*seen, strict=True)
    return (
        f"first words after {min(firsts):.2f} to {max(firsts):.2f} s, whole answers within {max(totals):.2f} s, "
        f"in {len(seen)} requests on two seeds that you have not seen."
    )


@exercise("write an app of your own, async (client, question) -> text, and put it into the strip.")
def own_app(answer: Any) -> str:
    """Check an async app by running it in weather."""
    if not isinstance(answer, Pipeline) and not callable(answer):
        raise Wrong(f"an app is an async function, not {type(answer).__name__}.", "async def mine(client, question): ...")
    if not isinstance(answer, Pipeline) and not (inspect.iscoroutinefunction(answer) or inspect.isasyncgenfunction(answer)):
        raise Wrong("the app is not async.", "async def mine(client, question): ... and await the client's call.")
    words = []
    for seed in OTHER_SEEDS:
        lab = _storm(seed)
        runs = lab.run(answer, requests=REQUESTS, name="yours")
        frame = runs.frame
        lost = frame[~frame["status"].isin(["ok", "degraded", "abstained"])]
        if len(lost):
            reason = str(lost["reason"].iloc[0])
            raise Wrong(f"with seed {seed}, {len(lost)} of {REQUESTS} requests got no answer ({reason}).", _remedy(reason))
        if (frame["attempts"] == 0).any():
            raise Wrong("your app answers without asking the model.", "Call client.chat.completions.create(...) and await it.")
        mine, hope = (found["slow"].value or 0.0 for found in (runs + lab.run(naive, requests=REQUESTS)).measures().values())
        words.append(
            f"seed {seed}: {100 * mine:.1f} % after {SLOW_SECONDS:g} s (naive: {100 * hope:.1f} %), {frame['attempts'].mean():.2f} attempts"
        )
    return f"every request was answered. {'; '.join(words)}."


def into_strip(app: Any, *, seed: int = 7) -> Picture | Feedback:
    """Return the storm strip of naive and an app of one's own; as long as nobody has written it, a reminder.

    Args:
        app: An async callable (client, question) -> text.
        seed: The weather's seed.
    """
    if untouched(app):
        return Feedback(None, "your app's row appears here.")
    lab = _storm(seed)
    runs = lab.run(naive, requests=REQUESTS) + lab.run(app, requests=REQUESTS, name="yours")
    return storm_strip(runs.frame)


def _storm(seed: int) -> Lab:
    """Return the weather of the third exercise; a prompt of one's own is in no recording, so the simulator answers."""
    return Lab(seed=seed, faults=[LatencySpike(probability=0.1, seconds=SLOW_SECONDS)], source="simulator")


def _remedy(reason: str) -> str:
    if "Completion" in reason or "Stream" in reason:
        return "Return the text: completion.choices[0].message.content."
    if "no text" in reason:
        return "The app returned nothing: does it end with return, and is the client's call awaited?"
    return "Call it once by itself, in calm weather: llmlab.Lab(source='simulator').run(mine, requests=1).frame['reason']."
