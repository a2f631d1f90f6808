"""Whose attempt is this? The identity of a request, and the stamp that its attempts carry.

One request of a user may be several attempts on the wire. The lab opens an identity (case, repetition) for each request in a task of its
own; whatever that task sends is counted within it. So the third attempt of case 7 meets the same weather however many other requests are
under way.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx2
from pydantic_core import from_json

HEADER = "x-llmlab-request"
EXTENSION = "llmlab.stamp"
_STAMPER = "llmlab.stamper"
_REMEMBERED = 10_000
_AFTER_VERSION = re.compile(r"/v\d+[a-z0-9]*/([^/]+)")


class Stamp(NamedTuple):
    """What every transport knows of an attempt."""

    identity: str
    """Case and repetition, as in "q017/0"; empty where nobody said."""
    kind: str
    """The call: "chat", or the first part of the path after the version, as in "models"."""
    model: str
    """The model that was asked for; empty where the body names none."""
    ordinal: int
    """0 for the first attempt of this kind and model within the identity."""
    body: Any
    """The request's JSON, parsed once; None where it is no JSON. Not to be changed."""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """The part of a draw's key that belongs to the attempt."""
        return (self.identity, self.kind, self.model, self.ordinal)


@dataclass(slots=True)
class Identity:
    """One request of one user, and how many attempts it has made."""

    name: str
    _sent: dict[tuple[str, str], int] = field(default_factory=dict)

    def next_ordinal(self, kind: str, model: str) -> int:
        """Count one more attempt of `kind` to `model` and return its number, from 0."""
        ordinal = self._sent.get((kind, model), 0)
        self._sent[kind, model] = ordinal + 1
        return ordinal


_current: ContextVar[Identity | None] = ContextVar("llmlab_identity", default=None)


@contextmanager
def request(case: str, repetition: int = 0) -> Iterator[Identity]:
    """Open the identity of one request: attempts sent inside count within it."""
    identity = Identity(f"{case}/{repetition}")
    token = _current.set(identity)
    try:
        yield identity
    finally:
        _current.reset(token)


def current() -> str:
    """Return the name of the open identity, or an empty string."""
    identity = _current.get()
    return identity.name if identity else ""


class Stamper:
    """Stamps requests as they come in; the outermost transport's stamp stays.

    Without an identity, attempts are numbered as they arrive: then only the multiset of draws is the same in every run.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all that was counted."""
        self._nameless = Identity("")
        self._by_header: OrderedDict[str, Identity] = OrderedDict()

    def stamp(self, request: httpx2.Request) -> Stamp:
        """Return the stamp of `request`, whose body was read: the one that a transport further out has made, or a new one.

        A request that comes back to the stamper that stamped it is sent again, and is another attempt.
        """
        stamp = request.extensions.get(EXTENSION)
        if isinstance(stamp, Stamp) and request.extensions.get(_STAMPER) is not self:
            return stamp
        identity = _current.get() or self._from_header(request)
        kind = _kind(request.url.path)
        body, model = None, ""
        if request.content:
            with suppress(ValueError):
                body = from_json(request.content)
            if isinstance(body, dict) and isinstance(body.get("model"), str):
                model = body["model"]
        stamp = Stamp(identity.name, kind, model, identity.next_ordinal(kind, model), body)
        request.extensions = {**request.extensions, EXTENSION: stamp, _STAMPER: self}
        return stamp

    def _from_header(self, request: httpx2.Request) -> Identity:
        name = request.headers.get(HEADER)
        if not name:
            return self._nameless
        identity = self._by_header.get(name)
        if identity is None:
            identity = self._by_header[name] = Identity(name)
        self._by_header.move_to_end(name)
        if len(self._by_header) > _REMEMBERED:
            self._by_header.popitem(last=False)
        return identity


def _kind(path: str) -> str:
    if path.endswith("/chat/completions"):
        return "chat"
    after = _AFTER_VERSION.search(path)
    return after[1] if after else path.rstrip("/").rsplit("/", 1)[-1] or "/"
