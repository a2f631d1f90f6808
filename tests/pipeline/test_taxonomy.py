from __future__ import annotations

import re
from pathlib import Path

import pytest
from scripted import Wire, ask, good, refusal, told

from llmlab import errors
from llmlab.errors import AttemptBroken, AttemptRefused
from llmlab.pipeline.routing import Retry
from llmlab.pipeline.taxonomy import OTHER_ROUTE, RETRY, SHRINK, STOP, TAXONOMY, action, taxonomy

PIPELINE = Path(__file__).parents[2] / "llmlab" / "pipeline"


def test_every_reason_that_the_pipeline_gives_has_its_row() -> None:
    written = set()
    for path in sorted(PIPELINE.glob("*.py")):
        written |= set(re.findall(r'Attempt(?:Broken|Refused|Unavailable|Timeout|Limited)\(\s*"(\w+)"', path.read_text("utf-8")))
    assert written - {advice.reason for advice in TAXONOMY} == set()
    assert len(written) > 8


def test_every_row_names_an_error_that_exists_and_stands_once() -> None:
    reasons = [advice.reason for advice in TAXONOMY]
    assert len(reasons) == len(set(reasons))
    assert {RETRY, OTHER_ROUTE, SHRINK, STOP} == {advice.action for advice in TAXONOMY}
    for advice in TAXONOMY:
        assert issubclass(getattr(errors, advice.error), errors.AttemptFailed)


def test_a_code_that_is_in_no_table_is_judged_by_its_status_or_by_itself() -> None:
    assert STOP == action(AttemptRefused("strange", "", retryable=False, status_code=400))
    assert OTHER_ROUTE == action(AttemptRefused("strange", "", retryable=False))
    assert RETRY == action(AttemptBroken("strange", "", retryable=True))


def test_the_table_is_for_people() -> None:
    assert ["reason", "error", "action", "client"] == list(taxonomy().columns)


TOO_LONG = refusal(400, {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"})


def test_a_request_that_is_too_long_is_sent_again_with_less() -> None:
    wire = Wire(TOO_LONG, TOO_LONG, good())
    answer = ask(wire, documents=["first", "second", "third"], retry=None)
    assert "ok" == answer.status
    assert [3, 2, 1] == [body["messages"][-1]["content"].count("<document") for body in wire.bodies]


def test_where_nothing_is_left_out_the_next_route_is_asked() -> None:
    answer = ask(Wire(TOO_LONG), Wire(good()), retry=None)
    assert [("primary", "main", "failed", "context_length_exceeded"), ("fallback", "second", "ok", "")] == told(answer)


@pytest.mark.parametrize(
    ("reply", "sent"),
    [
        (refusal(400), ["main"]),
        (refusal(400, {"message": "no", "type": "x", "code": "content_filter"}), ["main"]),
        (refusal(401), ["main", "second"]),
        (refusal(404, {"message": "gone", "type": "x", "code": "model_not_found"}), ["main", "second"]),
        (refusal(429, {"message": "pay", "type": "insufficient_quota", "code": "insufficient_quota"}), ["main", "second"]),
        (refusal(500), ["main", "main", "second"]),
    ],
)
def test_a_failure_goes_where_it_can_be_mended(reply: object, sent: list[str]) -> None:
    answer = ask(Wire(reply), Wire(good()), retry=Retry(attempts=2))
    assert sent == [attempt.route for attempt in answer.attempts]
