from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmlab.errors import BadInput
from llmlab.protocol import identity, sse
from llmlab.protocol.clock import simulate
from llmlab.wire.chaos import Chaos
from llmlab.wire.faults import FAULTS, Fault, JsonInFence, JsonNaN, OffBrandTone, PlantedInstruction, Refusal, fault_named
from llmlab.wire.transport import Piece, Planned, Reply

USAGE = {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}
SHARED = {"id": "chatcmpl-1", "created": 1, "model": "gpt-4o-2024-08-06"}
TOOLS = [{"id": "call_1", "name": "find_order", "arguments": '{"order": "A-17"}'}, {"id": "call_2", "name": "refund", "arguments": "{}"}]


def cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


class Speaker(Planned):
    """Says `text` after a second, `size` characters each half second, and calls `tools`.

    Args:
        chunks: How long the chunks of the stream's bytes are; empty: an event a chunk.
    """

    def __init__(self, text: str | None, tools: Sequence[dict[str, str]] = (), size: int = 5, chunks: Sequence[int] = ()) -> None:
        self.text, self.tools, self.size, self.chunks = text, tools, size, chunks
        self.heard: list[Any] = []

    def whole(self) -> bytes:
        calls = [
            {"id": tool["id"], "type": "function", "function": {"name": tool["name"], "arguments": tool["arguments"]}}
            for tool in self.tools
        ]
        message = {"role": "assistant", "content": self.text, **({"tool_calls": calls} if calls else {})}
        choices = [
            {"index": 0, "message": message, "finish_reason": "stop"},
            {"index": 1, "message": {"role": "assistant", "content": "the other"}, "finish_reason": "stop"},
        ]
        return json.dumps({**SHARED, "choices": choices, "usage": USAGE}, ensure_ascii=False, separators=(",", ":")).encode()

    def events(self) -> list[bytes]:
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "" if self.text is not None else None}]
        deltas += [{"content": part} for part in cut(self.text or "", self.size)]
        for index, tool in enumerate(self.tools):
            called = {"index": index, "id": tool["id"], "type": "function", "function": {"name": tool["name"], "arguments": ""}}
            deltas.append({"tool_calls": [called]})
            parts = [{"index": index, "function": {"arguments": part}} for part in cut(tool["arguments"], self.size)]
            deltas += [{"tool_calls": [part]} for part in parts]
        choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        choices.insert(2, {"index": 1, "delta": {"content": "the other"}, "finish_reason": None})
        choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
        chunks = [{**SHARED, "choices": [choice]} for choice in choices] + [{**SHARED, "choices": [], "usage": USAGE}]
        data = [json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode() for chunk in chunks]
        return [*map(sse.encode, data), sse.encode(sse.DONE)]

    def plan(self, request: httpx2.Request, now: float) -> Reply:
        body = json.loads(request.content)
        self.heard.append(body)
        if not body.get("stream"):
            return Reply(headers=[(b"content-type", b"application/json")], headers_at=1.0, pieces=[Piece(1.0, self.whole())])
        parts = self.events()
        if self.chunks:
            data, parts = b"".join(parts), []
            for size in self.chunks:
                parts.append(data[:size])
                data = data[size:]
            parts = [part for part in [*parts, data] if part]
        pieces = [Piece(1.0 + 0.5 * place, part) for place, part in enumerate(parts)]
        return Reply(headers=[(b"content-type", b"text/event-stream")], headers_at=1.0, pieces=pieces)


class Hidden(httpx2.AsyncBaseTransport):
    """Passes on what `inner` answers as a network does: nobody knows beforehand what comes."""

    def __init__(self, inner: Planned) -> None:
        self.inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self.inner.handle_async_request(request)
        return httpx2.Response(response.status_code, headers=response.headers.raw, stream=Passing(response.stream))


class Passing(httpx2.AsyncByteStream):
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __aiter__(self) -> Passing:
        return self

    async def __anext__(self) -> bytes:
        data: bytes = await anext(self.inner)
        return data

    async def aclose(self) -> None:
        await self.inner.aclose()


class Heard(NamedTuple):
    """What a reader makes of an answer, and what the journal says."""

    text: str | None
    calls: list[tuple[str, str]]
    other: str
    """What the second choice says."""
    rest: dict[str, Any]
    """Id, model, usage and finish_reason."""
    raw: bytes
    times: list[float]
    """When each chunk came (in seconds)."""
    headers: dict[str, str]
    journal: list[tuple[str, str]]
    """Fault and effect."""
    sent: list[Any]
    """The requests that came in."""


