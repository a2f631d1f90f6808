"""A quota: so many requests and tokens a minute, and so many at once, for each key and model, as the provider counts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from llmlab.protocol import tokens
from llmlab.protocol.chunks import parsed, usage_of
from llmlab.wire.chat_errors import Refusal
from llmlab.wire.faults.base import Fault
from llmlab.wire.faults.plan import Plan, Sent, Spoil, Step, Whole, choice_of
from llmlab.wire.quota import Header, Limits, OverQuota
from llmlab.wire.quota import Quota as Buckets

_REFUSED_SECONDS = 0.02


@dataclass(slots=True)
class _Account:
    """What one key has asked of one model."""

    buckets: Buckets
    running: int = 0


class _Bill(Spoil):
    """Puts what is left on an answer, counts what it used, and settles when it is over."""

    def __init__(self, account: _Account, charged: int, prompt_tokens: int, headers: list[Header]) -> None:
        self._account, self._charged, self._prompt, self._headers = account, charged, prompt_tokens, headers
        self._used: int | None = None

    def open(self, head: Whole) -> bool:
        self._used = self._prompt
        return self.head(head)

    def head(self, whole: Whole) -> bool:
        for name, value in self._headers:
            whole.header(name.decode(), value.decode())
        if whole.body:
            self._read(whole.body)
        return True

    def _read(self, data: bytes) -> None:
        usage = usage_of(parsed(data))
        if usage is not None:
            self._used = usage["prompt_tokens"] + usage["completion_tokens"]
            self._final = True

    _final = False

    def feed(self, piece: bytes) -> Sequence[Step]:
        if b'"usage":{' in piece:
            self._read(piece[6:])
        elif not self._final and choice_of(piece) is not None:
            self._used = (self._used or 0) + 1
        return (piece,)

    def settle(self, now: float) -> None:
        self._account.running -= 1
        if self._used is not None:
            self._account.buckets.credit(self._charged - self._used, now)


class Quota(Fault):
    """Quotas for each key and model, refilled all the time: 429 with the true retry-after, and what is left in the headers of every answer.

    A request is charged its prompt and the most that it allows for the answer; the difference to what was used comes back at the end. The
    client waits as told, and tries again. Only refusals stand in the journal.
    """

    over_time: ClassVar[bool] = True
    requests_per_minute: float = 10_000
    """Requests a minute (at least 1)."""
    tokens_per_minute: float = 30_000_000
    """Tokens a minute (at least 1)."""
    concurrency: int | None = None
    """Attempts at once (at least 1); None: any number."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._limits()
        if self.concurrency is not None:
            self._check_count(least=1, concurrency=self.concurrency)

    def _limits(self) -> Limits:
        return Limits(requests_per_minute=self.requests_per_minute, tokens_per_minute=self.tokens_per_minute)

    def applies(self, sent: Sent) -> bool:
        """Whether it counts this attempt."""
        return sent.stamp.kind == "chat" and isinstance(sent.stamp.body, dict) and super().applies(sent)

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Charge the attempt, or refuse it."""
        if plan.instead is not None:
            return ""
        accounts: dict[tuple[str, str], _Account] = sent.memory.setdefault(self.name, {})
        key = (sent.request.headers.get("authorization", ""), sent.stamp.model)
        account = accounts.get(key) or accounts.setdefault(key, _Account(Buckets(self._limits(), sent.now)))
        prompt, most = _asked(plan.body)
        over: OverQuota | None = None
        if self.concurrency is None or account.running < self.concurrency:
            over = account.buckets.charge(prompt + most, sent.now)
            if over is None:
                account.running += 1
                bill = _Bill(account, prompt + most, prompt, account.buckets.headers(sent.now))
                plan.rewrite(bill.head)
                plan.spoil(bill)
                plan.afterwards.append(bill.settle)
                return ""
        headers = [(b"content-type", b"application/json"), *account.buckets.headers(sent.now)]
        if over is None:
            said, kind = f"Too many requests at once for {sent.stamp.model}: Limit {self.concurrency}.", "requests"
        else:
            said, kind = over.message(sent.stamp.model), over.kind
            headers += over.headers()
        plan.answer(429, headers, Refusal(said, None, "rate_limit_exceeded", kind=kind).body(), _REFUSED_SECONDS)
        if over is None:
            return f"429, {self.concurrency} at once already"
        return f"429, {kind}" if over.wait_seconds is None else f"429, {kind}, retry after {over.wait_seconds:.3f} s"


def _asked(body: Any) -> tuple[int, int]:
    """Return the tokens of a request's prompt, and the most that its answer may have."""
    messages = body.get("messages")
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    return tokens.count_messages(messages) if isinstance(messages, list) else 0, most if isinstance(most, int) else 0
