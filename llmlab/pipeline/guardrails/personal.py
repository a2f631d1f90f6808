"""The guard of personal data: cheap patterns propose, validators decide. No model, and no list of names.

A number is taken for what its check digits, its shape and the nearest word before it say. A telephone number in a local form
("668 5702") looks like any other number: it is one where a word such as "call" or "fax" stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import RuleGuard
from llmlab.pipeline.guardrails.scan import Runs, resolved

KINDS = ("EMAIL_ADDRESS", "IP_ADDRESS", "IBAN_CODE", "CREDIT_CARD", "US_SSN", "DOMAIN_NAME", "PHONE_NUMBER")
"""What is found; where two begin at the same character, the first of these."""
_REASON = {
    "EMAIL_ADDRESS": "an e-mail address",
    "IP_ADDRESS": "an address of the internet protocol",
    "IBAN_CODE": "an account number (IBAN) with the right check digits",
    "CREDIT_CARD": "a card number with a known prefix and the right check digit",
    "US_SSN": "a number that can be a US social security number",
    "DOMAIN_NAME": "the name of a host",
    "PHONE_NUMBER": "a telephone number",
}

# Lengths add up to less than base.CONTEXT_CHARACTERS: the longest pattern, and what is read before it.
_LONGEST = 70
_LONGEST_NUMBER = 40
_LONGEST_ADDRESS = 45
_CUE_BEFORE = 28
_CUE_AFTER = 14
_DECIDED = 80
"""What begins this far before the end can no longer change (in characters)."""

_LETTER = "A-Za-zÀ-ɏ"
_NAME = f"{_LETTER}0-9"
_names = Runs(f"{_NAME}._%+@-", rf"\.[{_NAME}]", within=_LONGEST)
_colons = Runs("0-9A-Fa-f:.", ":[0-9A-Fa-f]{0,4}:", within=_LONGEST_ADDRESS)
_HOST = rf"(?:[{_NAME}](?:[{_NAME}-]*+)\.)+"
_EMAIL = re.compile(rf"[{_NAME}][{_NAME}._%+-]*@(?:[{_NAME}-]+\.)+[A-Za-z]{{2,24}}(?![{_NAME}])")
_URL_HOST = re.compile(rf"{_HOST}[A-Za-z]{{2,24}}(?![{_NAME}@])")
# Without "https://" or "www." only the endings that are neither words nor suffixes of files.
_BARE_HOST = re.compile(
    rf"{_HOST}(?:com|org|net|edu|gov|info|biz|eu|uk|de|fr|es|nl|ch|se|dk|fi|cz|jp|cn|br|au|ca|io|dev|app|ai)(?=[.-]*\Z)",
)
_IPV4 = re.compile(rf"(?<![{_NAME}._@])[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}}(?![{_NAME}_@]|-[{_LETTER}]|\.[{_NAME}])")
_VERSION = re.compile(r"(?i)(?:version|release|build|v\.?|[<>=~!]=) ?\Z")

_IBAN = re.compile(
    r"[0-9]{2}(?<=[A-Za-z]{2}..)(?<![A-Za-z0-9].{4})(?:[A-Za-z0-9]{11,30}|(?:[ -][A-Z0-9]{4}){2,7}(?:[ -][A-Z0-9]{1,4})?)(?![A-Za-z0-9])"
)
_IBAN_OPEN = re.compile(r"[A-Z]{2}[0-9]{2}(?<![A-Za-z0-9].{4})[A-Z0-9 -]{0,40}\Z")

_BETWEEN = "-./() \u00a0\u2010\u2011\u2012\u2013"
_BETWEEN_NOT_OPENING = _BETWEEN.replace("(", "")
_SPACE = "-./ \u00a0\u2010-\u2013"
_NUMBER_START = r"[+(0-9](?<!\w.)(?<!\w-.)"
_NUMBER_REST = rf"(?:(?<=[0-9])|[+(]?(?=[0-9]))[0-9]*+(?:(?: [-\u2013] |[{_SPACE}]\(?|\)[{_SPACE}]?\(?|\()[0-9]++)*+"
_NUMBER = re.compile(rf"(?s){_NUMBER_START}(?=[0-9+(){_SPACE}]{{6}}){_NUMBER_REST}")
_NUMBER_OPEN = re.compile(rf"(?s){_NUMBER_START}{_NUMBER_REST}")
_TOKEN_BEFORE = re.compile(rf"(?s).*[^{_NAME}._%+@:(-]")
_DIGIT = re.compile("[0-9]")
_HINT = re.compile(rf"[0-9]|\.[{_LETTER}]")

_DATE = re.compile(
    r"(?<![0-9])(?<![0-9][-./])(?:(?:19|20)[0-9]{2}[-./](?:0?[1-9]|1[0-2])[-./](?:0?[1-9]|[12][0-9]|3[01])"
    r"|[0-3]?[0-9][-./][0-3]?[0-9][-./](?:19|20)[0-9]{2})(?![0-9]|[-./][0-9])",
)
_CARD = re.compile(
    r"(?<![0-9])(?<![0-9]\.)(?:[0-9]{12,19}|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?"
    r"|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5})(?![0-9])",
)
_SSN = re.compile(r"(?<![0-9])(?<![0-9]-)[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9]|-[0-9])")
_SSN_BARE = re.compile(r"(?<![0-9])[0-9]{3}([- ]?)[0-9]{2}\1[0-9]{4}(?![0-9])")
_NOT_DIGITS = re.compile("[^0-9]+")
_NORTH_AMERICAN = re.compile(
    r"(?<![0-9])(?<![0-9][-.])(?:(?:001|\+?1)[-. ]?)?(?:\([2-9][0-9]{2}\)[-. ]?|[2-9][0-9]{2}[-. ])"
    r"[0-9]{3}[-. ][0-9]{4}(?![0-9]|[-.][0-9])",
)
_TRUNK = re.compile(r"\(?0[1-9][0-9]{0,3}(?![0-9])")
_EXTENSION = re.compile(r"(?i) ?(?:x|ext\.? ?)[0-9]{1,5}(?!\w)")
_WORD_AFTER = re.compile(r"(?i)[-,;( ]{0,3}(?:office|fax|mobile|cell|home|work|tel|phone|desk|direct)\b")
_CUE = re.compile(
    r"(?<![a-z])(?:"
    r"(?P<phone>(?:tele|smart)?phone|mobil|cell|tel(?![a-z])|tel[eé]f[a-z]{2,4}|fax|desk|office|hotline|call|dial"
    r"|ring(?![a-z])|reach|text(?!=)|sms|whats ?app|voicemail|messag|answer|contact)"
    r"|(?P<card>card|visa|master|amex|cc(?![a-z]))|(?P<ssn>ssn|social security)"
    r"|(?P<other>order|invoice|ticket|track|parcel|serial|isbn|issn|ean(?![a-z])|sku|ref(?![a-z])|reference|case|part|item|model|version"
    r"|build|id(?![a-z])|zip|batch|vat|tax|doi|rfc|licen[cs]e|timestamp|quantity)"
    r")(?:e|s|es|d|ed|ing)?(?![a-z])|[$€£¥](?= ?\Z)",
)


@dataclass(frozen=True, kw_only=True)
class PIIGuard(RuleGuard):
    """Finds personal data of the kinds that have a shape: cards, telephones, e-mails, accounts, social security numbers, hosts.

    Raises:
        BadInput: A kind that is none.
    """

    action: str = "redact"
    kinds: tuple[str, ...] = KINDS
    """Which to look for. Where documents hold links that an answer should repeat, leave "DOMAIN_NAME" out: it would be redacted there."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.kinds, str) or not self.kinds or not set(self.kinds) <= set(KINDS):
            raise BadInput(f"PIIGuard: kinds are some of {', '.join(KINDS)}, in a tuple, not {self.kinds!r}")
        object.__setattr__(self, "kinds", tuple(self.kinds))
        _validators()

    def check(self, text: str, role: str = "user") -> list[Finding]:
        """Return the personal data in `text`, in its order."""
        if not _HINT.search(text):
            return []
        found = [
            (start, KINDS.index(kind), Finding(kind, f"pii.{kind.lower()}", start, end, _REASON[kind]))
            for scan in (_in_names, _in_colons, _accounts, _numbers)
            for kind, start, end in scan(text)
        ]
        # A card is no telephone even where nobody asked for cards: choose last.
        return [finding for finding in resolved(found) if finding.kind in self.kinds]

    def open_from(self, text: str) -> int:
        """Return where personal data may still begin or grow: see `Streaming`."""
        size = len(text)
        lowest = max(0, size - _DECIDED)
        token = _TOKEN_BEFORE.match(text, lowest)
        edge = token.end() if token else lowest
        if _DIGIT.search(text, lowest):
            for number in _NUMBER_OPEN.finditer(text, lowest):
                # Digits may follow; and from seven characters on, a word or an extension that makes it a telephone number.
                long = number.end() - number.start() > 6
                if not text[number.end() :].strip(_BETWEEN) or (long and size - number.end() < _CUE_AFTER):
                    edge = min(edge, number.start())
                    break
            account = _IBAN_OPEN.search(text, lowest)
            if account:
                edge = min(edge, account.start())
        return edge


