from __future__ import annotations

import asyncio
import math
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import openai
import pytest
from scripted import COST, MODEL, Wire, ask, event, events, good, pipeline, refusal, silence, streamed, whole

import llmlab
from llmlab.errors import BadInput
from llmlab.pipeline.answer import Delta, Finding, Finished, Timings, Tokens
from llmlab.pipeline.clocks import Clocks
from llmlab.pipeline.pipeline import Pipeline
from llmlab.pipeline.route import Route
from llmlab.pipeline.routing import Hedge, Retry

QUESTION = "May I return it?"
PAGES = [{"id": "returns", "title": "Returns", "text": "Thirty days."}, {"id": "fees", "title": "Fees", "text": "None."}]
SPARE = openai.AsyncOpenAI(api_key="k")


def collected(wire: Wire, **stages: Any) -> list[Delta | Finished]:
    async def go() -> list[Delta | Finished]:
        return [one async for one in pipeline(wire, **stages).stream(QUESTION, PAGES)]

    return llmlab.simulate(go())


# --- one question through all stages


def test_a_question_meets_the_stages_in_their_order() -> None:
    answer = ask(Wire(good()), retrieve=lambda question: PAGES)
    assert [
        ("guards in", 0.0, 0.0, "passed"),
        ("retrieval", 0.0, 0.0, "2 documents"),
        ("prompt assembly", 0.0, 0.0, f"version {answer.prompt_version}, 2 documents"),
        ("routing", 0.0, 1.75, "1 attempt"),
        ("post-processing", 1.75, 1.75, "0 citations"),
        ("guards out", 1.75, 1.75, "none"),
    ] == answer.trace.stages


@pytest.mark.parametrize("stream", [True, False])
def test_a_good_answer_says_all_there_is_to_say(stream: bool) -> None:
    answer = ask(Wire(good() if stream else whole()), stream=stream)
    assert ("ok", "Hello world.", "", None) == (answer.status, answer.text, answer.reason, answer.data)
    assert Tokens(100, 20, 0, 0) == answer.usage
    assert Decimal(COST) == answer.cost_usd
    assert (Timings(0.75, 1.75, 1.75) if stream else Timings(1.0, 1.0, 1.0)) == answer.timings
    assert ((), ()) == (answer.findings, answer.citations)
    assert llmlab.Prompt().version == answer.prompt_version == answer.attempts[0].prompt_version
    assert 0 == answer.trace.committed


def test_a_stream_delivers_pieces_when_they_come_and_the_answer_last() -> None:
    *deltas, last = collected(Wire(good()))
    assert [Delta("Hello", 0.75), Delta(" world.", 1.0)] == deltas
    assert isinstance(last, Finished)
    assert ("ok", "Hello world.", Timings(0.75, 0.75, 1.75)) == (last.answer.status, last.answer.text, last.answer.timings)


def test_events_that_come_together_are_one_piece() -> None:
    first, last = collected(Wire(streamed([b"".join(events("Hello", " world."))])))
    assert Delta("Hello world.", 0.5) == first
    assert isinstance(last, Finished)
    assert "Hello world." == last.answer.text


def test_an_unstreamed_route_streams_in_one_piece() -> None:
    first, last = collected(Wire(whole()), stream=False)
    assert Delta("Hello world.", 1.0) == first
    assert isinstance(last, Finished)


def test_what_is_sent_is_the_prompt() -> None:
    wire = Wire(good())
    ask(wire, question=QUESTION, documents=PAGES)
    (body,) = wire.bodies
    assert llmlab.Prompt().messages(QUESTION, PAGES) == body["messages"]
    assert ("gpt-4o", True, {"include_usage": True}) == (body["model"], body["stream"], body["stream_options"])


def test_given_documents_go_before_found_ones() -> None:
    def never(question: str) -> list[Any]:
        raise AssertionError

    wire = Wire(good())
    assert "ok" == ask(wire, documents=[], retrieve=never).status
    assert "document" not in wire.bodies[0]["messages"][1]["content"]


