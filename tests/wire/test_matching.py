from __future__ import annotations

import json
from typing import Any

import httpx2
import hypothesis.strategies as st
import pytest
from hypothesis import given
from vcr.request import Request

from llmlab.protocol.identity import Stamper
from llmlab.wire.interaction import Interaction
from llmlab.wire.matching import Index, Place, Wanted, place_of, wanted, wanted_by

URL = "https://api.openai.com/v1/chat/completions"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def recorded(body: bytes | None, url: str = URL, method: str = "POST", **ours: Any) -> Interaction:
    return Interaction(Request(method, url, body, {}), {"status": {"code": 200}, "llmlab": ours})


def sent(body: bytes, url: str = URL, method: str = "POST", **headers: str) -> Wanted:
    request = httpx2.Request(method, url, content=body, headers=headers)
    return wanted(request, Stamper().stamp(request))


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_the_same_json_matches_however_it_is_written(body: dict[str, Any]) -> None:
    compact = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    pretty = json.dumps(dict(reversed(body.items())), indent=2).encode()
    assert sent(compact).digest == sent(pretty).digest == wanted_by(recorded(compact)).digest


@given(json_values, json_values)
def test_another_json_does_not_match(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert same == (sent(json.dumps({"a": one}).encode()).digest == sent(json.dumps({"a": other}).encode()).digest)


def test_headers_never_matter() -> None:
    assert sent(b"{}", authorization="Bearer a", accept="x") == sent(b"{}", authorization="Bearer b")


def test_method_and_path_and_query_matter() -> None:
    digests = [
        sent(b"{}").digest,
        sent(b"{}", method="PUT").digest,
        sent(b"{}", URL + "/x").digest,
        sent(b"{}", URL + "?a=1").digest,
        sent(b"{}", URL + "?a=2").digest,
    ]
    assert 5 == len(set(digests))


@pytest.mark.parametrize(
    ("expected", "url"),
    [
        (Place("api.openai.com", "/chat/completions"), URL),
        (Place("api.openai.com", "/chat/completions"), "https://API.openai.com:443/v1/chat/completions"),
        (Place("openrouter.ai/api", "/chat/completions"), "https://openrouter.ai/api/v1/chat/completions"),
        (Place("host", "/models?a=&b=2"), "http://host:80/v1beta/models?b=2&a="),
        (Place("localhost:8000", "/chat/completions"), "http://localhost:8000/chat/completions"),
        (
            Place("x.openai.azure.com", "/openai/deployments/my model/chat/completions?api-version=2024-02-01"),
            "https://x.openai.azure.com/openai/deployments/my%20model/chat/completions?api-version=2024-02-01",
        ),
        (Place("x.openai.azure.com/openai", "/responses"), "https://x.openai.azure.com/openai/v1/responses"),
    ],
)
def test_the_path_counts_from_the_version_and_the_rest_is_the_site(expected: Place, url: str) -> None:
    assert expected == place_of(url)


def test_bodies_that_are_no_json_match_by_their_bytes() -> None:
    assert sent(b"\xff1").digest != sent(b"\xff2").digest
    assert sent(b"\xff1").digest == wanted_by(recorded(b"\xff1")).digest
    assert sent(b"").digest == wanted_by(recorded(None)).digest
    assert sent(b'{"a":NaN}').digest == wanted_by(recorded(b'{"a":NaN}')).digest


def test_secrets_do_not_matter() -> None:
    one, other = b'{"k":"sk-abcdef1234567890","a":1}', b'{"a":1,"k":"sk-zyxwvu0987654321"}'
    assert (
        sent(one, URL + "?key=1").digest
        == sent(other, URL + "?key=2").digest
        == wanted_by(recorded(b'{"a":1,"k":"[scrubbed]"}', URL + "?key=9")).digest
    )


def test_takes_come_in_recorded_order_whatever_their_host() -> None:
    index = Index([recorded(b'{"a":1}'), recorded(b"{}"), recorded(b'{"a": 1}')])
    assert (0, 2) == index.takes(sent(b'{"a":1}'))
    assert (0, 2) == index.takes(sent(b'{"a":1}', "http://localhost:9/v1/chat/completions"))
    assert () == index.takes(sent(b'{"a":2}'))


def test_the_host_counts_where_it_tells_two_apart() -> None:
    there = "https://openrouter.ai/api/v1/chat/completions"
    index = Index([recorded(b"{}"), recorded(b"{}", there), recorded(b"{}")])
    assert (0, 2) == index.takes(sent(b"{}"))
    assert (1,) == index.takes(sent(b"{}", there))
    assert () == index.takes(sent(b"{}", "https://elsewhere/v1/chat/completions"))
    assert ["api.openai.com", "openrouter.ai/api"] == index.sites(sent(b"{}"))


def test_an_abandoned_take_is_played_only_where_there_is_no_other() -> None:
    index = Index([recorded(b"{}", abandoned=True), recorded(b"{}"), recorded(b"[1]", abandoned=True)])
    assert (1,) == index.takes(sent(b"{}"))
    assert (2,) == index.takes(sent(b"[1]"))


def test_the_model_is_known_for_finding_the_nearest() -> None:
    assert "gpt" == sent(b'{"model":"gpt"}').model
    assert "" == sent(b'{"model":5}').model
    assert "" == sent(b"[1]").model
