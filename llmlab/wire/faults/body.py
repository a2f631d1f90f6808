"""Faults of a reply in one piece: its body is broken, empty, or says something about itself that is not so.

They strike replies with status 200 that were not asked for as a stream. Headers have come well, so an unmodified openai client never tries
again, and half of these faults it hands to the app as if nothing were wrong.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from pydantic_core import to_json

from llmlab.protocol.chunks import parsed, usage_of
from llmlab.wire.faults.base import Fault
from llmlab.wire.faults.plan import Plan, Sent, Whole

PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Your session has ended. Please sign in.</body></html>\n"
"""The page of a proxy that wants a login."""


class _BodyFault(Fault):
    """A fault that strikes replies in one piece only."""

    strikes_streams: ClassVar[bool | None] = False

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Change the reply when it comes."""
        plan.rewrite(lambda whole: whole.status == 200 and self._change(whole))
        return "the body"

    def _change(self, whole: Whole) -> str:
        raise NotImplementedError


class TruncatedJson(_BodyFault):
    """The body ends in the middle: the client raises a raw `json.JSONDecodeError`."""

    share: float = 0.5
    """How much of the body comes (share of its bytes, above 0 and below 1)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.share, float) or not 0 < self.share < 1:
            raise self._bad(f"share is a share above 0 and below 1, not {self.share!r}")

    def _change(self, whole: Whole) -> str:
        if parsed(whole.body) is None:
            return ""
        size = len(whole.body.strip())
        whole.body = whole.body.strip()[: max(1, int(size * self.share))]
        return f"{len(whole.body)} of {size} bytes"


class HtmlBody(_BodyFault):
    """A page comes with status 200, as from a proxy's login: the client returns it as a `str`, and the app breaks on that."""

    def _change(self, whole: Whole) -> str:
        whole.header("content-type", "text/html; charset=utf-8")
        whole.body = PAGE
        return "a page with status 200"


class EmptyBody(_BodyFault):
    """Status 200 and not a byte: the client raises a raw `json.JSONDecodeError`."""

    def _change(self, whole: Whole) -> str:
        had, whole.body = len(whole.body), b""
        return f"0 of {had} bytes" if had else ""


class WrongContentType(_BodyFault):
    """The JSON is called something else: the client reads it all the same; other clients, and raw HTTP code, may not."""

    content_type: str = "text/plain; charset=utf-8"
    """What the header says instead."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.content_type, str) or not self.content_type.isprintable() or not self.content_type.isascii():
            raise self._bad(f"content_type is a text for a header, as in text/plain, not {self.content_type!r}")

    def _change(self, whole: Whole) -> str:
        whole.header("content-type", self.content_type)
        return f"called {self.content_type}"


class _ReplyFault(_BodyFault):
    """A fault that changes the JSON of a completion, which stays JSON."""

    def _change(self, whole: Whole) -> str:
        reply = parsed(whole.body)
        if reply is None or not isinstance(reply.get("choices"), list):
            return ""
        effect = self._edit(reply)
        if effect:
            whole.body = to_json(reply)
        return effect

    def _edit(self, reply: dict[str, Any]) -> str:
        raise NotImplementedError


class NoChoices(_ReplyFault):
    """The reply has no `choices`: the client returns a `ChatCompletion` with `choices=None` and notices nothing."""

    def _edit(self, reply: dict[str, Any]) -> str:
        del reply["choices"]
        return "no choices"


class NullContent(_ReplyFault):
    """The message's content is null though it calls no tool: the client returns it and notices nothing."""

    def _edit(self, reply: dict[str, Any]) -> str:
        messages = [choice.get("message") for choice in reply["choices"] if isinstance(choice, dict)]
        spoken = [message for message in messages if isinstance(message, dict) and message.get("content") is not None]
        for message in spoken:
            message["content"] = None
        return "null instead of a text" if spoken else ""


class OtherModel(_ReplyFault):
    """Another model answers than was asked for, as after a silent downgrade: only `model` in the reply tells, and no client looks."""

    answered_by: str = "gpt-3.5-turbo-0125"
    """What the reply gives as its model."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.answered_by, str) or not self.answered_by:
            raise self._bad(f"answered_by is the name of a model, not {self.answered_by!r}")

    def _edit(self, reply: dict[str, Any]) -> str:
        before, reply["model"] = reply.get("model"), self.answered_by
        return f"{self.answered_by} instead of {before}" if before != self.answered_by else ""


class UsageMissing(_ReplyFault):
    """The reply says nothing of its tokens: the client returns `usage=None`, and whoever counts cost counts none."""

    def _edit(self, reply: dict[str, Any]) -> str:
        return "no usage" if reply.pop("usage", None) is not None else ""


class UsageWrong(_ReplyFault):
    """The reply counts its tokens wrongly: the client returns what it was told, and the bill follows."""

    factor: float = 10.0
    """What the numbers of prompt and completion tokens are multiplied with (0 or more, not 1; rounded down)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.factor, int | float) or not 0 <= self.factor < math.inf or self.factor == 1:
            raise self._bad(f"factor is a number of 0 or more other than 1, not {self.factor!r}")

    def _edit(self, reply: dict[str, Any]) -> str:
        before = usage_of(reply)
        if before is None:
            return ""
        prompt, completion = int(before["prompt_tokens"] * self.factor), int(before["completion_tokens"] * self.factor)
        told = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        reply["usage"] = {**reply["usage"], **told}
        return f"{prompt} + {completion} tokens instead of {before['prompt_tokens']} + {before['completion_tokens']}"
