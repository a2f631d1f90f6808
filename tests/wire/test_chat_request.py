from __future__ import annotations

from typing import Any

import pytest

from llmlab.protocol.models import find
from llmlab.wire.chat_errors import Refusal
from llmlab.wire.chat_request import ChatRequest, Tool, parse, tool_choice_in, tools_in

HELLO = [{"role": "user", "content": "Hello"}]


def parsed(model: str = "gpt-4o", /, **body: Any) -> ChatRequest:
    return parse({"model": model, "messages": HELLO, **body}, find(model))


def refused(model: str = "gpt-4o", /, **body: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        parsed(model, **body)
    return caught.value


def test_defaults() -> None:
    request = parsed()
    expected = (False, 1, (), None, "text", "none", True, None, None)
    assert expected == (
        request.stream,
        request.choices,
        request.stop,
        request.max_tokens,
        request.format,
        request.tool_choice,
        request.parallel,
        request.seed,
        request.effort,
    )
    assert 8 == request.prompt_tokens


def test_what_is_accepted_and_changes_nothing() -> None:
    parsed(
        top_p=0.9, presence_penalty=0.1, user="u", metadata={"a": "b"}, store=True, logit_bias={}, service_tier="auto", modalities=["text"]
    )


@pytest.mark.parametrize(
    ("body", "message", "param", "code"),
    [
        ({"temprature": 1}, "Unknown parameter: 'temprature'.", "temprature", "unknown_parameter"),
        ({"web_search_options": {}}, "Web search options not supported with this model.", "web_search_options", None),
        (
            {"temperature": 3},
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3.0 instead.",
            "temperature",
            "decimal_above_max_value",
        ),
        (
            {"temperature": -0.5},
            "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -0.5 instead.",
            "temperature",
            "decimal_below_min_value",
        ),
        (
            {"temperature": "hot"},
            "Invalid type for 'temperature': expected a decimal, but got a string instead.",
            "temperature",
            "invalid_type",
        ),
        (
            {"top_p": 1.5},
            "Invalid 'top_p': decimal above maximum value. Expected a value <= 1, but got 1.5 instead.",
            "top_p",
            "decimal_above_max_value",
        ),
        ({"stream": "yes"}, "Invalid type for 'stream': expected a boolean, but got a string instead.", "stream", "invalid_type"),
        ({"n": 0}, "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.", "n", "integer_below_min_value"),
        (
            {"n": 129},
            "Invalid 'n': integer above maximum value. Expected a value <= 128, but got 129 instead.",
            "n",
            "integer_above_max_value",
        ),
        ({"n": True}, "Invalid type for 'n': expected an integer, but got a boolean instead.", "n", "invalid_type"),
        ({"seed": 1.5}, "Invalid type for 'seed': expected an integer, but got a decimal instead.", "seed", "invalid_type"),
        (
            {"max_tokens": 0},
            "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.",
            "max_tokens",
            "integer_below_min_value",
        ),
        (
            {"max_completion_tokens": 20_000},
            "max_completion_tokens is too large: 20000. This model supports at most 16384 completion tokens, whereas you provided 20000.",
            "max_completion_tokens",
            "invalid_value",
        ),
        (
            {"max_tokens": 5, "max_completion_tokens": 5},
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "max_tokens",
            "invalid_parameter_combination",
        ),
        (
            {"stream_options": {"include_usage": True}},
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options",
            None,
        ),
        (
            {"stream": True, "stream_options": 1},
            "Invalid type for 'stream_options': expected an object, but got an integer instead.",
            "stream_options",
            "invalid_type",
        ),
        (
            {"stream": True, "stream_options": {"include_usage": 1}},
            "Invalid type for 'stream_options.include_usage': expected a boolean, but got an integer instead.",
            "stream_options.include_usage",
            "invalid_type",
        ),
        (
            {"stop": 5},
            "Invalid type for 'stop': expected one of a string or array of strings, but got an integer instead.",
            "stop",
            "invalid_type",
        ),
        (
            {"stop": list("abcde")},
            "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length 5 instead.",
            "stop",
            "array_above_max_length",
        ),
        ({"logprobs": True}, "You are not allowed to request logprobs from this model.", None, None),
        ({"modalities": ["audio"]}, "Invalid value: '['audio']'. Supported values are: 'text'.", "modalities", "invalid_value"),
        ({"reasoning_effort": "low"}, "Unrecognized request argument supplied: reasoning_effort", None, None),
        (
            {"response_format": "json"},
            "Invalid type for 'response_format': expected an object, but got a string instead.",
            "response_format",
            "invalid_type",
        ),
        (
            {"response_format": {}},
            "Missing required parameter: 'response_format.type'.",
            "response_format.type",
            "missing_required_parameter",
        ),
        (
            {"response_format": {"type": "xml"}},
            "Invalid value: 'xml'. Supported values are: 'json_object', 'json_schema', and 'text'.",
            "response_format.type",
            "invalid_value",
        ),
        (
            {"response_format": {"type": "json_object"}},
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            "messages",
            None,
        ),
        (
            {"response_format": {"type": "json_schema"}},
            "Missing required parameter: 'response_format.json_schema'.",
            "response_format.json_schema",
            "missing_required_parameter",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {}}},
            "Missing required parameter: 'response_format.json_schema.name'.",
            "response_format.json_schema.name",
            "missing_required_parameter",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            "Missing required parameter: 'response_format.json_schema.schema'.",
            "response_format.json_schema.schema",
            "missing_required_parameter",
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "strict": True, "schema": {"type": "object", "properties": {}}},
                }
            },
            "Invalid schema for response_format 'x': In context=(), 'additionalProperties' is required to be supplied and to be false.",
            "response_format",
            None,
        ),
    ],
)
def test_what_openai_refuses_is_refused_in_its_words(body: dict[str, Any], message: str, param: str | None, code: str | None) -> None:
    refusal = refused(**body)
    assert (message, param, code) == (refusal.message, refusal.param, refusal.code)
    assert refusal.status == (403 if "logprobs" in body else 400)


