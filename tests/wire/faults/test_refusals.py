from __future__ import annotations

import inspect
import json
import re
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import pytest

from llmlab.errors import BadInput, UnknownName
from llmlab.protocol.identity import Stamp
from llmlab.wire.faults import ContextLength, Fault, Plan, RateLimit, Sent, ServerError
from llmlab.wire.faults.refusals import DIALECTS


def refusal(fault: Fault, number: int = 0, at: float = 0.0, model: str = "gpt-4o") -> tuple[int, dict[str, str], Any]:
    body = {"messages": [{"role": "user", "content": "May I send it back?"}]}
    request = httpx2.Request("POST", "https://api.openai.com/v1/chat/completions")
    plan = Plan(body)
    assert fault.strike(plan, Sent(request, Stamp(f"q{number}/0", "chat", model, 0, body), 7, at, at))
    assert plan.instead is not None
    text = plan.instead.pieces[0].data.decode()
    return (
        plan.instead.status,
        {name.decode(): value.decode() for name, value in plan.instead.headers},
        json.loads(text) if text[0] == "{" else text,
    )


def test_openai_speaks_in_go_durations() -> None:
    status, headers, body = refusal(RateLimit(retry_after_seconds=73.588))
    assert (429, "74", "1m13.588s", "0") == (
        status,
        headers["retry-after"],
        headers["x-ratelimit-reset-tokens"],
        headers["x-ratelimit-remaining-tokens"],
    )
    assert ("rate_limit_exceeded", "tokens") == (body["error"]["code"], body["error"]["type"])
    assert "Please try again in 1m13.588s." in body["error"]["message"]


def test_azure_speaks_in_bare_numbers_and_three_shapes() -> None:
    shapes = set()
    for number in range(60):
        status, headers, body = refusal(RateLimit(dialect="azure", retry_after_seconds=86_400), number)
        assert (429, "429", "86400") == (status, body["error"]["code"], headers["retry-after"])
        assert "Please retry after 86400 seconds" in body["error"]["message"]
        told = {name: value for name, value in headers.items() if name.startswith("x-ratelimit")}
        assert all(re.fullmatch(r"-?\d+", value) for value in told.values())
        shapes.add(tuple(told))
    assert [2, 4, 8] == sorted(map(len, shapes))


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_anthropic_speaks_in_rfc_3339(form: str) -> None:
    status, headers, body = refusal(RateLimit(dialect="anthropic", retry_after_seconds=30, form=form), at=12.5)
    assert (429, "error", "rate_limit_error") == (status, body["type"], body["error"]["type"])
    assert "2025-01-01T00:00:42Z" == headers["anthropic-ratelimit-input-tokens-reset"]
    assert "Wed, 01 Jan 2025 00:00:12 GMT" == headers["date"]


def test_openrouter_says_nothing() -> None:
    status, headers, body = refusal(RateLimit(dialect="openrouter"))
    assert (429, 429, {"x-request-id", "content-type", "content-length"}) == (status, body["error"]["code"], set(headers))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_where_no_time_is_given_none_is_told(dialect: str) -> None:
    assert not {"retry-after", "retry-after-ms"} & set(refusal(RateLimit(dialect=dialect))[1])


@pytest.mark.parametrize(
    ("expected", "form"),
    [({"retry-after": "3"}, "seconds"), ({"retry-after-ms": "2500"}, "milliseconds"), ({}, "none")],
)
def test_retry_after_has_several_forms(expected: dict[str, str], form: str) -> None:
    headers = refusal(RateLimit(retry_after_seconds=2.5, form=form))[1]
    assert expected == {name: value for name, value in headers.items() if name.startswith("retry-after")}


@pytest.mark.parametrize("wait", [0.4, 2.5, 7.0])
def test_a_date_is_never_earlier_than_the_wait(wait: float) -> None:
    headers = refusal(RateLimit(retry_after_seconds=wait, form="date"), at=12.9)[1]
    told = (parsedate_to_datetime(headers["retry-after"]) - parsedate_to_datetime(headers["date"])).total_seconds()
    assert wait <= told < wait + 1


