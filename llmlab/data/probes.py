"""Labelled texts for measuring guards, written for the help desk of Crumbwell: attacks, harmless texts, and personal data.

An attack has its class as `kind`; a harmless text has the class that it could be taken for, or "". Personal data stands at labelled spans;
a text of that label without spans holds what only looks like it: order numbers, dates, cards with a wrong check digit. All cards, accounts
and numbers are those of documentation and tests, or made up.

Variants of one idea are a family, and a family is in one half. Tune on "open"; score on "held".

Notebook: 02_guardrails.ipynb
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import NamedTuple

from llmlab.errors import BadInput

ATTACKS = (
    "override",
    "persona",
    "extraction",
    "indirect",
    "encoded",
    "multilingual",
    "forged_turn",
    "exfiltration",
    "tool_hijack",
    "hidden_text",
)
"""The classes of attack, by the `kind` of the finding that names them."""
PERSONAL = ("CREDIT_CARD", "PHONE_NUMBER", "EMAIL_ADDRESS", "IBAN_CODE", "US_SSN", "IP_ADDRESS", "DOMAIN_NAME")
"""The kinds of personal data."""
HALVES, LABELS, ROLES = ("open", "held"), ("attack", "harmless", "personal"), ("user", "document")


class Span(NamedTuple):
    """Where a piece of personal data stands."""

    kind: str
    """One of `PERSONAL`."""
    start: int
    """First character (an offset in the text)."""
    end: int
    """One past the last character."""


class Probe(NamedTuple):
    """A text, and what a guard should say of it."""

    id: str
    """Label and number, as in "a017"."""
    text: str
    role: str
    """Whose text it is: "user" or "document"."""
    label: str
    """"attack", "harmless" or "personal"."""
    kind: str
    """The class of an attack, or the one that a harmless text could be taken for; the first span's kind of personal data; else ""."""
    family: str
    """The idea that it is a variant of; at most 4 probes share one. Intervals count families, not probes."""
    half: str
    """"open" or "held"."""
    language: str
    """ISO 639-1, or "mix"."""
    spans: tuple[Span, ...] = ()
    """All the personal data in a probe of that label, in order; others are not labelled for it."""
    note: str = ""
    """What it says, where a reader can't see that: a translation, or what is encoded or hidden."""


def probes(half: str | None = None, label: str | None = None, role: str | None = None) -> tuple[Probe, ...]:
    """Return the probes, in the order of the file; None takes all.

    Args:
        half: "open" or "held".
        label: "attack", "harmless" or "personal".
        role: "user" or "document".

    Raises:
        BadInput: There is no such half, label or role.
    """
    for name, value, allowed in (("half", half, HALVES), ("label", label, LABELS), ("role", role, ROLES)):
        if value is not None and value not in allowed:
            raise BadInput(f"{name} is one of {', '.join(allowed)}, or None for all, not {value!r}")
    return tuple(one for one in _all() if half in (None, one.half) and label in (None, one.label) and role in (None, one.role))


@cache
def _all() -> tuple[Probe, ...]:
    # The file is ASCII: what is invisible, or turns the direction of writing, is escaped and can be reviewed.
    text = resources.files("llmlab.data").joinpath("guardrails", "probes.jsonl").read_text(encoding="ascii")
    rows = map(json.loads, text.splitlines())
    return tuple(Probe(**{**row, "spans": tuple(Span(*span) for span in row.get("spans", ()))}) for row in rows)
