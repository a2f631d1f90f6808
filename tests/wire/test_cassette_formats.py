from __future__ import annotations

from typing import Any

import pytest

from llmlab.wire.cassette_formats import native

REQUEST = {"method": "POST", "uri": "https://host/v1/x", "body": "{}", "headers": {"a": ["b"]}}
RESPONSE = {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "hi"}}


def turned(request: dict[str, Any], response: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    interaction = {"request": dict(request), "response": dict(response)}
    return native(interaction, "vcrpy"), interaction


def test_vcrpys_own_form_stays_as_it_is() -> None:
    assert ("vcrpy", {"request": REQUEST, "response": RESPONSE}) == turned(REQUEST, RESPONSE)


def test_parsed_bodies_become_json() -> None:
    request = {"method": "POST", "uri": "u", "headers": {}, "parsed_body": {"a": "é"}}
    response = {"status": {"code": 200, "message": "OK"}, "headers": {"Content-Length": ["9"], "x": ["y"]}, "parsed_body": [1]}
    known, got = turned(request, response)
    assert "parsed_body" == known
    assert '{"a":"é"}' == got["request"]["body"]
    assert ({"string": "[1]"}, {"x": ["y"]}) == (got["response"]["body"], got["response"]["headers"])


def test_parsed_bodies_need_no_headers() -> None:
    _, got = turned(REQUEST, {"status": {"code": 200}, "parsed_body": 1})
    assert {"status": {"code": 200, "message": None}, "body": {"string": "1"}} == got["response"]


def test_go_vcr_is_read() -> None:
    request = {"method": "POST", "url": "u", "headers": {"A": ["b"]}, "body": "{}", "proto": "HTTP/1.1"}
    known, got = turned(request, {"status": "404 Not Found", "code": 404, "headers": {}, "body": "no"})
    assert "go-vcr" == known
    assert {"method": "POST", "uri": "u", "body": "{}", "headers": {"A": ["b"]}} == got["request"]
    assert ({"code": 404, "message": "Not Found"}, {"string": "no"}) == (got["response"]["status"], got["response"]["body"])


def test_vcrpys_older_form_for_httpx_is_read() -> None:
    _, got = turned(REQUEST, {"status_code": 201, "headers": {}, "content": "text"})
    assert ({"code": 201, "message": None}, {"string": "text"}) == (got["response"]["status"], got["response"]["body"])


@pytest.mark.parametrize(
    ("expected", "body"),
    [({"string": ""}, None), ({"string": "x"}, "x"), ({"string": ""}, {"string": None}), ({"string": "x"}, {"string": "x"})],
)
def test_a_body_may_be_missing_or_bare(expected: dict[str, str], body: Any) -> None:
    assert expected == turned(REQUEST, {**RESPONSE, "body": body})[1]["response"]["body"]


@pytest.mark.parametrize(("expected", "body"), [('{"a":1}', {"a": 1}), ("[1]", [1]), ("5", 5), (None, None), (b"x", b"x")])
def test_a_request_body_that_yaml_took_for_data_is_json_again(expected: Any, body: Any) -> None:
    assert expected == turned({**REQUEST, "body": body}, RESPONSE)[1]["request"]["body"]


def test_headers_without_a_value_stay_empty() -> None:
    assert {"a": "", "1": ["x"]} == turned({**REQUEST, "headers": {"a": [], 1: ["x"]}}, RESPONSE)[1]["request"]["headers"]
    assert {} == turned({**REQUEST, "headers": None}, RESPONSE)[1]["request"]["headers"]


@pytest.mark.parametrize(
    ("message", "interaction"),
    [
        ("no mapping", "text"),
        ("request", {"response": RESPONSE}),
        ("response", {"request": REQUEST}),
        ("response", {"request": REQUEST, "response": None}),
        ("status code", {"request": REQUEST, "response": {"body": {"string": ""}}}),
        ("status code", {"request": REQUEST, "response": {"status": {"code": 20}}}),
        ("status code", {"request": REQUEST, "response": {"status": "200"}}),
        ("method", {"request": {"uri": "u"}, "response": RESPONSE}),
        ("no text", {"request": {"method": None, "uri": "u"}, "response": RESPONSE}),
    ],
)
def test_half_an_interaction_is_refused(message: str, interaction: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError), match=message):
        native(interaction, "vcrpy")
