from __future__ import annotations

import math
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmlab
from llmlab.errors import BadInput, UnknownName
from llmlab.protocol.draws import uniform
from llmlab.protocol.identity import Stamp
from llmlab.wire import faults
from llmlab.wire.faults import FAULTS, Fault, Jitter, Latency, LatencySpike, SlowDecode, SlowFirstToken, Stall, Timing, fault_named
from llmlab.wire.faults.parse import parse
from llmlab.wire.faults.plan import Sent
from llmlab.wire.latency import PRESETS, preset

OURS = [Jitter, Latency, LatencySpike, SlowDecode, SlowFirstToken, Stall]


def stamp(number: int = 0, ordinal: int = 0) -> Stamp:
    return Stamp(f"q{number:03}/0", "chat", "gpt-4o", ordinal, {})


def sent(
    number: int = 0, ordinal: int = 0, seed: int = 7, model: str = "gpt-4o", at: float = 0.0, host: str = "a.test", **body: Any
) -> Sent:
    where = stamp(number, ordinal)._replace(model=model, body=body)
    return Sent(httpx2.Request("POST", f"https://{host}/v1/chat/completions"), where, seed, at, at)


def asked(fault: Fault, where: Stamp | None = None) -> Timing:
    timing = Timing()
    assert fault.delay(timing, 7, where or stamp())
    return timing


@pytest.mark.parametrize("kind", OURS)
def test_faults_go_by_their_names(kind: type[Fault]) -> None:
    assert kind is getattr(llmlab.faults, kind.__name__)
    assert kind is FAULTS[kind.__name__]
    assert kind() == fault_named(kind.__name__)
    assert kind(name="mine", probability=0.25) == fault_named(kind.__name__, name="mine", probability=0.25)


def test_an_unknown_fault_names_those_there_are() -> None:
    with pytest.raises(
        UnknownName, match="there is no fault 'Spike'; there is: BrownOut, Bursts, ChangedName, ChangedNumber, ConnectTimeout"
    ):
        fault_named("Spike")


def test_an_unknown_preset_names_those_there_are() -> None:
    with pytest.raises(UnknownName, match="there is no latency preset 'fast'; there is: chat"):
        Latency(preset="fast")


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("probability", [1.2, -0.1, math.nan, math.inf, "0.5", None])
def test_a_probability_is_a_share(kind: type[Fault], probability: Any) -> None:
    with pytest.raises(BadInput, match=rf"{kind.__name__}: probability is a share from 0 to 1, not {probability!r}"):
        kind(probability=probability)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (LatencySpike, "seconds"),
        (SlowFirstToken, "seconds"),
        (SlowDecode, "seconds_per_token"),
        (Stall, "seconds"),
        (Jitter, "mean_seconds"),
    ],
)
@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, "4", None])
def test_a_time_is_not_negative_and_ends(kind: type[Fault], field: str, seconds: Any) -> None:
    with pytest.raises(BadInput, match=rf"{kind.__name__}: {field} is a time of 0 seconds or more, not {seconds!r}"):
        kind(**{field: seconds})


@pytest.mark.parametrize("tokens", [0, -3, 2.5, "5"])
def test_a_stall_comes_after_at_least_one_token(tokens: Any) -> None:
    with pytest.raises(BadInput, match=rf"whole number of at least 1, not {tokens!r}; for a late first token take SlowFirstToken"):
        Stall(after_tokens=tokens)


def test_a_name_is_a_text() -> None:
    with pytest.raises(BadInput, match="LatencySpike: name is a text, not 3"):
        LatencySpike(name=3)  # type: ignore[arg-type]


def test_attributes_are_keywords_and_stay() -> None:
    with pytest.raises(TypeError):
        LatencySpike(0.5)  # type: ignore[misc]
    with pytest.raises(AttributeError):
        LatencySpike().seconds = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("expected", "fault"),
    [
        ("LatencySpike()", LatencySpike()),
        ("LatencySpike(probability=0.2, seconds=1.5)", LatencySpike(probability=0.2, seconds=1.5)),
        ("LatencySpike(name='second')", LatencySpike(name="second")),
        ("Latency(preset='groq')", Latency(preset="groq")),
        ("Stall(probability=0.1, after_tokens=2)", Stall(probability=0.1, after_tokens=2)),
    ],
)
def test_a_repr_can_be_pasted_back(expected: str, fault: Fault) -> None:
    assert expected == repr(fault)
    assert fault == eval(expected, dict(FAULTS))


# When they fire


