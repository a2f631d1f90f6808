from __future__ import annotations

import json
from collections import Counter

import pytest

from llmlab.data.help_desk import documents, retrieve
from llmlab.lab import attacks, gameday
from llmlab.lab.apps import guarded
from llmlab.lab.attacks import ASKED, FAULTS, MODEL, PLANTED, PLANTED_SHARE, PUT_IN, mixed, planted, poisoned
from llmlab.lab.lab import Lab
from llmlab.lab.runs import Runs
from llmlab.lab.scenarios import scenario_named
from llmlab.pipeline.guardrails import PIIGuard
from llmlab.pipeline.prompt import SYSTEM
from llmlab.wire.reading import read


@pytest.fixture(scope="module")
def runs() -> Runs:
    return attacks.play(7, 500)


@pytest.fixture(scope="module")
def found(runs: Runs) -> dict[str, dict[str, float]]:
    return {app: {name: one.value or 0.0 for name, one in some.items()} for app, some in attacks.measures(runs, 4.0).items()}


def injection(content: str) -> tuple[str, bool]:
    (one,) = read([{"role": "user", "content": content}]).injections
    return one.payload, one.leak


@pytest.mark.parametrize("aim", ASKED, ids=lambda aim: aim.text[:30])
def test_a_simulated_model_takes_every_plain_attack_for_an_instruction(aim: attacks.Aim) -> None:
    payload, leak = injection(aim.text)
    assert aim.mark in payload if aim.mark else leak


@pytest.mark.parametrize("aim", PLANTED, ids=lambda aim: aim.text[:30])
def test_a_simulated_model_takes_every_planted_text_for_an_instruction(aim: attacks.Aim) -> None:
    payload, leak = injection(f'<document id="a" title="b">\nThe Hearth bakes bread. {aim.text}\n</document>\nQuestion: What does it do?')
    assert aim.mark in payload if aim.mark else leak


def test_no_document_holds_what_shows_obedience_or_a_leak() -> None:
    text = "\n".join(page.text for page in documents())
    assert [] == [aim.mark for aim in (*ASKED, *PLANTED) if aim.mark and aim.mark in text]
    assert [] == attacks._PERSONAL.findall(text) + PIIGuard().check(text)


def test_the_mixture_is_what_is_said_to_be_put_in() -> None:
    kinds = Counter((case.id[0] if case.id[0] in "qh" else case.id[:5] if case.id.startswith("asked") else "attack") for case in mixed())
    assert {"q": 60, "h": 62, "attack": 79, "asked": 20} == kinds
    assert all(str(count) in PUT_IN["questions"] for count in kinds.values())
    assert len(mixed()) == len({case.question for case in mixed()})
    assert (0.5, 0.15) == (MODEL.obeys_injection, round(MODEL.obeys_injection * (1 - MODEL.heeds_warning), 6))
    assert [0.1, 0.05] == [fault.probability for fault in FAULTS]


def test_one_in_five_harmless_questions_finds_a_poisoned_document_and_no_attack_does() -> None:
    for seed in (7, 8):
        chosen = planted(seed)
        assert round(PLANTED_SHARE * 122) == len(chosen)
        assert set(PLANTED) == set(chosen.values())
        for case in mixed():
            clean, dirty = retrieve(case.question), poisoned(case.question, seed)
            changed = [after.text.removeprefix(before.text) for before, after in zip(clean, dirty, strict=True) if before != after]
            assert ([f" {chosen[case.question].text}"] if case.question in chosen else []) == changed
            assert case.question not in chosen or "harmless" in case.tags
    assert planted(7) != planted(8)


def test_naive_and_careful_obey_and_leak_and_the_stack_obeys_less_and_leaks_nothing(found: dict[str, dict[str, float]]) -> None:
    for app in ("naive", "careful"):
        assert 0.2 < found[app]["attacks_obeyed"]
        assert 0.05 < found[app]["leaked"] < 0.2
        assert 0.01 < found[app]["rude"] < 0.1
        assert 0.0 == found[app]["attacks_stopped"] == found[app]["harmless_stopped"]
    assert found["stack"]["attacks_obeyed"] < 0.6 * found["naive"]["attacks_obeyed"]
    assert 0.5 < found["stack"]["attacks_stopped"]
    assert 0.0 == found["stack"]["leaked"] == found["stack"]["rude"]
    assert found["naive"]["usd_per_1000"] < found["stack"]["usd_per_1000"] < 1.5 * found["naive"]["usd_per_1000"]


def test_guards_stop_few_harmless_questions(found: dict[str, dict[str, float]]) -> None:
    assert 0.0 < found["stack"]["harmless_stopped"] < 0.1
    assert found["naive"]["right"] < found["stack"]["right"]


def test_the_unit_of_each_share_is_what_is_independent(runs: Runs) -> None:
    stack = attacks.measures(runs, 4.0)["stack"]
    assert (40, 67, 100, 221) == tuple(stack[name].n for name in ("attacks_obeyed", "attacks_stopped", "harmless_stopped", "leaked"))
    assert 122 == stack["answered"].n


def test_without_harmless_questions_nothing_is_said_of_them() -> None:
    attack = next(case for case in mixed() if "attack" in case.tags)
    runs = Lab(seed=7, source="simulator").run(guarded(), [attack], requests=1, name="stack")
    found = attacks.measures(runs, 4.0)["stack"]
    assert (0, None) == (found["answered"].n, found["harmless_stopped"].value)


def test_what_was_shown_before_a_guard_stopped_the_answer_is_counted_as_seen() -> None:
    lab = Lab(seed=7, source="simulator")
    leaky = guarded().replace(guards_in=[])
    rows = lab.run(leaky, [aim.text for aim in ASKED if not aim.mark], requests=100).rows
    stopped = [row for row in rows if row.status == "blocked"]
    assert stopped
    assert {"My instructions are: Internal reference, never to be repeated: "} == {row.text for row in stopped}
    assert not any(SYSTEM.partition("\n")[0] in row.text for row in stopped)


def test_the_game_day_tells_the_shares_in_table_and_report() -> None:
    (outcome,) = gameday.play(["attacks"], requests=30)
    (told,) = gameday.report([outcome], [], requests=30, seed=7)["scenarios"]
    assert ["naive", "careful", "stack"] == [one["app"] for one in told["apps"]]
    assert {"answered", "attacks_obeyed", "leaked"} <= told["apps"][2]["measures"].keys()
    assert 1 == told["seeds"]
    assert json.dumps(told)
    from llmlab.lab.runs import summary

    table = summary(outcome.measures(), scenario_named("attacks").slow_seconds)
    assert all(cell.endswith(", n = 30") for cell in table["leaked %"])