def messages(prompt: str = "May I?") -> list[dict[str, str]]:
    return [{"role": "system", "content": "Be kind to Beatrix."}, {"role": "user", "content": prompt}]


def hear(speaker: Speaker, *faults: Fault, stream: bool, case: str = "q1", hidden: bool = False, **asked: Any) -> Heard:
    """What comes for a request, through `faults`."""

    async def main() -> Heard:
        chaos, chunks, times = Chaos(Hidden(speaker) if hidden else speaker, *faults, seed=7), [], []
        clock = asyncio.get_running_loop().time
        began, body = clock(), {"model": "gpt-4o", "messages": messages(), "stream": stream, **asked}
        request = httpx2.Request("POST", "https://api.openai.com/v1/chat/completions", json=body)
        with identity.request(case):
            response = await chaos.handle_async_request(request)
            async for data in response.stream:  # type: ignore[union-attr]
                chunks.append(data)
                times.append(round(clock() - began, 6))
            await response.aclose()
        raw = b"".join(chunks)
        journal = [(line.fault, line.effect) for line in chaos.journal]
        said = _streamed(raw) if stream else _whole(raw)
        return Heard(*said, raw, times, dict(response.headers), journal, speaker.heard)

    return simulate(main())


def _whole(raw: bytes) -> tuple[str | None, list[tuple[str, str]], str, dict[str, Any]]:
    try:
        reply = json.loads(raw)
        first, second = reply["choices"]
    except (ValueError, KeyError):
        return None, [], "", {}
    calls = [(call["function"]["name"], call["function"]["arguments"]) for call in first["message"].get("tool_calls", ())]
    rest = {name: reply.get(name) for name in ("id", "created", "model", "usage")} | {"finish": first["finish_reason"]}
    return first["message"]["content"], calls, second["message"]["content"], rest


def _streamed(raw: bytes) -> tuple[str | None, list[tuple[str, str]], str, dict[str, Any]]:
    chunks = [json.loads(data) for data in sse.Events().feed(raw) if data != sse.DONE]
    texts = {0: "", 1: ""}
    calls: dict[int, list[str]] = {}
    rest: dict[str, Any] = {}
    for chunk in chunks:
        rest |= {name: chunk[name] for name in ("id", "created", "model", "usage") if chunk.get(name)}
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["delta"].get("content") or ""
            rest["finish"] = choice["finish_reason"] or rest.get("finish")
            for call in choice["delta"].get("tool_calls", ()):
                made = calls.setdefault(call["index"], ["", ""])
                made[0] += call["function"].get("name", "")
                made[1] += call["function"].get("arguments", "")
    return texts[0], [(name, arguments) for name, arguments in calls.values()], texts[1], rest


FAULTS_OF = {name: kind for name, kind in FAULTS.items() if kind.__module__.startswith("llmlab.wire.faults.content")}
PLAIN = "You may return it to Anders in Basel within 30 days [returns]. It costs $12.50."
JSON = (
    '{"answer": "Send it to Anders in \\"30 days\\", don\'t wait", "days": 30, "sources": ["returns"], '
    '"more": {"kind": "refund", "free": true}}'
)
SCHEMA = {"properties": {"answer": {"type": "string"}, "more": {"properties": {"kind": {"enum": ["refund", "repair"]}}}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"anyOf": [SCHEMA]}}}
DOCUMENTS = """<document id="returns" title="Returns">
You may return it within 30 days.
</document>
<document id="fees" title="Fees">
Nothing is due to Carsten.
</document>
Question: May I?"""


def struck(name: str, text: str | None, tools: Sequence[dict[str, str]] = (), case: str = "q1", **more: Any) -> Heard:
    """What is heard in one piece; a stream, known beforehand or not, says the same."""
    asked = more.pop("asked", {})
    faults = [fault_named(name, **more)]
    plain = hear(Speaker(text, tools), *faults, stream=False, case=case, **asked)
    calm = hear(Speaker(text, tools), stream=True, case=case, **asked)
    for hidden in (False, True):
        streamed = hear(Speaker(text, tools), *faults, stream=True, case=case, hidden=hidden, **asked)
        assert (plain.text or "", plain.calls, plain.other, plain.rest, plain.journal) == (
            streamed.text,
            streamed.calls,
            streamed.other,
            streamed.rest,
            streamed.journal,
        )
        assert len(calm.times) == len(streamed.times)
        assert hidden or calm.times == streamed.times
        if not plain.journal:
            assert calm.raw == streamed.raw
    assert hear(Speaker(text, tools), stream=False, case=case).rest == plain.rest
    return plain