def test_a_date_needs_no_clock_for_a_date_stands_beside_it() -> None:
    headers = refusal(RateLimit(retry_after_seconds=90, form="date"), at=3600.25)[1]
    assert 90 == (parsedate_to_datetime(headers["retry-after"]) - parsedate_to_datetime(headers["date"])).total_seconds()


@pytest.mark.parametrize(("expected", "told"), [("true", True), ("false", False), (None, None)])
def test_x_should_retry_is_told_both_ways(expected: str | None, told: bool | None) -> None:
    for fault in (RateLimit(should_retry=told), ServerError(should_retry=told), ContextLength(should_retry=told)):
        assert expected == refusal(fault)[1].get("x-should-retry")


@pytest.mark.parametrize(("status", "kind"), [(500, "server_error"), (503, "service_unavailable_error"), (529, "overloaded_error")])
def test_a_server_s_error_has_the_provider_s_body(status: int, kind: str) -> None:
    assert (status, kind) == (refusal(ServerError(status=status))[0], refusal(ServerError(status=status))[2]["error"]["type"])
    assert "error" == refusal(ServerError(status=status, dialect="anthropic"))[2]["type"]


@pytest.mark.parametrize("status", [502, 504])
def test_a_proxy_s_error_is_a_page(status: int) -> None:
    _, headers, body = refusal(ServerError(status=status))
    assert "text/html" == headers["content-type"]
    assert f"<h1>{status} " in body


@pytest.mark.parametrize(("limit", "model"), [("128000", "gpt-4o"), ("400000", "gpt-5.2"), ("128000", "llama-9")])
def test_the_context_of_the_model_is_told(limit: str, model: str) -> None:
    assert f"maximum context length is {limit} tokens" in refusal(ContextLength(), model=model)[2]["error"]["message"]


def test_an_attribute_that_is_not_there_names_those_there_are() -> None:
    with pytest.raises(
        BadInput, match=r"RateLimit has no attribute 'foo'; it has: name, probability, .*retry_after_seconds, dialect, form"
    ):
        RateLimit(foo=1)  # type: ignore[call-arg]
    assert "retry_after_seconds" in inspect.signature(RateLimit).parameters, "who asks for help sees the attributes"


@pytest.mark.parametrize(
    ("message", "attributes"),
    [
        ("there is no header dialect 'mistral'; there is: openai, azure, anthropic, openrouter", {"dialect": "mistral"}),
        ("there is no form of retry-after 'minutes'; there is: seconds, milliseconds, date, none", {"form": "minutes"}),
    ],
)
def test_an_unknown_dialect_or_form_names_those_there_are(message: str, attributes: dict[str, Any]) -> None:
    with pytest.raises(UnknownName, match=message):
        RateLimit(**attributes)


@pytest.mark.parametrize(
    ("message", "kind", "attributes"),
    [
        ("openrouter sends no retry-after", RateLimit, {"dialect": "openrouter", "retry_after_seconds": 3}),
        ("retry_after_seconds is a time of 0 seconds or more, not -1", RateLimit, {"retry_after_seconds": -1}),
        ("retry_after_seconds is at most 1e[+]08, not 1000000000000.0", RateLimit, {"retry_after_seconds": 1e12}),
        ("should_retry is True, False, or None for no such header, not 'yes'", RateLimit, {"should_retry": "yes"}),
        ("should_retry is True, False, or None for no such header, not 1", ServerError, {"should_retry": 1}),
        ("form='date' says how a time is written; give one, as in retry_after_seconds=2", RateLimit, {"form": "date"}),
        ("form='milliseconds' says how a time is written", RateLimit, {"form": "milliseconds"}),
        (r"there is no status of a server's error \[500\]", ServerError, {"status": [500]}),
        ("there is no status of a server's error 418; there is: 500, 502, 503, 504, 529", ServerError, {"status": 418}),
        ("there is no dialect of a server's error 'azure'; there is: openai, anthropic", ServerError, {"dialect": "azure"}),
    ],
)
def test_what_cannot_be_is_refused(message: str, kind: type[Fault], attributes: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=message):
        kind(**attributes)
