from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.protocol import tokens


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    assert text == "".join(tokens.split(text))
    assert tokens.count(text) == len(tokens.split(text))


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ([], ""),
        (["Reset", " your", " password", "."], "Reset your password."),
        (["internat", "ionaliza", "tion"], "internationalization"),
        ([" order", "_", "104", "2", ":", " \n\n"], " order_1042: \n\n"),
        (["a", " ", " b", "\n", "\t", "c"], "a  b\n\tc"),
        (["é", "—", "漢字"], "é—漢字"),
    ],
)
def test_text_is_cut_as_byte_pair_tokenizers_do(expected: list[str], text: str) -> None:
    assert expected == tokens.split(text)


def test_english_has_about_three_tokens_for_four_short_words_and_their_stops() -> None:
    text = "We refund an order within 14 days. Send it back in the box that it came in, and keep the receipt."
    assert tokens.count(text) == pytest.approx(len(re.findall(r"\w+|[.,]", text)), abs=1)


def test_messages_cost_their_text_and_their_frame() -> None:
    parts = [{"type": "text", "text": "one two"}, {"type": "image_url"}, {"type": "text", "text": None}, "stray"]
    messages = [{"role": "user", "content": "one"}, {"role": "user", "content": parts}, {"role": "assistant", "content": None}]
    assert 3 + 3 * 4 + 1 + 2 == tokens.count_messages(messages)
    assert 3 == tokens.count_messages(["no message"])
    assert 3 == tokens.count_messages([])


@pytest.mark.parametrize(("expected", "content"), [("a", "a"), ("ab", [{"text": "a"}, {"text": "b"}]), ("", None), ("", 3)])
def test_the_text_of_a_content(expected: str, content: object) -> None:
    assert expected == tokens.content_text(content)