@given(st.integers(), st.integers(0, 5000), st.integers(0, 5), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_probability_fires_for_the_same_attempts_and_more(seed: int, number: int, ordinal: int, p: float, q: float) -> None:
    low, high = sorted((p, q))
    if LatencySpike(probability=low).fires(sent(number, ordinal, seed=seed)):
        assert LatencySpike(probability=high).fires(sent(number, ordinal, seed=seed))


@pytest.mark.parametrize("probability", [0.0, 0.04, 0.5, 1.0, 1, 0])
def test_a_fault_fires_for_its_share_of_attempts(probability: float) -> None:
    fault, n = LatencySpike(probability=probability), 5000
    share = sum(fault.fires(sent(number)) for number in range(n)) / n
    assert probability == pytest.approx(share, abs=3.3 * math.sqrt(probability * (1 - probability) / n))


def test_faults_of_other_names_seeds_and_ordinals_fire_for_others() -> None:
    def struck(fault: Fault, seed: int = 7, ordinal: int = 0) -> list[bool]:
        return [fault.fires(sent(number, ordinal, seed=seed)) for number in range(500)]

    one, other = LatencySpike(probability=0.5), LatencySpike(probability=0.5, name="second")
    assert struck(one) == struck(LatencySpike(probability=0.5, seconds=9))
    assert 4 == len({tuple(struck(one)), tuple(struck(other)), tuple(struck(one, seed=8)), tuple(struck(one, ordinal=1))})


# What they ask for


@pytest.mark.parametrize(
    ("expected", "fault"),
    [
        (Timing(before_headers=4.0), LatencySpike()),
        (Timing(before_content=3.0), SlowFirstToken()),
    ],
)
def test_a_fault_asks_for_its_delay(expected: Timing, fault: Fault) -> None:
    assert expected == asked(fault)


def test_slow_decoding_adds_the_same_before_every_token() -> None:
    assert [0.1, 0.1, 0.1] == [asked(SlowDecode()).gap(token) for token in (1, 2, 99)]


def test_a_stall_adds_once() -> None:
    assert [0.0, 8.0, 0.0] == [asked(Stall(after_tokens=5)).gap(token) for token in (4, 5, 6)]


def test_jitter_is_exponential_in_whole_microseconds_and_of_the_attempt() -> None:
    jitter = Jitter(mean_seconds=0.05)
    wobbles = [asked(jitter).wobble(chunk) for chunk in range(3000)]
    assert 0.05 == pytest.approx(math.fsum(wobbles) / 3000, rel=0.06)
    assert wobbles == [round(wobble, 6) for wobble in wobbles]
    assert wobbles[:50] == [asked(jitter).wobble(chunk) for chunk in range(50)]
    assert wobbles[:50] != [asked(jitter, stamp(1)).wobble(chunk) for chunk in range(50)]


@pytest.mark.parametrize("name", PRESETS)
def test_latency_draws_the_same_times_as_the_simulator_would(name: str) -> None:
    timing, times = asked(Latency(preset=name)), preset(name)
    assert times.first_token_seconds(7, "Latency", "first_token", *stamp().key) == timing.first_at
    assert times.seconds_per_token(7, "Latency", "per_token", *stamp().key) == timing.per_token


def test_delays_add_up() -> None:
    timing = Timing()
    for fault in (
        LatencySpike(seconds=1.0),
        LatencySpike(seconds=0.5),
        SlowDecode(),
        SlowDecode(seconds_per_token=0.2),
        Stall(after_tokens=1),
    ):
        fault.delay(timing, 7, stamp())
    assert (1.5, 8.3) == (timing.before_headers, timing.gap(1))
    assert (0.3, 0.0) == (round(timing.gap(2), 6), timing.wobble(0))


@pytest.mark.parametrize(
    ("expected", "fault"),
    [(False, LatencySpike()), (False, Jitter()), (True, SlowFirstToken()), (True, SlowDecode()), (True, Stall()), (True, Latency())],
)
def test_what_depends_on_tokens_counts_them(expected: bool, fault: Fault) -> None:
    assert expected == asked(fault).counts_tokens


def test_a_fault_of_ones_own_is_known_by_its_name() -> None:
    class Drizzle(Fault):
        """Nothing much."""

    try:
        assert Drizzle is FAULTS["Drizzle"]
        with pytest.raises(NotImplementedError):
            Drizzle().delay(Timing(), 7, stamp())
    finally:
        del FAULTS["Drizzle"]


def test_the_package_lists_them_in_order() -> None:
    assert sorted(faults.__all__, key=lambda name: (not name.isupper(), name)) == list(faults.__all__)
    assert {kind.__name__ for kind in OURS} <= set(faults.__all__)


# Which attempts they strike


def test_the_first_attempts_alone_can_be_struck() -> None:
    fault = LatencySpike(probability=1.0).first(2)
    assert [True, True, False, False] == [fault.fires(sent(0, ordinal)) for ordinal in range(4)]
    assert "LatencySpike(probability=1.0, first_attempts=2)" == repr(fault)


@pytest.mark.parametrize("attempts", [0, -1, 1.5, "1"])
def test_there_is_no_attempt_before_the_first(attempts: Any) -> None:
    with pytest.raises(BadInput, match=rf"first_attempts is a whole number of at least 1, or None for all, not {attempts!r}"):
        LatencySpike().first(attempts)


@pytest.mark.parametrize("model", ["gpt-4o", "main"])
def test_one_model_alone_can_be_struck(model: str) -> None:
    fault = LatencySpike(probability=1.0).on(model=model)
    assert fault.fires(sent())
    assert not fault.fires(sent(model="gpt-4o-mini"))
    assert f"LatencySpike(probability=1.0, model={model!r})" == repr(fault)


@given(st.integers(), st.integers(0, 5000), st.integers(0, 3))
def test_narrowing_a_fault_moves_no_draw(seed: int, number: int, ordinal: int) -> None:
    fault = LatencySpike(probability=0.5)
    expected = fault.fires(sent(number, ordinal, seed=seed))
    assert expected == fault.on(model="main").first(4).fires(sent(number, ordinal, seed=seed))


# Scripts


def struck(fault: Fault, attempts: int = 6, **where: Any) -> list[int]:
    """Which attempts, from 1, are struck."""
    return [ordinal + 1 for ordinal in range(attempts) if fault.fires(sent(0, ordinal, **where))]


@pytest.mark.parametrize(
    ("expected", "fault"),
    [
        ([1, 2, 3, 4, 5, 6], Stall()),
        ([1, 2], Stall().first(2)),
        ([3], Stall().nth(3)),
        ([4], Stall().on(attempt=4)),
        ([1, 3], Stall().sequence(True, False, True)),
        ([1], Stall().sequence(True, False, True).first(2)),
        ([2], Stall().nth(2).first(3).on(model="main", host="a.test").between(0, 1)),
        ([], Stall().nth(2).on(model="fast")),
        ([], Stall(probability=0.0).nth(2)),
    ],
)
def test_a_script_strikes_exactly_where_it_says(expected: list[int], fault: Fault) -> None:
    assert expected == struck(fault)
    assert expected == struck(parse(repr(fault)))
    assert fault == eval(repr(fault), dict(FAULTS))


@given(st.lists(st.booleans(), min_size=1, max_size=8).filter(any))
def test_a_pattern_is_followed_and_then_nothing(pattern: list[bool]) -> None:
    assert [place for place, strikes in enumerate(pattern, 1) if strikes] == struck(Stall().sequence(*pattern), 12)


@given(st.floats(0, 100), st.floats(0.001, 100), st.floats(0, 250))
def test_a_window_holds_its_start_and_not_its_end(start: float, length: float, at: float) -> None:
    fault = Stall().between(start, start + length)
    assert (start <= at < start + length) == fault.fires(sent(at=at))
    assert fault.fires(sent(at=start))
    assert not fault.fires(sent(at=start + length))


def test_a_host_alone_can_be_struck_and_streams_alone() -> None:
    assert Stall().on(host="a.test").fires(sent())
    assert not Stall().on(host="a.test").fires(sent(host="b.test"))
    assert [True, False] == [Stall().on(stream=True).fires(sent(**body)) for body in ({"stream": True}, {})]
    assert [False, True] == [Stall().on(stream=False).fires(sent(**body)) for body in ({"stream": True}, {})]
    assert Stall().on(model="llama-9").fires(sent(model="llama-9")), "a live provider may know models that we don't"


@pytest.mark.parametrize(
    ("message", "make"),
    [
        ("first_attempts=2, attempt=3 exclude each other, so that it never strikes", lambda: Stall().nth(3).first(2)),
        ("attempt=2, pattern=.True, False. exclude each other", lambda: Stall().sequence(True, False).nth(2)),
        ("attempt=3, pattern=.True,. exclude each other", lambda: Stall().sequence(True).nth(3)),
        ("pattern=.False, False. exclude each other", lambda: Stall().sequence(False, False)),
        ("sequence takes True or False for the first attempt", lambda: Stall().sequence()),
        ("pattern is a sequence of True and False, not .1, 0.", lambda: Stall().sequence(1, 0)),
        ("attempt is a whole number of at least 1, or None for any, not 0", lambda: Stall().nth(0)),
        ("a window starts at 0 s or later and ends after it starts, which 5 s to 3 s does not", lambda: Stall().between(5, 3)),
        ("ends after it starts, which 5 s to 5 s does not", lambda: Stall().between(5, 5)),
        ("window is two times in seconds, start and end, not .0, 'x'.", lambda: Stall().between(0, "x")),
        ("on.model=''. would strike nothing; leave model out to strike any", lambda: Stall().on(model="")),
        ("on.host=''. would strike nothing", lambda: Stall().on(host="")),
        ("host is a text, not 3", lambda: Stall().on(host=3)),
        ("stream is True, False, or None for both, not 'yes'", lambda: Stall().on(stream="yes")),
        ("it strikes streams only, so that with stream=False it never strikes", lambda: faults.CutStream().on(stream=False)),
        ("after_tokens is a whole number of at least 0, not -1", lambda: faults.CutStream(after_tokens=-1)),
        ("every_seconds is at least 0.001", lambda: faults.KeepAliveOnly(every_seconds=0)),
    ],
)
def test_scripts_that_contradict_are_refused(message: str, make: Any) -> None:
    with pytest.raises(BadInput, match=message):
        make()


@given(st.integers(0, 2**32), st.integers(0, 5000), st.integers(0, 3), st.floats(0, 1))
def test_a_draw_is_the_one_that_its_key_says(seed: int, number: int, ordinal: int, probability: float) -> None:
    expected = uniform(seed, "Stall", "fires", *stamp(number, ordinal).key) < probability
    assert expected == Stall(probability=probability).fires(sent(number, ordinal, seed=seed))


# From text


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (Stall().nth(2), "Stall().nth(2)"),
        (Stall(seconds=3).first(2).on(model="main", stream=True), "Stall(seconds=3).first(2).on(model='main', stream=True)"),
        (Stall().sequence(True, False, True), "Stall().sequence(True, False, True)"),
        (Stall().between(10, 20.5), "Stall().between(10, 20.5)"),
        (Stall().between(1, 2), "Stall(window=(1, 2))"),
        (faults.Outage(what=faults.ConnectionRefused(seconds=1)), "Outage(what=ConnectionRefused(seconds=1))"),
        (faults.Outage(what=faults.DnsFailure()).first(1), "Outage(what=DnsFailure).first(1)"),
    ],
)
def test_scripts_can_be_written(expected: Fault, text: str) -> None:
    assert expected == parse(text) == parse(repr(expected))


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("nth is told other things than it takes", "Stall().nth()"),
        ("on is told other things than it takes", "Stall().on(models='main')"),
        ("is no fault; write it as", "Stall().fires(1)"),
        ("a window starts at 0 s or later", "Stall().between(5, 3)"),
        ("there is no fault 'Storm'", "Storm().nth(2)"),
        ("are plain numbers and texts", "Outage(what=Storm())"),
    ],
)
def test_scripts_that_cannot_be_read_say_so(message: str, text: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse(text)


@pytest.mark.parametrize(
    "fault",
    [
        LatencySpike(),
        LatencySpike(probability=0.3, seconds=4),
        Stall(name="second", after_tokens=2),
        Latency(preset="groq"),
        Jitter().first(1),
    ],
)
def test_what_a_fault_shows_of_itself_can_be_read_back(fault: Fault) -> None:
    assert fault == parse(repr(fault))
    assert type(fault)() == parse(f" {type(fault).__name__} ")


@pytest.mark.parametrize("text", ["", "1", "LatencySpike(", "LatencySpike(0.3)", "LatencySpike(**{})", "a.b()", "(lambda: 0)()", "\0"])
def test_what_is_no_fault_says_how_to_write_one(text: str) -> None:
    with pytest.raises(BadInput, match=r"is no fault; write it as LatencySpike\(probability=0.3, seconds=4\)"):
        parse(text)


@pytest.mark.parametrize("value", ["print()", "x", "1 if 1 else 2", "{[]: 1}"])
def test_nothing_in_the_text_is_executed(value: str) -> None:
    with pytest.raises(BadInput, match="are plain numbers and texts"):
        parse(f"LatencySpike(seconds={value})")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("there is no fault 'Spike'; there is: BrownOut, Bursts", "Spike(seconds=1)"),
        ("LatencySpike has no attribute 'second'; it has: name, probability", "LatencySpike(second=1)"),
        ("probability is a share from 0 to 1, not 1.2", "LatencySpike(probability=1.2)"),
        ("seconds is a time of 0 seconds or more, not -1", "LatencySpike(seconds=-1)"),
    ],
)
def test_what_does_not_fit_is_named(message: str, text: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (r"language is one of de, es, fr, not \['de'\]", "OtherLanguage(language=['de'])"),
        (r"there is no status of a server's error \[500\]", "ServerError(status=[500])"),
        ("gives an attribute twice", "RateLimit(probability=0.1, probability=0.9)"),
        ("stream is True, False, or None for both, not 1", "RateLimit(stream=1)"),
    ],
)
def test_an_attribute_that_does_not_fit_is_bad_input(message: str, text: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse(text)
