"""An unmodified openai client on one of our transports."""

from __future__ import annotations

from typing import Any, TypeVar

import httpx2
import openai

_Client = TypeVar("_Client", openai.AsyncOpenAI, openai.OpenAI)

DUMMY_KEY = "llmlab-needs-no-key"
BASE_URL = "https://api.openai.com/v1"


def client(transport: httpx2.AsyncBaseTransport, **openai_kwargs: Any) -> openai.AsyncOpenAI:
    """Return a real `openai.AsyncOpenAI` that speaks through `transport`.

    It has a dummy key, and no OPENAI_* variable of the environment reaches it: a run depends on what is written, not on the shell.

    Args:
        transport: Simulator, Cassette, Chaos, Live, or any other asynchronous httpx2 transport.
        openai_kwargs: What AsyncOpenAI takes: timeout, max_retries, base_url, ...

    Notebook: 00_start_here.ipynb
    """
    settings = _settings(openai_kwargs)
    made = openai.AsyncOpenAI(http_client=httpx2.AsyncClient(transport=transport, trust_env=False), **settings)
    return _forget_environment(made, openai_kwargs)


def sync_client(transport: httpx2.BaseTransport, **openai_kwargs: Any) -> openai.OpenAI:
    """Return a real `openai.OpenAI` that speaks through `transport`, on the real clock.

    Args:
        transport: Simulator, Cassette, Chaos, Live, or any other synchronous httpx2 transport.
        openai_kwargs: What OpenAI takes: timeout, max_retries, base_url, ...
    """
    settings = _settings(openai_kwargs)
    made = openai.OpenAI(http_client=httpx2.Client(transport=transport, trust_env=False), **settings)
    return _forget_environment(made, openai_kwargs)


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    if "http_client" in given:
        raise TypeError("the transport is the http_client here; leave http_client out, or build openai.AsyncOpenAI yourself")
    defaults = {"api_key": DUMMY_KEY, "base_url": BASE_URL}
    return {**given, **{name: value for name, value in defaults.items() if given.get(name) is None}}


def _forget_environment(made: _Client, given: dict[str, Any]) -> _Client:
    """Take out what `made` has read from OPENAI_* variables, and what a copy of it (`with_options`) would read again."""
    for name in ("organization", "project", "admin_api_key", "webhook_secret"):
        setattr(made, name, given.get(name))
    made._custom_headers = dict(given.get("default_headers") or {})
    copied = made.copy

    def copy(**changes: Any) -> _Client:
        headers = changes.get("set_default_headers")
        if headers is None:
            headers = {**made._custom_headers, **(changes.get("default_headers") or {})}
        kept = {**given, **{name: value for name, value in changes.items() if value is not None}}
        return _forget_environment(copied(**changes), {**kept, "default_headers": headers})

    for name in ("copy", "with_options"):
        setattr(made, name, copy)
    return made
