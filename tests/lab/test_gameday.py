from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import llmlab
from llmlab.data.help_desk import Case
from llmlab.errors import BadInput, UnknownName
from llmlab.evals.statistics import proportion
from llmlab.lab import gameday
from llmlab.lab.scenarios import SCENARIOS, Scenario, register, scenario_named


def played(requests: int = 40, **options: object) -> list[gameday.Outcome]:
    return gameday.play(["latency"], requests=requests, source="simulator", **options)  # type: ignore[arg-type]


def test_two_game_days_of_one_seed_are_the_same_to_the_byte() -> None:
    reports = [json.dumps(gameday.report(played(), [], requests=40, seed=7)) for _ in range(2)]
    assert reports[0] == reports[1]
    assert json.loads(reports[0])["schema_version"] == 1
    assert ["naive", "careful", "stack"] == [one["app"] for one in json.loads(reports[0])["scenarios"][0]["apps"]]


def test_an_unknown_scenario_names_those_there_are() -> None:
    with pytest.raises(UnknownName, match="latency"):
        gameday.play(["earthquake"])


def test_a_scenario_registers_once() -> None:
    with pytest.raises(BadInput, match="already"):
        register(SCENARIOS["latency"])
    extra = Scenario(name="calm", title="Nothing", faults=(), put_in={}, load=llmlab.Closed(concurrency=2))
    try:
        assert extra is register(extra)
        assert extra is scenario_named("calm")
    finally:
        del SCENARIOS["calm"]


@pytest.mark.parametrize(
    ("hits", "n", "threshold", "code"),
    [(1000, 1000, 0.99, 0), (500, 500, 0.99, 0), (980, 1000, 0.99, 1), (100, 100, 0.99, 2), (20, 20, 0.9, 2), (0, 0, 0.5, 2)],
)
def test_a_gate_passes_fails_or_cannot_tell(hits: int, n: int, threshold: float, code: int) -> None:
    found, reason = gameday._judged(proportion(hits, n), threshold)
    assert code == found
    assert reason


def test_a_gate_that_cannot_tell_says_how_many_requests_would_do() -> None:
    _, reason = gameday._judged(proportion(100, 100), 0.99)
    assert "would do" in reason
    _, hopeless = gameday._judged(proportion(99, 100), 0.99)
    assert "would do" not in hopeless


@pytest.mark.parametrize("text", ["goodput=1.5", "goodput=0", "goodput=much", "goodput"])
def test_a_gate_wants_a_share(text: str) -> None:
    with pytest.raises(BadInput, match=r"goodput=0\.99"):
        gameday.parse_gate([text])


def test_a_gate_on_nothing_known_names_the_measures() -> None:
    with pytest.raises(UnknownName, match="answered, goodput, right"):
        gameday.parse_gate(["speed=0.9"])


def test_verdicts_are_given_for_every_app_and_measure() -> None:
    verdicts = gameday.judge(played(), {"goodput": 0.5, "right": 0.01})
    assert 6 == len(verdicts)
    assert {"naive", "careful", "stack"} == {verdict.app for verdict in verdicts}


def test_cases_without_gold_cannot_be_judged_right() -> None:
    outcomes = played(apps={"naive": llmlab.naive}, cases=[Case(id="mine", question="What is it?")])
    (verdict,) = gameday.judge(outcomes, {"right": 0.9})
    assert gameday.CANNOT_MEASURE == verdict.code


def test_an_app_is_loaded_from_the_present_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_feature_for_test.py").write_text("async def answer(client, question):\n    return 'hello'\n")
    monkeypatch.chdir(tmp_path)
    name, app = gameday.load_app("my_feature_for_test:answer")
    assert "answer" == name
    assert 3 == len(played(3, apps={name: app})[0].runs)
    with pytest.raises(BadInput, match="it has: answer"):
        gameday.load_app("my_feature_for_test:reply")
    with pytest.raises(BadInput, match="cannot be imported"):
        gameday.load_app("no_such_module_here:answer")
    with pytest.raises(BadInput, match="module:callable"):
        gameday.load_app("my_feature_for_test")


