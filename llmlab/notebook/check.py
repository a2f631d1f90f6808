"""Checks of exercises: `llmlab.check.<exercise>(answer)` says what is right, what is not, and gives a hint.

An exercise registers itself with `@exercise`; the modules that hold them are loaded when somebody asks for a check. A check never raises
for what a learner did: it explains.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from html import escape
from importlib import import_module
from typing import Any

from llmlab.errors import LlmlabError

EXERCISES: dict[str, Callable[[Any], Feedback]] = {}
"""Every exercise by its name."""
OTHER_SEEDS = (8, 9)
"""What a learner builds is run on these; the notebook itself shows another."""
_HOMES = (
    "llmlab.notebook.start_here_exercises",
    "llmlab.notebook.latency_variance_exercises",
    "llmlab.notebook.guardrails_exercises",
    "llmlab.notebook.retries_and_fallbacks_exercises",
    "llmlab.notebook.hallucination_exercises",
)


class Feedback:
    """What a check has to say.

    Args:
        passed: True or False; None where there is nothing to check yet.
        text: For the learner: what happened, and why.
        hint: What to try next.
    """

    def __init__(self, passed: bool | None, text: str, hint: str = "") -> None:
        self.passed, self.text, self.hint = passed, text[:1].upper() + text[1:], hint

    @property
    def word(self) -> str:
        """Your turn, passed, or not yet."""
        return {None: "Your turn", True: "Passed", False: "Not yet"}[self.passed]

    def __repr__(self) -> str:
        return f"{self.word}: {self.text}" + (f"\nHint: {self.hint}" if self.hint else "")

    def _repr_html_(self) -> str:
        color = {None: "#555555", True: "#00674F", False: "#A84300"}[self.passed]
        hint = f"<br><i>Hint:</i> {escape(self.hint)}" if self.hint else ""
        return (
            f'<div style="border-left: 4px solid {color}; padding: 6px 12px; line-height: 1.4">'
            f'<b style="color: {color}">{self.word}.</b> {escape(self.text)}{hint}</div>'
        )


class Wrong(Exception):
    """Raised by a check: what is wrong, and a hint.

    Args:
        text: What is wrong with the answer.
        hint: What to try next.
    """

    def __init__(self, text: str, hint: str = "") -> None:
        self.text, self.hint = text, hint
        super().__init__(text)


def exercise(task: str) -> Callable[[Callable[[Any], str]], Callable[[Any], Feedback]]:
    """Register a check under its function's name.

    Args:
        task: What is asked for, in a sentence; shown while the exercise is untouched.

    Returns:
        A decorator of a function that takes the learner's answer and returns praise, or raises `Wrong`.
    """

    def decorate(judge: Callable[[Any], str]) -> Callable[[Any], Feedback]:
        @wraps(judge)
        def checked(answer: Any = None) -> Feedback:
            if untouched(answer):
                return Feedback(None, task)
            try:
                return Feedback(True, judge(answer))
            except Wrong as wrong:
                return Feedback(False, wrong.text, wrong.hint)
            except LlmlabError as error:
                return Feedback(False, str(error))
            except Exception as error:  # the learner's own code; it is explained, not thrown at them
                return Feedback(False, f"your code raised {type(error).__name__}: {error}", "Run it by itself in a cell to see where.")

        EXERCISES[judge.__name__] = checked
        return checked

    return decorate


def untouched(answer: Any) -> bool:
    """Whether nobody has worked on it: None, `...`, or a function whose body is nothing else."""
    if answer is None or answer is ...:
        return True
    code = getattr(answer, "__code__", None)
    if code is None or inspect.isbuiltin(answer):
        return False
    return code.co_code in _empty_bodies() and all(one is None or one is ... or one == answer.__doc__ for one in code.co_consts)


def _empty_bodies() -> set[bytes]:
    def dots(x: Any) -> Any: ...
    def returned(x: Any) -> Any:
        return ...

    def passed(x: Any) -> Any:
        pass

    async def two_dots(x: Any, y: Any) -> Any: ...
    async def two_returned(x: Any, y: Any) -> Any:
        return ...

    return {one.__code__.co_code for one in (dots, returned, passed, two_dots, two_returned)}


def __getattr__(name: str) -> Callable[[Any], Feedback]:
    for home in _HOMES:
        import_module(home)
    try:
        return EXERCISES[name]
    except KeyError:
        raise AttributeError(f"there is no exercise {name!r}; there is: {', '.join(sorted(EXERCISES))}") from None


def __dir__() -> list[str]:
    for home in _HOMES:
        import_module(home)
    return sorted(EXERCISES)