def test_a_reasoning_model_refuses_what_it_does_not_support() -> None:
    expected = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    assert (expected, "unsupported_parameter") == ((refusal := refused("gpt-5.2", max_tokens=10)).message, refusal.code)
    expected = "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported."
    assert (expected, "unsupported_value") == ((refusal := refused("gpt-5.2", temperature=0)).message, refusal.code)
    assert (
        "Supported values are: 'none', 'minimal', 'low', 'medium', 'high', and 'xhigh'."
        in refused("gpt-5.2", reasoning_effort="max").message
    )


def test_a_reasoning_model_accepts_the_rest() -> None:
    assert "medium" == parsed("gpt-5.2").effort
    assert "none" == parsed("gpt-5.2", reasoning_effort="none", temperature=0.3).effort
    assert 100_000 == parsed("gpt-5.2", max_completion_tokens=100_000, temperature=1).max_tokens


def test_a_prompt_that_is_too_long_is_refused() -> None:
    refusal = refused(messages=[{"role": "user", "content": "word " * 130_000}])
    assert "context_length_exceeded" == refusal.code
    assert refusal.message.startswith("This model's maximum context length is 128000 tokens. However, your messages resulted in 130")


def test_prompt_and_answer_together_are_too_long() -> None:
    refusal = refused(messages=[{"role": "user", "content": "word " * 120_000}], max_tokens=16_000)
    assert "in the completion). Please reduce the length of the messages or completion." in refusal.message


def test_what_was_asked_for_is_understood() -> None:
    request = parsed(stream=True, stream_options={"include_usage": True}, n=3, stop="END", max_tokens=7, seed=5, parallel_tool_calls=False)
    assert (True, True, 3, ("END",), 7, 5, False) == (
        request.stream,
        request.include_usage,
        request.choices,
        request.stop,
        request.max_tokens,
        request.seed,
        request.parallel,
    )
    assert ("a", "b") == parsed(stop=["a", "", "b"]).stop
    assert "text" == parsed(response_format={"type": "text"}).format
    schema = {"type": "object"}
    made = parsed(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert ("json_schema", schema) == (made.format, made.schema)


def test_tools_and_schemas_are_part_of_the_prompt() -> None:
    tool = {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {"query": {"type": "string"}}}}}
    assert parsed(tools=[tool]).prompt_tokens > parsed().prompt_tokens


FIND = {
    "type": "function",
    "function": {"name": "find", "description": "Find an order.", "parameters": {"type": "object", "properties": {}}},
}
TOOLS = (Tool("find", "", {}),)


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ("find", "Invalid type for 'tools': expected an array of objects, but got a string instead."),
        ([], "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead."),
        (["find"], "Invalid type for 'tools[0]': expected an object, but got a string instead."),
        ([{"type": "search"}], "Invalid value: 'search'. Supported values are: 'function' and 'custom'."),
        ([{"type": "function"}], "Missing required parameter: 'tools[0].function'."),
        ([{"type": "function", "function": {}}], "Missing required parameter: 'tools[0].function.name'."),
        (
            [{"type": "function", "function": {"name": "find it"}}],
            "Invalid 'tools[0].function.name': string does not match pattern. "
            "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
        ),
        (
            [FIND, {"type": "function", "function": {"name": "x", "parameters": 5}}],
            "Invalid type for 'tools[1].function.parameters': expected an object, but got an integer instead.",
        ),
        (
            [{"type": "function", "function": {"name": "x", "strict": True, "parameters": {"type": "object", "properties": {}}}}],
            "Invalid schema for function 'x': In context=(), 'additionalProperties' is required to be supplied and to be false.",
        ),
    ],
)
def test_wrong_tools_are_refused_in_openais_words(tools: Any, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        tools_in({"tools": tools})
    assert message == caught.value.message


def test_tools_are_read() -> None:
    assert () == tools_in({})
    assert (Tool("find", "Find an order.", {"type": "object", "properties": {}}),) == tools_in({"tools": [FIND]})
    assert {"type": "object", "properties": {}} == tools_in({"tools": [{"type": "function", "function": {"name": "now"}}]})[0].parameters


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, "auto"),
        ("none", "none"),
        ("auto", "auto"),
        ("required", "required"),
        ({"type": "function", "function": {"name": "find"}}, "=find"),
    ],
)
def test_a_choice_of_tool_is_understood(choice: Any, expected: str) -> None:
    assert expected == tool_choice_in({"tool_choice": choice}, TOOLS)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("always", "Invalid value: 'always'. Supported values are: 'none', 'auto', and 'required'."),
        ({"type": "function", "function": {"name": "lose"}}, "Tool choice 'lose' not found in 'tools' parameter."),
    ],
)
def test_a_choice_that_cannot_be_is_refused(choice: Any, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        tool_choice_in({"tool_choice": choice}, TOOLS)
    assert message == caught.value.message


def test_there_is_nothing_to_choose_without_tools() -> None:
    assert "none" == tool_choice_in({}, ())
    with pytest.raises(Refusal, match="'tool_choice' is only allowed when 'tools' are specified"):
        tool_choice_in({"tool_choice": "auto"}, ())