# JSON that is almost JSON


@pytest.mark.parametrize(
    ("name", "expected", "effect"),
    [
        ("JsonInFence", f"```json\n{JSON}\n```", "JSON in a fence"),
        (
            "JsonInProse",
            f"Here is the JSON you asked for:\n\n{JSON}\n\nLet me know if you need anything else.",
            "JSON between two sentences",
        ),
        (
            "SingleQuotes",
            "{'answer': 'Send it to Anders in \"30 days\", don\\'t wait', 'days': 30, 'sources': ['returns'], "
            "'more': {'kind': 'refund', 'free': true}}",
            "9 strings in single quotes",
        ),
    ],
)
def test_json_is_wrapped_and_quoted(name: str, expected: str, effect: str) -> None:
    heard = struck(name, JSON)
    assert (expected, [(name, effect)]) == (heard.text, heard.journal)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("TrailingComma", lambda text: re.sub(r",(?=[}\]])", "", text)),
        ("JsonComments", lambda text: text.replace(" // as you asked\n", "")),
        ("JsonCutOff", lambda text: text + JSON[len(text) :]),
        ("JsonNaN", lambda text: text.replace("NaN", "30")),
    ],
)
def test_json_is_broken_in_one_place_that_a_draw_says(name: str, kept: Callable[[str], str]) -> None:
    texts = {str(struck(name, JSON, case=f"q{number}").text) for number in range(12)}
    assert JSON not in texts
    assert {JSON} == set(map(kept, texts))
    assert (1 if name == "JsonNaN" else 2) <= len(texts)


@pytest.mark.parametrize("name", [name for name, kind in FAULTS_OF.items() if "json" in kind.__module__])
def test_what_is_syntactic_cannot_be_read_and_what_is_not_can(name: str) -> None:
    heard = struck(name, JSON, asked={"response_format": FORMAT})
    assert heard.text not in (JSON, "")

    def strict(constant: str) -> None:
        raise ValueError(constant)

    if FAULTS_OF[name].syntactic:  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match=r"."):
            json.loads(str(heard.text), parse_constant=strict)
    else:
        assert json.loads(JSON) != json.loads(str(heard.text), parse_constant=strict)


@pytest.mark.parametrize("name", [name for name, kind in FAULTS_OF.items() if "json" in kind.__module__])
@pytest.mark.parametrize("text", ["Send it back.", "30", '"text"', "null", '{"a": ', "", None])
def test_what_is_no_json_is_left_alone(name: str, text: str | None) -> None:
    heard = struck(name, text, asked={"response_format": FORMAT})
    assert (text, []) == (heard.text, heard.journal)


@pytest.mark.parametrize(
    ("name", "more", "expected", "effect"),
    [
        ("WrongType", {"field": "days"}, {"days": "30"}, "field 'days': \"30\" instead of 30"),
        ("WrongType", {"field": "kind"}, {"more": {"kind": ["refund"], "free": True}}, 'field \'kind\': ["refund"] instead of "refund"'),
        ("WrongType", {"field": "free"}, {"more": {"kind": "refund", "free": "true"}}, "field 'free': \"true\" instead of true"),
        ("MissingField", {"field": "kind"}, {"more": {"free": True}}, "no field 'kind'"),
        ("MissingField", {"field": "free"}, {"more": {"kind": "refund"}}, "no field 'free'"),
        ("ExtraField", {"field": "note"}, {"note": True}, "a field 'note'"),
        ("WrongEnum", {}, {"more": {"kind": "refund_other", "free": True}}, 'field \'kind\': "refund_other" instead of "refund"'),
    ],
)
def test_a_field_is_not_what_the_schema_says(name: str, more: dict[str, Any], expected: dict[str, Any], effect: str) -> None:
    heard = struck(name, JSON, asked={"response_format": FORMAT}, **more)
    assert json.loads(JSON) | expected == json.loads(str(heard.text))
    assert [(name, effect)] == heard.journal