@cache
def _validators() -> ModuleType:
    # They take longer to load than all of this package, and only who has such a guard needs them.
    from llmlab.pipeline.guardrails import validators

    return validators


_Candidates = Iterator[tuple[str, int, int]]


def _in_names(text: str) -> _Candidates:
    """Yield e-mail addresses, or hosts and addresses of version 4."""
    for start, end in _names(text):
        if end - start > _LONGEST:
            continue
        run = text[start:end]
        if "@" in run:
            for email in _EMAIL.finditer(run):
                yield "EMAIL_ADDRESS", start + email.start(), start + email.end()
            continue
        skip = len(run) - len(run.lstrip("._%+-"))
        linked = text.endswith("://", 0, start) or run[skip : skip + 4].lower() == "www."
        host = (_URL_HOST if linked else _BARE_HOST).match(run, skip)
        if host:
            yield "DOMAIN_NAME", start + host.start(), start + host.end()
        elif not _VERSION.search(text[max(0, start - 9) : start]):
            for address in _IPV4.finditer(run):
                if _validators().is_address(address[0]):
                    yield "IP_ADDRESS", start + address.start(), start + address.end()


def _in_colons(text: str) -> _Candidates:
    """Yield addresses of version 6."""
    for begin, stop in _colons(text):
        if stop - begin > _LONGEST_ADDRESS:
            continue
        run = text[begin:stop]
        start = begin + (run[0] == ":" != run[1:2])
        end = stop - (run[-1] in ":." and run[-2:] != "::")
        apart = not text[max(0, start - 1) : start].isalnum() and not text[end : end + 1].isalnum()
        if apart and end - start > 5 and _DIGIT.search(text, start, end) and _validators().is_address(text[start:end]):
            yield "IP_ADDRESS", start, end