def test_history_is_sent_before_the_question() -> None:
    wire = Wire(good())
    llmlab.simulate(pipeline(wire).ask(QUESTION, history=[{"role": "assistant", "content": "Hi, how can I help?"}]))
    assert "Hi, how can I help?" == wire.bodies[0]["messages"][1]["content"]


def test_times_are_whole_microseconds() -> None:
    async def go() -> llmlab.Answer:
        await asyncio.sleep(1 / 3)
        return await pipeline(Wire(refusal(500, at=1 / 7), good(first=1 / 3, gap=1 / 9))).ask(QUESTION)

    answer = llmlab.simulate(go())
    stages = [time for stage in answer.trace.stages for time in (stage.start, stage.end)]
    frame = answer.trace.frame
    times = [*answer.timings, *stages, *frame["start"], *frame["end"], *frame["first_content"].dropna()]
    assert times == [round(time, 6) for time in times]
    assert all(one.at == round(one.at, 6) for one in collected(Wire(good(first=1 / 3))) if isinstance(one, Delta))


# --- usage and cost


def test_usage_and_cost_count_all_attempts_with_the_losers() -> None:
    answer = ask(Wire(refusal(500), silence(), good()), hedge=Hedge(after_seconds=1.0))
    loser = answer.attempts[1]
    assert ["failed", "cancelled", "ok"] == [attempt.status for attempt in answer.attempts]
    assert loser.prompt_tokens is not None
    assert loser.cost_usd is not None
    assert Tokens(100 + loser.prompt_tokens, 20) == answer.usage
    assert Decimal(COST) + loser.cost_usd == answer.cost_usd


def test_cached_and_reasoning_tokens_are_counted_apart() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    answer = ask(Wire(streamed(events("a", usage=usage))))
    assert Tokens(100, 20, 60, 5) == answer.usage
    assert answer.cost_usd is not None
    assert Decimal(COST) > answer.cost_usd > 0


def test_one_unknown_price_makes_the_sum_unknown() -> None:
    main = Route("main", model="nobody-knows-me", client=llmlab.client(Wire(silence())))
    spare = Route("spare", model="main", client=llmlab.client(Wire(good())))
    answer = llmlab.simulate(Pipeline(routes=[main, spare], hedge=Hedge(after_seconds=1.0, route="spare")).ask(QUESTION))
    assert [None, Decimal(COST)] == [attempt.cost_usd for attempt in answer.attempts]
    assert answer.cost_usd is None


def test_what_was_refused_or_never_sent_costs_nothing() -> None:
    assert Decimal(0) == ask(Wire(refusal(429))).cost_usd
    assert Decimal(0) == ask(Wire(good()), question="").cost_usd


def test_what_broke_off_is_not_free() -> None:
    answer = ask(Wire(streamed(events("Hello")[:2])), retry=None)
    assert "failed" == answer.status
    assert answer.cost_usd is not None
    assert answer.cost_usd > 0


# --- statuses


def test_a_blocked_question_costs_nothing_and_sends_nothing() -> None:
    wire = Wire(good())
    answer = ask(wire, question="x" * 4_001)
    assert ("blocked", "", (), []) == (answer.status, answer.text, answer.attempts, wire.requests)
    assert "the question has 4,001 characters, and 4,000 are allowed" == answer.reason
    assert [Finding("too_long", "length.max", 4_000, 4_001, answer.reason)] == list(answer.findings)
    assert Timings(None, None, 0.0) == answer.timings
    assert ["guards in"] == [stage.name for stage in answer.trace.stages]
    assert "blocked by length.max" == answer.trace.stages[0].note


def test_a_blocked_stream_is_one_event() -> None:
    (only,) = llmlab.simulate(all_of(pipeline(Wire(good())).stream(" ")))
    assert ("blocked", "the question is empty") == (only.answer.status, only.answer.reason)


