from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.errors import BadInput
from llmlab.pipeline.guardrails import LinkGuard, Streaming

from .streaming_law import holds

GUARD = LinkGuard(allow=("example.com", "bücher.de"))


@pytest.mark.parametrize(
    "text",
    [
        "See https://example.com.",
        "See (https://example.com), or HTTPS://Docs.Example.COM:8080/a?b=c#d!",
        "https://example.com.",
        "https://example.com./path",
        "www.example.com",
        "[help](https://example.com)",
        "[help](https://example.com/a_(b)) and ![logo](//cdn.example.com/x.png)",
        '<a href="https://example.com">',
        "<https://example.com>",
        "https://user@example.com/",
        "https://xn--bcher-kva.de/ https://www.bücher.de/ https://ｅxample.com/",
        "https:\\\\example.com\\path",
        "Use https: it is secure. http://",
        "The data: 5, 6. Our data:protection. JavaScript: the good parts. A metadata:text/html",
        "example.org, a//b, mail@www.there, /www.there, www.",
        "https://example.com/" + "x" * 300,
        "https://?",
        "![logo]( //cdn.example.com/x.png) [x]: <//example.com> [x](http:example.com/p)",
        "f(a, //todo: more) and x = //todo, // or a. //b.c, news:comp.lang, https:yes, http:8080",
        "AT&T, a &amp; b, &#104; is h, C:\\://x, data&colon; 5, (&sol;a) and //&#47;evil.org and &#47;/evil.org",
        "",
    ],
)
def test_links_to_allowed_hosts_and_what_is_no_link_pass(text: str) -> None:
    assert [] == GUARD.check(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See https://evil.org/x.", "https://evil.org/x"),
        ("(https://evil.org)and", "https://evil.org"),
        ("http://example.com.evil.org/", "http://example.com.evil.org/"),
        ("http://notexample.com", "http://notexample.com"),
        ("https://example.com@evil.org/", "https://example.com@evil.org/"),
        ("https://example.com:x@evil.org", "https://example.com:x@evil.org"),
        ("https://example.com\\@evil.org", ""),
        ("https:\\\\evil.org", "https:\\\\evil.org"),
        ("https:/evil.org", "https:/evil.org"),
        ("https:///evil.org", "https:///evil.org"),
        ("https://example.com)x.evil.org/", "https://example.com)x.evil.org/"),
        ("https://ex%61mple.com/", "https://ex%61mple.com/"),
        ("https://exаmple.com/", "https://exаmple.com/"),
        ("https://xn--exmple-4nf.com/", "https://xn--exmple-4nf.com/"),
        ("http://127.0.0.1:80/ ", "http://127.0.0.1:80/"),
        ("http://2130706433/", "http://2130706433/"),
        ("http://[::1]/", "http://[::1]/"),
        ("a www.evil.org, b", "www.evil.org"),
        ("![x](https://evil.org/?q=secret)", "https://evil.org/?q=secret"),
        ("![x](//evil.org/a.png)", "//evil.org/a.png"),
        ('<img src="//evil.org/a.png">', "//evil.org/a.png"),
        ("https://example.com/?to=https://evil.org", "https://evil.org"),
        ("wss://evil.org ftp://example.com", "wss://evil.org"),
        ("[x](javascript:alert(1))", "javascript:alert(1"),
        ("[x](JavaScript:alert)", "JavaScript:alert"),
        ("data:text/html;base64,PHNj", "data:text/html;base64,PHNj"),
        ("data:,hello", "data:,hello"),
        ("https://evil.org/" + "x" * 300, "https://evil.org/" + "x" * 93),
        ("https://" + "x" * 300 + "example.com", "https://" + "x" * 102),
        ("https://" + "x." * 51 + "example.com", "https://" + "x." * 50 + "x"),
        ("![x]( //evil.example/p)", "//evil.example/p"),
        ("![x](<//evil.example/p>)", "//evil.example/p"),
        ("[x]: //evil.example/p", "//evil.example/p"),
        ("[x]://evil.example/p", "//evil.example/p"),
        ("[x]:\n  <//evil.example/p>", "//evil.example/p"),
        ("![x](" + " " * 200 + "//evil.example/p)", "//evil.example/p"),
        ('<img src = " //evil.example/p">', "//evil.example/p"),
        ('<img srcset="a.png, //evil.example/p 2x">', "//evil.example/p"),
        ("![x](&#32;//2130706433/p)", "//2130706433/p"),
        ("[x](https\\://evil.example/)", "https\\://evil.example/"),
        ("![x](https&#58;//evil.example/p)", "https&#58;//evil.example/p"),
        ("![x](&#104;ttps://evil.example/p)", "&#104;ttps://evil.example/p"),
        ("![x](h&#x0074tps&colon;&sol;&sol;example.com)", "h&#x0074tps&colon;&sol;&sol;example.com"),
        ("![x](&#47;/evil.example/p)", "&#47;/evil.example/p"),
        ("![x](/&sol;evil.example/p)", "/&sol;evil.example/p"),
        ("www\\.evil.example", "www\\.evil.example"),
        ("[x](java&Tab;script:alert)", "java&Tab;script:alert"),
        ("![x](&#" + "0" * 200 + "104;ttps://evil.example)", "&#" + "0" * 108),
        ("![x](data:text&sol;html,x)", "data:text&sol;html,x"),
        ("[x](http:evil.example/p)", "http:evil.example/p"),
        ("[x](https:2130706433)", "https:2130706433"),
        ("http:" + "x" * 300 + "@evil.example", "http:" + "x" * 105),
        ("https:&#47;evil.example", "https:&#47;evil.example"),
        ("https://evil.org&sol;.example.com/", "https://evil.org&sol;.example.com/"),
        ("https://evil.org／.example.com/", "https://evil.org／.example.com/"),
        ("https://a..example.com", ""),
        ("https://" + "x" * 64 + ".evil.org", "https://" + "x" * 64 + ".evil.org"),
    ],
)
def test_other_links_are_found_however_they_are_written(text: str, expected: str) -> None:
    found = GUARD.check(text)
    assert ([expected] if expected else [text] if "a.." in text else []) == [text[one.start : one.end] for one in found]


