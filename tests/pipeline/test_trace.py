from __future__ import annotations

import math
from typing import Any

import pytest
from scripted import MODEL, Wire, ask, events, good, refusal, silence, streamed

import llmlab
from llmlab.pipeline.routing import Hedge
from llmlab.pipeline.trace import Stage, Trace

COLUMNS = ["kind", "name", "role", "start", "first_content", "end", "status", "reason", "tokens", "usd", "source"]


@pytest.fixture(scope="module")
def trace() -> Trace:
    """A refusal, a hedge that wins, and a retry that loses."""
    wire = Wire(refusal(429, retry_after="1"), silence(), good())
    return ask(wire, documents=["Thirty days."], hedge=Hedge(after_seconds=2.0)).trace


def test_a_stage_is_timed_on_the_clock_that_it_is_given() -> None:
    now = [10.0]
    trace = Trace(began=9.9)
    with trace.stage("first", lambda: now[0]) as note:
        now[0] = 10.4
        note += ["one", "two"]
    with pytest.raises(KeyError), trace.stage("second", lambda: now[0]):
        raise KeyError
    assert [Stage("first", 0.1, 0.5, "one, two"), Stage("second", 0.5, 0.5)] == trace.stages


STORY = """\
guards in          0.000 ..   0.000 s  passed
prompt assembly    0.000 ..   0.000 s  version VERSION, 1 document
routing            0.000 ..   3.750 s  3 attempts
post-processing    3.750 ..   3.750 s  0 citations
guards out         3.750 ..   3.750 s  none
  #0 primary     0.000 ..   0.100 s  main/gpt-4o: failed (rate_limit), no content, scripted
  #1 retry       1.100 ..   2.750 s  main/gpt-4o: cancelled (lost the race), no content, ~110 + 0 tokens, ~0.000275 USD, source unknown
  #2 hedge       2.000 ..   3.750 s  main/gpt-4o-2024-08-06: ok, first content after 0.750 s, 100 + 20 tokens, 0.000450 USD, scripted"""


def test_a_trace_reads_like_a_story(trace: Trace) -> None:
    assert STORY.replace("VERSION", llmlab.Prompt().version) == str(trace)


def test_an_unknown_price_is_named() -> None:
    parts = [part.replace(MODEL.encode(), b"nobody-knows-me") for part in events("Hello")]
    route = llmlab.Route("main", model="nobody-knows-me", client=llmlab.client(Wire(streamed(parts))))
    answer = llmlab.simulate(llmlab.Pipeline(routes=[route]).ask("May I return it?"))
    assert "100 + 20 tokens, price unknown, scripted" in str(answer.trace)
    assert answer.trace.frame["usd"].isna().all()
    assert answer.cost_usd is None


def test_an_empty_trace_is_an_empty_text_and_an_empty_table() -> None:
    assert "" == str(Trace())
    assert COLUMNS == list(Trace().frame)
    assert 0 == len(Trace().frame)


def test_a_frame_has_a_row_a_stage_and_a_row_an_attempt(trace: Trace) -> None:
    frame = trace.frame
    assert COLUMNS == list(frame)
    assert ["stage"] * 5 + ["attempt"] * 3 == list(frame["kind"])
    assert ["main #0", "main #1", "main #2"] == list(frame["name"][5:])
    assert ["primary", "retry", "hedge"] == list(frame["role"][5:])
    assert ["failed", "cancelled", "won"] == list(frame["status"][5:])
    assert [0.0, 1.1, 2.0] == list(frame["start"][5:])
    assert [0.1, 2.75, 3.75] == list(frame["end"][5:])
    assert 2.75 == frame["first_content"].iloc[-1]
    assert 120 == frame["tokens"].iloc[-1]
    assert 0.00045 == frame["usd"].iloc[-1]


def test_what_is_unknown_is_missing_and_never_zero(trace: Trace) -> None:
    refused = trace.frame.iloc[5]
    assert [True] * 3 == [math.isnan(refused[name]) for name in ("tokens", "usd", "first_content")]


def test_no_message_content_stands_in_a_trace() -> None:
    secret = "4111-1111-1111-1111"

    class Sees:
        def check(self, text: str, role: str = "user") -> list[Any]:
            found = text.find(secret)
            return [llmlab.pipeline.answer.Finding("card", "card.visa", found, found + 19, f"saw {secret}")] if found >= 0 else []

    def texts(answer: llmlab.Answer) -> str:
        trace = answer.trace
        return f"{trace!r} {trace} {trace.frame.to_csv()}"

    cases = [
        ask(Wire(good(secret)), question=secret, documents=[secret]),
        ask(Wire(refusal(400, {"message": secret, "code": f"leaked {secret}"})), question=secret),
        ask(Wire(good(secret)), guards_out=[Sees()]),
        ask(Wire(good()), question=secret, guards_in=[Sees()]),
    ]
    assert ["ok", "failed", "blocked", "blocked"] == [answer.status for answer in cases]
    assert [False] * 4 == [secret in texts(answer) for answer in cases]