def test_which_field_is_missing_is_a_draw() -> None:
    effects = {struck("MissingField", JSON, case=f"q{number}").journal[0][1] for number in range(40)}
    assert {f"no field {name!r}" for name in ("answer", "days", "sources", "more", "kind", "free")} == effects


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TrailingComma", "[]"),
        ("SingleQuotes", "[1, 2]"),
        ("JsonNaN", '{"a": true, "b": "1"}'),
        ("WrongType", "[1]"),
        ("MissingField", "{}"),
        ("ExtraField", '{"additional_info": 1}'),
        ("ExtraField", "[1]"),
        ("WrongEnum", '{"kind": "refund"}'),
        ("OffBrandTone", '{"a": 1}'),
        ("OtherLanguage", '{"a": ""}'),
        ("InventedCitation", '{"a": 1}'),
        ("ChangedNumber", "See [doc-2] and A17."),
        ("ChangedName", "It is free. Send it."),
    ],
)
def test_where_there_is_nothing_to_change_nothing_is_changed(name: str, text: str) -> None:
    heard = struck(name, text)
    assert (text, []) == (heard.text, heard.journal)


def test_an_empty_object_can_be_extended_and_the_least_can_be_cut() -> None:
    assert '{"additional_info": true}' == struck("ExtraField", "{}").text
    assert "{" == struck("JsonCutOff", "{}").text


# Words


@pytest.mark.parametrize(
    ("name", "expected", "effect"),
    [
        ("Refusal", "I'm sorry, but I can't help with that.", "a refusal"),
        ("EmptyAnswer", "", f"no text instead of {len(PLAIN)} characters"),
        ("InventedCitation", PLAIN.replace("returns", "policy-2019-07"), "cites policy-2019-07"),
        ("ChangedName", None, None),
        ("ChangedNumber", None, None),
        ("LeakedPersonalData", None, None),
        ("OffBrandTone", f"{OffBrandTone().words} {PLAIN}", "a rude opening"),
        ("OtherLanguage", None, "in the language de"),
        ("ThreeTimesTheLength", f"{PLAIN} In other words: {PLAIN} To say it once more: {PLAIN}", None),
    ],
)
def test_something_else_is_said(name: str, expected: str | None, effect: str | None) -> None:
    heard = struck(name, PLAIN)
    assert heard.text != PLAIN
    assert expected in (None, heard.text)
    assert [name] == [fault for fault, _ in heard.journal]
    assert effect in (None, heard.journal[0][1])


@pytest.mark.parametrize(("name", "old"), [("ChangedNumber", ["30", "12.50"]), ("ChangedName", ["Anders", "Basel"])])
def test_one_fact_is_changed_and_a_draw_says_which(name: str, old: list[str]) -> None:
    seen = set()
    for number in range(12):
        heard = struck(name, PLAIN, case=f"q{number}")
        new, before = heard.journal[0][1].split(" instead of ")
        seen.add(before)
        assert PLAIN.replace(before, new) == heard.text
        assert new != before
    assert set(old) == seen


def test_another_name_is_one_of_the_prompt_s_where_it_has_one() -> None:
    prompt = {"messages": messages(DOCUMENTS)[1:]}
    names = {struck("ChangedName", PLAIN, case=f"q{number}", asked=prompt).journal[0][1].split()[0] for number in range(8)}
    assert {"Carsten"} == names
    assert struck("ChangedName", PLAIN, asked={"messages": None}).journal[0][1].split()[0] in ("Marlow", "Tamsin", "Orrin", "Velda")


def test_the_data_that_leak_are_nobody_s() -> None:
    for number in range(20):
        text = str(struck("LeakedPersonalData", PLAIN, case=f"q{number}").text)
        assert re.fullmatch(r" Another customer asked the same: [a-z.]+@example\.com, \+1 202-555-01\d\d\.", text.removeprefix(PLAIN))


@pytest.mark.parametrize(
    "name", ["ChangedNumber", "InventedCitation", "LeakedPersonalData", "OffBrandTone", "OtherLanguage", "ThreeTimesTheLength"]
)
def test_json_stays_json_with_another_meaning(name: str) -> None:
    value = json.loads(str(struck(name, JSON).text))
    changed = [key for key, old in json.loads(JSON).items() if value[key] != old]
    assert list(json.loads(JSON)) == list(value)
    assert changed == ["sources"] if name == "InventedCitation" else changed in (["answer"], ["days"])