async def all_of(events_: Any) -> list[Any]:
    return [one async for one in events_]


def test_a_question_of_a_megabyte_is_blocked_before_anything_is_done_with_it() -> None:
    def never(question: str) -> list[Any]:
        raise AssertionError

    wire = Wire(good())
    answer = ask(wire, question="x" * 1_000_000, retrieve=never)
    assert ("blocked", []) == (answer.status, wire.requests)
    assert len(repr(answer)) < 2_000


class Refuses:
    """A guard against one word."""

    def __init__(self, word: str) -> None:
        self.word = word

    def check(self, text: str, role: str = "user") -> list[Finding]:
        at = text.find(self.word)
        return [] if at < 0 else [Finding("word", "word.found", at, at + len(self.word), f"{role}: {self.word}")]


def test_a_blocked_answer_is_withheld() -> None:
    answer = ask(Wire(good("The code is ", "1234.")), guards_out=[Refuses("1234")])
    assert ("blocked", "", "assistant: 1234") == (answer.status, answer.text, answer.reason)
    assert (1, (Finding("word", "word.found", 12, 16, "assistant: 1234"),)) == (len(answer.attempts), answer.findings)
    assert Decimal(COST) == answer.cost_usd


def test_guards_do_not_look_at_an_answer_that_is_not_there() -> None:
    answer = ask(Wire(refusal(401)), guards_out=[llmlab.LengthGuard()])
    assert "failed" == answer.status
    assert "guards out" not in [stage.name for stage in answer.trace.stages]


def test_guards_look_at_the_half_of_a_failed_stream() -> None:
    *_, last = collected(Wire(streamed(events("The code is 1234.", " More.")[:2])), guards_out=[Refuses("1234")])
    assert isinstance(last, Finished)
    assert ("blocked", "") == (last.answer.status, last.answer.text)


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_was_cut_off_is_degraded(stream: bool) -> None:
    cut = {"index": 0, "message": {"content": "Half an"}, "finish_reason": "length"}
    wire = Wire(streamed(events("Half an", finish="length")) if stream else whole({"choices": [cut], "model": MODEL}))
    answer = ask(wire, stream=stream)
    assert ("degraded", "Half an") == (answer.status, answer.text)
    assert answer.reason.startswith("length: the answer was cut off")


def test_retrieval_that_crashes_is_a_failed_answer() -> None:
    def retrieve(question: str) -> list[Any]:
        raise ConnectionError("no index")

    answer = ask(Wire(good()), retrieve=retrieve)
    assert ("failed", "retrieval crashed: ConnectionError: no index", ()) == (answer.status, answer.reason, answer.attempts)
    assert ["guards in", "retrieval"] == [stage.name for stage in answer.trace.stages]


def test_the_answers_status_is_one_of_those_there_are() -> None:
    assert ("ok", "degraded", "abstained", "blocked", "failed") == llmlab.pipeline.answer.STATUSES


# --- citations


@pytest.mark.parametrize(
    ("text", "citations"),
    [
        ("Thirty days [returns].", ("returns",)),
        ("None [fees]. Thirty days [returns], free [fees].", ("fees", "returns")),
        ("Thirty days, free [returns, fees].", ("returns", "fees")),
        ("Thirty days, free [ returns;fees ].", ("returns", "fees")),
        ("Thirty days [made-up] [1].", ()),
        ("Thirty days (returns).", ()),
        ("[[returns]]", ("returns",)),
        ("[", ()),
    ],
)
def test_citations_are_the_ids_of_given_documents_in_order(text: str, citations: tuple[str, ...]) -> None:
    assert citations == ask(Wire(good(text)), documents=PAGES).citations


def test_an_id_may_be_any_text() -> None:
    pages = [{"id": "§ 7, Absatz 2", "text": "x"}, "y"]
    assert ("document-2", "§ 7, Absatz 2") == ask(Wire(good("See [document-2] and [§ 7, Absatz 2].")), documents=pages).citations


