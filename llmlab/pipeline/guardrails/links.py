"""The guard of links: nothing leads, or is loaded, anywhere but to the hosts on a list."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import RuleGuard

_LONGEST = 110
"""What of a link is looked at, and covered by the span (in characters)."""
_CONTEXT = 40
"""How far before `//` is looked for what makes it a link (in characters). So much white space counts as such."""
_BEGINS = re.compile(
    r"(?=[/\\hwfjvd])"  # most places are none: this is faster than trying each
    r"(?:(?:https?|wss?|ftps?):[/\\]|(?<![A-Za-z0-9])(?:https?|wss?|ftps?):(?=[\w%&\[])|(?<![\w.@/\\-])www\.|(?<![\w./\\-])[/\\][/\\]"
    r"|(?<!\w)(?P<scheme>(?:javascript|vbscript):(?=\S)|data:(?=[\w.+-]{0,40}[/\\&]|[;,])))",
    re.IGNORECASE,
)
_MAYBE = re.compile(r"(?<!\w)(?:data:[\w.+-]{0,40}|(?:java|vb)script:)\Z|(?<![\w./\\-])[/\\]\Z", re.IGNORECASE)
_OPENERS = ("http:", "https:", "http:/", "https:/", "ws:/", "wss:/", "ftp:/", "ftps:/", "www.", "data:", "javascript:", "vbscript:")
_UNFINISHED = frozenset(opener[:size] for opener in _OPENERS for size in range(1, len(opener)))
_CLOSERS = {"(": ")", '"': '"', "'": "'"}
_RUNS = {closer: re.compile(rf"[^\s<>{closer}]*") for closer in ("", *_CLOSERS.values())}
_AFTERTHOUGHTS = ".,;:!?*_~'\"`)]}|"
# What Markdown and HTML undo before it is a link: https\://, &#104;ttps://
_COVERED = ("http:", "https:", "ws:", "wss:", "ftp:", "ftps:", "data:", "javascript:", "vbscript:", "www.", "//")
_FIRST = "|".join(sorted({opener[:size] for opener in _COVERED for size in range(1, len(opener))}, key=lambda part: (-len(part), part)))
_DISGUISED = re.compile(rf"(?<![A-Za-z0-9])(?:(?:{_FIRST})(?:&(?=[#a-z]|\Z)|\\(?=[:/.]|\Z))|&(?=#|[tns]|\Z))", re.IGNORECASE)
_AT_FIRST = 12
"""Most of what is no link is known to be none by so much of it (in characters)."""
_PARTIAL = re.compile(r"(?:&(?:#[a-z0-9]*|[a-z]{0,8})|\\)\Z", re.IGNORECASE)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_READ = str.maketrans({"\t": "", "\r": "", "\n": "", "\\": "/"})
_UNCOVERED = re.compile(r"(?:(?:https?|wss?|ftps?|data|javascript|vbscript):|www\.|//)(?=\S)")
_MAKES_LINK = (*_CLOSERS, "=", ",", "]:")
_ASCII_HOST = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")
_HOSTLIKE = re.compile(r"[.%&\[]|[^\x00-\x7f]|\A(?:0x|[0-9]{6})", re.IGNORECASE)
_REASONS = {
    "link.scheme": "a link that holds or runs content of its own",
    "link.host": "a link to a host that is not on the list",
    "link.disguised": "a link that is written so that it does not look like one",
}


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
    quote, a parenthesis, an equals sign, a comma or `[x]:`; within another link too, for that one may lead on. A bare `example.org` is
    none. The host is read as browsers do: after the last `@`, with a backslash as a slash, names of other scripts as Punycode. Where a
    link begins with characters that only Markdown or HTML make one of (`&#104;ttps://`), it is found wherever it leads.

    Raises:
        BadInput: A name on the list is no host.
    """

    allow: tuple[str, ...] = ()
    """Hosts that may be linked to, with all their subdomains, as in "example.com"."""

    looks_back: ClassVar[int] = _CONTEXT + 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.allow, str) or not all(isinstance(host, str) and _ascii(host) for host in self.allow):
            raise BadInput(f'LinkGuard: allow is a tuple of hosts, as in ("example.com",), not {self.allow!r}')
        object.__setattr__(self, "allow", tuple(self.allow))

    @cached_property
    def _allowed(self) -> tuple[str, ...]:
        return tuple(f".{_ascii(host)}" for host in self.allow)

    def check(self, text: str, role: str = "user") -> list[Finding]:
        """Return a finding for each link in `text` that leads elsewhere. Its span covers the first 110 characters of a long one."""
        found = [Finding("link", link.rule, link.start, link.end, _REASONS[link.rule]) for link in self._links(text, 0) if link.rule]
        return sorted(found, key=lambda finding: finding.start)

    def open_from(self, text: str) -> int:
        """Return where a link may still begin, or is still read; the rest of a link to an allowed host is released."""
        tail = max(0, len(text) - _LONGEST)
        end = text[-len("javascript:") :].lower()
        edge = len(text) - max((size for size in range(1, len(end) + 1) if end[-size:] in _UNFINISHED), default=0)
        if maybe := _MAYBE.search(text, tail):
            edge = min(edge, maybe.start())
        return min([edge, *(link.start for link in self._links(text, tail) if not link.settled)])

    def _links(self, text: str, begin: int) -> Iterator[_Link]:
        yield from (self._link(text, match) for match in _BEGINS.finditer(text, begin))
        if "&" in text or "\\" in text:
            yield from (_disguised(text, match.start()) for match in _DISGUISED.finditer(text, begin))

    def _link(self, text: str, match: re.Match[str]) -> _Link:
        start = match.start()
        context = _context(text, start)
        if match[0][0] in "/\\" and not context.endswith(_MAKES_LINK):
            return _Link("", start, start, settled=True)
        whole, settled = _run(text, start, _CLOSERS.get(context[-1:], ""))
        end = start + max(1, len(whole.rstrip(_AFTERTHOUGHTS)))
        if match["scheme"]:
            return _Link("link.scheme", start, max(end, match.end()), settled)
        after = 0 if match[0][-1] == "." else len(match[0])
        authority = re.split(r"[/\\?#]", whole[after:].lstrip("/\\"), maxsplit=1)
        host = authority[0].rpartition("@")[2]
        if len(authority) == 1:  # the sentence's full stop is no part of it
            host = host.rstrip(_AFTERTHOUGHTS)
        known = len(authority) == 2 and bool(authority[0])
        host = re.sub(r":[0-9]*$", "", host)
        # "http:yes", "[x], //todo": not without a host that looks like one
        loose = match[0][-1] == ":" or (match[0][0] in "/\\" and text[start - 1] not in "(\"'=")
        if (loose and not _HOSTLIKE.search(host)) or f".{_ascii(host)}".endswith(self._allowed):
            cut = len(whole) == _LONGEST and not known
            return _Link("link.host" if cut else "", start, end, known or settled)
        return _Link("link.host" if authority[0] and host.lower() != "www" else "", start, end, settled)


