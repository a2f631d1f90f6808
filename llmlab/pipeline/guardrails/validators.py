"""What decides whether a candidate is personal data: check digits, known prefixes, possible lengths. Loaded with the first `PIIGuard`."""

from __future__ import annotations

import ipaddress
import re
from functools import cache

import phonenumbers
from stdnum import iban, luhn, numdb
from stdnum.us import ssn

_ISSUERS = re.compile(
    r"4(?:.{12}|.{15}|.{18})"  # Visa
    r"|(?:5[1-5]|2(?:20[0-4]|22[1-9]|2[3-9]|[3-6]|7[01]|720)|35|6011|64[4-9]|65).*(?<=\A.{16})"  # Mastercard, Mir, JCB, Discover
    r"|3[47].{13}|3(?:0[0-5]|[689]).{11,12}|(?:2131|1800).{11}"  # American Express, Diners Club, JCB of old
    r"|(?:5[06-9]|6).{10,17}|0604.{8}|81.{14,17}",  # Maestro, UnionPay
)


_MOD_97 = str.maketrans({" ": "", "-": ""} | {chr(code): str(int(chr(code), 36)) for code in (*range(65, 91), *range(97, 123))})


def is_card(digits: str) -> bool:
    """Whether these are the digits of a payment card: an issuer's prefix and length, and the check digit (Luhn)."""
    return bool(_ISSUERS.fullmatch(digits)) and luhn.is_valid(digits)


@cache
def iban_length(country: str) -> int:
    """Return how long the account numbers of a country are, without spaces (in characters); 0: it has none (ISO 13616)."""
    parts = [found["bban"] for _, found in numdb.get("iban").info(country) if "bban" in found]
    return 4 + sum(int(size) for size in re.findall("[0-9]+", parts[0])) if parts else 0


def is_iban(value: str) -> bool:
    """Whether the country, its length and its pattern, and the check digits are right (ISO 13616, mod 97)."""
    digits = (value[4:] + value[:4]).translate(_MOD_97)
    # The library's own check takes ten times as long, and a text may be full of what looks like one.
    return digits.isdecimal() and int(digits) % 97 == 1 and iban.is_valid(value, check_country=False)


def is_ssn(value: str) -> bool:
    """Whether a US social security number can read so: no area 000, 666 or 900-999, no group 00, no serial 0000."""
    return ssn.is_valid(value)


def is_address(value: str) -> bool:
    """Whether this is somebody's address of version 4 or 6: not every machine's own, not the unspecified one, no mask."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or value.startswith("255."))


def is_international(value: str) -> bool:
    """Whether a number that begins with "+" and a calling code has a length that its country uses."""
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(value))
    except phonenumbers.NumberParseException:
        return False
