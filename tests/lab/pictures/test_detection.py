from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from llmlab.data.probes import probes
from llmlab.evals.detection import curve, detection
from llmlab.lab.pictures import by_class, class_table, precision_recall
from llmlab.lab.pictures.detection import at_threshold
from llmlab.pipeline.guardrails import PhraseGuard

FRAME = curve([0.9, 0.8, 0.8, 0.3, 0.0, 0.0], [True, True, False, True, False, True])


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    return detection(PhraseGuard(phrases=("ignore", "instructions")), [row for row in probes(half="open") if row.label != "personal"])


@pytest.mark.parametrize(("threshold", "caught", "stopped"), [(1.0, 0, 0), (0.9, 1, 0), (0.85, 1, 0), (0.8, 2, 1), (0.05, 3, 1)])
def test_the_dot_stands_where_the_guard_with_that_threshold_does(
    threshold: float, caught: int, stopped: int, words: Callable[..., list[str]]
) -> None:
    assert (caught, stopped) == tuple(at_threshold(FRAME, threshold)[["caught", "false_alarms"]])
    picture = precision_recall(FRAME, threshold)
    dots = [(line.get_xdata()[0], line.get_ydata()[0]) for line in picture.axes[0].lines if line.get_gid() == "dot"]
    assert ([(caught / 4, caught / (caught + stopped))] if caught else []) == dots
    assert f"catches {caught} of 4 attacks, stops {stopped} of 2 harmless" in " ".join(words(picture))


def test_a_guard_that_flags_nothing_else_has_no_more_than_the_dashed_line() -> None:
    solid, dashed = precision_recall(FRAME, 1.0).axes[0].lines
    assert [0.25, 0.5, 0.75] == list(solid.get_xdata())
    assert [0.75, 1.0] == list(dashed.get_xdata())


def test_each_class_has_both_shares_with_their_intervals(found: pd.DataFrame, words: Callable[..., list[str]]) -> None:
    picture = by_class(found)
    marks = {kind: [line for line in picture.axes[0].lines if line.get_gid() == kind] for kind in ("recall", "over_defense")}
    assert [len(found), len(found)] == [len(lines) for lines in marks.values()]
    assert found["recall"].tolist() == [line.get_xdata()[0] for line in marks["recall"]]
    assert {"tool hijack", "all", "attacks caught"} <= set(words(picture))


def test_the_table_says_the_same_and_leaves_out_what_cannot_be_known(found: pd.DataFrame) -> None:
    table = class_table(found)
    assert ["class", "n", "caught (%)", "harmless stopped (%)", "alarms right (%)"] == list(table.columns)
    last, row = table.iloc[-1], found.loc["all"]
    assert f"{row['families']:.0f} + {row['harmless_families']:.0f}" == last["n"]
    assert f"{100 * row['recall']:.0f} [{100 * row['recall_low']:.0f}, {100 * row['recall_high']:.0f}]" == last["caught (%)"]
    assert [not alarms for alarms in found["found"] + found["flagged"]] == [not text for text in table["alarms right (%)"]]


def test_a_share_of_nothing_is_not_drawn(found: pd.DataFrame) -> None:
    none = found.copy()
    none.loc["override", ["recall", "recall_low", "recall_high"]] = float("nan")
    assert len(found) - 1 == sum(line.get_gid() == "recall" for line in by_class(none).axes[0].lines)
