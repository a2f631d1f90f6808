from __future__ import annotations

import pytest

from llmlab.pipeline.parsing.prose import Said, prose


@pytest.mark.parametrize("text", ["", "It is so.", "{ no JSON", '{"a": "b c d"', "[returns] says so."])
def test_a_plain_text_is_itself(text: str) -> None:
    assert [Said(text, 0, len(text))] == prose(text)


def test_the_sentences_inside_json_are_what_it_says_and_names_and_labels_are_not() -> None:
    text = '{"the long key here": "It \\"is\\" so.", "ids": ["returns"], "n": 3, "more": ["one two three"]}'
    found = prose(text)
    assert ['It "is" so.', "one two three"] == [one.text for one in found]
    assert ['It \\"is\\" so.', "one two three"] == [text[one.start : one.end] for one in found]
