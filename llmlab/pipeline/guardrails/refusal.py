"""The guard of refusals: an answer that declines, told from one that does not know."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import ClassVar

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import RuleGuard
from llmlab.pipeline.guardrails.phrases import Phrases

_ABLE = "can't|cannot|can not|could not|couldn't|am unable to|'m unable to|are unable to|was unable to|am not able to|'m not able to"
_WILLING = f"{_ABLE}|won't|will not|am not allowed to|'m not allowed to|am not permitted to|are not allowed to|refuse to|must not"
_WORDING = {
    "refusal": (
        f"I|we / {_WILLING} / help with|help you|assist|comply|do that|do this|provide|discuss|share|disclose|reveal|repeat|fulfill"
        "|fulfil|engage|continue|participate|create|generate|write|give you|give out|give advice|talk about|support|process this request",
        "I|we / must|have to|need to|will have to|'ll have to|am going to have to|respectfully|must respectfully / decline|refuse",
        "I|we / would rather not|'d rather not|would prefer not to|am not comfortable|'m not comfortable|decline to",
        "goes against|is against|violates|would violate / my|our|the / guidelines|policy|policies|content policy|instructions|programming",
        "not something|nothing / I|we / can|am able to|'m able to|am allowed to / help|assist|do|discuss|share|provide",
    ),
    "abstention": (
        f"I|we / {_ABLE} / find|locate|tell|say whether|determine|confirm|answer",
        "I|we / do not|don't / know|have information|have any information|have enough information|have that information"
        "|have this information|have the answer|have an answer|have details|have any details|see",
        "I|we / am not|'m not|are not / sure|certain",
        "the / documents|document|context|sources / do not|don't|does not|doesn't / say|cover|mention|contain|hold|answer|include|tell",
        "not / in|covered by|mentioned in|found in|answered by / the / documents|document|context|sources",
    ),
}
"""What each kind sounds like: parts after one another, with a choice for each."""


@cache
def _phrases(kind: str) -> Phrases:
    choices = ([part.split("|") for part in wording.split(" / ")] for wording in _WORDING[kind])
    return Phrases(" ".join(words) for parts in choices for words in product(*parts))


@dataclass(frozen=True, kw_only=True)
class RefusalGuard(RuleGuard):
    """Recognizes an answer that declines ("I can't help with that"), in English.

    "I don't know" is another thing: the kind "abstention", found where `kinds` names it. It goes by the wording, wherever in the answer it
    stands, so "we cannot share your address with the carrier" looks like a refusal: flag, and count, rather than block.

    Raises:
        BadInput: A kind that is none.
    """

    action: str = "flag"
    roles: tuple[str, ...] = ("assistant",)
    kinds: tuple[str, ...] = ("refusal",)
    """What it looks for: "refusal", "abstention"."""

    looks_back: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.kinds, str) or not self.kinds or not set(self.kinds) <= set(_WORDING):
            raise BadInput(f"RefusalGuard: kinds are some of {', '.join(_WORDING)}, in a tuple, not {self.kinds!r}")

    def check(self, text: str, role: str = "assistant") -> list[Finding]:
        """Return a finding for each wording in `text`."""
        found = [
            Finding(kind, f"refusal.{kind}", hit.start, hit.end, f"it says {hit.phrase!r}")
            for kind in self.kinds
            for hit in _phrases(kind).find(text)
        ]
        return sorted(found, key=lambda finding: finding.start)

    def open_from(self, text: str) -> int:
        """Return where a wording may still begin or go on."""
        return min(_phrases(kind).open_from(text) for kind in self.kinds)