def test_without_documents_there_are_no_citations() -> None:
    assert () == ask(Wire(good("See [document-1]."))).citations


# --- deadlines


def test_the_deadline_of_a_question_goes_before_the_pipelines() -> None:
    answer = llmlab.simulate(pipeline(Wire(silence())).ask(QUESTION, deadline_seconds=3.5))
    assert ("failed", 3.5) == (answer.status, answer.timings.total)
    assert answer.reason.startswith("timeout_deadline: ")


def test_without_a_deadline_only_the_clocks_count() -> None:
    answer = ask(Wire(silence()), deadline_seconds=None, retry=None)
    assert ("failed", 15.0) == (answer.status, answer.timings.total)


# --- misuse


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ({"routes": []}, "a pipeline needs a route"),
        ({"routes": None}, "routes is a list of routes, and None is none"),
        ({"routes": Route("main", model="main")}, "routes is a list of routes, and Route.* is none"),
        ({"routes": "main"}, "routes is a list of routes, and 'main' is none"),
        ({"routes": ["main"]}, "routes is a list of routes, and 'main' is none"),
        ({"routes": [Route("a", model="main"), Route("a", model="fast")]}, "names of their own, and these are a, a"),
        ({"hedge": Hedge(route="other")}, "the hedge goes to route 'other', and there is: main"),
        ({"hedge": Hedge(after_seconds=30.0)}, "a hedge after 30 s never comes: the deadline is 30 s"),
        ({"hedge": 1.5}, r"hedge is a Hedge\(\.\.\.\) or None, not 1.5"),
        ({"retry": 3}, r"retry is a Retry\(\.\.\.\) or None, not 3"),
        ({"guards_in": [llmlab.LengthGuard]}, "guards_in is a list of guards, and <class .*LengthGuard.* is none"),
        ({"guards_in": llmlab.LengthGuard()}, "guards_in is a list of guards, and LengthGuard"),
        ({"guards_out": ["none"]}, "guards_out is a list of guards, and 'none' is none"),
        ({"retrieve": [1]}, "retrieve is a function or None"),
        ({"before_attempt": 1}, "before_attempt is a function or None"),
        ({"deadline_seconds": 0}, "a deadline is a time above 0 seconds, not 0"),
        ({"deadline_seconds": math.inf}, "a deadline is a time above 0 seconds, not inf"),
        ({"deadline_seconds": "soon"}, "a deadline is a time above 0 seconds, not 'soon'"),
        ({"client": openai.OpenAI(api_key="k")}, "the client of the pipeline is an openai.AsyncOpenAI, not OpenAI"),
    ],
)
def test_a_pipeline_says_what_is_wrong_when_it_is_made(stages: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Pipeline(**stages)


@pytest.mark.parametrize("question", [None, 7, b"May I?", ["May I?"]])
def test_a_question_is_a_text(question: Any) -> None:
    with pytest.raises(BadInput, match="a question is a text, not "):
        ask(Wire(good()), question=question)


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan, "1", True])
def test_a_deadline_is_a_time(seconds: Any) -> None:
    with pytest.raises(BadInput, match="a deadline is a time above 0 seconds, not "):
        llmlab.simulate(pipeline(Wire(good())).ask(QUESTION, deadline_seconds=seconds))


@pytest.mark.parametrize("documents", ["text", [{"title": "x"}], 7])
def test_documents_that_are_none_are_misuse(documents: Any) -> None:
    with pytest.raises(BadInput, match="document"):
        ask(Wire(good()), documents=documents)


def test_what_retrieval_finds_is_held_to_the_same() -> None:
    with pytest.raises(BadInput, match="documents is a list"):
        ask(Wire(good()), retrieve=lambda question: "one text")


