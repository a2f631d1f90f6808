"""What an app does when answers do not come: policies that differ in nothing else.

Notebook: 03_retries_and_fallbacks.ipynb
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llmlab.data.help_desk import retrieve
from llmlab.errors import AttemptFailed, UnknownName
from llmlab.pipeline.breaker import Breaker
from llmlab.pipeline.clocks import Clocks
from llmlab.pipeline.pipeline import Pipeline
from llmlab.pipeline.route import Route
from llmlab.pipeline.routing import Retry
from llmlab.protocol.draws import microseconds, uniform

TIMEOUT_SECONDS, ATTEMPTS, BUDGET = 4.0, 4, 0.1
"""As in `llmlab.careful`: a timeout of 4 s and three retries. The budget is a share of requests."""
SORRY = "We cannot answer just now. Your question is not lost: please ask again in a minute."
REMEDIES = {
    "jitter": "wait a random time before a retry",
    "budget": f"retry at most {100 * BUDGET:g} % of requests",
    "breaker": "send nothing where half of all attempts fail",
    "fallback": "ask another provider's model, and say sorry if that fails, too",
}
"""Each remedy and what it does."""


@dataclass(frozen=True, kw_only=True)
class ClientBackOff(Retry):
    """Waits as the openai client does: base * 2**(n - 1), at most the longest, less up to a quarter at random."""

    base_seconds: float = 0.5
    longest_seconds: float = 8.0

    def wait_seconds(self, failed: int, error: AttemptFailed, *key: object) -> float:
        """Return how long to wait after a failure (in seconds); see `Retry`."""
        if error.retry_after_seconds is not None:
            return error.retry_after_seconds
        most = min(self.longest_seconds, self.base_seconds * 2.0 ** min(failed - 1, 60))
        return microseconds(most * (1 - 0.25 * uniform("ClientBackOff", "wait", *key, failed)))


def policy(remedies: Iterable[str] = (), *, attempts: int = ATTEMPTS, timeout_seconds: float = TIMEOUT_SECONDS) -> Pipeline:
    """Return a pipeline with these remedies and no others; without any it does what `llmlab.careful` lets the openai client do.

    Args:
        remedies: Names out of `REMEDIES`.
        attempts: Attempts on a route, the first included; 1: no retry.
        timeout_seconds: After how long an attempt is given up (in seconds).

    Raises:
        UnknownName: There is no such remedy.
    """
    chosen = list(remedies)
    for name in chosen:
        if name not in REMEDIES:
            raise UnknownName("remedy", name, REMEDIES)
    back_off = Retry if "jitter" in chosen else ClientBackOff
    clocks = Clocks(first_content_seconds=timeout_seconds)
    names = ("main", "fast") if "fallback" in chosen else ("main",)
    return Pipeline(
        routes=[Route(name, model=name, stream=False, clocks=clocks) for name in names],
        retrieve=retrieve,
        retry=back_off(attempts=attempts, base_seconds=0.5, longest_seconds=8.0, max_extra=BUDGET if "budget" in chosen else None),
        breaker=Breaker() if "breaker" in chosen else None,
        last_resort=SORRY if "fallback" in chosen else None,
        deadline_seconds=None,
    )


def policies() -> dict[str, Pipeline]:
    """Return the policies of the lesson, by their names in tables."""
    return {
        "careful": policy(),
        "jitter": policy(["jitter"]),
        "no retry": policy(attempts=1),
        "budget": policy(["jitter", "budget"]),
        "breaker": policy(["jitter", "budget", "breaker"]),
        "stack": policy(["jitter", "budget", "breaker", "fallback"]),
    }
