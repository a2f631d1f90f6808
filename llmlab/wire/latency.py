"""How long real providers take, as distributions that were measured and are named.

An answer's time has two parts: until the first token, and per token after it. Each is drawn from a `Spread`: a floor below which nothing
goes, a body, and a rare slow mode. A log-normal alone has neither the floor nor the second mode, and fits most measured times badly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from llmlab.errors import UnknownName
from llmlab.protocol.draws import microseconds, uniform

_LN2 = math.log(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """A Weibull distribution by its median: median * (-log(1 - u) / log 2) ** spread."""

    median: float
    """Half of the draws are below (in the unit of the result)."""
    spread: float
    """0 is a single value, 1 exponential; the tail grows with it (no unit)."""

    def at(self, u: float) -> float:
        """Return the quantile of `u`, a number in (0, 1)."""
        return self.median * math.pow(-math.log1p(-u) / _LN2, self.spread)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A floor, a body above it, and a rare slow mode instead of the body."""

    floor: float
    """Nothing is below (in the unit of the result)."""
    body: Mode
    slow: Mode = Mode(median=0.0, spread=0.0)
    slow_share: float = 0.0
    """Share of draws in the slow mode (0 to 1)."""

    def at(self, u: float) -> float:
        """Return the value for `u`, a number in (0, 1); the slow mode has the highest ones."""
        usual = 1.0 - self.slow_share
        if u < usual:
            return self.floor + self.body.at(u / usual)
        return self.floor + self.slow.at((u - usual) / self.slow_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The times of one provider."""

    name: str
    source: str
    """Which measurement, in a sentence."""
    first_token: Spread
    """From sending to the first token (in seconds)."""
    per_token: Spread
    """Between two tokens of one answer (in seconds); an answer keeps its speed."""
    tokens: Spread
    """Length of the answers that were measured (in tokens)."""

    def first_token_seconds(self, *key: object) -> float:
        """Return the time to the first token of the answer that `key` names (in seconds, whole microseconds)."""
        return microseconds(self.first_token.at(uniform(*key)))

    def seconds_per_token(self, *key: object) -> float:
        """Return the time between two tokens of the answer that `key` names (in seconds, whole microseconds)."""
        return microseconds(self.per_token.at(uniform(*key)))

    def completion_tokens(self, *key: object) -> int:
        """Return the length of an answer from the reference mix (in tokens, at least 1)."""
        return max(1, round(self.tokens.at(uniform(*key))))


_LLMPERF_TOKENS = Spread(floor=120.0, body=Mode(median=30.0, spread=0.4))

_ALL = (
    Preset(
        name="chat",
        source=(
            "OpenAI's own openai-processing-ms of chat completions in public recordings, 2023-2026: 134 streamed ones for the first token, "
            "420 unstreamed ones for lengths and decoding, all models pooled"
        ),
        first_token=Spread(floor=0.09, body=Mode(median=0.28, spread=0.88), slow=Mode(median=3.0, spread=0.5), slow_share=0.004),
        per_token=Spread(floor=0.006, body=Mode(median=0.0096, spread=0.4)),
        tokens=Spread(floor=1.0, body=Mode(median=12.3, spread=0.71), slow=Mode(median=328.0, spread=0.64), slow_share=0.21),
    ),
    Preset(
        name="groq",
        source="LLMPerf leaderboard, December 2023: llama-2-70b-chat at groq, 150 requests of about 550 tokens in and 150 out",
        first_token=Spread(floor=0.15, body=Mode(median=0.072, spread=0.57)),
        per_token=Spread(floor=0.003, body=Mode(median=0.0007, spread=0.5)),
        tokens=_LLMPERF_TOKENS,
    ),
    Preset(
        name="together",
        source="LLMPerf leaderboard, December 2023: llama-2-70b-chat at together, 150 requests of about 550 tokens in and 150 out",
        first_token=Spread(floor=0.45, body=Mode(median=0.185, spread=0.40)),
        per_token=Spread(floor=0.0095, body=Mode(median=0.002, spread=0.75)),
        tokens=_LLMPERF_TOKENS,
    ),
    Preset(
        name="replicate",
        source=(
            "LLMPerf leaderboard, December 2023: llama-2-70b-chat at replicate, 145 requests of about 550 tokens in and 150 out; the slow "
            "mode is its cold starts"
        ),
        first_token=Spread(floor=0.9, body=Mode(median=0.25, spread=0.6), slow=Mode(median=13.6, spread=1.0), slow_share=0.18),
        per_token=Spread(floor=0.08, body=Mode(median=0.0056, spread=0.5)),
        tokens=_LLMPERF_TOKENS,
    ),
    Preset(
        name="calm",
        source="put in, not measured: a narrow distribution for demonstrations",
        first_token=Spread(floor=0.3, body=Mode(median=0.1, spread=0.3)),
        per_token=Spread(floor=0.01, body=Mode(median=0.002, spread=0.3)),
        tokens=Spread(floor=20.0, body=Mode(median=25.0, spread=0.5)),
    ),
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
