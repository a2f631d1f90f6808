"""How much of what a guard objects to is on the screen before the guard speaks: checked now and then, or held back.

Notebook: 02_guardrails.ipynb
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from llmlab.errors import BadInput
from llmlab.pipeline.guardrails.holdback import HoldBack
from llmlab.protocol.tokens import split

if TYPE_CHECKING:
    import pandas as pd

CARD_ANSWER = (
    "Thank you for waiting. I have looked at your order: it left our warehouse on Monday and was paid with the card 4111 1111 1111 1111, "
    "which is stored for your monthly flour as well. If you would like to pay with another one, open Account, then Payment, and add it "
    "there; the old one can be taken away as soon as the new one is confirmed. Your Hearth can go back within 45 days of delivery, unused "
    "or used, as long as the box holds the pan, the paddle and the cup. Print the label from the same page, tape it over the old one, and "
    "leave the box at any drop-off point. The refund is with your bank about five days after the box has reached us, less the price of "
    "parts that are missing. If the box was damaged on its way, take three photos before you unpack it, and write to us on the same day. "
    "Is there anything else that I can do for you today?"
)
"""An answer that gives away a card number in its second sentence. The number is one of those for tests."""
EVERY_CHUNKS = 100
"""The checks of openai-guardrails come so far apart, while the stream goes on."""
_TELLING = 4
"""So many characters of a secret are one that somebody has read; fewer may stand there by chance."""


class Moment(NamedTuple):
    """The screen after a chunk. What is counted are characters of the answer, unless it says otherwise."""

    tokens: int
    """What the model has written by now (in tokens)."""
    came: int
    """What the model has written by now."""
    shown: int
    """Up to where the user has seen it; a placeholder counts as what it stands for."""
    leaked: int
    """What the user has seen of what the guard objects to."""
    piece: str
    """What has come onto the screen now."""


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """One answer as it came onto the screen."""

    name: str
    moments: tuple[Moment, ...]
    stopped: bool
    """Whether the answer was broken off."""
    most_held: int = 0
    """The most that was held back at once (in characters)."""

    @property
    def leaked(self) -> int:
        """What the user saw of what the guard objects to (in characters)."""
        return self.moments[-1].leaked

    @property
    def late(self) -> int:
        """From the first leaked character to the end of the stream: how much more the model wrote (in tokens); 0 where nothing leaked."""
        first = next((moment.tokens for moment in self.moments if moment.leaked), None)
        return 0 if first is None else self.moments[-1].tokens - first


def chunks(text: str, tokens: int) -> list[str]:
    """Return `text` in chunks of so many tokens.

    Raises:
        BadInput: Fewer than one token, or no text.
    """
    if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1 or not text:
        raise BadInput(f"a text comes in chunks of at least 1 token, not {tokens!r} ({len(text)} characters)")
    pieces = split(text)
    return ["".join(pieces[at : at + tokens]) for at in range(0, len(pieces), tokens)]


def check_every(guard: Any, text: str, *, tokens: int = 1, every: int | None = EVERY_CHUNKS) -> Exposure:
    """Return what is seen where chunks are shown at once, and all that has come is checked after every so many chunks and at the end.

    Args:
        guard: Its first finding ends the stream. What was shown stays on the screen.
        text: The whole answer.
        tokens: Size of a chunk (in tokens).
        every: How many chunks lie between two checks; None: nobody checks.
    """
    parts, secrets, total = chunks(text, tokens), _secrets(guard, text), len(split(text))
    moments, came, stopped = [], "", False
    for number, part in enumerate(parts, 1):
        came += part
        moments.append(Moment(min(number * tokens, total), len(came), len(came), _leaked(came, secrets), part))
        if every and (number % every == 0 or number == len(parts)) and guard.check(came, role="assistant"):
            stopped = True
            break
    name = f"check every {every} chunks, {_counted(tokens)} each" if every else f"no check, chunks of {_counted(tokens)}"
    return Exposure(name=name, moments=tuple(moments), stopped=stopped)


def hold_back(guard: Any, text: str, *, tokens: int = 1) -> Exposure:
    """Return what is seen where nothing is shown that the guard could still object to.

    Args:
        guard: What it finds is replaced by a placeholder, or ends the stream, by its action.
        text: The whole answer.
        tokens: Size of a chunk (in tokens).
    """
    held, secrets, total = HoldBack([guard]), _secrets(guard, text), len(split(text))
    moments, came, screen = [], 0, ""
    for number, part in enumerate(chunks(text, tokens), 1):
        came += len(part)
        piece = held.feed(part) + (held.finish() if number * tokens >= total else "")
        screen += piece
        hidden = sum(one.end - one.start - len(f"[{one.kind}]") for one in held.verdict.redactions)
        moments.append(Moment(min(number * tokens, total), came, len(screen) + hidden, _leaked(screen, secrets), piece))
        if held.stopped:
            break
    return Exposure(name=f"hold-back, chunks of {_counted(tokens)}", moments=tuple(moments), stopped=held.stopped, most_held=held.most_held)


def exposures(guard: Any, text: str, sizes: Sequence[int] = (1, 10, 40)) -> list[Exposure]:
    """Return both ways for each size of a chunk (in tokens)."""
    return [*(check_every(guard, text, tokens=size) for size in sizes), *(hold_back(guard, text, tokens=size) for size in sizes)]


def exposure_table(runs: Iterable[Exposure]) -> pd.DataFrame:
    """Return what was seen: a row a run."""
    import pandas as pd

    rows = [
        {
            "": run.name,
            "leaked (characters)": run.leaked,
            "on the screen for (tokens)": run.late,
            "held at most (characters)": run.most_held,
            "end": "stopped" if run.stopped else "complete",
        }
        for run in runs
    ]
    return pd.DataFrame(rows)


def _secrets(guard: Any, text: str) -> list[str]:
    return [text[one.start : one.end] for one in guard.check(text, role="assistant")]


def _leaked(screen: str, secrets: Iterable[str]) -> int:
    """Return how many characters of the secrets can be read, each from its beginning on."""
    return sum(max((size for size in range(_TELLING, len(one) + 1) if one[:size] in screen), default=0) for one in secrets)


def _counted(tokens: int) -> str:
    return "1 token" if tokens == 1 else f"{tokens} tokens"