def _run(text: str, start: int, closer: str = "") -> tuple[str, bool]:
    """Return what of a link is looked at, and whether more text changes nothing of it."""
    run = _RUNS[closer].match(text, start, start + _LONGEST)
    assert run is not None, "it may be empty"
    return run[0], run.end() < len(text) or len(run[0]) == _LONGEST


def _context(text: str, start: int) -> str:
    """Return what stands before a link, without white space and a bracket next to it; nothing but these counts as a parenthesis."""
    before = text[max(0, start - _CONTEXT) : start]
    return html.unescape(before).rstrip(" \t\r\n\f<") or "(" * (len(before) == _CONTEXT)


def _disguised(text: str, start: int) -> _Link:
    """Return the link that begins there when Markdown and HTML have undone their escapes, wherever it leads."""
    run, settled = _run(text, start)
    broken = start + len(run) == len(text) or len(run) == _LONGEST
    begin = _plain(_PARTIAL.sub("", run[:_AT_FIRST]))
    if not begin.startswith(_COVERED) and not any(opener.startswith(begin) for opener in _COVERED):
        return _Link("", start, start, settled=True)
    plain = _plain(_PARTIAL.sub("", run) if broken else run)
    if plain[:2] in ("/", "//") and not _context(text, start).endswith(_MAKES_LINK):
        return _Link("", start, start, settled=True)
    end = start + max(1, len(run.rstrip(_AFTERTHOUGHTS)))
    if _UNCOVERED.match(plain):
        return _Link("link.disguised", start, end, settled)
    unfinished = broken and any(opener.startswith(plain) for opener in _COVERED)
    return _Link("link.disguised" if unfinished and settled else "", start, end, settled or not unfinished)


def _plain(text: str) -> str:
    return html.unescape(_ESCAPED.sub(r"\1", text)).translate(_READ).lower()


def _ascii(host: str) -> str:
    """Return a host's name as DNS has it, without the dot at its end; empty where it can be none."""
    if _ASCII_HOST.fullmatch(host):
        return host.lower().removesuffix(".")
    try:
        name = host.removesuffix(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""
    return name if re.fullmatch(r"[a-z0-9._-]+", name) else ""
