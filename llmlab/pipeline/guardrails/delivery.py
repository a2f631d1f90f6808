"""What stands between the model's words and the user: the guards of the answer, and what was redacted before put back."""

from __future__ import annotations

from collections.abc import Sequence

from llmlab.pipeline.guardrails.base import Guard, Streaming
from llmlab.pipeline.guardrails.holdback import HoldBack
from llmlab.pipeline.guardrails.redaction import Restorer, Vault, masked
from llmlab.pipeline.guardrails.verdict import Ask, Verdict, action_of, look, looks_at


class Delivery:
    """Shows one answer as its guards allow.

    Guards that can look at a part hold back no more than they must; one that can't holds everything until the end.

    Args:
        guards: The guards of the answer.
        vault: What was redacted in the question and the documents; it comes back after the guards have looked.
        escaped: Whether the answer is JSON, into which it comes back escaped.
    """

    def __init__(self, guards: Sequence[Guard], vault: Vault, *, escaped: bool = False) -> None:
        self._guards, self._vault, self._escaped = guards, vault, escaped
        self._active = active = [guard for guard in guards if looks_at(guard, "assistant")]
        self._hold = HoldBack([guard for guard in active if isinstance(guard, Streaming) and action_of(guard) != "abstain"])
        self._whole = [guard for guard in active if not isinstance(guard, Streaming) or action_of(guard) == "abstain"]
        self._restorer = Restorer(vault, escaped=escaped) if vault else None
        self._waiting: list[str] = []
        self._shown: list[str] = []

    def again(self) -> Delivery:
        """Return a new one for another answer."""
        return Delivery(self._guards, self._vault, escaped=self._escaped)

    @property
    def verdict(self) -> Verdict:
        """What the guards have said so far."""
        return self._hold.verdict

    @property
    def stopped(self) -> bool:
        """Whether nothing more will be shown."""
        return self._hold.stopped

    @property
    def most_held(self) -> int:
        """The most that was held back at once by guards that look at parts (in characters)."""
        return self._hold.most_held

    @property
    def text(self) -> str:
        """All that was shown."""
        return "".join(self._shown)

    def feed(self, piece: str) -> str:
        """Take a piece of the answer, and return what can be shown now."""
        allowed = self._hold.feed(piece)
        if self._whole:
            self._waiting.append(allowed)
            return ""
        return self._show(allowed)

    async def finish(self, ask: Ask) -> str:
        """Return the rest, when the answer has ended."""
        rest = "".join([*self._waiting, self._hold.finish()])
        if self._whole and not self.stopped:
            before = len(self.verdict.found)
            await look(self._whole, rest, "assistant", self.verdict, ask)
            new = Verdict("", found=self.verdict.found[before:])
            rest = masked(rest, new.redactions)
        if self._whole and self.stopped:  # they have not let it pass
            return ""
        return self._show(rest) + (self._show_restored() if self._restorer and not self.stopped else "")

    async def beside(self, texts: Sequence[str], ask: Ask) -> Verdict:
        """Let the guards look at what is handed over beside the text. It cannot be masked: what should be is blocked.

        Args:
            texts: As they read.
            ask: Asks a model, for judges.
        """
        verdict = Verdict("beside the text")
        if not texts:
            return verdict
        await look([guard for guard in self._active if action_of(guard) != "abstain"], "\n".join(texts), "assistant", verdict, ask)
        if verdict.status == "ok" and verdict.redactions:
            verdict.status, verdict.reason = "blocked", verdict.redactions[0].reason
        return verdict

    def _show(self, text: str) -> str:
        if self._restorer is not None:
            text = self._restorer.feed(text)
        if text:
            self._shown.append(text)
        return text

    def _show_restored(self) -> str:
        assert self._restorer is not None
        text = self._restorer.finish()
        self._shown.append(text)
        return text
