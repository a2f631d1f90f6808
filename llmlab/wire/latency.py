"""How long real providers take, as distributions that were measured and are named.

An answer's time has two parts: until the first token, and per token after it. Each is drawn from a `Spread`: a floor below which nothing
goes, a body, and a rare slow mode. A log-normal alone has neither the floor nor the second mode, and fits most measured times badly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from llmlab.errors import UnknownName
from llmlab.protocol.draws import microseconds, uniform


class Spread(NamedTuple):
    """A floor, a body above it, and a rare slow mode instead of the body.

    Both modes are Weibull distributions by their median: median * (-log(1 - u) / log 2) ** spread. A spread of 0 is a single value, 1 is
    exponential; the tail grows with it.
    """

    floor: float
    """Nothing is below (in the unit of the result)."""
    median: float
    """Half of the body is below floor + median (in the unit of the result)."""
    spread: float
    slow_median: float = 0.0
    slow_spread: float = 0.0
    slow_share: float = 0.0
    """Share of draws in the slow mode (0 to 1)."""

    def at(self, u: float) -> float:
        """Return the value for `u`, a number in (0, 1); the slow mode has the highest ones."""
        usual = 1.0 - self.slow_share
        u, median, spread = (
            (u / usual, self.median, self.spread) if u < usual else ((u - usual) / self.slow_share, self.slow_median, self.slow_spread)
        )
        return self.floor + median * math.pow(-math.log1p(-u) / math.log(2), spread)


class Preset(NamedTuple):
    """The times of one provider."""

    name: str
    source: str
    """Which measurement, in a sentence."""
    first_token: Spread
    """From sending to the first token (in seconds)."""
    per_token: Spread
    """Between two tokens of one answer (in seconds); an answer keeps its speed."""

    def first_token_seconds(self, *key: object) -> float:
        """Return the time to the first token of the answer that `key` names (in seconds, whole microseconds)."""
        return microseconds(self.first_token.at(uniform(*key)))

    def seconds_per_token(self, *key: object) -> float:
        """Return the time between two tokens of the answer that `key` names (in seconds, whole microseconds)."""
        return microseconds(self.per_token.at(uniform(*key)))


_OPENAI = (
    "OpenAI's own openai-processing-ms of chat completions in public recordings, 2023-2026: 134 streamed ones for the first token, "
    "420 unstreamed ones for lengths and decoding, all models pooled"
)
_LLMPERF = "LLMPerf leaderboard, December 2023: llama-2-70b-chat, 145 to 150 requests of about 550 tokens in and 150 out"
_COLD = f"{_LLMPERF}; the slow mode is its cold starts"
_ALL = (
    Preset("chat", _OPENAI, Spread(0.09, 0.28, 0.88, 3.0, 0.5, 0.004), Spread(0.006, 0.0096, 0.4)),
    Preset("groq", _LLMPERF, Spread(0.15, 0.072, 0.57), Spread(0.003, 0.0007, 0.5)),
    Preset("together", _LLMPERF, Spread(0.45, 0.185, 0.40), Spread(0.0095, 0.002, 0.75)),
    Preset("replicate", _COLD, Spread(0.9, 0.25, 0.6, 13.6, 1.0, 0.18), Spread(0.08, 0.0056, 0.5)),
    Preset("calm", "put in, not measured: a narrow distribution for demonstrations", Spread(0.3, 0.1, 0.3), Spread(0.01, 0.002, 0.3)),
)
PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _ALL})
"""Every preset by name."""


def preset(name: str) -> Preset:
    """Return the preset that is called `name`.

    Raises:
        UnknownName: There is none; the message lists those there are.
    """
    try:
        return PRESETS[name]
    except (KeyError, TypeError):
        raise UnknownName("latency preset", name, PRESETS) from None
