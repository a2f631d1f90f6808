from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from streaming_law import holds

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails import PIIGuard, validators
from llmlab.pipeline.guardrails.base import Streaming
from llmlab.pipeline.guardrails.personal import KINDS

GUARD = PIIGuard()

TRUE = [
    ("CREDIT_CARD", "4111 1111 1111 1111", "Charge {}, please"),
    ("CREDIT_CARD", "5555-5555-5555-4444", "mc:{}"),
    ("CREDIT_CARD", "3782 822463 10005", "amex {} 12/27"),
    ("CREDIT_CARD", "30569309025904", "{}"),
    ("CREDIT_CARD", "6011111111111117", "for my order, the card is {}."),
    ("CREDIT_CARD", "4222222222222", "an old one: {}"),
    ("PHONE_NUMBER", "+1 212-555-0123", "{}"),
    ("PHONE_NUMBER", "+44 (0)20 7946 0958", "We are at {}, all day"),
    ("PHONE_NUMBER", "0044 20 7946 0958", "{}"),
    ("PHONE_NUMBER", "(212) 555-0123 ext. 45", "{} or so"),
    ("PHONE_NUMBER", "001-212-555-0123x45", "{}"),
    ("PHONE_NUMBER", "212.555.0123", "2026-05-01 {}"),
    ("PHONE_NUMBER", "020 7946 0958", "in London {}"),
    ("PHONE_NUMBER", "555 0123", "Can you call me on {}?"),
    ("PHONE_NUMBER", "5550123", "Fax: {}"),
    ("PHONE_NUMBER", "555 01 23", "{} (office)"),
    ("PHONE_NUMBER", "2125550123", "my mobile number is {} and"),
    ("EMAIL_ADDRESS", "ada.lovelace+x@mail.example.org", "write to <{}>."),
    ("EMAIL_ADDRESS", "jürgen@müller.example", "{},"),
    ("IBAN_CODE", "DE89370400440532013000", "{}"),
    ("IBAN_CODE", "gb82west12345698765432", "to {}, thanks"),
    ("IBAN_CODE", "GB82 WEST 1234 5698 7654 32", "{} to Ada"),
    ("IBAN_CODE", "ES91 2100 0418 4502 0005 1332", "{} 2026 or later"),
    ("US_SSN", "536-90-4399", "{}"),
    ("US_SSN", "536904399", "My social security number is {}"),
    ("US_SSN", "536 90 4399", "ssn {}"),
    ("US_SSN", "536-90-4399", "SSNs: {} or so"),
    ("IP_ADDRESS", "192.0.2.17", "from {}:8080"),
    ("IP_ADDRESS", "2001:db8::8a2e:370:7334", "at [{}]:443"),
    ("IP_ADDRESS", "2001:db8:0:0:8a2e:0:370:7334", "address:{}."),
    ("DOMAIN_NAME", "shop.example.co.uk", "see https://{}/a?b=c"),
    ("DOMAIN_NAME", "www.example.travel", "{} has it"),
    ("DOMAIN_NAME", "help.example.com", "Visit {}."),
]
FALSE = [
    "Order 112-3456789-1234567 of 2026-05-01 is on its way",
    "order no. 212-555-0123",
    "your ticket 4111 1111 1111 1111",
    "4111 1111 1111 1112",
    "5105105105105106",
    "9111111111111111",
    "On 01.02.2026 14.30 or 2026/02/01",
    "It is 1,234,567.89 EUR, $ 212 555 0123 or 1 234 567 in all",
    "ISBN 978-3-16-148410-0",
    "000-12-3456, 666-12-3456 and 900-12-3456",
    "GB82 WEST 1234 5698 7654 33",
    "AB12 CDEF 3456 GHIJ 7890",
    "version 1.2.3.4, v1.2.3.4, 1.2.3.4-beta, 1.2.3 and 300.1.1.1",
    "127.0.0.1, ::1, 0.0.0.0 and 255.255.255.0",
    "at 12:30:45 with 00:1b:44:11:3a:b7 in std::vector and Dad::cafe",
    "e.g. README.md, main.py, node.js, 3.14, i.e. no host.Next sentence",
    "user@localhost, @ada and a@b",
    "123e4567-e89b-12d3-a456-426614174000",
    "5213591727586604abc and abc5213591727586604",
    "+999 123 456 78 and +1 23 4567",
    "1" * 500,
    "",
    "There is nothing to see here.",
]


@pytest.mark.parametrize(("kind", "value", "around"), TRUE)
def test_personal_data_is_found_where_it_stands(kind: str, value: str, around: str) -> None:
    start = around.index("{}")
    found = GUARD.check(around.format(value))
    assert [(kind, f"pii.{kind.lower()}", start, start + len(value))] == [finding[:4] for finding in found]


@pytest.mark.parametrize("text", FALSE)
def test_a_number_that_is_nobodys_stays(text: str) -> None:
    assert [] == GUARD.check(text)


def test_a_reason_does_not_quote() -> None:
    assert "an e-mail address" == GUARD.check("ada@example.org")[0].reason


