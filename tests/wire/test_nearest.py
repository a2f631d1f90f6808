from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from vcr.request import Request

from llmlab.protocol.identity import Stamper
from llmlab.wire.interaction import Interaction
from llmlab.wire.matching import Index, wanted
from llmlab.wire.nearest import explain, nearest

URL = "https://api.openai.com/v1/chat/completions"


def chat(question: str, model: str = "gpt-4o", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": question}], **more}


def index_of(*bodies: Any, url: str = URL) -> Index:
    encoded = [body if isinstance(body, bytes) else json.dumps(body).encode() for body in bodies]
    return Index([Interaction(Request("POST", url, body, {}), {"status": {"code": 200}}) for body in encoded])


def message(body: Any, index: Index, method: str = "POST", url: str = URL) -> str:
    request = httpx2.Request(method, url, content=body if isinstance(body, bytes) else json.dumps(body).encode())
    return explain(Path("help.yaml"), method, wanted(request, Stamper().stamp(request)), index)


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
    assert 'c: "no" -> {"d": "xxx' in shown


def test_bodies_that_are_no_json_are_compared_as_text() -> None:
    assert 'body: "abc" -> "abd"' in message(b"abd", index_of(b"abc"))


def test_several_hosts_are_named() -> None:
    both = [Interaction(Request("POST", f"https://{host}/v1/x", b"{}", {}), {}) for host in ("one", "two")]
    assert "recorded from one, two" in message({}, Index(both), url="https://three/v1/x")


def test_an_empty_cassette_says_so() -> None:
    assert "It holds no interaction at all." in message({}, Index([]))


def test_the_nearest_of_many_is_found_by_how_it_ends() -> None:
    index = index_of(*[chat(f"{'the same words ' * 20} question {number:05}") for number in range(3_000)])
    request = httpx2.Request("POST", URL, json=chat(f"{'the same words ' * 20} question 01000."))
    assert 1000 == nearest(wanted(request, Stamper().stamp(request)), index)


@pytest.mark.parametrize("body", [{"input": "text"}, {"messages": []}, {"input": [{"content": "x"}]}, [1]])
def test_any_body_has_a_nearest(body: Any) -> None:
    assert "interaction 1 of 1" in message(body, index_of(chat("Hello"), url=URL))
