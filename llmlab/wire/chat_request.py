"""A chat request, checked as OpenAI checks it: what is wrong is refused in its words, what a simulated model can't do as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmlab.protocol import tokens
from llmlab.protocol.models import Model
from llmlab.wire import chat_errors as say
from llmlab.wire.chat_errors import Refusal
from llmlab.wire.chat_messages import checked_messages, prompt_tokens_of
from llmlab.wire.chat_tools import Tool, tool_choice_in, tools_in
from llmlab.wire.json_schema import strict_violation

_MOST_COMPLETION_TOKENS = {"fast": 16_384, "main": 16_384, "strong": 128_000}
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
_IGNORED = """
frequency_penalty logit_bias metadata moderation prediction presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention
safety_identifier service_tier store top_p user verbosity
"""
_READ = """
logprobs max_completion_tokens max_tokens messages modalities model n parallel_tool_calls reasoning_effort response_format seed stop stream
stream_options temperature tool_choice tools top_logprobs
"""
_KNOWN = frozenset(f"{_READ} {_IGNORED}".split())


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
    strict: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """auto, none, required, or =name for a certain function."""
    parallel: bool = True
    """Whether several functions may be called at once."""
    seed: int | None = None
    effort: str | None = None
    """How long a reasoning model shall think."""


def parse(body: Any, model: Model) -> ChatRequest:
    """Return the request in `body`.

    Args:
        body: The JSON that was sent.
        model: The model it is for.

    Raises:
        Refusal: OpenAI would refuse it, or the simulator can't do it.
    """
    for name in body:
        if name not in _KNOWN:
            if name == "web_search_options":
                raise Refusal(400, "Web search options not supported with this model.", param=name)
            raise Refusal(400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    messages = checked_messages(body)
    stream = _boolean(body, "stream", False)
    tools = tools_in(body)
    kind, schema, strict = _format(body, messages)
    effort = _effort(body, model)
    _temperature(body, model, effort)
    prompt_tokens = prompt_tokens_of(body)
    max_tokens = _max_tokens(body, model)
    if prompt_tokens + (max_tokens or 0) > model.context_tokens:
        raise say.too_long(model.context_tokens, prompt_tokens, max_tokens or 0)
    if body.get("logprobs") or body.get("top_logprobs"):
        raise Refusal(403, "You are not allowed to request logprobs from this model.")
    if body.get("modalities") not in (None, ["text"]):
        raise say.wrong_value("modalities", body["modalities"], ("text",))
    return ChatRequest(
        messages=messages,
        prompt_tokens=prompt_tokens,
        stream=stream,
        include_usage=_include_usage(body, stream),
        choices=_integer(body, "n", 1, low=1, high=128) or 1,
        stop=_stop(body),
        max_tokens=max_tokens,
        format=kind,
        schema=schema,
        strict=strict,
        tools=tools,
        tool_choice=tool_choice_in(body, tools),
        parallel=_boolean(body, "parallel_tool_calls", True),
        seed=_integer(body, "seed", None),
        effort=effort,
    )


def _format(body: dict[str, Any], messages: list[dict[str, Any]]) -> tuple[str, dict[str, Any] | None, bool]:
    given = body.get("response_format")
    if given is None:
        return "text", None, False
    if not isinstance(given, dict):
        raise say.wrong_type("response_format", "an object", given)
    kind = given.get("type")
    if kind is None:
        raise say.missing("response_format.type")
    if kind not in ("json_object", "json_schema", "text"):
        raise say.wrong_value("response_format.type", kind, ("json_object", "json_schema", "text"))
    if kind == "json_object" and not any("json" in tokens.content_text(message.get("content")).lower() for message in messages):
        raise Refusal(
            400,
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            param="messages",
        )
    if kind != "json_schema":
        return kind, None, False
    described = given.get("json_schema")
    if not isinstance(described, dict):
        raise say.missing("response_format.json_schema")
    if not isinstance(described.get("name"), str):
        raise say.missing("response_format.json_schema.name")
    schema = described.get("schema")
    if not isinstance(schema, dict):
        raise say.missing("response_format.json_schema.schema")
    strict = bool(described.get("strict"))
    if strict and (trouble := strict_violation(schema)):
        raise Refusal(400, f"Invalid schema for response_format '{described['name']}': {trouble}", param="response_format")
    return kind, schema, strict


def _effort(body: dict[str, Any], model: Model) -> str | None:
    effort = body.get("reasoning_effort")
    if effort is None:
        return "medium" if model.reasoning else None
    if not model.reasoning:
        raise Refusal(400, "Unrecognized request argument supplied: reasoning_effort")
    if effort not in _EFFORTS:
        raise say.wrong_value("reasoning_effort", effort, _EFFORTS)
    return str(effort)


def _temperature(body: dict[str, Any], model: Model, effort: str | None) -> None:
    for name, high in (("temperature", 2), ("top_p", 1)):
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise say.wrong_type(name, "a decimal", value)
        if model.reasoning and effort != "none" and value != 1:
            raise Refusal(
                400,
                f"Unsupported value: '{name}' does not support {value} with this model. Only the default (1) value is supported.",
                param=name,
                code="unsupported_value",
            )
        if value < 0:
            raise say.out_of_range(name, float(value), low=0)
        if value > high:
            raise say.out_of_range(name, float(value), high=high)


def _max_tokens(body: dict[str, Any], model: Model) -> int | None:
    if model.reasoning and body.get("max_tokens") is not None:
        raise Refusal(
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise Refusal(
            400,
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
            code="invalid_parameter_combination",
        )
    name = "max_tokens" if body.get("max_tokens") is not None else "max_completion_tokens"
    value = _integer(body, name, None, low=1)
    most = _MOST_COMPLETION_TOKENS[model.tier]
    if value is not None and value > most:
        raise Refusal(
            400,
            f"{name} is too large: {value}. This model supports at most {most} completion tokens, whereas you provided {value}.",
            param=name,
            code="invalid_value",
        )
    return value


def _include_usage(body: dict[str, Any], stream: bool) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not stream:
        raise Refusal(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options")
    if not isinstance(options, dict):
        raise say.wrong_type("stream_options", "an object", options)
    return _boolean(options, "include_usage", False, place="stream_options.")


def _stop(body: dict[str, Any]) -> tuple[str, ...]:
    stop = body.get("stop")
    if stop is None:
        return ()
    if isinstance(stop, str):
        stop = [stop]
    if not isinstance(stop, list) or not all(isinstance(word, str) for word in stop):
        raise say.wrong_type("stop", "one of a string or array of strings", body["stop"])
    if len(stop) > 4:
        raise Refusal(
            400,
            f"Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length {len(stop)} instead.",
            param="stop",
            code="array_above_max_length",
        )
    return tuple(word for word in stop if word)


def _integer(body: dict[str, Any], name: str, default: int | None, *, low: int | None = None, high: int | None = None) -> int | None:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise say.wrong_type(name, "an integer", value)
    if low is not None and value < low:
        raise say.out_of_range(name, value, low=low)
    if high is not None and value > high:
        raise say.out_of_range(name, value, high=high)
    return value


def _boolean(body: dict[str, Any], name: str, default: bool, *, place: str = "") -> bool:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise say.wrong_type(f"{place}{name}", "a boolean", value)
    return value