def test_what_is_found_stands_in_the_order_of_the_text() -> None:
    text = "Call 212-555-0123 or ada@example.org; 4111111111111111 at 192.0.2.17, 198.51.100.7-198.51.100.9"
    kinds = ["PHONE_NUMBER", "EMAIL_ADDRESS", "CREDIT_CARD", "IP_ADDRESS", "IP_ADDRESS", "IP_ADDRESS"]
    assert kinds == [finding.kind for finding in GUARD.check(text)]


def test_of_two_that_overlap_the_first_is_given() -> None:
    assert ["PHONE_NUMBER"] == [finding.kind for finding in GUARD.check("(212) 555 0123@example.com")]


def test_two_numbers_in_a_row_are_two() -> None:
    assert [(0, 12), (13, 25)] == [(finding.start, finding.end) for finding in GUARD.check("212-555-0123 212-555-0124")]


def test_a_long_row_of_numbers_is_seen_by_its_beginning() -> None:
    assert (0, 12) == GUARD.check("212-555-0123 " * 20)[0][2:4]


@pytest.mark.parametrize("kind", KINDS)
def test_a_guard_looks_for_the_chosen_kinds(kind: str) -> None:
    text = ", ".join(around.format(value) for _, value, around in TRUE)
    assert {kind} == {finding.kind for finding in PIIGuard(kinds=(kind,)).check(text)}


def test_a_card_is_no_telephone_where_nobody_asked_for_cards() -> None:
    assert [] == PIIGuard(kinds=("PHONE_NUMBER",)).check("call 4111111111111111")


@pytest.mark.parametrize("kinds", ["US_SSN", (), ("NAME",), ("US_SSN", "NAME")])
def test_kinds_are_some_of_those_there_are(kinds: Any) -> None:
    with pytest.raises(BadInput, match="PIIGuard: kinds are some of EMAIL_ADDRESS, "):
        PIIGuard(kinds=kinds)


def test_a_list_of_kinds_becomes_a_tuple() -> None:
    kinds: Any = ["US_SSN"]
    assert ("US_SSN",) == PIIGuard(kinds=kinds).kinds


def test_the_guard_is_one_for_streams() -> None:
    assert isinstance(GUARD, Streaming)


@pytest.mark.parametrize(
    ("text", "edge"),
    [
        ("", 0),
        ("All is said. ", 13),
        ("write to ad", 9),
        ("call 555 01", 5),
        ("call 555 0123 or", 5),
        ("in 2026 we", 8),
        ("in 2026 we ship", 11),
        ("to GB82 WEST 12", 3),
        ("a (", 2),
        ("x" * 500, 420),
        ("12 " * 100, 222),
    ],
)
def test_what_may_still_become_personal_data_is_held(text: str, edge: int) -> None:
    assert edge == GUARD.open_from(text)


FRAGMENTS = st.sampled_from(
    [value for _, value, _ in TRUE]
    + [text[:60] for text in FALSE if text]
    + [
        *" \n-.,:@+(/x_%",
        " - ",
        "Call ",
        " office",
        "card ",
        "ssn ",
        "order ",
        "https://",
        "www.",
        "GB82",
        "AB12 ",
        "::",
        "é",
        "\ud800",
        "٣",
    ],
)
TEXTS = st.lists(st.one_of(FRAGMENTS, st.text("0123456789 -.()+:@ab", max_size=12)), max_size=9).map(lambda parts: "".join(parts)[:300])


@given(TEXTS)
@example("(212) 555 0123@example.com")
@example("4111 1111 1111 1111 " * 8)
@example("1" * 150 + " 212-555-0123")
@example("a@bb.cc@dd.ee@ff.gg" * 8)
@example("212-555-0123 x12345")
@example("555-0123 ext. 45 mobile")
def test_the_promises_of_a_stream_hold(text: str) -> None:
    holds(GUARD, text)


@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "1 ",
        "1-",
        "(",
        "+",
        "+1 ",
        "a.",
        "a.b ",
        ".",
        "@",
        "a@",
        "a@b.c",
        ":",
        "::",
        "1:",
        "AB12 ",
        "AB12",
        "GB82 WEST 1234 ",
        "4111 ",
        "\ud800",
        "x1",
    ],
)
def test_a_megabyte_of_anything_is_looked_at(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    assert all(isinstance(finding, Finding) for finding in GUARD.check(text))
    assert len(text) - 80 <= GUARD.open_from(text)


def test_the_libraries_come_with_the_first_guard() -> None:
    loaded = "print('phonenumbers' in sys.modules)"
    code = f"import sys, llmlab.pipeline.guardrails as guards; {loaded}; guards.PIIGuard(); {loaded}"
    assert "False\nTrue\n" == subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(("country", "length"), [("DE", 22), ("NO", 15), ("MT", 31), ("ZZ", 0)])
def test_an_account_has_the_length_of_its_country(country: str, length: int) -> None:
    assert length == validators.iban_length(country)


@pytest.mark.parametrize("text", ["DE89 " * 40_000, "ES89 " * 40_000, "KZ12 1231 " * 20_000, "ZZ99" * 40_000])
def test_a_text_full_of_what_begins_like_an_account_is_no_trouble(text: str) -> None:
    assert [] == PIIGuard().check(text)
