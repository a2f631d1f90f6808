from __future__ import annotations

from typing import Any

import pytest

from llmlab.evals.detection import detection
from llmlab.lab.obedience import INSTRUCTION
from llmlab.notebook import guardrails
from llmlab.notebook.guardrails import Guardrails, Setting, curve_of, everyday, labelled
from llmlab.notebook.turn import Turn
from llmlab.pipeline.guardrails import InjectionGuard, LengthGuard


class Few(Guardrails):
    """The same with few requests."""

    released = 30


@pytest.fixture(scope="module")
def panel() -> Guardrails:
    return Few()


def test_the_sentence_has_the_result_and_its_price(panel: Guardrails) -> None:
    panel.set(text=INSTRUCTION, guards=("injection", "personal data", "hold-back"), threshold=0.5, attack_in=1000)
    assert " → 0 % of answers; 19 → 0 characters of a card number are seen; price: of 10,000 requests " in repr(panel)
    assert repr(panel).endswith("% of alarms are wrong (n = 30, seed 7)")
    assert "override.ignore" in panel.detail.value
    assert "InjectionGuard(threshold=0.5)" in panel.code(7, **panel.chosen)
    assert "multilingual" in panel.table.value
    assert all(image.value for image in panel.figures.children)


def test_without_a_guard_the_text_is_obeyed_and_the_card_is_seen(panel: Guardrails) -> None:
    panel.set(text=INSTRUCTION, guards=())
    before, after = repr(panel).split("obeyed in ")[1].split(" %")[0].split(" → ")
    assert before == after != "0"
    assert "19 characters of a card number are seen; nobody looks for attacks (n = 30, seed 7)" in repr(panel)
    assert ["block", "none", "none"] == ["block" if image.value else "none" for image in panel.figures.children]
    assert "no check, chunks of" in panel.table.value


@pytest.mark.parametrize(
    "values",
    [{"threshold": 1.0}, {"attack_in": 10}, {"chunk": 40}, {"channel": "question"}, {"guards": ("spotlight", "secrets")}]
    + [{"sample": name} for name in guardrails.SAMPLES],
)
def test_every_control_gives_a_result(panel: Guardrails, values: dict[str, Any]) -> None:
    panel.set(**{"guards": ("injection",), **values})
    assert "" == panel.banner.value
    assert "n = 30, seed 7" in repr(panel)


def test_a_sample_fills_in_the_text(panel: Guardrails) -> None:
    panel.set(guards=("injection",), threshold=0.5, channel="document", sample="in base64")
    panel.wait()
    assert guardrails.SAMPLES["in base64"] == panel.chosen["text"]
    assert "decoded from base64" in panel.detail.value


def test_no_text_and_too_much_of_it_are_told_in_the_banner(panel: Guardrails) -> None:
    panel.set(text=" ")
    assert "1 to 4,000 characters, not 1" in panel.banner.value
    panel.set(text="a" * 4_001)
    assert "not 4,001" in panel.banner.value
    panel.set(text="Good morning")
    assert "" == panel.banner.value


def test_what_is_typed_is_shown_and_never_run(panel: Guardrails) -> None:
    panel.set(text="<img src=x onerror=alert(1)>")
    assert "<img" not in panel.detail.value + panel.sentence.value


@pytest.mark.parametrize("values", [{}, {"channel": "question", "guards": ("personal data", "secrets", "spotlight"), "chunk": 5}])
def test_the_code_that_is_shown_gives_the_same_numbers(values: dict[str, Any]) -> None:
    setting = Setting(seed=3, **values)
    names: dict[str, Any] = {}
    exec(setting.code().replace("requests=100", "requests=12"), names)
    mine = setting.lab.run(setting.app, setting.cases, requests=12, name="guarded")
    assert [(row.status, row.text) for row in mine.rows] == [(row.status, row.text) for row in names["runs"].only("guarded").rows]
    assert [19, 0] == [run.leaked for run in names["screens"]]


def test_feel_it_plays_the_answer_with_the_card_number_both_ways(panel: Guardrails) -> None:
    checked, held = panel.feel(Turn(1, 7), **{**panel.chosen, "chunk": 1})
    seen, hidden = ("".join(piece for _, piece in one.pieces) for one in (checked, held))
    assert "4111 1111 1111 1111" in seen
    assert "4111" not in hidden
    assert "[CREDIT_CARD]" in hidden
    assert "stopped, too late" in checked.note
    assert checked.end < held.end


def test_the_curve_agrees_with_the_guard_at_its_threshold() -> None:
    for threshold in (0.3, 0.5, 0.8):
        found = detection(InjectionGuard(threshold=threshold), labelled("open")).loc["all"]
        frame = curve_of("open")
        here = frame[frame["threshold"] >= threshold].iloc[-1]
        assert (found["found"], found["flagged"]) == (here["caught"], here["false_alarms"])


def test_everyday_texts_are_the_help_desks_own() -> None:
    assert (1.0, 162) == (everyday(LengthGuard(max_characters=1)).value, everyday(LengthGuard(max_characters=1)).n)
