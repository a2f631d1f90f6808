"""How well a guard tells attacks from harmless texts: recall, over-defense and precision by class, each with its interval.

There is no single number: a guard that stops everything has a recall of 1. Variants of one idea are no independent observations, so every
family counts once, and the n of an interval is the number of families.

Notebook: 02_guardrails.ipynb
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from llmlab.data.probes import ATTACKS, PERSONAL, Probe, Span
from llmlab.errors import BadInput
from llmlab.evals.statistics import Estimate, clustered_proportion
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import Guard

if TYPE_CHECKING:
    import pandas as pd


def detection(guard: Guard, rows: Iterable[Probe]) -> pd.DataFrame:
    """Return what the guard finds of each class of attack, and what it wrongly flags of the harmless texts that could be taken for one.

    A text is flagged if the guard has any finding. Precision is the share of attacks among the families with a flagged text; it holds for
    this mix of about one harmless text an attack, see `base_rate` for others.

    Args:
        guard: Anything with `check(text, role)`.
        rows: Attacks and harmless texts; personal data is left out.

    Returns:
        A row for each class with a probe, and "all", which has the harmless texts of no class too. Columns: `n`, `families`, `found`,
        `recall`; `harmless`, `harmless_families`, `flagged`, `over_defense`; `precision`; each share with `_low` and `_high`.
    """
    import pandas as pd

    hits = [(row, bool(guard.check(row.text, row.role))) for row in rows if row.label != "personal"]
    lines = {}
    for name in (*ATTACKS, "all"):
        inside = [(row, hit) for row, hit in hits if name in ("all", row.kind)]
        if not inside:
            continue
        attacks, harmless = ([(row.family, hit) for row, hit in inside if row.label == label] for label in ("attack", "harmless"))
        found, flagged = _by_family(attacks), _by_family(harmless)
        alarms = [1.0 for share in found if share] + [0.0 for share in flagged if share]
        lines[name] = {
            "n": len(attacks),
            "families": len(found),
            "found": sum(hit for _, hit in attacks),
            **_columns("recall", clustered_proportion(found)),
            "harmless": len(harmless),
            "harmless_families": len(flagged),
            "flagged": sum(hit for _, hit in harmless),
            **_columns("over_defense", clustered_proportion(flagged)),
            **_columns("precision", clustered_proportion(alarms)),
        }
    return pd.DataFrame.from_dict(lines, orient="index")


def personal_data(guard: Guard, rows: Iterable[Probe], overlap: float = 0.5) -> pd.DataFrame:
    """Return how well the guard finds each kind of personal data where it stands, and how often it sees some where none is.

    Args:
        guard: Anything with `check(text, role)` whose findings have a `kind` of `PERSONAL`; other kinds are not scored.
        rows: Probes; only personal data is labelled with all its spans, so others are left out.
        overlap: Least intersection over union (in characters) of a finding and a labelled span of the same kind, 0 < overlap <= 1; 1 wants
            the very same span. A finding is right of one span only.

    Returns:
        A row for each kind, and "all". Columns: `n` labelled spans, `found`, `false` findings, `recall` and `precision` with `_low` and
        `_high`, and `f1`, their harmonic mean.

    Raises:
        BadInput: The overlap is none.
    """
    import pandas as pd

    if not 0 < overlap <= 1:
        raise BadInput(f"overlap is more than 0 and at most 1, not {overlap!r}")
    spans: list[tuple[str, str, bool]] = []
    findings: list[tuple[str, str, bool]] = []
    for row in rows:
        if row.label == "personal":
            given = [one for one in guard.check(row.text, row.role) if one.kind in PERSONAL]
            right = _matched(row.spans, given, overlap)
            spans += [(row.family, span.kind, number in right) for number, span in enumerate(row.spans)]
            findings += [(row.family, one.kind, number in right.values()) for number, one in enumerate(given)]
    lines = {}
    for name in (*PERSONAL, "all"):
        labelled, seen = ([(family, hit) for family, kind, hit in part if name in ("all", kind)] for part in (spans, findings))
        recall, precision = (clustered_proportion(_by_family(part)) for part in (labelled, seen))
        lines[name] = {
            "n": len(labelled),
            "found": sum(hit for _, hit in labelled),
            "false": sum(not hit for _, hit in seen),
            **_columns("recall", recall),
            **_columns("precision", precision),
            "f1": _harmonic(recall.value, precision.value),
        }
    return pd.DataFrame.from_dict(lines, orient="index")


def _matched(spans: Sequence[Span], findings: Sequence[Finding], overlap: float) -> dict[int, int]:
    """Return for each labelled span that was found the finding that is right of it, as their numbers."""
    right: dict[int, int] = {}
    for number, span in enumerate(spans):
        for other, one in enumerate(findings):
            shared = min(span.end, one.end) - max(span.start, one.start)
            union = max(span.end, one.end) - min(span.start, one.start)
            if one.kind == span.kind and other not in right.values() and 0 < shared >= overlap * union:
                right[number] = other
                break
    return right


def _by_family(hits: Iterable[tuple[str, bool]]) -> list[float]:
    """Return the share of hits in each family."""
    families: dict[str, list[bool]] = defaultdict(list)
    for family, hit in hits:
        families[family].append(hit)
    return [sum(one) / len(one) for one in families.values()]


def _columns(name: str, estimate: Estimate) -> dict[str, float]:
    value, low, high = (math.nan if part is None else part for part in (estimate.value, estimate.low, estimate.high))
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _harmonic(recall: float | None, precision: float | None) -> float:
    if recall is None or precision is None:
        return math.nan if recall is None else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def curve(scores: Sequence[float], attacks: Sequence[bool]) -> pd.DataFrame:
    """Return precision and recall at every threshold that makes a difference, strictest first; the first flags nothing.

    Args:
        scores: A guard's score of each text, higher for what looks more like an attack. A text is flagged at a score >= the threshold.
        attacks: Whether each is an attack, in the same order.

    Returns:
        A row a threshold: `threshold`, `caught`, `false_alarms`, `recall`, `false_positive_rate`, and `precision` (NaN without an alarm).

    Raises:
        BadInput: The two do not pair, a score is not finite, or there are no attacks or no harmless texts.
    """
    import pandas as pd

    if len(scores) != len(attacks):
        raise BadInput(f"each score has a label: {len(scores)} scores, {len(attacks)} labels")
    if not all(map(math.isfinite, scores)):
        raise BadInput("a score is a finite number: infinity is the threshold that flags nothing")
    if len({bool(attack) for attack in attacks}) < 2:
        raise BadInput("a curve needs at least one attack and one harmless text")
    lines, caught, alarms = [(math.inf, 0, 0)], 0, 0
    for score, attack in sorted(zip(scores, attacks, strict=True), key=lambda pair: -pair[0]):
        caught, alarms = caught + bool(attack), alarms + (not attack)
        # Texts of the same score stand or fall together.
        if score == lines[-1][0]:
            lines.pop()
        lines.append((score, caught, alarms))
    frame = pd.DataFrame(lines, columns=["threshold", "caught", "false_alarms"])
    frame["recall"] = frame["caught"] / caught
    frame["false_positive_rate"] = frame["false_alarms"] / alarms
    frame["precision"] = frame["caught"] / (frame["caught"] + frame["false_alarms"])
    return frame


def threshold_for(frame: pd.DataFrame, false_positive_rate: float) -> float:
    """Return the lowest threshold of a `curve` with at most this share of false alarms; infinity, which flags nothing, if none has.

    A share below 1 in the number of harmless texts allows none. What it is on other texts, only others can tell.

    Args:
        frame: What `curve` returned.
        false_positive_rate: Largest share of the harmless texts that may be flagged (0 to 1), as in 1 / 200.
    """
    _check_shares(false_positive_rate=false_positive_rate)
    return float(frame.loc[frame["false_positive_rate"] <= false_positive_rate, "threshold"].iloc[-1])


class Alarms(NamedTuple):
    """What a guard does to a stream of requests, as expected numbers of them (not whole)."""

    caught: float
    """Attacks that are flagged."""
    missed: float
    """Attacks that are not."""
    false_alarms: float
    """Harmless requests that are flagged."""
    passed: float
    """Harmless requests that are not."""

    @property
    def wrong(self) -> float | None:
        """The share of alarms that are wrong; None where there is no alarm."""
        alarms = self.caught + self.false_alarms
        return self.false_alarms / alarms if alarms else None


def base_rate(recall: float, false_positive_rate: float, attacks_in: float = 1000, requests: int = 10_000) -> Alarms:
    """Return what recall and false alarms come to where attacks are rare.

    A guard that is right 99 % of the time, at 1 attack in 1,000: of 10,000 requests 10 are caught and 100 are false alarms, so 91 % of the
    alarms are wrong.

    Args:
        recall: Share of the attacks that are flagged (0 to 1).
        false_positive_rate: Share of the harmless requests that are flagged (0 to 1).
        attacks_in: One request in so many is an attack, at least 1.
        requests: How many requests there are in all.

    Raises:
        BadInput: A share is none, or a number is too small.
    """
    _check_shares(recall=recall, false_positive_rate=false_positive_rate)
    if not (attacks_in >= 1 and requests >= 1):
        raise BadInput(f"one request in at least 1 is an attack, of at least 1 request, not {attacks_in!r} and {requests!r}")
    attacks = requests / attacks_in
    harmless = requests - attacks
    return Alarms(recall * attacks, (1 - recall) * attacks, false_positive_rate * harmless, (1 - false_positive_rate) * harmless)


def _check_shares(**shares: float) -> None:
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise BadInput(f"{name} is a share between 0 and 1, as in 0.01, not {share!r}")
