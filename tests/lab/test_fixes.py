from __future__ import annotations

import pytest

import llmlab
from llmlab.errors import UnknownName
from llmlab.lab.fixes import FIXES, effects, fix_table, fixed, ladder, words

STORM = llmlab.Lab(seed=7, faults=[llmlab.faults.LatencySpike(probability=0.2, seconds=4.0)])
LOAD = llmlab.Open(per_second=5)


@pytest.fixture(scope="module")
def runs() -> llmlab.Runs:
    return STORM.run_all(ladder(), requests=120, load=LOAD)


def test_without_a_fix_one_attempt_is_made_and_not_streamed() -> None:
    plain = fixed()
    assert (1, False, None, None) == (len(plain.routes), plain.routes[0].stream, plain.hedge, plain.cache)


@pytest.mark.parametrize("name", FIXES)
def test_each_fix_changes_the_pipeline(name: str) -> None:
    assert fixed() != fixed([name])


def test_beside_a_hedge_the_others_wait_twice_as_long() -> None:
    assert 1.5 == fixed(["fallback"], 1.5).routes[0].clocks.first_content_seconds
    assert 3.0 == fixed(["fallback", "hedge"], 1.5).routes[0].clocks.first_content_seconds
    assert "stream, hedge after 1.5 s, fallback after 3 s" == words(("stream", "hedge", "fallback"), 1.5)


def test_the_last_route_is_waited_for() -> None:
    assert [1.0, 15.0] == [route.clocks.first_content_seconds for route in fixed(["timeout"], 1.0).routes]


def test_an_unknown_fix_names_those_there_are() -> None:
    with pytest.raises(UnknownName, match="stream, timeout, hedge, fallback, cache"):
        fixed(["prayer"])


def test_words_name_every_fix() -> None:
    assert "no fix" == words((), 2)
    for name in FIXES:
        assert name in words((name,), 2)


def test_streaming_moves_the_median_and_a_second_chance_the_tail(runs: llmlab.Runs) -> None:
    none, stream, *chances = runs.measures().values()
    assert stream["wait_p50"].value < none["wait_p50"].value / 2
    assert stream["slow"].value == none["slow"].value
    for found in chances:
        assert found["slow"].value < stream["slow"].value / 2


def test_effects_are_told_beside_the_first_row(runs: llmlab.Runs) -> None:
    found = effects(runs)
    assert runs.apps[1:] == list(found)
    assert "no difference shown" == found["stream"].verdict
    assert "better" == found["stream, hedge after 1.5 s"].verdict


def test_the_table_has_a_row_a_fix_with_its_price(runs: llmlab.Runs) -> None:
    table = fix_table(runs).set_index("fix")
    assert runs.apps == list(table.index)
    assert ("1.000", "+0.0 %") == (table.loc["no fix", "attempts"], table.loc["stream", "attempts"])
    assert table.loc["stream, hedge after 1.5 s", "attempts"].startswith("+")
    assert table.loc["stream, fallback after 1.5 s", "USD per 1,000"].startswith("-")


def test_an_unknown_price_is_said_to_be_unknown() -> None:
    unpriced = llmlab.stack.replace(routes=[llmlab.Route("main", model="main")], hedge=None)
    rows = STORM.run_all({"one": unpriced, "two": unpriced}, requests=2, load=LOAD)
    rows.rows = tuple(type(row)(**{**{name: getattr(row, name) for name in row.__slots__}, "usd": None}) for row in rows.rows)
    assert ["unknown", "unknown"] == list(fix_table(rows)["USD per 1,000"])