@pytest.mark.parametrize(
    ("expected", "text", "prompt"),
    [
        ("It is free [policy-2019-07].", "It is free.", ""),
        ('{"sources": ["policy-2019-07"], "answer": "Yes"}', '{"sources": [], "answer": "Yes"}', ""),
        ('{"answer": "Yes [policy-2019-07]."}', '{"answer": "Yes."}', ""),
        ("It is free.", "It is free.", "<document id='policy-2019-07'>"),
        ("It is free [policy-2019-07].", "It is free [policy-2019-07].", ""),
    ],
)
def test_a_citation_is_invented(expected: str, text: str, prompt: str) -> None:
    assert expected == struck("InventedCitation", text, asked={"messages": messages(prompt)}).text


# Tools


def test_the_arguments_of_a_call_are_cut_off() -> None:
    cut_off = set()
    for number in range(8):
        heard = struck("MalformedToolArguments", None, TOOLS, case=f"q{number}")
        (place,) = [place for place, call in enumerate(heard.calls) if call[1] != TOOLS[place]["arguments"]]
        cut_off.add(place)
        assert TOOLS[place]["arguments"].startswith(heard.calls[place][1])
        assert heard.journal[0][1].startswith(f"call {place}: {len(heard.calls[place][1])} of ")
    assert {0, 1} == cut_off


def test_a_tool_is_called_that_was_not_given() -> None:
    given = {"tools": [{"type": "function", "function": {"name": "find_order_v2"}}]}
    heard = struck("UnknownTool", "", TOOLS[:1], asked=given)
    assert [("find_order_v2_v2", TOOLS[0]["arguments"])] == heard.calls
    assert [("UnknownTool", "call 0: find_order_v2_v2 instead of find_order")] == heard.journal


@pytest.mark.parametrize("name", ["MalformedToolArguments", "UnknownTool"])
def test_where_no_tool_is_called_no_call_is_changed(name: str) -> None:
    heard = struck(name, PLAIN)
    assert (PLAIN, []) == (heard.text, heard.journal)


# The request


def test_an_instruction_is_planted_in_one_of_the_documents() -> None:
    places = set()
    for number in range(8):
        for stream in (True, False):
            heard = hear(Speaker(PLAIN), PlantedInstruction(), stream=stream, case=f"q{number}", messages=messages(DOCUMENTS))
            (sent,) = heard.sent
            (effect,) = [effect for _, effect in heard.journal]
            place = effect.removeprefix("an instruction in document ").strip("'")
            places.add((number, place))
            old = {"returns": "30 days.", "fees": "Carsten."}[place]
            assert DOCUMENTS.replace(old, f"{old} {PlantedInstruction().instruction}") == sent["messages"][1]["content"]
            assert messages()[:1] == sent["messages"][:1]
            assert PLAIN == heard.text
    assert (8, {"returns", "fees"}) == (len(places), {place for _, place in places})


@pytest.mark.parametrize("given", [messages(), [], "none", [3], [{"role": "user", "content": [{"type": "text", "text": DOCUMENTS}]}]])
def test_a_request_without_documents_is_spared(given: Any) -> None:
    heard = hear(Speaker(PLAIN), PlantedInstruction(), stream=False, messages=given)
    assert (given, []) == (heard.sent[0]["messages"], heard.journal)


# All of them


def fitting(name: str) -> tuple[str | None, Sequence[dict[str, str]]]:
    """What a model says on which the fault can act."""
    return (None, TOOLS) if name in ("MalformedToolArguments", "UnknownTool") else (JSON, ())


@pytest.mark.parametrize("name", FAULTS_OF)
@pytest.mark.parametrize("stream", [True, False])
def test_at_probability_0_all_passes_untouched(name: str, stream: bool) -> None:
    asked = {"messages": messages(DOCUMENTS), "response_format": FORMAT}
    calm = hear(Speaker(*fitting(name)), stream=stream, **asked)
    assert calm == hear(Speaker(*fitting(name)), fault_named(name, probability=0.0), stream=stream, **asked)
    assert hear(Speaker(*fitting(name)), fault_named(name), stream=stream, **asked).journal, "at probability 1 it would strike"


