from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

import llmlab
from llmlab.errors import BadInput, UnknownName
from llmlab.evals.differences import paired_proportion_difference, paired_share_difference, proportion_difference
from llmlab.lab import pictures
from llmlab.lab.compare import METRICS
from llmlab.lab.load import Closed, Open
from llmlab.lab.runs import Row, Runs, Weather
from llmlab.wire.simulator import Simulator

CALM = Weather(seed=7, faults=(), source="simulator", over_time=False, open_loop=False)
PLAIN = Row(
    app="",
    number=0,
    case="",
    repetition=0,
    status="ok",
    reason="",
    intended_at=0.0,
    sent_at=0.0,
    wait_seconds=1.0,
    wait_from_intended_seconds=1.0,
    total_seconds=2.0,
    first_content_seconds=1.0,
    attempts=1,
    prompt_tokens=100,
    completion_tokens=50,
    usd=0.001,
    source="simulator",
    right=True,
    text="",
)


def runs(app: str, waits: Sequence[float | None], weather: Weather = CALM, **changes: Any) -> Runs:
    """One request a wait; None: it failed."""
    rows = []
    for number, wait in enumerate(waits):
        came = {"wait_seconds": wait, "total_seconds": 2 * wait} if wait is not None else {"wait_seconds": None, "status": "failed"}
        rows.append(
            replace(PLAIN, app=app, number=number, **{"case": f"case-{number % 10}", "repetition": number // 10, **came, **changes})
        )
    return Runs(rows, [], weather={app: weather}, banner="")


def with_slow(app: str, slow: int, n: int = 500, weather: Weather = CALM) -> Runs:
    return runs(app, [5.0] * slow + [1.0] * (n - slow), weather)


SPIKES = llmlab.faults.LatencySpike(probability=0.1, seconds=4.0)


@pytest.fixture(scope="module")
def real() -> Runs:
    lab = llmlab.Lab(seed=7, faults=[SPIKES], source="simulator")
    return lab.run(llmlab.naive, requests=120) + lab.run(llmlab.stack, requests=120)


# --- what is measured


@pytest.mark.parametrize("metric", METRICS)
def test_each_side_is_what_the_summary_says(real: Runs, metric: str) -> None:
    names = {"attempts": "attempts_per_request", "usd": "usd_per_1000"}
    found = llmlab.compare(real.only("naive"), real.only("stack"), metric)
    for app, side in (("naive", found.before), ("stack", found.after)):
        if not metric.startswith("total"):
            assert real.measures()[app][names.get(metric, metric)] == side
    assert found.paired
    assert found.difference.value == pytest.approx(found.after.value - found.before.value)  # type: ignore[operator]
    for row, side in (("before", found.before), ("after", found.after), ("difference", found.difference)):
        told = [math.nan if part is None else part for part in side]
        assert told == pytest.approx(found.frame.loc[row, ["value", "low", "high", "n"]].tolist(), nan_ok=True)
    assert {METRICS[metric].unit} == set(found.frame["unit"])


def test_a_whole_answer_that_failed_never_came() -> None:
    found = llmlab.compare(runs("a", [1.0] * 50), runs("b", [1.0] * 10 + [None] * 40), "total_p50")
    assert (2.0, math.inf) == (found.before.value, found.after.value)
    assert math.inf == found.difference.value
    assert "worse" == found.verdict
    assert "total p50: 2.00 s -> never, difference +inf [+inf, +inf] s (paired, n = 50): worse" == repr(found)


def test_two_who_never_answer_do_not_differ() -> None:
    found = llmlab.compare(runs("a", [None] * 50), runs("b", [None] * 50), "wait_p50")
    assert ("no difference shown", 0.0) == (found.verdict, found.difference.value)


def test_the_objective_can_be_another() -> None:
    before, after = runs("a", [3.0] * 50), runs("b", [1.0] * 50)
    assert 0 == llmlab.compare(before, after).difference.value
    assert -1 == llmlab.compare(before, after, slow_seconds=2.0).difference.value
    assert 1 == llmlab.compare(before, after, "goodput", slow_seconds=2.0).difference.value


def test_a_price_that_nobody_knows_cannot_be_compared() -> None:
    found = llmlab.compare(runs("a", [1.0] * 20), runs("b", [1.0] * 20, usd=None), "usd")
    assert "usd: 1.000 -> unknown, difference not measurable at n = 20 (paired, n = 20): cannot measure" == repr(found)
    assert found.enough is None


# --- pairs


def test_requests_are_paired_by_case_and_repetition_whatever_their_order() -> None:
    before, after = with_slow("a", 20, 100), with_slow("b", 5, 100)
    shuffled = Runs(after.rows[::-1], [], weather=after.weather, banner="")
    found = llmlab.compare(before, shuffled)
    assert paired_proportion_difference(5, 15, 0, 80) == found.difference
    assert (True, "paired") == (found.paired, found.pairing)


STORM = CALM._replace(over_time=True, open_loop=True)


@pytest.mark.parametrize(
    ("weather", "why"),
    [
        (CALM._replace(seed=8), "not paired: the seeds differ (7, 8)"),
        (CALM._replace(faults=(SPIKES,)), "not paired: the faults differ"),
        (CALM._replace(source="cassette"), "not paired: the sources differ (simulator, cassette)"),
    ],
)
def test_other_weather_is_not_paired(weather: Weather, why: str) -> None:
    found = llmlab.compare(with_slow("a", 20), with_slow("b", 0, weather=weather))
    assert (False, why) == (found.paired, found.pairing)
    assert proportion_difference(20, 500, 0, 500) == found.difference
    assert f"({why}, n = 500 and 500): better" in repr(found)


def test_other_requests_are_not_paired() -> None:
    assert "not paired: the requests differ (500, 200)" == llmlab.compare(with_slow("a", 9), with_slow("b", 9, 200)).pairing
    assert "not paired: the requests differ" == llmlab.compare(runs("a", [1.0]), runs("b", [1.0], case="else")).pairing
    assert "not paired: the requests differ" == llmlab.compare(runs("a", [1.0, 2.0]), runs("b", [1.0, 2.0], repetition=0, case="x")).pairing


def test_a_live_provider_is_not_paired() -> None:
    live = CALM._replace(source="live", over_time=True)
    assert llmlab.compare(runs("a", [1.0], live), runs("b", [1.0], live)).pairing.startswith("not paired: a live provider")


def test_weather_over_time_is_paired_under_open_loop_load_of_equal_times_only() -> None:
    closed = STORM._replace(open_loop=False)
    same = llmlab.compare(runs("a", [1.0], STORM), runs("b", [1.0], STORM))
    assert "paired; this one storm only" == same.pairing
    assert llmlab.compare(runs("a", [1.0], closed), runs("b", [1.0], closed)).pairing.startswith(
        "not paired: the weather changes over time"
    )
    assert "due at other times" in llmlab.compare(runs("a", [1.0], STORM), runs("b", [1.0], STORM, intended_at=3.0)).pairing
    assert "paired" == llmlab.compare(runs("a", [1.0]), runs("b", [1.0], CALM._replace(open_loop=True), intended_at=3.0)).pairing


class Tides(llmlab.faults.Fault):
    over_time = True


def test_the_lab_knows_its_weather(monkeypatch: pytest.MonkeyPatch) -> None:
    def weather(load: Any = None, **options: Any) -> Weather:
        return llmlab.Lab(**{"source": "simulator", **options}).run(llmlab.naive, requests=1, load=load).weather["naive"]._replace(asked="")

    assert CALM == weather()
    assert CALM._replace(seed=8, faults=(SPIKES,)) == weather(seed=8, faults=[SPIKES])
    assert [False, True] == [weather(load).open_loop for load in (Closed(), Open(per_second=1.0))]
    assert weather(faults=[Tides(probability=0.0)]).over_time
    assert [False, True] == [weather(simulator=Simulator(slots=slots)).over_time for slots in (None, 5)]


def test_answers_are_compared_by_case() -> None:
    def graded(app: str, wrong: int, weather: Weather = CALM) -> Runs:
        made = runs(app, [1.0] * 40, weather)
        rows = [replace(row, right=row.number % 10 >= wrong or row.repetition > 1) for row in made.rows]
        return Runs(rows, [], weather=made.weather, banner="")

    found = llmlab.compare(graded("a", 4), graded("b", 1), "right")
    assert paired_share_difference([0.5] * 4 + [1.0] * 6, [0.5] + [1.0] * 9) == found.difference
    assert "right: 80.0 % -> 95.0 %, difference +15.0 [-16.9, +45.9] points (paired by case, n = 10 cases): no difference shown" == repr(
        found
    )
    other = llmlab.compare(graded("a", 4), graded("b", 1, CALM._replace(seed=8)), "right")
    assert (found.difference, "paired by case, although the seeds differ (7, 8)") == (other.difference, other.pairing)
    ungraded = llmlab.compare(graded("a", 4), runs("b", [1.0] * 40, right=None), "right")
    assert ("not paired: the cases differ", "cannot measure") == (ungraded.pairing, ungraded.verdict)


# --- verdict


@pytest.mark.parametrize(
    ("before", "after", "margin", "verdict"),
    [
        (20, 2, None, "better"),
        (20, 2, 0.01, "better"),
        (2, 20, None, "worse"),
        (2, 20, 0.01, "worse"),
        (2, 20, 0.1, "no difference shown"),
        (2, 20, 0.03, "cannot measure"),
        (9, 9, None, "no difference shown"),
        (9, 9, 0.02, "no difference shown"),
        (9, 9, 0.001, "cannot measure"),
        (9, 9, 0.0, "cannot measure"),
    ],
)
@pytest.mark.parametrize("metric", ["slow", "goodput"])
def test_the_verdict_is_the_interval_in_words(before: int, after: int, margin: float | None, verdict: str, metric: str) -> None:
    assert verdict == llmlab.compare(with_slow("a", before), with_slow("b", after), metric, margin).verdict


def test_what_cannot_be_measured_says_how_many_would_do() -> None:
    small = llmlab.compare(with_slow("a", 10, 100), with_slow("b", 10, 100), margin=0.01)
    assert ("cannot measure", 1400) == (small.verdict, small.enough)
    assert "verdict" not in repr(small)
    assert "cannot measure (about 1,400 requests would do)" in repr(small)
    assert "no difference shown" == llmlab.compare(with_slow("a", 140, 1400), with_slow("b", 140, 1400), margin=0.01).verdict
    p99 = llmlab.compare(with_slow("a", 10, 200), with_slow("b", 0, 200), "wait_p99")
    assert ("cannot measure", 368) == (p99.verdict, p99.enough)
    assert "wait p99: 5.00 s -> 1.00 s, difference not measurable at n = 200 (paired, n = 200): cannot measure" in repr(p99)


def test_no_number_would_do_where_the_loss_looks_larger_than_the_margin_or_all_is_measured() -> None:
    assert llmlab.compare(with_slow("a", 0, 20), with_slow("b", 2, 20), margin=0.01).enough is None
    assert llmlab.compare(with_slow("a", 20), with_slow("b", 2)).enough is None


# --- what a person sees


def test_a_comparison_is_a_sentence_and_a_table() -> None:
    found = llmlab.compare(with_slow("naive", 20), with_slow("stack", 2))
    assert "slow: 4.0 % -> 0.4 %, difference -3.6 [-5.6, -2.3] points (paired, n = 500): better" == repr(found)
    assert ["before", "after", "difference"] == list(found.frame.index)
    assert ["value", "low", "high", "n", "unit", "method"] == list(found.frame.columns)
    assert "Tango's score interval" == found.frame.loc["difference", "method"]


def test_an_app_can_be_compared_with_itself() -> None:
    found = llmlab.compare(with_slow("stack", 20), with_slow("stack", 2))
    assert ("stack (before)", "stack (after)") == found.apps
    assert ["stack (before)", "stack (after)"] == list(dict.fromkeys(found.rows["app"]))


def test_paired_waits_are_drawn_as_a_scatter(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, Any] = {}

    def scatter(frame: pd.DataFrame, before: str, after: str, slow_seconds: float = 4.0) -> Figure:
        drawn.update(apps=set(frame["app"]), before=before, after=after, slow_seconds=slow_seconds)
        return Figure()

    monkeypatch.setattr(pictures, "paired_scatter", scatter, raising=False)
    llmlab.compare(with_slow("stack", 20), with_slow("stack", 2), "wait_p90", slow_seconds=3.0).plot()
    assert {
        "apps": {"stack (before)", "stack (after)"},
        "before": "stack (before)",
        "after": "stack (after)",
        "slow_seconds": 3.0,
    } == drawn


@pytest.mark.parametrize(("metric", "margin"), [("slow", None), ("goodput", 0.02), ("usd", None), ("attempts", 0.1), ("wait_p50", 1.0)])
def test_other_differences_are_drawn_as_an_interval_with_its_words(metric: str, margin: float | None) -> None:
    found = llmlab.compare(with_slow("naive", 20), with_slow("stack", 2, weather=CALM._replace(seed=8)), metric, margin)
    figure = found.plot()
    words = [text.get_text() for text in figure.texts]
    (axes,) = figure.axes
    assert f"{metric.replace('_', ' ')}: {found.verdict}" in words
    assert (["\u2190 worse", "better \u2192"] if metric == "goodput" else ["\u2190 better", "worse \u2192"]) == words[:2]
    assert f"stack - naive: {found.text()}" == axes.get_xlabel()
    assert (["accepted"] if margin else []) == [text.get_text() for text in axes.texts]
    assert figure._repr_png_()[0].startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_what_has_no_interval_or_no_end_can_be_drawn() -> None:
    other = CALM._replace(seed=8)
    for found in (
        llmlab.compare(with_slow("a", 2, 20), with_slow("b", 2, 20, other), "wait_p99"),
        llmlab.compare(with_slow("a", 2), runs("b", [None] * 500, other), "wait_p50"),
    ):
        assert found.plot()._repr_png_()[0].startswith(b"\x89PNG")  # type: ignore[attr-defined]


# --- runs


def test_one_app_of_several_can_be_taken_out(real: Runs) -> None:
    only = real.only("stack")
    assert (["stack"], 120, 7, real.banner) == (only.apps, len(only), only.seed, only.banner)
    assert {"stack"} == set(only.attempts["app"])
    assert real.summary().equals((real.only("naive") + only).summary())
    with pytest.raises(UnknownName, match="there is: naive, stack"):
        real.only("careful")


def test_an_app_that_met_two_weathers_needs_two_names() -> None:
    with pytest.raises(BadInput, match="a met other weather in the other run; give it another name"):
        runs("a", [1.0]) + runs("a", [1.0], CALM._replace(open_loop=True))
    assert 2 == len(runs("a", [1.0]) + runs("b", [1.0], CALM._replace(open_loop=True)))


def test_bad_input_says_what_would_do(real: Runs) -> None:
    one = real.only("naive")
    with pytest.raises(BadInput, match=r'before is the run of one app; here are naive, stack: take runs.only\("name"\)'):
        llmlab.compare(real, one)
    with pytest.raises(BadInput, match="after is the run of one app; here are none"):
        llmlab.compare(one, Runs([], [], weather={}, banner=""))
    with pytest.raises(UnknownName, match="there is no metric 'joy'; there is: slow, goodput, answered, right, wait_p50"):
        llmlab.compare(one, one, "joy")
    for margin in (-0.1, math.nan, math.inf, "2 %"):
        with pytest.raises(BadInput, match="margin is the largest loss that you accept"):
            llmlab.compare(one, one, margin=margin)  # type: ignore[arg-type]


def test_other_questions_are_not_paired_though_their_ids_are_the_same() -> None:
    lab = llmlab.Lab(source="simulator")
    one, other = (lab.run(llmlab.naive, [question], requests=5) for question in ("Do you deliver?", "Can I pay later?"))
    assert "not paired: the questions differ" == llmlab.compare(one, other).pairing


def test_the_same_run_twice_is_no_new_observation() -> None:
    run = llmlab.Lab(source="simulator").run(llmlab.naive, requests=3)
    with pytest.raises(BadInput, match="naive has these requests already"):
        run + run
