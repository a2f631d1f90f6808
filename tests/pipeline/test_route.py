from __future__ import annotations

import pytest

import llmlab
from llmlab import Hedge, Route
from llmlab.errors import BadInput
from llmlab.pipeline.route import fallback_of

A, B, C = (Route(name, model="main") for name in "abc")


def test_the_fallback_is_the_next_route_or_the_one_that_is_named() -> None:
    named = Route("a", model="main", fallback="c")
    assert (B, C, None) == (fallback_of([A, B, C], A), fallback_of([named, B, C], named), fallback_of([A, B, C], C))


@pytest.mark.parametrize(
    ("routes", "words"),
    [
        ([], "needs a route"),
        ([A, A], "names of their own, and these are a, a"),
        ([A, Route("b", model="fast", fallback="x")], "the fallback of route 'b' is 'x', and there is: a, b"),
        ([A, Route("b", model="fast", fallback="a")], "a fallback cycle: a -> b -> a"),
        ([Route("a", model="main", fallback="a")], "a fallback cycle: a -> a"),
        ([A, B, Route("c", model="main", fallback="b")], "a fallback cycle: a -> b -> c -> b"),
        ([Route("a", model="main", fallback="c"), Route("b", model="main", fallback="b"), C], "a fallback cycle: b -> b"),
    ],
)
def test_routes_that_lead_nowhere_or_in_circles_are_refused(routes: list[Route], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        llmlab.Pipeline(routes=routes)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_extra": 0}, "for no hedge, leave it out"),
        ({"max_extra": 1.5}, "above 0 and at most 1"),
        ({"max_extra": True}, "above 0 and at most 1"),
        ({"at_quantile": 1}, "between 0 and 1"),
        ({"at_quantile": "p95"}, "between 0 and 1"),
    ],
)
def test_a_hedge_that_is_none_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Hedge(**options)  # type: ignore[arg-type]