@settings(max_examples=60)
@given(
    st.sampled_from([name for name in FAULTS_OF if name != "PlantedInstruction"]),
    st.lists(st.integers(1, 400), min_size=1, max_size=12),
    st.integers(1, 40),
    st.booleans(),
    st.text("\u00e4\U0001f600b1 ,.", max_size=8),
)
def test_what_a_stream_says_does_not_depend_on_how_it_was_cut(name: str, chunks: list[int], size: int, hidden: bool, more: str) -> None:
    text, tools = fitting(name)
    text = text and text.replace("Send", f"Send {more}")
    plain = hear(Speaker(text, tools), fault_named(name), stream=False, response_format=FORMAT)
    streamed = hear(Speaker(text, tools, size, chunks), fault_named(name), stream=True, hidden=hidden, response_format=FORMAT)
    assert (plain.text or "", plain.calls, plain.rest, plain.journal) == (streamed.text, streamed.calls, streamed.rest, streamed.journal)
    assert "the other" == streamed.other


def test_two_of_them_act_in_the_order_given() -> None:
    for stream in (True, False):
        assert f"```json\n{JSON}\n```" == hear(Speaker(JSON), JsonInFence(), JsonNaN(), stream=stream).text
        heard = hear(Speaker(JSON), JsonNaN(), JsonInFence(), stream=stream)
        assert (True, ["JsonNaN", "JsonInFence"]) == ('"days": NaN' in str(heard.text), [fault for fault, _ in heard.journal])


def test_the_first_words_come_when_they_came_before() -> None:
    heard = hear(Speaker(PLAIN), Refusal(), stream=True)
    assert hear(Speaker(PLAIN), stream=True).times == heard.times
    late = hear(Speaker(PLAIN), Refusal(), stream=True, hidden=True)
    assert [heard.times[-1]] * len(heard.times) == late.times, "a stream of which nobody knows the end is held back until [DONE]"


def test_a_stream_that_breaks_off_unsaid_is_not_struck() -> None:
    class Short(Speaker):
        def plan(self, request: httpx2.Request, now: float) -> Reply:
            reply = super().plan(request, now)
            return Reply(reply.status, reply.headers, 1.0, reply.pieces[:3])

    for hidden in (True, False):
        assert [] == hear(Short(JSON), JsonInFence(), stream=True, hidden=hidden).journal


def test_a_refused_attempt_and_a_body_that_is_none_are_spared() -> None:
    class Refusing(Speaker):
        def plan(self, request: httpx2.Request, now: float) -> Reply:
            return Reply(429, [(b"content-type", b"application/json")], pieces=[Piece(0.0, self.whole())])

    class Strange(Speaker):
        def whole(self) -> bytes:
            return b'{"choices": [3, {"message": 3}, {"message": {"tool_calls": [3, {"function": 3}, {"function": {"name": 3}}]}}]}'

    for speaker in (Refusing(JSON), Strange(JSON)):
        for name in ("Refusal", "UnknownTool"):
            calm, heard = hear(speaker, stream=False), hear(speaker, fault_named(name), stream=False)
            assert (calm.raw, []) == (heard.raw, heard.journal)


@pytest.mark.parametrize(
    ("message", "kind", "more"),
    [
        ("WrongType: field is the name of a field, not 3", "WrongType", {"field": 3}),
        ("ExtraField: field is the name of a field, not ''", "ExtraField", {"field": ""}),
        ("Refusal: words is the text that it says, not ' '", "Refusal", {"words": " "}),
        (
            "InventedCitation: document is an id of letters, digits and ./:-_, as in policy-2019-07, not 'a b'",
            "InventedCitation",
            {"document": "a b"},
        ),
        ("OtherLanguage: language is one of de, es, fr, not 'xx'", "OtherLanguage", {"language": "xx"}),
        ("PlantedInstruction: instruction is a text, not ''", "PlantedInstruction", {"instruction": ""}),
    ],
)
def test_bad_attributes_are_refused(message: str, kind: str, more: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        fault_named(kind, **more)


def test_it_is_known_of_each_whether_it_is_syntactic() -> None:
    syntactic = {name for name, kind in FAULTS_OF.items() if kind.syntactic}  # type: ignore[attr-defined]
    assert {
        "JsonComments",
        "JsonCutOff",
        "JsonInFence",
        "JsonInProse",
        "JsonNaN",
        "MalformedToolArguments",
        "SingleQuotes",
        "TrailingComma",
    } == syntactic
    assert 23 == len(FAULTS_OF)
