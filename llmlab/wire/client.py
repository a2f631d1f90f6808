"""An unmodified openai client on one of our transports."""

from __future__ import annotations

from typing import Any

import httpx2
import openai

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
    made = openai.AsyncOpenAI(http_client=httpx2.AsyncClient(transport=transport, trust_env=False), **_settings(openai_kwargs))
    _forget_environment(made, openai_kwargs)
    return made


def sync_client(transport: httpx2.BaseTransport, **openai_kwargs: Any) -> openai.OpenAI:
    """Return a real `openai.OpenAI` that speaks through `transport`, on the real clock.

    Args:
        transport: Simulator, Cassette, Chaos, Live, or any other synchronous httpx2 transport.
        openai_kwargs: What OpenAI takes: timeout, max_retries, base_url, ...
    """
    made = openai.OpenAI(http_client=httpx2.Client(transport=transport, trust_env=False), **_settings(openai_kwargs))
    _forget_environment(made, openai_kwargs)
    return made


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    if "http_client" in given:
        raise TypeError("the transport is the http_client here; leave http_client out, or build openai.AsyncOpenAI yourself")
    return {"api_key": DUMMY_KEY, "base_url": BASE_URL, **given}


def _forget_environment(made: openai.AsyncOpenAI | openai.OpenAI, given: dict[str, Any]) -> None:
    for name in ("organization", "project", "admin_api_key", "webhook_secret"):
        setattr(made, name, given.get(name))
    made._custom_headers = dict(given.get("default_headers") or {})
