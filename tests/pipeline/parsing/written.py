"""What the tests of parsing share: what a model may have meant, and written."""

from __future__ import annotations

from hypothesis import strategies as st
from pydantic import BaseModel


class Refund(BaseModel):
    days: int
    note: str = ""
    steps: list[str] = []
    fee: float | None = None


ODD = "{}[],:\"'“”\\/*#`\n au1-.eNtrue\ud83d\ude00\0"
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ['say "hi"', "it's", "a, b: {c}", "[1] // no", "``` # x", "\\d", "NaN", "12", "'},'", '"]', "😀\n", "None", "http://a.b"]
    ),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-200, 200) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=4)
REFUNDS = st.builds(Refund, days=st.integers(0, 400), note=TEXTS, steps=st.lists(TEXTS, max_size=3), fee=st.none() | st.floats(0, 100))
