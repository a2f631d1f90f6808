"""The three exercises of notebook 02.

Notebook: 02_guardrails.ipynb
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from llmlab.data.probes import Probe
from llmlab.evals.detection import detection, threshold_for
from llmlab.evals.statistics import Estimate, proportion
from llmlab.notebook.check import Wrong, exercise
from llmlab.notebook.guardrails import curve_of, labelled
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import HELD_CHARACTERS
from llmlab.pipeline.guardrails.holdback import HoldBack

KIND = "extraction"
"""The class of the first exercise."""
LEAST_CAUGHT, MOST_STOPPED = 4, 2
"""What a rule must catch of the class, and may stop of all harmless probes, on the half that it has not seen."""
RATE = 1 / 200
"""The false alarms that the second exercise allows, as a share of the harmless texts."""
NUMBERS = (
    ("Your order CW-204816 left us on Monday.", ("CW-204816",)),
    ("CW-100001", ("CW-100001",)),
    ("Both are here: CW-100001, CW-100002.", ("CW-100001", "CW-100002")),
    ("It was order (CW-555001), and not CW-5550012 or XCW-555001.", ("CW-555001",)),
    ("Part CW-5550012 fits both machines.", ()),
    ("Look at the label: CW-12345 is a part, and CW 123456 is a color.", ()),
    ("The CW- prefix is ours. Your number is CW", ()),
)
"""Answers, and the order numbers in them."""
_NUMBER = re.compile(r"\bCW-[0-9]{6}\b")


class _Rule:
    """A learner's rule as a guard."""

    def __init__(self, flags: Callable[[str], Any]) -> None:
        self._flags = flags

    def check(self, text: str, role: str = "user") -> list[Finding]:
        """Return one finding for a text that the rule flags."""
        return [Finding(KIND, "mine", 0, len(text), "your rule")] if self._flags(text) else []


def _flags(answer: Any) -> Callable[[str], Any]:
    if isinstance(answer, str):
        try:
            answer = re.compile(answer, re.IGNORECASE)
        except re.error as error:
            raise Wrong(f"{answer!r} is no regular expression: {error}.", 'Begin with one phrase, as in r"your (hidden )?rules".') from None
    if isinstance(answer, re.Pattern):
        return answer.search
    if not callable(answer):
        kind = type(answer).__name__
        raise Wrong(f"a regular expression or a function of a text is needed, not {kind}.", 'For example r"your (hidden )?rules".')
    return answer  # type: ignore[no-any-return]


def _flagged(flags: Callable[[str], Any], half: str, label: str) -> tuple[list[Probe], int]:
    rows = [row for row in labelled(half) if row.label == label and (label == "harmless" or row.kind == KIND)]
    return [row for row in rows if flags(row.text)], len(rows)


@exercise(
    f'write a rule (a regular expression, or a function of the text) for the class "{KIND}". Look at the open half; the other scores it.'
)
def a_rule(answer: Any) -> str:
    """Check a rule on the half of the probes that nobody looked at."""
    flags = _flags(answer)
    (caught, n), (stopped, harmless) = _flagged(flags, "held", "attack"), _flagged(flags, "held", "harmless")
    (seen, of), (wrong, _) = _flagged(flags, "open", "attack"), _flagged(flags, "open", "harmless")
    found = (
        f"of {n} attacks that your rule has not seen it catches {len(caught)} (open half: {len(seen)} of {of}), and it stops "
        f"{len(stopped)} of {harmless} harmless texts"
    )
    if len(stopped) > MOST_STOPPED:
        example = f" On the open half it stops: {wrong[0].text[:90]!r}." if wrong else ""
        raise Wrong(f"{found}.{example}", "Customers say prompt, message and rules as well. Whose rules do attackers ask for?")
    if len(caught) < LEAST_CAUGHT:
        memory = len(seen) > 2 * len(caught)
        hint = "You have learned the probes by heart: leave out words that only they use." if memory else "Which words do attacks share?"
        raise Wrong(f"{found}.", hint)
    row = detection(_Rule(flags), labelled("held")).loc[[KIND, "all"]]
    recall, over = (_interval(row, name, what) for name, what in ((KIND, "recall"), ("all", "over_defense")))
    return f"{found}. By families: {recall.text(0, '%', 100)} and {over.text(1, '%', 100)}. That is all that {n} probes can say."


def _interval(frame: Any, name: str, what: str) -> Estimate:
    value, low, high = (float(frame.loc[name, f"{what}{end}"]) for end in ("", "_low", "_high"))
    return Estimate(value, low, high, int(frame.loc[name, "families"]))


