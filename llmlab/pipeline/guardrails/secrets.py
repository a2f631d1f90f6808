"""The guard of secrets: the shapes of providers' keys, values that are called a password, and tokens too mixed to be a word.

Hashes and UUIDs are no secrets: they are of one case. Base64 of an image goes on for longer than a key, and that of a text decodes.
"""

from __future__ import annotations

import math
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import RuleGuard
from llmlab.pipeline.guardrails.scan import Runs, resolved

# As in personal.py: a pattern and what is read before it add up to less than base.CONTEXT_CHARACTERS. A key may be longer than what is
# held back: it is found by its beginning, and its finding ends after at most 100 characters.
_KEY_BEGINS_WITHIN = 40
_LONGEST_MIXED = 72
_SHORTEST_MIXED = 24
_DECIDED = 112
"""What begins this far before the end can no longer change (in characters)."""

_KEYS = {
    "anthropic": r"sk-ant-[A-Za-z0-9_-]{20,90}",
    "openai": r"sk-(?=[A-Za-z_-]*[0-9][A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,90}",
    "aws": r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])",
    "github": r"gh[pousr]_[A-Za-z0-9]{36,90}|github_pat_[A-Za-z0-9_]{22,80}",
    "gitlab": r"glpat-[A-Za-z0-9_-]{20,60}",
    "google": r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
    "huggingface": r"hf_[A-Za-z0-9]{30,60}",
    "npm": r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])",
    "pypi": r"pypi-AgE[A-Za-z0-9_-]{40,90}",
    "sendgrid": r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,60}",
    "slack": r"xox[abeoprs]-[A-Za-z0-9-]{10,90}|hooks\.slack\.com/services/[A-Za-z0-9/]{20,60}",
    "stripe": r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,90}|whsec_[A-Za-z0-9]{24,60}",
    # {"alg":, {"typ": and {"kid": in base64.
    "jwt": r"eyJ(?:hbGciOi|0eXAiOi|raWQiOi)[A-Za-z0-9_.-]{10,90}",
}
_KEY = re.compile("(?<![A-Za-z0-9])(?:" + "|".join(f"(?P<{name}>{shape})" for name, shape in _KEYS.items()) + ")")
_CHARACTERS = "A-Za-z0-9_+/.~-"
_tokens = Runs(_CHARACTERS, "[0-9](?:[A-Za-z]|(?<=[A-Za-z].))", within=_LONGEST_MIXED)

_VALUE = r"[!#%&*+\--9?@A-Z^_a-z|~]"
_ASSIGNS = re.compile(r"[:=]|is |(?<=[Bb])earer ")
_NAME = re.compile(
    r"(?i)(?:passw(?:or)?d|passphrase|pwd|secret|token(?!s)|credential|bearer"
    r"|(?:api|access|account|auth|encryption|private|signing)[_ -]?key)[\w-]{0,9}[\"'`]? ?\Z",
)
_NAMED = re.compile(rf"[=>]?\s{{0,2}}[\"'`]?({_VALUE}{{8,44}}[{_CHARACTERS}]{{0,50}})")
_PLACEHOLDER = re.compile(r"(?i)your|example|xxx|\.\.\.|\*\*\*|%s|placeholder|redacted")
_IN_ADDRESS = re.compile(r"://[^\s:/@]{0,24}:([!-.0-9;-?A-~]{3,40})@")
_PRIVATE_KEY = re.compile(rf"(?<![{_CHARACTERS}])-----BEGIN (?:[A-Z]{{1,12}} ){{0,2}}PRIVATE KEY(?: BLOCK)?-----")
_NOT_SECRET = re.compile(r"sha(?:256|384|512)-|(?:chatcmpl|gen|req|resp|msg|call|toolu|file|run|in|cus|evt)[_-]")
_WORD_BEFORE = re.compile(r"(?s).*[^!-~]")
_DIGIT = re.compile("[0-9]")
_LETTER = re.compile("[A-Za-z]")
_RANKS = {"named": 1, "mixed": 2}
"""Which rule is named where several find the same: a key's own comes first."""
_LEAST_BITS = 3.5
"""Shannon entropy of a mixed token (in bits a character)."""
_LEAST_CHANGES = 0.3
"""Changes between lower case, upper case and digits (a character)."""


