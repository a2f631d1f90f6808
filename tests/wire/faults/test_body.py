from __future__ import annotations

import json
import re
from typing import Any

import httpx2
import openai
import pytest

from llmlab.errors import BadInput
from llmlab.protocol.clock import simulate
from llmlab.wire.chaos import Chaos
from llmlab.wire.client import client
from llmlab.wire.faults import FAULTS, Fault, fault_named
from llmlab.wire.transport import Piece, Planned, Reply

REPLY: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Send it b\u00e4ck."}}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 1}},
}
BODY = json.dumps(REPLY, indent=2, ensure_ascii=False).encode() + b"\n"
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"Send"},"finish_reason":"stop"}]}\n\n'
NAMES = [name for name, kind in FAULTS.items() if kind.__module__ == "llmlab.wire.faults.body"]


class Provider(Planned):
    """Answers with `body`, or with a stream."""

    def __init__(self, body: bytes = BODY, status: int = 200) -> None:
        self.body, self.status = body, status
        self.asked = 0

    def plan(self, request: httpx2.Request, now: float) -> Reply:
        self.asked += 1
        if json.loads(request.content).get("stream"):
            return Reply(200, [(b"content-type", b"text/event-stream")], 1.0, [Piece(1.0, EVENT), Piece(1.5, b"data: [DONE]\n\n")])
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self.body))]
        return Reply(self.status, headers, 1.0, [Piece(1.0, self.body)])


def met(provider: Provider, *faults: Fault, stream: bool = False) -> tuple[bytes, dict[str, str], list[tuple[str, str]]]:
    """The body and the headers on the wire, and what the journal says."""

    async def main() -> tuple[bytes, dict[str, str], list[tuple[str, str]]]:
        chaos = Chaos(provider, *faults, seed=7)
        body = {"model": "gpt-4o", "messages": [], **({"stream": True} if stream else {})}
        request = httpx2.Request("POST", "https://api.openai.com/v1/chat/completions", json=body)
        response = await chaos.handle_async_request(request)
        raw = b"".join([part async for part in response.stream])  # type: ignore[union-attr]
        return raw, dict(response.headers), [(line.fault, line.effect) for line in chaos.journal]

    return simulate(main())


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in REPLY.items() if key != name}


@pytest.mark.parametrize(
    ("name", "more", "expected", "effect"),
    [
        ("NoChoices", {}, without("choices"), "no choices"),
        (
            "NullContent",
            {},
            REPLY | {"choices": [{**REPLY["choices"][0], "message": {"role": "assistant", "content": None}}]},
            "null instead of a text",
        ),
        (
            "OtherModel",
            {"answered_by": "mini"},
            REPLY | {"model": "mini"},
            "mini instead of gpt-4o-2024-08-06",
        ),
        ("UsageMissing", {}, without("usage"), "no usage"),
        (
            "UsageWrong",
            {},
            REPLY | {"usage": REPLY["usage"] | {"prompt_tokens": 90, "completion_tokens": 40, "total_tokens": 130}},
            "90 + 40 tokens instead of 9 + 4",
        ),
        (
            "UsageWrong",
            {"factor": 0},
            REPLY | {"usage": REPLY["usage"] | {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}},
            "0 + 0 tokens instead of 9 + 4",
        ),
    ],
)
def test_the_reply_says_something_else_of_itself(name: str, more: dict[str, Any], expected: dict[str, Any], effect: str) -> None:
    body, headers, journal = met(Provider(), fault_named(name, **more))
    assert expected == json.loads(body)
    assert [(name, effect)] == journal
    assert (str(len(body)), "application/json") == (headers["content-length"], headers["content-type"])


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_the_body_ends_in_the_middle(share: float) -> None:
    body, headers, journal = met(Provider(), fault_named("TruncatedJson", share=share))
    size = len(BODY) - 1
    assert BODY[: int(size * share)] == body
    assert (str(len(body)), [("TruncatedJson", f"{len(body)} of {size} bytes")]) == (headers["content-length"], journal)
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter|decode"):
        json.loads(body)


