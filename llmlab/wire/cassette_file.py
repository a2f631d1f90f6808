"""The file of a cassette: vcrpy's format, read and written with vcrpy's own pieces.

YAML for people, JSON by the ending `.json` for big ones. Plain vcrpy replays what is written here: what it has no word for (a broken
stream, a transport error, in JSON a body that is no text) stands under a key of its own, which vcrpy never reads.

    metadata:            vcrpy's place for it
      llmlab: {recorded_at, sources, versions}
    interactions:        what vcrpy replays
    llmlab:              what it must not
      interactions: [{position, request, response}]
    version: 1           last, so that a file that was cut off is found out
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from llmlab.errors import BrokenCassette
from llmlab.wire.cassette_formats import native
from llmlab.wire.interaction import OURS, Interaction, body_bytes, from_plain, is_text, to_plain


@dataclass(slots=True)
class Contents:
    """What a file holds."""

    interactions: list[Interaction] = field(default_factory=list)
    """In the order in which the requests were sent."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What is known of the whole; ours is under "llmlab"."""
    format: str = "vcrpy"
    """vcrpy, parsed_body or go-vcr; only vcrpy's is written."""


def read(path: Path) -> Contents | None:
    """Return what the file at `path` holds, or None where there is none or it is empty.

    Raises:
        BrokenCassette: It cannot be read; the message names the place.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise BrokenCassette(f"{path}, line {line}: no UTF-8 text. {_ADVICE}") from error
    except OSError as error:
        raise BrokenCassette(f"{path} cannot be read: {error.strerror or error}. {_ADVICE}") from error
    if not text.strip():
        return None
    reader = _Reader(path)
    from vcr.serialize import deserialize

    try:
        requests, responses, *metadata = deserialize(text, reader)
    except BrokenCassette:
        raise
    except Exception as error:  # whatever a malformed value does to vcrpy
        raise BrokenCassette(f"{path} is no cassette: {error}. {_ADVICE}") from error
    interactions = [Interaction(request, response) for request, response in zip(requests, responses, strict=True)]
    for position, interaction in reader.apart:
        interactions.insert(position, interaction)
    return Contents(interactions, metadata[0] if metadata else {}, reader.format)


def dump(path: Path, contents: Contents) -> bytes:
    """Return `contents` as the bytes of a file with the ending of `path`."""
    from vcr.serialize import serialize

    as_json = path.suffix == ".json"
    shown: list[Interaction] = []
    apart: list[dict[str, Any]] = []
    for position, interaction in enumerate(contents.interactions):
        whole = interaction.whole and "status" in interaction.response
        if whole and (not as_json or (is_text(interaction.body) and is_text(body_bytes(interaction.response)))):
            shown.append(Interaction(interaction.request, {**interaction.response, "body": {"string": body_bytes(interaction.response)}}))
        else:
            apart.append({"position": position, **to_plain(interaction)})
    data = {"requests": [i.request for i in shown], "responses": [i.response for i in shown], "metadata": contents.metadata}
    text: str = serialize(data, _Writer(apart, as_json=as_json))
    return text.encode("utf-8")


_ADVICE = "Restore it, or move it away and record it again: llmlab record"


class _Reader:
    """What vcrpy calls a serializer: gives vcrpy the interactions in its own form, and keeps the others."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.format = "vcrpy"
        self.apart: list[tuple[int, Interaction]] = []

    def deserialize(self, text: str) -> dict[str, Any]:
        data = self._json(text) if self.path.suffix == ".json" else self._yaml(text)
        if isinstance(data, list) and data and isinstance(data[0], dict) and "request" in data[0]:
            raise BrokenCassette(f"{self.path} was written by vcrpy before 1.0. Convert it: python -m vcr.migration {self.path}")
        if not isinstance(data, dict) or "interactions" not in data:
            raise BrokenCassette(f"{self.path} is no cassette: it has no list of interactions. {_ADVICE}")
        metadata = data.get("metadata")
        if "version" not in data and isinstance(metadata, dict) and OURS in metadata:
            raise BrokenCassette(f"{self.path}, line {text.count(chr(10)) + 1}: the file is cut off. {_ADVICE}")
        interactions = data["interactions"]
        if interactions is not None and not isinstance(interactions, list):
            raise BrokenCassette(f"{self.path} is no cassette: its interactions are no list. {_ADVICE}")
        pairs = []
        for number, interaction in enumerate(interactions or [], 1):
            try:
                self.format = native(interaction, self.format)
                pairs.append({"request": interaction["request"], "response": interaction["response"]})
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise BrokenCassette(f"{self.path}, interaction {number}: {_what(error)}. {_ADVICE}") from error
        self._read_apart(data.get(OURS))
        return {"interactions": pairs, "metadata": metadata if isinstance(metadata, dict) else None}

    def _read_apart(self, ours: Any) -> None:
        if not isinstance(ours, dict):
            return
        for number, entry in enumerate(ours.get("interactions") or [], 1):
            try:
                interaction = from_plain(entry)
                if "status" not in interaction.response and not interaction.ours.get("failure"):
                    raise ValueError("neither an answer nor a failure")
                self.apart.append((int(entry["position"]), interaction))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise BrokenCassette(f"{self.path}, interaction {number} under {OURS}: {_what(error)}. {_ADVICE}") from error

    def _json(self, text: str) -> Any:
        from vcr.serializers import jsonserializer

        try:
            return jsonserializer.deserialize(text)
        except json.JSONDecodeError as error:
            raise BrokenCassette(f"{self.path}, line {error.lineno}, column {error.colno}: {error.msg}. {_ADVICE}") from error
        except RecursionError as error:
            raise BrokenCassette(f"{self.path} is nested too deeply. {_ADVICE}") from error

    def _yaml(self, text: str) -> Any:
        from vcr.serializers import yamlserializer

        try:
            return yamlserializer.deserialize(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise BrokenCassette(f"{self.path}{place}: {error.problem or error.context}. {_ADVICE}") from error
        except yaml.YAMLError as error:
            raise BrokenCassette(f"{self.path} is no YAML: {' '.join(str(error).split())}. {_ADVICE}") from error
        except RecursionError as error:
            raise BrokenCassette(f"{self.path} is nested too deeply. {_ADVICE}") from error


def _what(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


class _Writer:
    """What vcrpy calls a serializer: adds what vcrpy must not read, and writes texts as people read them."""

    def __init__(self, apart: list[dict[str, Any]], *, as_json: bool) -> None:
        self._apart, self._as_json = apart, as_json

    def serialize(self, data: dict[str, Any]) -> str:
        from vcr.serializers import jsonserializer

        ordered = {"metadata": data.get("metadata", {}), "interactions": data["interactions"]}
        if self._apart:
            ordered[OURS] = {"interactions": self._apart}
        ordered["version"] = data["version"]
        if self._as_json:
            return str(jsonserializer.serialize(ordered))
        return str(yaml.dump(ordered, Dumper=_Dumper, sort_keys=False, width=120))


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes texts of several lines as blocks. Only ASCII: vcrpy reads a file in the machine's own encoding."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything where it stands."""
        return True


def _text(dumper: Any, text: str) -> Any:
    block = "\n" in text and text.isascii() and text[0] not in " \t\r\n"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if block else None)


_Dumper.add_representer(str, _text)
