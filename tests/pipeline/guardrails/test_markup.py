from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.data.help_desk import documents
from llmlab.pipeline.guardrails import FormatGuard

from .streaming_law import holds

GUARD = FormatGuard()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a <script>alert(1)</script>", [("format.script", "<script>"), ("format.script", "</script>")]),
        ('<IMG src="x" onerror=1>', [("format.img", '<IMG src="x" onerror=1>')]),
        ("<svg/onload=x>", [("format.svg", "<svg/onload=x>")]),
        ("<!-- x -->", [("format.markup", "<!-- x -->")]),
        ("<!DOCTYPE html>", [("format.markup", "<!DOCTYPE html>")]),
        ("<img src=x", [("format.img", "<img src=x")]),
        ("<a " + "x" * 200 + ">", [("format.a", "<a " + "x" * 107)]),
        ("\x1b[31m red", [("format.control", "\x1b")]),
        ("a\u202eb", [("format.control", "\u202e")]),
        ("<image src=x onerror=alert(1)>", [("format.image", "<image src=x onerror=alert(1)>")]),
        ("<xss onfocus=alert(1) tabindex=1 autofocus>", [("format.element", "<xss onfocus=alert(1) tabindex=1 autofocus>")]),
        ("<xss/onclick = x>", [("format.element", "<xss/onclick = x>")]),
        ("<XSS\nid=a\nautofocus", [("format.element", "<XSS\nid=a\nautofocus")]),
        ("<xss a" + " " * 200 + "onclick=x>", [("format.element", "<xss a" + " " * 104)]),
        ("<" + "x" * 60 + " onclick=x>", [("format.element", "<" + "x" * 60 + " onclick=x>")]),
        ("<bdi onclick=x>a</bdi>", [("format.bdi", "<bdi onclick=x>"), ("format.bdi", "</bdi>")]),
        ("<plaintext> <xmp>", [("format.plaintext", "<plaintext>"), ("format.xmp", "<xmp>")]),
        ("<my-widget></my-widget>", [("format.element", "<my-widget>")]),
        ("<n; onclick=x>", [("format.element", "<n; onclick=x>")]),
        ("<x<y id=1>", [("format.element", "<y id=1>")]),
        ("<order number>, <ada-l@example.com>, <https://example.com/a?b=c&once=1>, </xss a=b>, i<n; x=1, a <y <3, <x", []),
        ("1 < 2, x <y, a <- b, <https://example.com>, <3, <scripted>, <b\tin a row\n\r\n"[:50], []),
        ("", []),
    ],
)
def test_tags_and_control_characters_are_found(text: str, expected: list[tuple[str, str]]) -> None:
    assert expected == [(found.rule, text[found.start : found.end]) for found in GUARD.check(text)]


def test_the_help_desks_own_pages_are_plain() -> None:
    assert [] == [found for page in documents() for found in GUARD.check(page.text)]


PARTS = [
    *("xss", "-", " on", "click", "=", "image", "  " * 5),
    "<",
    "/",
    "script",
    "a",
    " ",
    ">",
    "x" * 55,
    "!--",
    "!doc",
    "type ",
    "?xml",
    "-",
    "\x1b",
    "b",
]


@given(st.lists(st.sampled_from(PARTS), max_size=16))
def test_it_keeps_the_promises_of_streaming(parts: list[str]) -> None:
    holds(GUARD, "".join(parts))


def test_a_less_than_sign_is_released_when_it_is_no_tag() -> None:
    assert [2, 3, 5] == [GUARD.open_from(text) for text in ("1 <", "1<2", "1 <xy")[:2]] + [GUARD.open_from("1 < 2")]


@pytest.mark.parametrize("text", ["<" * 200_000, "<a " * 50_000, "\x00" * 200_000])
def test_a_long_text_is_no_trouble(text: str) -> None:
    assert GUARD.open_from(text) >= len(text) - 120
    GUARD.check(text)