def test_the_body_is_empty_a_page_or_called_something_else() -> None:
    assert (b"", [("EmptyBody", f"0 of {len(BODY)} bytes")]) == met(Provider(), fault_named("EmptyBody"))[::2]
    body, headers, journal = met(Provider(), fault_named("HtmlBody"))
    assert (b"<!DOCTYPE html>", "text/html; charset=utf-8") == (body[:15], headers["content-type"])
    assert [("HtmlBody", "a page with status 200")] == journal
    body, headers, journal = met(Provider(), fault_named("WrongContentType", content_type="text/plain"))
    assert (BODY, "text/plain", [("WrongContentType", "called text/plain")]) == (body, headers["content-type"], journal)


@pytest.mark.parametrize("name", NAMES)
def test_streams_and_refusals_are_spared_and_probability_0_is_nothing(name: str) -> None:
    calm, streamed = met(Provider()), met(Provider(), stream=True)
    assert calm == met(Provider(), fault_named(name, probability=0.0))
    assert streamed == met(Provider(), fault_named(name), stream=True)
    refused = met(Provider(status=429))
    assert refused == met(Provider(status=429), fault_named(name))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("TruncatedJson", b"no JSON"),
        ("EmptyBody", b""),
        ("NoChoices", b'{"data": []}'),
        ("NoChoices", b"no JSON"),
        ("NullContent", b'{"choices": [3, {}, {"message": {"content": null}}]}'),
        ("OtherModel", b'{"choices": [], "model": "gpt-3.5-turbo-0125"}'),
        ("UsageMissing", b'{"choices": []}'),
        ("UsageWrong", b'{"choices": [], "usage": {}}'),
    ],
)
def test_where_there_is_nothing_to_change_it_does_not_strike(name: str, body: bytes) -> None:
    provider = Provider(body)
    assert met(provider) == met(provider, fault_named(name))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TruncatedJson", json.JSONDecodeError),
        ("EmptyBody", json.JSONDecodeError),
        ("HtmlBody", "str"),
        ("WrongContentType", "Send it b\u00e4ck."),
        ("NoChoices", "no choices"),
        ("NullContent", None),
        ("OtherModel", "Send it b\u00e4ck."),
        ("UsageMissing", "Send it b\u00e4ck."),
        ("UsageWrong", "Send it b\u00e4ck."),
    ],
)
def test_the_client_does_what_the_docstring_says_and_never_tries_again(name: str, expected: Any) -> None:
    provider = Provider()

    async def main() -> Any:
        on: openai.AsyncOpenAI = client(Chaos(provider, fault_named(name)))
        reply: Any = await on.chat.completions.create(model="gpt-4o", messages=[])
        if isinstance(reply, str):
            return "str"
        return reply.choices[0].message.content if reply.choices is not None else "no choices"

    if isinstance(expected, type):
        with pytest.raises(expected):
            simulate(main())
    else:
        assert expected == simulate(main())
    assert 1 == provider.asked


@pytest.mark.parametrize(
    ("message", "name", "more"),
    [
        ("TruncatedJson: share is a share above 0 and below 1, not 1.0", "TruncatedJson", {"share": 1.0}),
        (
            "WrongContentType: content_type is a text for a header, as in text/plain, not 'a\\nb'",
            "WrongContentType",
            {"content_type": "a\nb"},
        ),
        ("OtherModel: answered_by is the name of a model, not ''", "OtherModel", {"answered_by": ""}),
        ("UsageWrong: factor is a number of 0 or more other than 1, not 1", "UsageWrong", {"factor": 1}),
        ("UsageWrong: factor is a number of 0 or more other than 1, not nan", "UsageWrong", {"factor": float("nan")}),
        ("NoChoices: it strikes replies in one piece only, so that with stream=True it never strikes", "NoChoices", {"stream": True}),
    ],
)
def test_bad_attributes_are_refused(message: str, name: str, more: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        fault_named(name, **more)
