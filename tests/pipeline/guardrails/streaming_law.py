"""The three promises of `Streaming`, checked of a guard and a text at every split and at every place to look back from."""

from __future__ import annotations

from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import CONTEXT_CHARACTERS, HELD_CHARACTERS, Streaming


def holds(guard: Streaming, text: str, role: str = "assistant") -> None:
    """Assert that `guard` keeps its promises on `text`.

    Raises:
        AssertionError: One of them is broken; the message says which, and where.
    """
    whole = guard.check(text, role=role)
    assert all(0 <= found.start < found.end <= len(text) for found in whole), f"a span outside of the text: {whole}"
    assert whole == sorted(whole, key=lambda found: found.start), f"not in the order of the text: {whole}"
    for end in range(len(text) + 1):
        seen = text[:end]
        edge = guard.open_from(seen)
        assert max(0, end - HELD_CHARACTERS) <= edge <= end, f"holds back from {edge} of {end}: {seen!r}"
        early = [found for found in guard.check(seen, role=role) if found.start < edge]
        assert early == [found for found in whole if found.start < edge], f"not final before {edge}: {seen!r} goes on {text[end:]!r}"
    looks_back = getattr(guard, "looks_back", CONTEXT_CHARACTERS)
    for place in range(looks_back, len(text)):
        cut = place - looks_back
        late = [moved(found, cut) for found in guard.check(text[cut:], role=role) if found.start + cut >= place]
        assert late == [found for found in whole if found.start >= place], f"at {place} it looks back beyond {cut}: {text!r}"


def moved(found: Finding, by: int) -> Finding:
    """Return the same finding in a text that begins `by` characters earlier."""
    return found._replace(start=found.start + by, end=found.end + by)
