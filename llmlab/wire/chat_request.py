"""A chat request, checked as OpenAI checks it: what is wrong is refused in its words, what a simulated model can't do as well."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from llmlab.protocol import tokens
from llmlab.protocol.models import Model
from llmlab.wire.chat_errors import Refusal, filled, in_range, missing, one_of, typed, wrong_type, wrong_value
from llmlab.wire.chat_messages import checked_messages, prompt_tokens_of
from llmlab.wire.json_schema import strict_violation

_MOST_COMPLETION_TOKENS = {"fast": 16_384, "main": 16_384, "strong": 128_000}
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
_PARAMETERS = """
logprobs max_completion_tokens max_tokens messages modalities model n parallel_tool_calls reasoning_effort response_format seed stop stream
stream_options temperature tool_choice tools top_logprobs top_p

frequency_penalty logit_bias metadata moderation prediction presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention
safety_identifier service_tier store user verbosity
"""
"""Those that are read, and those that change nothing."""
_KNOWN = frozenset(_PARAMETERS.split())


class Tool(NamedTuple):
    """A function that the model may call."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """What was asked for, after all checks."""

    messages: list[dict[str, Any]]
    prompt_tokens: int
    """Estimated tokens of messages, tools and schema."""
    stream: bool = False
    include_usage: bool = False
    choices: int = 1
    """Answers to give to the same prompt."""
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    """Most tokens of an answer, hidden reasoning included."""
    format: str = "text"
    """text, json_object or json_schema."""
    schema: dict[str, Any] | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """auto, none, required, or =name for a certain function."""
    parallel: bool = True
    """Whether several functions may be called at once."""
    seed: int | None = None
    effort: str | None = None
    """How long a reasoning model shall think."""


def parse(body: dict[str, Any], model: Model) -> ChatRequest:
    """Return the request in `body`.

    Args:
        body: The JSON that was sent.
        model: The model it is for.

    Raises:
        Refusal: OpenAI would refuse it, or the simulator can't do it.
    """
    for name in body:
        if name == "web_search_options":
            raise Refusal("Web search options not supported with this model.", name)
        if name not in _KNOWN:
            raise Refusal(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    messages = checked_messages(body)
    stream = _optional(body, "stream", "a boolean", False)
    tools = tools_in(body)
    kind, schema = _format(body, messages)
    effort = _effort(body, model)
    _temperature(body, model, effort)
    prompt_tokens, max_tokens = prompt_tokens_of(body), _max_tokens(body, model)
    if prompt_tokens + (max_tokens or 0) > model.context_tokens:
        raise _over_context(model.context_tokens, prompt_tokens, max_tokens or 0)
    if body.get("logprobs") or body.get("top_logprobs"):
        raise Refusal("You are not allowed to request logprobs from this model.", status=403)
    if body.get("modalities") not in (None, ["text"]):
        raise wrong_value(body["modalities"], "modalities", ("text",))
    return ChatRequest(
        messages=messages,
        prompt_tokens=prompt_tokens,
        stream=stream,
        include_usage=_include_usage(body, stream),
        choices=in_range(_optional(body, "n", "an integer", 1), "n", 1, 128),
        stop=_stop(body),
        max_tokens=max_tokens,
        format=kind,
        schema=schema,
        tools=tools,
        tool_choice=tool_choice_in(body, tools),
        parallel=_optional(body, "parallel_tool_calls", "a boolean", True),
        seed=_optional(body, "seed", "an integer"),
        effort=effort,
    )


def _optional(body: dict[str, Any], name: str, expected: str, default: Any = None, place: str = "") -> Any:
    value = body.get(name)
    return default if value is None else typed(value, place + name, expected)


def tools_in(body: dict[str, Any]) -> tuple[Tool, ...]:
    """Return the tools of a request, or refuse what are no functions."""
    given = body.get("tools")
    return () if given is None else tuple(_tool(tool, f"tools[{number}]") for number, tool in enumerate(filled(given, "tools")))


def _tool(tool: Any, place: str) -> Tool:
    if typed(tool, place, "an object").get("type") != "function":
        raise wrong_value(tool.get("type"), f"{place}.type", ("function", "custom"))
    function = tool.get("function")
    if not isinstance(function, dict):
        raise missing(f"{place}.function")
    name = function.get("name")
    if not isinstance(name, str):
        raise missing(f"{place}.function.name")
    if not re.fullmatch(r"[a-zA-Z0-9_-]+", name):
        what = "string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        raise Refusal(f"Invalid '{place}.function.name': {what}", f"{place}.function.name", "invalid_value")
    parameters = typed(function.get("parameters") or {"type": "object", "properties": {}}, f"{place}.function.parameters", "an object")
    if function.get("strict") and (trouble := strict_violation(parameters)):
        raise Refusal(f"Invalid schema for function '{name}': {trouble}", f"{place}.function.parameters", "invalid_function_parameters")
    return Tool(name, function.get("description") or "", parameters)


def tool_choice_in(body: dict[str, Any], tools: tuple[Tool, ...]) -> str:
    """Return auto, none, required, or =name for a certain function; refuse what is none of these, or where there are no tools."""
    choice = body.get("tool_choice")
    if choice is None:
        return "auto" if tools else "none"
    if not tools:
        raise Refusal("Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.", "tool_choice")
    if not isinstance(choice, dict):
        return one_of(choice, "tool_choice", ("none", "auto", "required"))
    name = (choice.get("function") or {}).get("name")
    if name not in [tool.name for tool in tools]:
        raise Refusal(f"Tool choice '{name}' not found in 'tools' parameter.", "tool_choice")
    return f"={name}"


def _format(body: dict[str, Any], messages: list[dict[str, Any]]) -> tuple[str, dict[str, Any] | None]:
    given = _optional(body, "response_format", "an object")
    if given is None:
        return "text", None
    if given.get("type") is None:
        raise missing("response_format.type")
    kind = one_of(given["type"], "response_format.type", ("json_object", "json_schema", "text"))
    if kind == "json_object" and not any("json" in tokens.content_text(message.get("content")).lower() for message in messages):
        words = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        raise Refusal(words, "messages")
    if kind != "json_schema":
        return kind, None
    described = given.get("json_schema")
    if not isinstance(described, dict):
        raise missing("response_format.json_schema")
    for name, type_ in (("name", str), ("schema", dict)):
        if not isinstance(described.get(name), type_):
            raise missing(f"response_format.json_schema.{name}")
    schema: dict[str, Any] = described["schema"]
    if described.get("strict") and (trouble := strict_violation(schema)):
        raise Refusal(f"Invalid schema for response_format '{described['name']}': {trouble}", "response_format")
    return kind, schema


def _effort(body: dict[str, Any], model: Model) -> str | None:
    effort = body.get("reasoning_effort")
    if effort is None:
        return "medium" if model.reasoning else None
    if not model.reasoning:
        raise Refusal("Unrecognized request argument supplied: reasoning_effort")
    return one_of(effort, "reasoning_effort", _EFFORTS)


def _temperature(body: dict[str, Any], model: Model, effort: str | None) -> None:
    for name, high in (("temperature", 2), ("top_p", 1)):
        value = _optional(body, name, "a decimal")
        if value is None:
            continue
        if model.reasoning and effort != "none" and value != 1:
            words = f"Unsupported value: '{name}' does not support {value} with this model. Only the default (1) value is supported."
            raise Refusal(words, name, "unsupported_value")
        in_range(float(value), name, 0, high)


def _max_tokens(body: dict[str, Any], model: Model) -> int | None:
    given = [name for name in ("max_tokens", "max_completion_tokens") if body.get(name) is not None]
    if model.reasoning and "max_tokens" in given:
        words = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        raise Refusal(words, "max_tokens", "unsupported_parameter")
    if not given:
        return None
    name, *more = given
    if more:
        words = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        raise Refusal(words, name, "invalid_parameter_combination")
    value, most = in_range(typed(body[name], name, "an integer"), name, 1), _MOST_COMPLETION_TOKENS[model.tier]
    if value > most:
        words = f"This model supports at most {most} completion tokens, whereas you provided {value}."
        raise Refusal(f"{name} is too large: {value}. {words}", name, "invalid_value")
    return int(value)


def _over_context(context: int, prompt: int, completion: int) -> Refusal:
    words = f"your messages resulted in {prompt} tokens. Please reduce the length of the messages."
    if completion and prompt <= context:
        words = (
            f"you requested {prompt + completion} tokens ({prompt} in the messages, {completion} in the completion). Please reduce the "
            "length of the messages or completion."
        )
    return Refusal(f"This model's maximum context length is {context} tokens. However, {words}", "messages", "context_length_exceeded")


def _include_usage(body: dict[str, Any], stream: bool) -> bool:
    if body.get("stream_options") is None:
        return False
    if not stream:
        raise Refusal("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    options = typed(body["stream_options"], "stream_options", "an object")
    return bool(_optional(options, "include_usage", "a boolean", False, "stream_options."))


def _stop(body: dict[str, Any]) -> tuple[str, ...]:
    expected = "one of a string or array of strings"
    stop = _optional(body, "stop", expected, [])
    words = [stop] if isinstance(stop, str) else stop
    if not all(isinstance(word, str) for word in words):
        raise wrong_type("stop", expected, stop)
    if len(words) > 4:
        what = f"Expected an array with maximum length 4, but got an array with length {len(words)} instead."
        raise Refusal(f"Invalid 'stop': array too long. {what}", "stop", "array_above_max_length")
    return tuple(word for word in words if word)
