"""How well the grounding check finds what is made up, beside detectors that look at the surface only.

Notebook: 04_hallucination.ipynb
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from llmlab.data.grounding_probes import Probe
from llmlab.evals.ranking import auroc
from llmlab.evals.statistics import Estimate, clustered_proportion
from llmlab.pipeline.grounding import Grounding, check

_WORD = re.compile(r"\w+")


def length(probe: Probe) -> float:
    """Return the length of the answer (in characters)."""
    return len(probe.answer)


def final_full_stop(probe: Probe) -> float:
    """Return 1 where the answer ends with a full stop."""
    return float(probe.answer.rstrip().endswith("."))


def novel_words(probe: Probe) -> float:
    """Return the share of the answer's words that are neither in its sources nor in the question."""
    words = _words(probe.answer)
    return len(words - _words(" ".join([probe.question, *(page.text for page in probe.documents())]))) / max(1, len(words))


def llmlab(probe: Probe) -> float:
    """Return 1 minus the score of the grounding check."""
    return 1 - _checked(probe).score


DETECTORS = {"llmlab": llmlab, "length": length, "final full stop": final_full_stop, "share of novel words": novel_words}
"""What gives an answer a score: the higher, the more it looks made up."""


def areas(probes: Iterable[Probe]) -> dict[str, Estimate]:
    """Return the area under the ROC curve of each detector, with intervals clustered by question."""
    some = tuple(probes)
    made_up, families = [not probe.supported for probe in some], [probe.family for probe in some]
    return {name: auroc([detector(probe) for probe in some], made_up, families) for name, detector in DETECTORS.items()}


def flagged(probes: Iterable[Probe]) -> dict[str, Estimate]:
    """Return for each kind of probe the share that the check does not support, with intervals clustered by question.

    For the supported kinds (paraphrase, literal, cited, quoted) these are false alarms.
    """
    kinds: dict[str, dict[str, list[bool]]] = {}
    for probe in probes:
        kinds.setdefault(probe.kind, {}).setdefault(probe.family, []).append(not _checked(probe).supported)
    return {kind: clustered_proportion([sum(hits) / len(hits) for hits in families.values()]) for kind, families in sorted(kinds.items())}


@cache
def _checked(probe: Probe) -> Grounding:
    return check(probe.answer, sources=probe.documents(), question=probe.question)


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
