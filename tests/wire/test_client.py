from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import openai
import pytest

import llmlab
from llmlab.errors import NotInVirtualTime
from llmlab.protocol.clock import simulate
from llmlab.wire.client import BASE_URL, DUMMY_KEY, client, sync_client
from llmlab.wire.transport import Piece, Planned, Reply

VARIABLES = {
    "OPENAI_API_KEY": "sk-real",
    "OPENAI_ADMIN_KEY": "sk-admin",
    "OPENAI_BASE_URL": "https://elsewhere.example/v1",
    "OPENAI_ORG_ID": "org-real",
    "OPENAI_PROJECT_ID": "proj-real",
    "OPENAI_WEBHOOK_SECRET": "whsec-real",
    "OPENAI_CUSTOM_HEADERS": "x-mine: yes",
}


class Echo(Planned):
    """Answers every request alike and remembers them."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []

    def plan(self, request: httpx2.Request, now: float) -> Reply:
        self.requests.append(request)
        body = b'{"choices": [{"message": {"role": "assistant", "content": "hello"}}]}'
        return Reply(headers=[(b"content-type", b"application/json")], pieces=[Piece(0.0, body)])

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


def asked(made: openai.AsyncOpenAI | openai.OpenAI) -> str | None:
    question: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello?"}]}
    if isinstance(made, openai.OpenAI):
        return made.chat.completions.create(**question).choices[0].message.content
    return simulate(made.chat.completions.create(**question)).choices[0].message.content


MAKERS = pytest.mark.parametrize("make", [client, sync_client])


@MAKERS
def test_it_is_the_openai_client_on_that_transport(make: Any) -> None:
    echo = Echo()
    made = make(echo)
    assert type(made) in (openai.AsyncOpenAI, openai.OpenAI)
    assert "hello" == asked(made)
    [request] = echo.requests
    assert f"{BASE_URL}/chat/completions" == str(request.url)
    assert f"Bearer {DUMMY_KEY}" == request.headers["authorization"]


def test_both_are_reached_from_the_top() -> None:
    assert (client, sync_client) == (llmlab.client, llmlab.sync_client)


@MAKERS
@pytest.mark.parametrize("copied", [False, True], ids=["made", "copied"])
def test_no_variable_of_the_environment_reaches_it(make: Any, copied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def sent() -> tuple[str, dict[str, str], list[Any]]:
        echo = Echo()
        made = make(echo)
        if copied:
            made = made.with_options(timeout=3.0).copy(max_retries=0)
        asked(made)
        [request] = echo.requests
        headers = {name: value for name, value in request.headers.items() if name != "idempotency-key"}
        return str(request.url), headers, [made.organization, made.project, made.admin_api_key, made.webhook_secret]

    expected = sent()
    assert [None] * 4 == expected[2]
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    assert expected == sent()


@MAKERS
def test_what_is_given_reaches_it(make: Any) -> None:
    given = {
        "api_key": "sk-mine",
        "base_url": "http://localhost:1/v1",
        "organization": "org-mine",
        "project": "proj-mine",
        "timeout": 7.0,
        "max_retries": 5,
        "default_headers": {"x-mine": "1"},
    }
    echo = Echo()
    for number, made in enumerate((make(echo, **given), make(echo, **given).with_options(timeout=7.0))):
        assert "hello" == asked(made)
        request = echo.requests[number]
        assert "http://localhost:1/v1/chat/completions" == str(request.url)
        expected = {"authorization": "Bearer sk-mine", "openai-organization": "org-mine", "openai-project": "proj-mine", "x-mine": "1"}
        assert expected == {name: request.headers[name] for name in expected}
        assert 7.0 == request.extensions["timeout"]["read"]
        assert 5 == made.max_retries


@MAKERS
@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        ({"x-a": "1"}, {}),
        ({"x-a": "1", "x-b": "2"}, {"default_headers": {"x-b": "2"}}),
        ({"x-b": "2"}, {"set_default_headers": {"x-b": "2"}}),
        ({"x-a": "1", "openai-organization": "org-new"}, {"organization": "org-new"}),
    ],
)
def test_a_copy_has_the_headers_it_is_given(make: Any, expected: dict[str, str], changes: dict[str, Any]) -> None:
    echo = Echo()
    asked(make(echo, default_headers={"x-a": "1"}).with_options(**changes))
    headers = echo.requests[0].headers
    assert expected == {name: headers[name] for name in ("x-a", "x-b", "openai-organization") if name in headers}


@MAKERS
def test_none_is_no_key_and_no_url(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.example/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    made = make(Echo(), api_key=None, base_url=None)
    assert (DUMMY_KEY, f"{BASE_URL}/") == (made.api_key, str(made.base_url))


@MAKERS
def test_another_http_client_is_refused(make: Any) -> None:
    with pytest.raises(TypeError, match="the transport is the http_client here"):
        make(Echo(), http_client=None)


def test_no_proxy_of_the_environment_comes_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://localhost:1")
    assert "hello" == asked(client(Echo()))
    assert "hello" == asked(sync_client(Echo()))


def test_closing_the_client_closes_the_transport() -> None:
    for make in (client, sync_client):
        echo = Echo()
        closing = make(echo).close()  # type: ignore[operator]
        if closing is not None:
            asyncio.run(closing)
        assert echo.closed


def test_the_synchronous_client_is_refused_in_a_simulation_at_once_and_with_advice() -> None:
    async def main() -> None:
        sync_client(Echo()).models.list()

    with pytest.raises(NotInVirtualTime, match=r"cannot wait in virtual time. Use llmlab.client \(AsyncOpenAI\)"):
        simulate(main())
