"""Faults of time: the answer comes whole, and late.

An unmodified openai client notices none of them before its timeout (600 s by default). With a shorter one it raises `APITimeoutError` and
tries again, twice, from the start; after the first chunk of a stream it never tries again.
"""

from __future__ import annotations

from llmlab.errors import BadInput
from llmlab.protocol.draws import exponential, microseconds, uniform
from llmlab.protocol.identity import Stamp
from llmlab.wire.faults.base import Fault
from llmlab.wire.faults.plan import Timing
from llmlab.wire.latency import preset


class LatencySpike(Fault):
    """The whole answer comes later: a cold start, a full queue, a slow replica.

    Notebook: 00_start_here.ipynb
    """

    probability: float = 0.04
    """Share of attempts that it strikes (0 to 1)."""
    seconds: float = 4.0
    """How much later the headers, and all that follows, come (in seconds)."""

    def delay(self, timing: Timing, seed: int, stamp: Stamp) -> str:
        """Put the answer off."""
        timing.before_headers += self.seconds
        return f"+{self.seconds:g} s before the headers"


class SlowFirstToken(Fault):
    """The headers come in time, the first content does not: a long prompt, or hidden reasoning."""

    seconds: float = 3.0
    """Time between the headers and the first content that is added (in seconds)."""

    def delay(self, timing: Timing, seed: int, stamp: Stamp) -> str:
        """Put the first content off."""
        timing.before_content += self.seconds
        return f"+{self.seconds:g} s before the first content"


class SlowDecode(Fault):
    """Every token takes longer: a busy accelerator."""

    seconds_per_token: float = 0.1
    """Added before every token after the first (in seconds)."""

    def delay(self, timing: Timing, seed: int, stamp: Stamp) -> str:
        """Stretch the gaps."""
        timing.gaps.append(lambda token: self.seconds_per_token)
        return f"+{self.seconds_per_token:g} s a token"


class Stall(Fault):
    """The stream stops in the middle, and goes on after a while: what no timeout on the whole request tells from a long answer."""

    after_tokens: int = 5
    """Tokens that come before the silence (at least 1)."""
    seconds: float = 8.0
    """Length of the silence (in seconds)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.after_tokens, int) or self.after_tokens < 1:
            what = f"Stall: after_tokens is a whole number of at least 1, not {self.after_tokens!r}"
            raise BadInput(f"{what}; for a late first token take SlowFirstToken")

    def delay(self, timing: Timing, seed: int, stamp: Stamp) -> str:
        """Open one long gap."""
        timing.gaps.append(lambda token: self.seconds if token == self.after_tokens else 0.0)
        return f"+{self.seconds:g} s after {self.after_tokens} tokens"


class Jitter(Fault):
    """Every chunk is a little late, each by an exponential time of its own; the order stays, as TCP keeps it."""

    mean_seconds: float = 0.05
    """Mean lateness of a chunk (in seconds)."""

    def delay(self, timing: Timing, seed: int, stamp: Stamp) -> str:
        """Let each chunk wobble."""

        def wobble(chunk: int) -> float:
            return microseconds(exponential(uniform(seed, self.name, "chunk", chunk, *stamp.key), mean=self.mean_seconds))

        timing.wobbles.append(wobble)
        return f"chunks late by {self.mean_seconds:g} s on average"


class Latency(Fault):
    """Sets the times of the whole answer from measured ones: first token, then one token after the other.

    Whoever answers behind it (cassette, simulator) adds no time of its own. A live provider's times are a floor.

    Notebook: 00_start_here.ipynb
    """

    preset: str = "chat"
    """A name in `llmlab.wire.latency.PRESETS`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        preset(self.preset)

    def delay(self, timing: Timing, seed: int, stamp: Stamp) -> str:
        """Draw the first token's time and the speed of decoding."""
        times = preset(self.preset)
        timing.first_at = times.first_token_seconds(seed, self.name, "first_token", *stamp.key)
        timing.per_token = times.seconds_per_token(seed, self.name, "per_token", *stamp.key)
        return f"first token at {timing.first_at:.3f} s, then {timing.per_token * 1000:.1f} ms a token"
