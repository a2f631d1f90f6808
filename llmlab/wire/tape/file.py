"""The file of a cassette: vcrpy's format, read and written with vcrpy's own pieces.

YAML for people, JSON by the ending `.json` for big ones. Plain vcrpy replays what is written here: what it has no word for (a broken
stream, a transport error, in JSON a body that is no text) stands under a key of its own, which vcrpy never reads.

    metadata:            vcrpy's place for it
      llmlab: {recorded_at, versions, sources}
    interactions:        what vcrpy replays
    llmlab:              what it must not
      interactions: [{position, request, response}]
    version: 1           last, so that a file that was cut off is found out

Two formats of others are read and never written: vcrpy with a serializer that keeps JSON under `parsed_body` in place of `body`, and
go-vcr (`url` for `uri`, the status as `code`, bodies as plain text).
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from llmlab.errors import BrokenCassette
from llmlab.wire.tape.interaction import OURS, Interaction, clean, is_text, ours, to_bytes, to_text
from llmlab.wire.transport import FAILURES

_ADVICE = "Restore it, or move it away and record it again: llmlab record"
_json = json.JSONEncoder(separators=(",", ":"), default=str).encode


@dataclass(slots=True)
class Contents:
    """What a file holds."""

    interactions: list[Interaction] = field(default_factory=list)
    """In the order in which the requests were sent, without secrets."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What is known of the whole; ours is under "llmlab"."""
    foreign: bool = False
    """Whether it is in a format that is read and not written."""


def read(path: Path) -> Contents | None:
    """Return what the file at `path` holds, or None where there is none or it is empty.

    Raises:
        BrokenCassette: It cannot be read; the message names the place.
    """
    from vcr.serializers import jsonserializer, yamlserializer

    try:
        text = path.read_bytes().decode("utf-8-sig")
        data = (jsonserializer if path.suffix == ".json" else yamlserializer).deserialize(text) if text.strip() else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:  # which say where
        raise BrokenCassette(f"{path} cannot be read: {' '.join(str(error).split())}. {_ADVICE}") from error
    if data is None:
        return None
    if not isinstance(data, dict) or not isinstance(data.get("interactions", ""), list | None):
        raise BrokenCassette(f"{path} is no cassette: it has no list of interactions. {_ADVICE}")
    about, hidden = (found if isinstance(found, dict) else {} for found in (data.get("metadata"), data.get(OURS)))
    if "version" not in data and OURS in about:
        raise BrokenCassette(f"{path}, line {text.count(chr(10)) + 1}: the file is cut off. {_ADVICE}")
    contents, where = Contents(metadata=about), "metadata"
    try:
        was_cleaned = OURS in about and about[OURS].get("versions", {}).get("llmlab") == version("llmlab")
        for kind, entries in (("interaction", data["interactions"]), (f"{OURS}, interaction", hidden.get("interactions"))):
            for number, entry in enumerate(entries or [], 1):
                where = f"{kind} {number}"
                contents.foreign |= "url" in entry["request"] or "parsed_body" in {**entry["request"], **entry["response"]}
                interaction = _native(entry["request"], dict(entry["response"]))
                place = int(entry.get("position", len(contents.interactions)))
                contents.interactions.insert(place, interaction if was_cleaned and ours(interaction) else clean(interaction))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else error
        raise BrokenCassette(f"{path}, {where}: {what}. {_ADVICE}") from error
    return contents


def dump(path: Path, contents: Contents) -> bytes:
    """Return `contents` as the bytes of a file with the ending of `path`."""
    from vcr.serializers import jsonserializer

    as_json = path.suffix == ".json"
    data: dict[str, Any] = {"metadata": contents.metadata, "interactions": []}
    for position, interaction in enumerate(contents.interactions):
        response, known = interaction["response"], ours(interaction)
        whole = "status" in response and not known.get("abandoned") and not known.get("failure")
        if whole and not (as_json and not (is_text(interaction["request"]["body"]) and is_text(response["body"]["string"]))):
            data["interactions"].append(interaction)
        else:
            data.setdefault(OURS, {"interactions": []})["interactions"].append({"position": position, **interaction})
    data["version"] = 1
    if as_json:
        return str(jsonserializer.serialize(data)).encode()
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=120)).encode()


@lru_cache
def version(distribution: str) -> str:
    """Return the installed version of `distribution`."""
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(distribution)
    return "unknown"


def _native(request: dict[str, Any], response: dict[str, Any]) -> Interaction:
    """Return what was loaded as an interaction, whoever wrote it.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: A part is missing, or is something else.
    """
    method, uri = request["method"], request["url"] if "url" in request else request["uri"]
    if not isinstance(method, str) or not isinstance(uri, str) or not urlsplit(uri):  # which also raises ValueError
        raise TypeError("its request's method or uri is no text")
    known = response.get(OURS) or {}
    failure = known.get("failure") or {"at": 0, "name": "ReadError"}
    for word in f"{known.get('headers_at', 0)} {known.get('chunks', '')} {known.get('at', '')} {failure['at']}".split():
        float(word)
    if failure["name"] not in FAILURES:
        raise ValueError(f"there is no failure {failure['name']!r}")
    sent = _json(request["parsed_body"]) if "parsed_body" in request else request.get("body")
    headers, body = _lists(response.get("headers")), response.get("body")
    if "url" in request:
        response["status"] = {"code": response["code"], "message": str(response.get("status", "")).partition(" ")[2]}
    if "parsed_body" in response:
        body = _json(response.pop("parsed_body"))
        headers = {name: values for name, values in headers.items() if name.lower() not in ("content-length", "content-encoding")}
    if "status" in response or not known.get("failure"):
        if response["status"]["code"] not in range(100, 1000):
            raise ValueError("its response has no status code")
        response |= {"headers": headers, "body": {"string": _text(body.get("string") if isinstance(body, dict) else body)}}
    sent = None if sent is None else _text(sent)
    return {"request": {"method": method, "uri": uri, "body": sent, "headers": _lists(request.get("headers"))}, "response": response}


def _lists(headers: dict[str, Any] | None) -> dict[str, list[str]]:
    lists = ((str(name), values if isinstance(values, list | tuple) else [values]) for name, values in (headers or {}).items())
    return {name: [str(value) for value in values] for name, values in lists if values and values != [None]}


def _text(body: Any) -> str:
    """Return a body as an interaction holds it, whatever a recorder made of it."""
    if isinstance(body, str):
        return body
    if isinstance(body, dict | list | int | float):  # YAML took it for data
        return _json(body)
    return to_text(b"".join(body if not isinstance(body, bytes) else [body]) if body else b"")


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes texts of several lines as blocks. Only ASCII: vcrpy reads a file in the machine's own encoding."""


def _represented(dumper: Any, text: str) -> Any:
    if not is_text(text):
        return dumper.represent_binary(to_bytes(text))
    block = "\n" in text and text.isascii() and text[0] not in " \t\r\n"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if block else None)


_Dumper.add_representer(str, _represented)