def _accounts(text: str) -> _Candidates:
    """Yield IBANs, also in lower case or in groups of four."""
    for match in _IBAN.finditer(text):
        start, longest = match.start() - 2, match.end()
        size = _validators().iban_length(text[start : start + 2].upper())
        end = start + size + ((size - 1) // 4 if text[start + 4] in " -" else 0)
        # What follows in a group of its own may be another number.
        if size and (end == longest or (end < longest and text[end] in " -")) and _validators().is_iban(text[start:end]):
            yield "IBAN_CODE", start, end


def _numbers(text: str) -> _Candidates:
    """Yield cards, social security numbers and telephone numbers."""
    for number in _NUMBER.finditer(text):
        start, end = number.span()
        if end - start > _LONGEST_NUMBER:
            end = start + len(text[start : start + _LONGEST_NUMBER].rstrip("0123456789"))
        elif (text[end : end + 1].isalnum() or text[end : end + 1] == "_") and not _EXTENSION.match(text, end):
            continue
        for date in _DATE.finditer(text, start, end):
            yield from _in_number(text, start, date.start())
            start = date.end()
        yield from _in_number(text, start, end)


def _in_number(text: str, start: int, end: int) -> _Candidates:
    run = text[start:end].rstrip(_BETWEEN)
    start += len(run) - len(run.lstrip(_BETWEEN_NOT_OPENING))
    run = text[start : start + len(run)].rstrip(_BETWEEN)
    end = start + len(run)
    digits = _NOT_DIGITS.sub("", run)
    if len(digits) < 7:
        return
    cue = ""
    for word in _CUE.finditer(text[max(0, start - _CUE_BEFORE) : start].lower()):
        cue = word.lastgroup or "other"
    if cue == "other":
        return
    cards = [card for card in _CARD.finditer(run) if _validators().is_card(_NOT_DIGITS.sub("", card[0]))]
    for card in cards:
        yield "CREDIT_CARD", start + card.start(), start + card.end()
    shape = _SSN_BARE if cue == "ssn" else _SSN
    numbers = [number for number in shape.finditer(run) if _validators().is_ssn(number[0].replace(" ", ""))]
    for number in numbers:
        yield "US_SSN", start + number.start(), start + number.end()
    if cards or numbers or cue in ("card", "ssn"):
        return
    extension = _EXTENSION.match(text, end)
    after = extension.end() if extension else end
    if _is_phone(run, digits) or (len(digits) <= 13 and (cue == "phone" or _WORD_AFTER.match(text, end))):
        yield "PHONE_NUMBER", start, after
        return
    for phone in _NORTH_AMERICAN.finditer(run):
        yield "PHONE_NUMBER", start + phone.start(), after if phone.end() == len(run) else start + phone.end()


def _is_phone(run: str, digits: str) -> bool:
    """Whether all of `run` is a telephone number without a word that says so: North American, international, or with a trunk zero."""
    if _NORTH_AMERICAN.fullmatch(run):
        return True
    if run[0] == "+" or digits.startswith("00"):
        return bool(_validators().is_international("+" + digits.lstrip("0")))
    return 9 <= len(digits) <= 11 and _TRUNK.match(run) is not None