@dataclass(frozen=True, kw_only=True)
class SecretsGuard(RuleGuard):
    """Finds keys of providers, private keys, JSON web tokens, passwords in addresses and after their name, and long mixed tokens.

    A finding ends after 100 characters, so a longer key is not wholly covered: block rather than redact where answers may hold them.
    """

    def check(self, text: str, role: str = "user") -> list[Finding]:
        """Return the secrets in `text`, in its order."""
        found = [
            (start, _RANKS.get(rule, 0), Finding("SECRET", f"secret.{rule}", start, end, reason))
            for scan in (_in_tokens, _named, _in_addresses, _private_keys)
            for rule, start, end, reason in scan(text)
        ]
        return resolved(found) if found else []

    def open_from(self, text: str) -> int:
        """Return where a secret may still begin or grow: see `Streaming`."""
        lowest = max(0, len(text) - _DECIDED)
        word = _WORD_BEFORE.match(text, lowest)
        edge = word.end() if word else lowest
        header = text.rfind("-----BEGIN ", lowest)
        # The longest header is "-----BEGIN ENCRYPTED ... PRIVATE KEY BLOCK-----".
        return min(edge, header) if header >= 0 and len(text) - header < 70 else edge


_Candidates = Iterator[tuple[str, int, int, str]]


def _in_tokens(text: str) -> _Candidates:
    for start, end in _tokens(text):
        if end - start < 16:
            continue
        key = _KEY.search(text, start, min(end, start + _KEY_BEGINS_WITHIN + 100))
        if key and key.start() - start < _KEY_BEGINS_WITHIN:
            yield str(key.lastgroup), key.start(), key.end(), f"it has the shape of a key of {key.lastgroup}"
        elif _SHORTEST_MIXED <= end - start <= _LONGEST_MIXED:
            token = text[start:end].lstrip("_+/.~-")
            if _is_mixed(token):
                reason = "a long token that mixes letters and digits as keys do"
                yield "mixed", end - len(token), end - len(token) + len(token.rstrip("_+/.~-")), reason


def _named(text: str) -> _Candidates:
    for sign in _ASSIGNS.finditer(text):
        value = _NAMED.match(text, sign.end())
        if not value or _PLACEHOLDER.search(value[1]) or not _DIGIT.search(value[1]) or not _LETTER.search(value[1]):
            continue
        at = sign.end() - 1 if sign[0] == "earer " else sign.start()
        if _NAME.search(text, max(0, at - 32), at):
            yield "named", value.start(1), value.end(1), "a value that is called a secret"


def _in_addresses(text: str) -> _Candidates:
    if "://" in text:
        for password in _IN_ADDRESS.finditer(text):
            yield "address", password.start(1), password.end(1), "a password in an address"


def _private_keys(text: str) -> _Candidates:
    if "-----BEGIN " in text:
        for header in _PRIVATE_KEY.finditer(text):
            yield "private_key", header.start(), header.end(), "the beginning of a private key"


def _is_mixed(token: str) -> bool:
    """Whether its characters look drawn by chance: of three classes, a new one at every third character or so, many different ones.

    A capital that begins a word is no change. A token of 32 random characters passes with probability 0.95, getHTTPResponse2 never.
    """
    classes = "".join(["0" if c.isdigit() else "a" if c.islower() else "A" for c in token if c.isalnum()])
    if not {"0", "a", "A"} <= set(classes) or _NOT_SECRET.match(token):
        return False
    changes = sum(classes.count(pair) for pair in ("aA", "a0", "A0", "0a", "0A"))
    bits = -math.fsum(n / len(token) * math.log2(n / len(token)) for n in Counter(token).values())
    return changes >= _LEAST_CHANGES * len(token) and bits >= _LEAST_BITS and not _is_text(token)


def _is_text(token: str) -> bool:
    """Whether it is base64 of plain text."""
    try:
        plain = b64decode(token + "=" * (-len(token) % 4), validate=True)
    except ValueError:
        return False
    return plain.isascii() and plain.decode("ascii").isprintable()
