from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from llmlab.wire.tape.interaction import Interaction, to_text
from llmlab.wire.tape.matching import Index, Place, Wanted, place_of, wanted_by

URL = "https://api.openai.com/v1/chat/completions"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def recorded(body: bytes | None, url: str = URL, method: str = "POST", **ours: Any) -> Interaction:
    request = {"method": method, "uri": url, "body": to_text(body) if body else None, "headers": {}}
    return {"request": request, "response": {"status": {"code": 200}, "llmlab": ours}}


def sent(body: bytes, url: str = URL, method: str = "POST") -> Wanted:
    return wanted_by(recorded(body, url, method))


def chat(question: str, model: str = "gpt-4o", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": question}], **more}


def index_of(*bodies: Any, url: str = URL) -> Index:
    return Index([recorded(body if isinstance(body, bytes) else json.dumps(body).encode(), url) for body in bodies])


def message(body: Any, index: Index, method: str = "POST", url: str = URL) -> str:
    return index.explain(Path("help.yaml"), sent(body if isinstance(body, bytes) else json.dumps(body).encode(), url, method))


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_the_same_json_matches_however_it_is_written(body: dict[str, Any]) -> None:
    compact = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    pretty = json.dumps(dict(reversed(body.items())), indent=2).encode()
    assert sent(compact).digest == sent(pretty).digest == wanted_by(recorded(compact)).digest


@given(json_values, json_values)
def test_another_json_does_not_match(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert same == (sent(json.dumps({"a": one}).encode()).digest == sent(json.dumps({"a": other}).encode()).digest)


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
    assert [0, 2] == index.takes(sent(b'{"a":1}'))
    assert [0, 2] == index.takes(sent(b'{"a":1}', "http://localhost:9/v1/chat/completions"))
    assert not index.takes(sent(b'{"a":2}'))


def test_the_host_counts_where_it_tells_two_apart() -> None:
    there = "https://openrouter.ai/api/v1/chat/completions"
    index = Index([recorded(b"{}"), recorded(b"{}", there), recorded(b"{}")])
    assert [0, 2] == index.takes(sent(b"{}"))
    assert [1] == index.takes(sent(b"{}", there))
    elsewhere = "https://elsewhere/v1/chat/completions"
    assert not index.takes(sent(b"{}", elsewhere))
    assert "recorded from api.openai.com, openrouter.ai/api" in message({}, index, url=elsewhere)


def test_an_abandoned_take_is_played_only_where_there_is_no_other() -> None:
    index = Index([recorded(b"{}", abandoned=True), recorded(b"{}"), recorded(b"[1]", abandoned=True)])
    assert [1] == index.takes(sent(b"{}"))
    assert [2] == index.takes(sent(b"[1]"))


def test_the_model_is_known_for_finding_the_nearest() -> None:
    assert "gpt" == sent(b'{"model":"gpt"}').model
    assert "" == sent(b'{"model":5}').model
    assert "" == sent(b"[1]").model


def test_the_message_shows_the_nearest_request_what_differs_and_how_to_record() -> None:
    index = index_of(chat("What is the refund period?"), chat("Where is my order 1234?", temperature=0), chat("Hello"))
    assert """nothing recorded in help.yaml answers this request:
  POST api.openai.com .../chat/completions (83 bytes, model gpt-4o)
nearest recorded request (interaction 2 of 3):
  POST api.openai.com .../chat/completions (99 bytes, model gpt-4o)
what differs, recorded -> sent:
  messages[0].content: "Where is my order 1234?" -> "Where is my order 1235?"
  temperature: 0 -> absent
To record it: llmlab record
or, in Python: Cassette('help.yaml', inner=..., record_mode='new_episodes')""" == message(chat("Where is my order 1235?"), index)


def test_the_same_model_is_nearer_than_the_same_words() -> None:
    index = index_of(chat("Where is it?", model="other"), chat("Something else"))
    assert "interaction 2 of 2" in message(chat("Where is it!"), index)


def test_another_model_is_nearer_than_another_path() -> None:
    index = index_of(chat("Where is it?", model="other"))
    assert 'model: "other" -> "gpt-4o"' in message(chat("Where is it?"), index)


def test_the_wrong_method_and_path_are_named() -> None:
    shown = message(b"", index_of(b"", url="https://h/v1/models"), "GET", "https://h/v1/files?limit=3")
    assert "method: POST -> GET" in shown
    assert "path: /models -> /files?limit=3" in shown


def test_long_values_are_shortened_around_the_difference() -> None:
    words = "a very long document " * 200
    shown = message(chat(words + "ending in B" + words), index_of(chat(words + "ending in A" + words)))
    line = next(line for line in shown.splitlines() if "messages[0]" in line)
    assert "ending in A" in line
    assert "ending in B" in line
    assert 200 > len(line)


def test_the_message_is_short_however_much_differs() -> None:
    shown = message({f"k{i}": [i] * 50 for i in range(100)}, index_of({f"k{i}": [i + 1] * 50 for i in range(100)}))
    assert 25 > len(shown.splitlines())
    assert "and 4992 more" in shown
    assert all(200 > len(line) for line in shown.splitlines())


def test_different_kinds_of_values_differ() -> None:
    shown = message({"a": 1, "b": [1], "c": {"d": "x" * 99}}, index_of({"a": True, "b": [1, 2], "c": "no"}))
    assert "a: true -> 1" in shown
    assert "b[1]: 2 -> absent" in shown
    assert 'c: "no" -> absent' in shown
    assert 'c.d: absent -> "xxx' in shown


def test_bodies_that_are_no_json_are_compared_as_text() -> None:
    assert 'body: "abc" -> "abd"' in message(b"abd", index_of(b"abc"))


def test_an_empty_cassette_says_so() -> None:
    assert "It holds no interaction at all." in message({}, Index([]))


def test_the_nearest_of_many_is_found_by_how_it_ends() -> None:
    index = index_of(*[chat(f"{'the same words ' * 20} question {number:05}") for number in range(3_000)])
    wanted = sent(json.dumps(chat(f"{'the same words ' * 20} question 01000.")).encode())
    assert 1000 == index.nearest(wanted)


@pytest.mark.parametrize("body", [{"input": "text"}, {"messages": []}, {"input": [{"content": "x"}]}, [1]])
def test_any_body_has_a_nearest(body: Any) -> None:
    assert "interaction 1 of 1" in message(body, index_of(chat("Hello"), url=URL))
