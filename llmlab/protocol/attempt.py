"""The attempt event: one HTTP request to a model, as it ended.

It is append-only, and the seam for everything that comes after a call: cost, tracing, evals. The pipeline writes one for each attempt; the
lab's meter on the wire writes its own, and the two must agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from llmlab.protocol.models import is_other


class Usage:
    """Constants for where token counts come from."""

    REPORTED = "reported"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One HTTP request to a model. Times are seconds on the loop's clock; None where it never came to that."""

    request: str
    """Identity of the user's request, as in "q017/0"; empty where nobody said."""
    ordinal: int
    """0 for the first attempt of the request, whatever its role."""
    role: str = "primary"
    """primary, retry, hedge, fallback, judge or sample."""
    route: str = ""
    """Name of the route that was taken."""
    model: str
    """The model that was asked for."""
    snapshot: str | None = None
    """The model that said it answered."""
    prompt_version: str | None = None
    """Hash of the prompt's template."""
    source: str | None = None
    """cassette, simulator or live."""
    status: str
    """ok, failed or cancelled."""
    reason: str = ""
    """Why it was not ok, in a word."""
    sent_at: float
    """When the request left."""
    first_content_at: float | None = None
    """When the first text, reasoning or tool delta came (a whole reply: when it came)."""
    ended_at: float
    """When the last byte came, or it failed, or was cancelled."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    usage: str = Usage.UNKNOWN
    """reported by the provider, estimated (the reply broke off), or unknown."""
    cost_usd: Decimal | None = None
    """Price of the tokens (in USD); None where the model's price or the usage is unknown."""
    price_date: str | None = None
    """Day for which the price holds, ISO 8601."""

    @property
    def cancelled(self) -> bool:
        """Whether we ended it ourselves."""
        return self.status == "cancelled"

    @property
    def other_model(self) -> str:
        """The model that answered, where it is another than was asked for; else empty."""
        return self.snapshot if self.snapshot and is_other(self.model, self.snapshot) else ""

    @property
    def seconds(self) -> float:
        """From sending to its end (in seconds)."""
        return self.ended_at - self.sent_at

    @property
    def first_content_seconds(self) -> float | None:
        """From sending to the first content (in seconds)."""
        return None if self.first_content_at is None else self.first_content_at - self.sent_at