def test_a_stream_is_misused_in_the_same_words() -> None:
    with pytest.raises(BadInput, match="a question is a text, not int"):
        llmlab.simulate(all_of(pipeline(Wire(good())).stream(7)))  # type: ignore[arg-type]


def test_a_route_without_a_client_says_where_to_get_one() -> None:
    with pytest.raises(
        BadInput, match=r"route 'main' has no client; give it one \(client=llmlab.client\(...\)\), or run the pipeline in a Lab"
    ):
        llmlab.simulate(Pipeline().ask(QUESTION))


# --- the object


def test_a_pipeline_may_be_made_with_everything_left_out() -> None:
    bare = Pipeline(routes=[Route("main", model="main")], output=None, guards_in=(), retry=None, hedge=None)
    assert "ok" == llmlab.simulate(bare.replace(client=llmlab.client(Wire(good()))).ask(QUESTION)).status


def test_replace_gives_a_changed_copy() -> None:
    before = pipeline(Wire(good()))
    after = before.replace(deadline_seconds=5.0, hedge=Hedge(after_seconds=1.0))
    assert (30.0, None) == (before.deadline_seconds, before.hedge)
    assert (5.0, Hedge(after_seconds=1.0)) == (after.deadline_seconds, after.hedge)
    assert (before.routes, before.prompt) == (after.routes, after.prompt)


def test_replace_validates_and_knows_its_stages() -> None:
    with pytest.raises(BadInput, match=r"a pipeline has no stage 'hedges'; it has: routes, output, guards_in, "):
        Pipeline().replace(hedges=1)
    with pytest.raises(BadInput, match="a pipeline needs a route"):
        Pipeline().replace(routes=())


def test_a_pipeline_does_not_change_with_the_list_that_it_was_made_from() -> None:
    routes = [Route("main", model="main")]
    made = Pipeline(routes=routes)
    routes.clear()
    assert (Route("main", model="main"),) == made.routes
    with pytest.raises(AttributeError):
        made.routes = ()  # type: ignore[misc]


def test_a_pipeline_can_be_pasted_back_and_shows_no_client() -> None:
    made = Pipeline(routes=[Route("main", model="main", client=SPARE)], client=SPARE, hedge=Hedge())
    names = {kind.__name__: kind for kind in (Pipeline, Route, Clocks, Retry, Hedge, llmlab.LengthGuard, llmlab.Prompt)}
    assert made.replace(client=None) == eval(repr(made), names)


def test_one_pipeline_serves_many_requests_at_once() -> None:
    wire = Wire(good())

    async def go() -> list[llmlab.Answer]:
        shared = pipeline(wire)
        return await asyncio.gather(*(shared.ask(f"Question {number}?") for number in range(50)))

    answers = llmlab.simulate(go())
    assert [("ok", 1.75)] * 50 == [(answer.status, answer.timings.total) for answer in answers]
    assert 50 == len({body["messages"][1]["content"] for body in wire.bodies})


def test_a_stream_may_be_closed_after_its_answer() -> None:
    async def go() -> llmlab.Answer:
        async with aclosing(pipeline(Wire(good())).stream(QUESTION)) as events_:
            async for one in events_:
                if isinstance(one, Finished):
                    return one.answer
        raise AssertionError

    assert "ok" == llmlab.simulate(go()).status


def test_a_slow_reader_gets_the_whole_answer() -> None:
    async def go() -> llmlab.Answer:
        wire = Wire(streamed([*(event({"content": "a"}) for _ in range(5)), event({}, "stop")], gap=1.0))
        slow = pipeline(wire, deadline_seconds=None, route={"clocks": Clocks(stall_seconds=2.0, total_seconds=None)})
        async for one in slow.stream(QUESTION):
            if isinstance(one, Finished):
                return one.answer
            await asyncio.sleep(30.0)
        raise AssertionError

    answer = llmlab.simulate(go())
    assert ("ok", "aaaaa") == (answer.status, answer.text)
