"""The guard of links: nothing leads, or is loaded, anywhere but to the hosts on a list."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import RuleGuard

_LONGEST = 110
"""What of a link is looked at, and covered by the span (in characters)."""
_BEGINS = re.compile(
    r"(?=[/\\hwfjvd])"  # most places are none: this is faster than trying each
    r"(?:(?:https?|wss?|ftps?):[/\\]|(?<![\w.@/\\-])www\.|(?<=[(\"'=])[/\\][/\\]"
    r"|(?<!\w)(?P<scheme>(?:javascript|vbscript):(?=\S)|data:(?=[\w.+-]{1,40}/|[;,])))",
    re.IGNORECASE,
)
_MAYBE = re.compile(r"(?<!\w)(?:data:[\w.+-]{0,40}|(?:java|vb)script:)\Z|(?<=[(\"'=])[/\\]\Z", re.IGNORECASE)
_OPENERS = ("http:/", "https:/", "ws:/", "wss:/", "ftp:/", "ftps:/", "www.", "data:", "javascript:", "vbscript:")
_UNFINISHED = frozenset(opener[:size] for opener in _OPENERS for size in range(1, len(opener)))
_CLOSERS = {"(": ")", '"': '"', "'": "'"}
_AFTERTHOUGHTS = ".,;:!?*_~'\"`)]}|"


class _Link(NamedTuple):
    rule: str
    """What is wrong with it; empty: nothing."""
    start: int
    end: int
    settled: bool
    """Whether more text changes nothing."""


@dataclass(frozen=True, kw_only=True)
class LinkGuard(RuleGuard):
    """Finds links to hosts that are not on a list, and what runs or holds content of its own (`javascript:`, `data:`).

    A link is what a browser, or a reader of Markdown, takes for one: with a scheme (http, ws, ftp), with `www.`, or with `//` after a
    quote, a parenthesis or an equals sign; within another link too, for that one may lead on. A bare `example.org` is none. The host
    is read as browsers do: after the last `@`, with a backslash as a slash, names of other scripts as Punycode.

    Raises:
        BadInput: A name on the list is no host.
    """

    allow: tuple[str, ...] = ()
    """Hosts that may be linked to, with all their subdomains, as in "example.com"."""

    looks_back: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.allow, str) or not all(isinstance(host, str) and re.fullmatch(r"[^\s/@:?#]+", host) for host in self.allow):
            raise BadInput(f'LinkGuard: allow is a tuple of hosts, as in ("example.com",), not {self.allow!r}')
        object.__setattr__(self, "allow", tuple(self.allow))

    @cached_property
    def _allowed(self) -> tuple[str, ...]:
        return tuple(f".{_ascii(host)}" for host in self.allow)

    def check(self, text: str, role: str = "user") -> list[Finding]:
        """Return a finding for each link in `text` that leads elsewhere. Its span covers the first 110 characters of a long one."""
        reason = {"link.scheme": "a link that holds or runs content of its own", "link.host": "a link to a host that is not on the list"}
        links = (self._link(text, match) for match in _BEGINS.finditer(text))
        return [Finding("link", link.rule, link.start, link.end, reason[link.rule]) for link in links if link.rule]

    def open_from(self, text: str) -> int:
        """Return where a link may still begin, or is still read; the rest of a link to an allowed host is released."""
        tail = max(0, len(text) - _LONGEST)
        for match in _BEGINS.finditer(text, tail):
            if not self._link(text, match).settled:
                return match.start()
        if maybe := _MAYBE.search(text, tail):
            return maybe.start()
        end = text[-len("javascript:") :].lower()
        return len(text) - max((size for size in range(1, len(end) + 1) if end[-size:] in _UNFINISHED), default=0)

    def _link(self, text: str, match: re.Match[str]) -> _Link:
        start = match.start()
        limit = start + _LONGEST
        closer = _CLOSERS.get(text[start - 1 : start], "")
        whole = re.compile(rf"[^\s<>{closer}]*").match(text, start, limit)
        assert whole is not None, "it may be empty"
        settled = whole.end() < len(text) or len(text) >= limit
        end = start + len(whole[0].rstrip(_AFTERTHOUGHTS))
        if match["scheme"]:
            return _Link("link.scheme", start, max(end, match.end()), settled)
        after = len(match[0]) if match[0][-1] in "/\\" else 0
        authority = re.split(r"[/\\?#]", whole[0][after:].lstrip("/\\"), maxsplit=1)
        host = authority[0].rpartition("@")[2]
        if len(authority) == 1:  # the sentence's full stop is no part of it
            host = host.rstrip(_AFTERTHOUGHTS)
        known = len(authority) == 2 and bool(authority[0])
        if f".{_ascii(re.sub(r':[0-9]*$', '', host))}".endswith(self._allowed):
            cut = len(whole[0]) == _LONGEST and not known
            return _Link("link.host" if cut else "", start, end, known or settled)
        return _Link("link.host" if authority[0] and host.lower() != "www" else "", start, end, settled)


def _ascii(host: str) -> str:
    """Return a host's name as DNS has it, without the dot at its end; empty where it can be none."""
    try:
        return host.removesuffix(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""
