"""Recordings in other people's formats, turned into vcrpy's; they are read, never written.

- `parsed_body`: vcrpy with a serializer that keeps JSON as YAML under this name, in place of `body`.
- go-vcr, versions 1 and 2: `url` for `uri`, the status as `code`, bodies as plain text.
- vcrpy's own older form for httpx: `status_code` and `content`.
"""

from __future__ import annotations

import json
from typing import Any

_STALE = ("content-length", "content-encoding")


def native(interaction: Any, known: str) -> str:
    """Turn `interaction` into vcrpy's form, in place.

    Args:
        interaction: A request and a response as they were loaded.
        known: The format that the file was taken for so far.

    Returns:
        The name of the file's format: vcrpy, parsed_body or go-vcr.

    Raises:
        KeyError: A part is missing; names it.
        TypeError, ValueError: A part is something else.
    """
    if not isinstance(interaction, dict):
        raise TypeError("it is no mapping")
    for part in ("request", "response"):
        if not isinstance(interaction.get(part), dict):
            raise KeyError(part)
    request, response = interaction["request"], interaction["response"]
    if "url" in request and "uri" not in request:
        _from_go(request, response)
        known = "go-vcr"
    elif "parsed_body" in request or "parsed_body" in response:
        known = "parsed_body"
    _from_parsed(request, response)
    if "status_code" in response:
        response["status"] = {"code": response.pop("status_code"), "message": None}
        response["body"] = {"string": response.pop("content", "")}
    code = response["status"].get("code") if isinstance(response.get("status"), dict) else None
    if not isinstance(code, int) or not 100 <= code <= 999:
        raise ValueError("its response has no status code")
    response["status"].setdefault("message", None)
    if not isinstance(response.get("body"), dict):
        response["body"] = {"string": response.get("body") or ""}
    if response["body"].get("string") is None:
        response["body"]["string"] = ""
    if not isinstance(request["method"], str) or not isinstance(request["uri"], str):
        raise TypeError("its request's method or uri is no text")
    body = request.get("body")
    interaction["request"] = {
        "method": request["method"],
        "uri": request["uri"],
        "body": _json(body) if isinstance(body, dict | list | int | float) else body,
        "headers": {str(name): value or "" for name, value in (request.get("headers") or {}).items()},
    }
    return known


def _from_go(request: dict[str, Any], response: dict[str, Any]) -> None:
    request["uri"] = request.pop("url")
    code = response.get("code")
    phrase = str(response.get("status") or "").partition(" ")[2]
    response["status"] = {"code": code, "message": phrase or None}
    response["body"] = {"string": response.get("body") or ""}


def _from_parsed(request: dict[str, Any], response: dict[str, Any]) -> None:
    if "parsed_body" in request:
        request["body"] = _json(request.pop("parsed_body"))
    if "parsed_body" in response:
        response["body"] = {"string": _json(response.pop("parsed_body"))}
        headers = response.get("headers")
        if isinstance(headers, dict):
            response["headers"] = {name: value for name, value in headers.items() if str(name).lower() not in _STALE}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
