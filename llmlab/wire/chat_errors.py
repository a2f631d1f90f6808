"""Refusals of a chat request, in OpenAI's words."""

from __future__ import annotations

import json
from collections.abc import Sequence

_KEYS_PAGE = "https://platform.openai.com/account/api-keys"


class Refusal(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        message: What the provider says.
        kind: Its word for the kind of error.
        param: The part of the request that is wrong, or None.
        code: Its word for this error, or None.
        headers: Headers that belong to it.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.param, self.code, self.headers = status, message, kind, param, code, headers

    def body(self) -> bytes:
        """Return the JSON that is sent."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return json.dumps({"error": error}, indent=2, ensure_ascii=False).encode("utf-8", "replace")


def bad_json() -> Refusal:
    """The body is no JSON object."""
    return Refusal(
        400,
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The "
        "OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble figuring out how to fix this, please "
        "contact us through our help center at help.openai.com.)",
    )


def no_key() -> Refusal:
    """There is no Authorization header."""
    return Refusal(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. "
        "Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API from your browser and "
        f"are prompted for a username and password. You can obtain an API key from {_KEYS_PAGE}.",
    )


def wrong_key(key: str) -> Refusal:
    """The key is not the one that is expected; it is shown masked."""
    masked = f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}" if len(key) > 16 else f"{key[:2]}{'*' * max(2, len(key) - 4)}{key[-2:]}"
    return Refusal(401, f"Incorrect API key provided: {masked}. You can find your API key at {_KEYS_PAGE}.", code="invalid_api_key")


def unknown_model(name: str) -> Refusal:
    """There is no such model."""
    return Refusal(404, f"The model `{name}` does not exist or you do not have access to it.", code="model_not_found")


def unknown_url(method: str, path: str) -> Refusal:
    """Nothing lives there."""
    return Refusal(404, f"Invalid URL ({method} {path})")


def wrong_method(method: str, path: str, allowed: str) -> Refusal:
    """The address is right, the method is not."""
    return Refusal(
        405,
        f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)",
        code="method_not_supported",
        headers=[(b"allow", allowed.encode())],
    )


def missing(param: str) -> Refusal:
    """A parameter that must be there is not."""
    return Refusal(400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def wrong_type(param: str, expected: str, value: object) -> Refusal:
    """A parameter has a type that it can't have."""
    return Refusal(
        400, f"Invalid type for '{param}': expected {expected}, but got {_kind(value)} instead.", param=param, code="invalid_type"
    )


def wrong_value(param: str, value: object, supported: Sequence[str]) -> Refusal:
    """A parameter is none of the words it may be."""
    quoted = [f"'{word}'" for word in supported]
    listed = f"{', '.join(quoted[:-1])}, and {quoted[-1]}" if len(quoted) > 2 else " and ".join(quoted)
    return Refusal(400, f"Invalid value: '{value}'. Supported values are: {listed}.", param=param, code="invalid_value")


def out_of_range(param: str, value: float, *, low: float | None = None, high: float | None = None) -> Refusal:
    """A number is too small (`low` is given) or too large (`high`)."""
    kind = "integer" if isinstance(value, int) else "decimal"
    side, sign, bound = ("below minimum", ">=", low) if low is not None else ("above maximum", "<=", high)
    return Refusal(
        400,
        f"Invalid '{param}': {kind} {side} value. Expected a value {sign} {bound}, but got {value} instead.",
        param=param,
        code=f"{kind}_{'below_min' if low is not None else 'above_max'}_value",
    )


def empty_array(param: str) -> Refusal:
    """A list has nothing in it."""
    return Refusal(
        400,
        f"Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        param=param,
        code="empty_array",
    )


def too_long(context_tokens: int, prompt_tokens: int, completion_tokens: int) -> Refusal:
    """Prompt and answer do not fit into the model's context."""
    if completion_tokens and prompt_tokens <= context_tokens:
        detail = (
            f"However, you requested {prompt_tokens + completion_tokens} tokens ({prompt_tokens} in the messages, {completion_tokens} in "
            "the completion). Please reduce the length of the messages or completion."
        )
    else:
        detail = f"However, your messages resulted in {prompt_tokens} tokens. Please reduce the length of the messages."
    return Refusal(
        400, f"This model's maximum context length is {context_tokens} tokens. {detail}", param="messages", code="context_length_exceeded"
    )


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    for kind, word in ((str, "a string"), (int, "an integer"), (float, "a decimal"), (list, "an array")):
        if isinstance(value, kind):
            return word
    return "an object"
