"""Refusals of a chat request, in OpenAI's words, and the checks that many of its parts share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


class Refusal(Exception):
    """A request that is answered with an error.

    Args:
        message: What the provider says.
        param: The part of the request that is wrong, or None.
        code: Its word for this error, or None.
        status: HTTP status.
        kind: Its word for the kind of error.
        headers: Headers that belong to it.
    """

    def __init__(
        self,
        message: str,
        param: str | None = None,
        code: str | None = None,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message)
        self.message, self.param, self.code, self.status, self.kind, self.headers = message, param, code, status, kind, headers

    def body(self) -> bytes:
        """Return the JSON that is sent."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return json.dumps({"error": error}, indent=2, ensure_ascii=False).encode("utf-8", "replace")


_TYPES: dict[str, type | tuple[type, ...]] = {
    "a boolean": bool,
    "an integer": int,
    "a decimal": (int, float),
    "an object": dict,
    "an array of objects": list,
    "one of a string or array of objects": (str, list),
    "one of a string or array of strings": (str, list),
}
_WORDS = ((type(None), "null"), (bool, "a boolean"), (str, "a string"), (int, "an integer"), (float, "a decimal"), (list, "an array"))


def missing(param: str) -> Refusal:
    """A parameter that must be there is not."""
    return Refusal(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def wrong_type(param: str, expected: str, value: object) -> Refusal:
    """A parameter has a type that it can't have."""
    word = next((word for kind, word in _WORDS if isinstance(value, kind)), "an object")
    return Refusal(f"Invalid type for '{param}': expected {expected}, but got {word} instead.", param, "invalid_type")


def typed(value: Any, param: str, expected: str) -> Any:
    """Return `value` if it is what `expected` says, a key of `_TYPES`, else refuse it."""
    kinds = _TYPES[expected]
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
        raise wrong_type(param, expected, value)
    return value


def wrong_value(value: object, param: str, supported: Sequence[str]) -> Refusal:
    """A parameter is none of the words it may be."""
    quoted = [f"'{word}'" for word in supported]
    listed = f"{', '.join(quoted[:-1])}, and {quoted[-1]}" if len(quoted) > 2 else " and ".join(quoted)
    return Refusal(f"Invalid value: '{value}'. Supported values are: {listed}.", param, "invalid_value")


def one_of(value: Any, param: str, supported: Sequence[str]) -> str:
    """Return `value` if it is a supported word, else refuse it."""
    if value not in supported:
        raise wrong_value(value, param, supported)
    return str(value)


def in_range(value: Any, param: str, low: float | None = None, high: float | None = None) -> Any:
    """Return the number `value` if it is within its bounds, else refuse it."""
    if low is not None and value < low:
        side, short, bound = "below minimum", "below_min", f">= {low}"
    elif high is not None and value > high:
        side, short, bound = "above maximum", "above_max", f"<= {high}"
    else:
        return value
    kind = "integer" if isinstance(value, int) else "decimal"
    message = f"Invalid '{param}': {kind} {side} value. Expected a value {bound}, but got {value} instead."
    raise Refusal(message, param, f"{kind}_{short}_value")


def filled(value: Any, param: str) -> list[Any]:
    """Return `value` if it is a list of something, else refuse it."""
    if not typed(value, param, "an array of objects"):
        what = "empty array. Expected an array with minimum length 1, but got an empty array instead."
        raise Refusal(f"Invalid '{param}': {what}", param, "empty_array")
    return list(value)