def test_fixes_and_cache_have_rows_of_their_own() -> None:
    (outcome,) = gameday.play(["latency"], requests=60)
    assert "no fix" == outcome.fixes.apps[0]
    assert ["naive", "careful", "stack"] == outcome.runs.apps
    assert 0 == (outcome.runs.frame["source"] == "cache").sum()
    assert 0 < (outcome.cached.frame["source"] == "cache").sum()
    (told,) = gameday.report([outcome], [], requests=60, seed=7)["scenarios"]
    assert {"slow_change", "verdict"} <= told["fixes"][1].keys()
    assert "verdict" not in told["fixes"][0]
    assert ["stack, cache"] == [one["app"] for one in told["cached"]]


def test_the_retry_storm_is_counted_by_seed_and_careful_keeps_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCENARIOS, "retry-storm", replace(SCENARIOS["retry-storm"], seeds=4))
    (outcome,) = gameday.play(["retry-storm"])
    found = outcome.measures()
    assert {"naive": 4, "careful": 4, "stack": 4} == {app: measures["goodput"].n for app, measures in found.items()}
    assert found["careful"]["goodput"].value < 0.6 < 0.95 <= found["stack"]["goodput"].value
    assert found["careful"]["attempts_per_request"].value > 3.0 > 1.5 > found["stack"]["attempts_per_request"].value
    assert 4 == len({run.seed for run in outcome.seeds})
    (told,) = gameday.report([outcome], [], requests=500, seed=7)["scenarios"]
    assert (4, "inf") == (told["seeds"], told["apps"][1]["measures"]["wait_p50"]["value"])
    assert "too few seeds" in gameday.judge([outcome], {"goodput": 0.95})[2].reason


def test_a_scenario_with_apps_of_its_own_plays_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SCENARIOS, "rate-limits")
    monkeypatch.delitem(SCENARIOS, "outage")
    outcomes = gameday.play(apps={"naive": llmlab.naive}, requests=5, source="simulator")
    assert ["latency"] == [outcome.scenario.name for outcome in outcomes]
    with pytest.raises(BadInput, match="retry-storm has apps of its own"):
        gameday.play(["retry-storm"], apps={"naive": llmlab.naive})
    with pytest.raises(BadInput, match="is never live"):
        gameday.play(["retry-storm"], source="live")


def test_an_app_of_ones_own_is_played_without_them() -> None:
    (outcome,) = played(5, apps={"naive": llmlab.naive})
    assert (None, None) == (outcome.fixes, outcome.cached)
    (told,) = gameday.report([outcome], [], requests=5, seed=7)["scenarios"]
    assert ([], []) == (told["fixes"], told["cached"])


def test_a_gate_cannot_measure_weather_that_comes_after_the_last_request() -> None:
    (outcome,) = gameday.play(["outage"], requests=100, source="simulator")
    assert "the weather lasts until second 16, and requests came until second" in outcome.uncovered
    assert "ask for at least 400 (--requests)" in outcome.uncovered
    (told,) = gameday.report([outcome], [], requests=100, seed=7)["scenarios"]
    assert outcome.uncovered == told["uncovered"]
    assert {(gameday.CANNOT_MEASURE, outcome.uncovered)} == {(one.code, one.reason) for one in gameday.judge([outcome], {"goodput": 0.5})}


def test_the_least_number_of_requests_that_is_named_is_enough_and_all_seeds_are_counted() -> None:
    (outcome,) = gameday.play(["outage"], requests=400, source="simulator")
    assert "" == outcome.uncovered
    assert 1 in {one.code for one in gameday.judge([outcome], {"goodput": 0.99})}
    (told,) = gameday.report([outcome], [], requests=400, seed=7)["scenarios"]
    assert 1200 == sum(int(part.split()[0]) for part in told["sources"].split(", "))
    naive = told["apps"][0]
    failed = sum(not row.answered for one in outcome.seeds for row in one.rows if row.app == "naive")
    assert failed == sum(naive["reasons"].values()) > 20
    assert failed * 2 <= naive["sdk_retries"]


def test_where_nobody_intends_a_time_no_number_is_named() -> None:
    lull = replace(SCENARIOS["outage"], load=llmlab.Closed(concurrency=1), seeds=1)
    (outcome,) = gameday.play(["latency"], requests=3, source="simulator", apps={"naive": llmlab.naive})
    assert outcome._replace(scenario=lull).uncovered.endswith("ask for more (--requests)")
