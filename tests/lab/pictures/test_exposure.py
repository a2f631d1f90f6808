from __future__ import annotations

from collections.abc import Callable

from llmlab.lab.exposure import CARD_ANSWER, exposures
from llmlab.lab.pictures import exposure
from llmlab.pipeline.guardrails import PIIGuard


def test_a_row_is_delivered_then_leaked_or_held_and_ends_with_its_run(words: Callable[..., list[str]]) -> None:
    checked, held = exposures(PIIGuard(action="redact"), CARD_ANSWER, [1])
    picture = exposure([checked, held])
    bars = [(bar.get_gid(), round(bar.get_y() + bar.get_height() / 2, 1)) for bar in picture.axes[0].patches]
    assert [("delivered", 0.5), ("leaked", 0.5), ("delivered", 1.5), ("held back", 1.5), ("delivered", 1.5)] == bars
    ends = [bar.get_x() + bar.get_width() for bar in picture.axes[0].patches]
    assert [checked.moments[-1].tokens, held.moments[-1].tokens] == [ends[1], ends[4]]
    assert ends[1] - picture.axes[0].patches[1].get_x() == checked.late
    assert [([100], [0.5])] == [(list(line.get_xdata()), list(line.get_ydata())) for line in picture.axes[0].lines]
    assert {"hold-back, chunks of 1 token", "leaked", "answer stopped"} <= set(words(picture))