def test_a_rule_says_what_is_wrong() -> None:
    assert ["link.host", "link.scheme"] == [found.rule for found in GUARD.check("http://evil.org data:text/plain,x")]
    assert ["link.host"] == [found.rule for found in LinkGuard().check("https://example.com")]


def test_an_earlier_link_that_is_open_holds_a_later_one_back() -> None:
    holds(LinkGuard(allow=("example.com",)), "data:www.example.com/html,<b> x")


PARTS = [
    *("https\\", "&#", "58", "104;", "ttps", "&colon;", "&sol;", "x", "00000", "[x]:", "  ", "\t", "javascript", "6433"),
    *("http", "s", ":", "/", "//", "www", ".", "example", ".com", "evil", ".org", "@", " ", "(", ")", '"', "data", "java", "script:"),
    *("text/", "\\", "?", "x" * 45, ",", "ß", "<", "=", "https://example.com/", "https://evil.org/"),
]


@given(st.lists(st.sampled_from(PARTS), max_size=16))
def test_links_keep_the_promises_of_streaming(parts: list[str]) -> None:
    holds(GUARD, "".join(parts))


def test_a_link_to_an_allowed_host_is_released_when_the_host_is_known() -> None:
    assert isinstance(GUARD, Streaming)
    assert [4, 4, 4, 24] == [GUARD.open_from(f"See {link}") for link in ("h", "https:/", "https://example.com", "https://example.com/")]
    assert 4 == GUARD.open_from("See https://evil.org/path")
    assert 4 == GUARD.open_from("See data:text")


@pytest.mark.parametrize("text", ["https://" * 25_000, "data:" * 40_000, "(" * 200_000, "www." * 50_000, "https://" + "@" * 200_000])
def test_a_long_text_is_no_trouble(text: str) -> None:
    assert GUARD.open_from(text) >= len(text) - 120
    GUARD.check(text)


@pytest.mark.parametrize("allow", ["example.com", (7,), ("https://example.com",), ("",), ("a b",)])
def test_a_host_that_is_none_is_refused(allow: Any) -> None:
    with pytest.raises(BadInput, match="allow is a tuple of hosts"):
        LinkGuard(allow=allow)