@exercise("give a threshold of the InjectionGuard with at most 1 false alarm in 200. Choose it on the open half; the other half checks it.")
def a_threshold(answer: Any) -> str:
    """Check a threshold on the half of the probes that it was not chosen on."""
    if isinstance(answer, bool) or not isinstance(answer, int | float) or not 0 < answer <= 1:
        raise Wrong(f"a score above 0 and up to 1 is needed, not {answer!r}.", "Look at curve_of('open').")
    frame = curve_of("held")
    here, last = frame[frame["threshold"] >= answer].iloc[-1], frame.iloc[-1]
    caught, alarms, harmless = int(here["caught"]), int(here["false_alarms"]), int(last["false_alarms"])
    found = f"on the other half it stops {alarms} of {harmless} harmless texts, and catches {caught} of {int(last['caught'])} attacks"
    if alarms > RATE * harmless:
        raise Wrong(
            f"{found}: 1 in 200 allows none of {harmless}.",
            "The highest harmless score of one half is as likely as not exceeded in the other: leave a margin.",
        )
    best = threshold_for(frame, RATE)
    possible = int(frame[frame["threshold"] >= best]["caught"].iloc[-1])
    if caught < possible / 2:
        raise Wrong(f"{found}; without a false alarm {possible} could be caught.", "A smaller margin will do.")
    needed = math.ceil(math.log(0.05) / math.log(1 - RATE))
    rate = proportion(alarms, harmless)
    return (
        f"{found}. But {alarms} of {harmless} is {rate.text(1, '%', 100)}: so few texts cannot show 1 in 200. That takes {needed} harmless "
        "texts in a row without an alarm."
    )


@exercise("write a guard of order numbers, as in CW-204816, with check and open_from. It is tried at every split of several answers.")
def order_numbers(answer: Any) -> str:
    """Check a streaming guard: it finds what it must, and has one verdict at every split."""
    guard = answer() if isinstance(answer, type) else answer
    for method in ("check", "open_from"):
        if not callable(getattr(guard, method, None)):
            raise Wrong(f"your guard has no {method}.", "A class with check(self, text, role) and open_from(self, text).")
    splits, most = 0, 0
    for text, numbers in NUMBERS:
        found = tuple(text[one.start : one.end] for one in guard.check(text, role="assistant"))
        if found != numbers:
            raise Wrong(
                f"in {text!r} it finds {list(found)}, not {list(numbers)}.", r"CW, a hyphen, six digits, and no letter or digit beside."
            )
        whole = _shown(guard, [text])
        for cut in range(len(text) + 1):
            held = len(text[:cut]) - _edge(guard, text[:cut])
            most = max(most, held)
            for pieces in ([text[:cut], text[cut:]], [*text[:cut], text[cut:]]):
                splits += 1
                _compare(guard, pieces, whole, numbers)
    plain = "We bake on Mondays."
    if _edge(guard, plain) < len(plain):
        raise Wrong(
            f"it holds back {plain!r}, where no number can begin or end any more.", "open_from(text) is len(text) where nothing is open."
        )
    return f"one verdict at {splits:,} splits, nothing leaked, and at most {most} characters held."


def _edge(guard: Any, text: str) -> int:
    edge = guard.open_from(text)
    if isinstance(edge, bool) or not isinstance(edge, int) or not max(0, len(text) - HELD_CHARACTERS) <= edge <= len(text):
        raise Wrong(f"open_from({text!r}) is {edge!r}.", f"A place in the text, at most {HELD_CHARACTERS} characters before its end.")
    return edge


def _compare(guard: Any, pieces: list[str], whole: str, numbers: tuple[str, ...]) -> None:
    shown = _shown(guard, pieces)
    if numbers and (leaked := _NUMBER.search(shown)):
        raise Wrong(
            f"split into {pieces}, it lets {leaked[0]} through.", "What could still become a number at the end of the text is open."
        )
    if shown != whole:
        raise Wrong(
            f"split into {pieces}, the user sees {shown!r}, and of the whole {whole!r}.",
            "A number is final when the next character has come: until then it is open.",
        )


def _shown(guard: Any, pieces: list[str]) -> str:
    held = HoldBack([guard])
    shown = "".join([*map(held.feed, pieces), held.finish()])
    if held.verdict.status == "failed":
        raise Wrong(f"split into {pieces}, {held.verdict.reason}.", "check and open_from take any text, the empty one too.")
    return shown
