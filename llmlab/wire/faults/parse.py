"""Faults from text, as on the command line: `LatencySpike(probability=0.3, seconds=4).nth(2)`. Nothing in the text is executed."""

from __future__ import annotations

import ast
from typing import Any

from llmlab.errors import BadInput
from llmlab.wire.faults.base import FAULTS, Fault, fault_named

SCRIPTS = ("first", "nth", "sequence", "between", "on")
"""What may follow a fault: which attempts it strikes."""


def parse(text: str) -> Fault:
    """Return the fault that `text` describes.

    Raises:
        UnknownName: There is no such fault; the message lists those there are.
        BadInput: The text is no call with literal keyword arguments, or an argument does not fit.
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        node = ast.Constant(None)
    return _fault(node, text)


def _fault(node: ast.expr, text: str) -> Fault:
    if isinstance(node, ast.Name):
        return fault_named(node.id)
    if not isinstance(node, ast.Call) or any(word.arg is None for word in node.keywords):
        raise _no_fault(text)
    given = {str(word.arg): _value(word.value, text) for word in node.keywords}
    if len(given) < len(node.keywords):
        raise BadInput(f"{text!r} gives an attribute twice")
    if isinstance(node.func, ast.Attribute) and node.func.attr in SCRIPTS:
        fault, values = _fault(node.func.value, text), [_value(value, text) for value in node.args]
        try:
            scripted: Fault = getattr(fault, node.func.attr)(*values, **given)
        except TypeError:
            raise BadInput(f"{text!r}: {node.func.attr} is told other things than it takes; see llmlab.faults") from None
        return scripted
    if not isinstance(node.func, ast.Name) or node.args:
        raise _no_fault(text)
    return fault_named(node.func.id, **given)


def _value(node: ast.expr, text: str) -> Any:
    inner: ast.expr = node
    while isinstance(inner, ast.Call | ast.Attribute):
        inner = inner.func if isinstance(inner, ast.Call) else inner.value
    if isinstance(inner, ast.Name) and inner.id in FAULTS:
        return _fault(node, text)
    try:
        return ast.literal_eval(node)
    except (TypeError, ValueError):
        raise BadInput(f"{text!r}: the values of a fault's attributes are plain numbers and texts") from None


def _no_fault(text: str) -> BadInput:
    return BadInput(f"{text!r} is no fault; write it as LatencySpike(probability=0.3, seconds=4)")
