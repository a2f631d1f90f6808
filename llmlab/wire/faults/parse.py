"""Faults from text, as on the command line: `LatencySpike(probability=0.3, seconds=4)`. Nothing in the text is executed."""

from __future__ import annotations

import ast
from dataclasses import fields

from llmlab.errors import BadInput
from llmlab.wire.faults.base import FAULTS, Fault, fault_named


def parse(text: str) -> Fault:
    """Return the fault that `text` describes.

    Raises:
        UnknownName: There is no such fault; the message lists those there are.
        BadInput: The text is no call with literal keyword arguments, or an argument does not fit.
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise BadInput(f"{text!r} is no fault; write it as LatencySpike(probability=0.3, seconds=4)") from None
    if isinstance(node, ast.Name):
        return fault_named(node.id)
    if (
        not isinstance(node, ast.Call)
        or not isinstance(node.func, ast.Name)
        or node.args
        or any(word.arg is None for word in node.keywords)
    ):
        raise BadInput(f"{text!r} is no fault; write it as LatencySpike(probability=0.3, seconds=4)")
    name = node.func.id
    try:
        given = {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
    except (TypeError, ValueError):
        raise BadInput(f"{text!r}: the values of a fault's attributes are plain numbers and texts") from None
    if name in FAULTS:
        known = [part.name for part in fields(FAULTS[name])]
        for attribute in given:
            if attribute not in known:
                raise BadInput(f"{name} has no attribute {attribute!r}; it has: {', '.join(known)}")
    return fault_named(name, **given)
