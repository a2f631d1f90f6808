"""What the faults of content share: they see what the model said, as a whole, and what was asked, and say something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple, TypeVar

from llmlab.wire.faults.base import Fault
from llmlab.wire.faults.plan import Plan, Sent
from llmlab.wire.faults.retelling import Retelling, Said, retold_whole
from llmlab.wire.json_schema import Draw

T = TypeVar("T")


class Scene(NamedTuple):
    """Where something is said."""

    asked: dict[str, Any]
    """The request's JSON."""
    draw: Draw
    """Keyed draws of the fault for this attempt."""

    def pick(self, options: Sequence[T], purpose: str) -> T:
        """Return one of `options`, each equally likely."""
        return options[int(self.draw(purpose) * len(options))]

    @property
    def prompt(self) -> str:
        """All texts of the request's messages."""
        messages = self.asked.get("messages")
        found = [message.get("content") for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
        return "\n".join(str(content) for content in found)


@dataclass(frozen=True, kw_only=True, repr=False)
class _ContentFault(Fault):
    """A fault that changes what the model said in its first choice, whole or streamed."""

    syntactic: ClassVar[bool]
    """Whether what comes can no longer be read (RFC 8259), so that a repair may bring it back; else it can be read, and means another."""

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Change what is said when it comes."""
        asked = sent.stamp.body if isinstance(sent.stamp.body, dict) else {}
        change = partial(self.retell, scene=Scene(asked, partial(sent.draw, self.name)))
        plan.rewrite(partial(retold_whole, change))
        plan.spoil(Retelling(change))
        return "what was said"

    def retell(self, said: Said, scene: Scene) -> str:
        """Change `said`, and return what was changed, in words; empty if nothing was."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, repr=False)
class _TextFault(_ContentFault):
    """A fault that changes the text of an answer; an answer without text is spared."""

    def retell(self, said: Said, scene: Scene) -> str:
        """Change the text."""
        changed = self._change(said.text, scene) if said.text else None
        if changed is None:
            return ""
        said.text, effect = changed
        return effect

    def _change(self, text: str, scene: Scene) -> tuple[str, str] | None:
        """Return the changed text and what was changed, in words; None to leave it alone."""
        raise NotImplementedError
