from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from llmlab.protocol.models import MODELS
from llmlab.protocol.sse import DONE, Events
from llmlab.wire.chat_format import CREATED, Choice, Head, ToolCall, completion, events, letters, model_list

HEAD = Head("chatcmpl-1", "gpt-4o-2024-08-06", "fp_simulated_0")
TEXT = Choice(("It", " costs", ' "$5"', ".\n"), (), "stop")
CALLS = Choice((), (ToolCall("call_1", "find", ('{"', "id", '": 1}')), ToolCall("call_2", "find", ("{}",))), "tool_calls")


def chunks(*choices: Choice, include_usage: bool = True) -> list[dict]:
    reader = Events()
    fields = [field for event in events(HEAD, choices, 12, include_usage=include_usage) for field in reader.feed(event.data)]
    assert DONE == fields[-1]
    return [json.loads(field) for field in fields[:-1]]


def test_a_whole_answer_has_openais_fields_in_openais_order() -> None:
    body = json.loads(completion(HEAD, [TEXT], 12))
    assert ["id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint"] == list(body)
    expected = {
        "index": 0,
        "message": {"role": "assistant", "content": 'It costs "$5".\n', "refusal": None, "annotations": []},
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert [expected] == body["choices"]
    assert {
        "prompt_tokens": 12,
        "completion_tokens": 4,
        "total_tokens": 16,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    } == body["usage"]
    assert ("chatcmpl-1", "chat.completion", CREATED, "default") == (body["id"], body["object"], body["created"], body["service_tier"])


def test_a_whole_answer_is_indented_as_openai_indents_it() -> None:
    text = completion(HEAD, [TEXT, CALLS], 12).decode()
    assert json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n" == text


def test_tool_calls_take_the_place_of_the_content() -> None:
    message = json.loads(completion(HEAD, [CALLS], 12))["choices"][0]["message"]
    assert message["content"] is None
    expected = [
        {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"id": 1}'}},
        {"id": "call_2", "type": "function", "function": {"name": "find", "arguments": "{}"}},
    ]
    assert expected == message["tool_calls"]


def test_a_stream_is_role_deltas_finish_usage_done() -> None:
    made = chunks(TEXT)
    assert ["id", "object", "created", "model", "service_tier", "system_fingerprint", "choices", "usage"] == list(made[0])
    deltas = [chunk["choices"][0]["delta"] for chunk in made[:-1]]
    assert [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "It"},
        {"content": " costs"},
        {"content": ' "$5"'},
        {"content": ".\n"},
        {},
    ] == deltas
    assert [None] * 5 + ["stop"] == [chunk["choices"][0]["finish_reason"] for chunk in made[:-1]]
    assert all(chunk["usage"] is None for chunk in made[:-1])
    assert [] == made[-1]["choices"]
    assert json.loads(completion(HEAD, [TEXT], 12))["usage"] == made[-1]["usage"]


def test_without_include_usage_there_is_no_usage_at_all() -> None:
    made = chunks(TEXT, include_usage=False)
    assert all("usage" not in chunk for chunk in made)
    assert "stop" == made[-1]["choices"][0]["finish_reason"]


def test_arguments_are_streamed_token_by_token() -> None:
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(CALLS)[:-1]]
    assert {"role": "assistant", "content": None, "refusal": None} == deltas[0]
    assert [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "find", "arguments": ""}}] == deltas[1]["tool_calls"]
    assert '{"id": 1}' == "".join(delta["tool_calls"][0]["function"]["arguments"] for delta in deltas[1:5])
    assert (1, "call_2") == (deltas[5]["tool_calls"][0]["index"], deltas[5]["tool_calls"][0]["id"])


def test_several_choices_are_interleaved() -> None:
    made = chunks(TEXT, Choice(("Free", "."), (), "length"))
    order = [chunk["choices"][0]["index"] for chunk in made[:-1]]
    assert [0, 1, 0, 1, 0, 1, 0, 0, 0, 1] == order
    assert 6 == made[-1]["usage"]["completion_tokens"]


def test_hidden_reasoning_comes_before_the_first_token() -> None:
    thinking = TEXT._replace(reasoning_tokens=64)
    assert [0, 64, 65, 66, 67, 67, 67] == [event.token for event in events(HEAD, [thinking], 12, include_usage=False)]
    assert 68 == thinking.size
    usage = json.loads(completion(HEAD, [thinking], 12))["usage"]
    assert (68, 64) == (usage["completion_tokens"], usage["completion_tokens_details"]["reasoning_tokens"])


def test_an_answer_of_nothing_is_a_stream_too() -> None:
    made = chunks(Choice((), (), "length", 10))
    assert ["length"] == [chunk["choices"][0]["finish_reason"] for chunk in made[:-1] if chunk["choices"][0]["finish_reason"]]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=8))
def test_any_text_survives_both_ways(parts: list[str]) -> None:
    choice = Choice(tuple(parts), (), "stop")
    assert "".join(parts) == json.loads(completion(HEAD, [choice], 1))["choices"][0]["message"]["content"]
    assert "".join(parts) == "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks(choice)[:-1])


def test_letters_belong_to_their_key() -> None:
    assert letters(24, "a", 1) == letters(24, "a", 1) != letters(24, "a", 2)
    assert 24 == len(letters(24, "a"))
    assert letters(24, "a").isalnum()


def test_the_models_are_listed_with_their_snapshots() -> None:
    listed = model_list(MODELS)
    names = ["gpt-4o-mini", "gpt-4o-mini-2024-07-18", "gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-2024-11-20", "gpt-5.2", "gpt-5.2-2025-12-11"]
    assert names == [entry["id"] for entry in listed["data"]]
    assert {"id", "object", "created", "owned_by"} == set(listed["data"][0])
