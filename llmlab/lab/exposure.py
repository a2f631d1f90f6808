"""How much of what a guard objects to is on the screen before the guard speaks: checked now and then, or held back.

Notebook: 02_guardrails.ipynb
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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


class Moment(NamedTuple):
    """The screen after a chunk. All but the first are characters of the answer."""

    tokens: int
    """What the model has written by now (in tokens)."""
    came: int
    """What the model has written by now."""
    shown: int
    """What the user has seen."""
    leaked: int
    """What the user has seen of the spans that the guard objects to."""


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
    parts = chunks(text, tokens)
    spans, moments, came, stopped = _spans(guard, text), [], "", False
    for number, part in enumerate(parts, 1):
        came += part
        moments.append(_moment(min(number * tokens, len(split(text))), len(came), len(came), spans))
        if every and (number % every == 0 or number == len(parts)) and guard.check(came, role="assistant"):
            stopped = True
            break
    name = f"check every {every} chunks, {_counted(tokens)} each" if every else f"no check, chunks of {_counted(tokens)}"
    return Exposure(name=name, moments=tuple(moments), stopped=stopped)


def hold_back(guard: Any, text: str, *, tokens: int = 1) -> Exposure:
    """Return what is seen where nothing is shown that the guard could still object to. The arguments are those of `check_every`."""
    held, spans, moments, shown = HoldBack([_blocking(guard)]), _spans(guard, text), [], 0
    total, came = len(split(text)), 0
    for number, part in enumerate(chunks(text, tokens), 1):
        came += len(part)
        shown += len(held.feed(part))
        if number * tokens >= total:
            shown += len(held.finish())
        moments.append(_moment(min(number * tokens, total), came, shown, spans))
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
            "end": "stopped" if run.stopped else "all of it shown",
        }
        for run in runs
    ]
    return pd.DataFrame(rows)


def _blocking(guard: Any) -> Any:
    return guard if getattr(guard, "action", "block") == "block" else replace(guard, action="block")


def _spans(guard: Any, text: str) -> list[tuple[int, int]]:
    return [(one.start, one.end) for one in guard.check(text, role="assistant")]


def _moment(tokens: int, came: int, shown: int, spans: Iterable[tuple[int, int]]) -> Moment:
    return Moment(tokens, came, shown, sum(_overlap(spans, shown)))


def _overlap(spans: Iterable[tuple[int, int]], shown: int) -> Iterator[int]:
    for start, end in spans:
        yield max(0, min(end, shown) - start)


def _counted(tokens: int) -> str:
    return "1 token" if tokens == 1 else f"{tokens} tokens"
