from __future__ import annotations

import pytest

from llmlab.notebook.chat import LONGEST_SECONDS, Chat, Playback

FAST = Playback("fixed", "Why <b>?", [(0.1, "Be"), (0.2, "cause <i>")], 0.3, "ok; replayed")
NEVER = Playback("broken", "Why?", [], 5.0, "failed; nobody answered")


@pytest.mark.parametrize(
    ("now", "there", "absent"),
    [
        (0.0, ["waiting: 0.0 s", "&hellip;"], ["Be", "replayed"]),
        (0.15, ["first word after 0.10 s", "Be &hellip;"], ["cause", "replayed"]),
        (0.3, ["first word after 0.10 s, all of it after 0.30 s", "Because &lt;i&gt;", "ok; replayed"], ["&hellip;", "<i>"]),
    ],
)
def test_a_box_shows_what_was_there_by_then(now: float, there: list[str], absent: list[str]) -> None:
    shown = FAST.html(now)
    assert all(word in shown for word in there)
    assert not any(word in shown for word in absent)
    assert "Why &lt;b&gt;?" in shown


def test_an_answer_that_never_came_says_how_long_its_user_waited() -> None:
    shown = NEVER.html(9.0)
    assert "waiting: 5.0 s" in shown
    assert "failed; nobody answered" in shown
    assert "llmlab-it" not in shown


def test_boxes_stand_side_by_side_and_end_with_the_whole_answer() -> None:
    chat = Chat()
    assert "none" == chat.layout.display
    chat.play([FAST, NEVER], speed=100)
    chat.wait()
    assert "flex" == chat.layout.display
    assert ["Because" in box.value for box in chat.children] == [True, False]
    assert not chat.playing


def test_playing_can_be_stopped_and_put_away() -> None:
    chat = Chat()
    chat.play([NEVER._replace(end=10_000.0)])
    assert chat.playing
    chat.put_away()
    assert not chat.playing
    assert "none" == chat.layout.display


def test_what_takes_too_long_is_cut_off() -> None:
    chat = Chat()
    chat.play([NEVER._replace(end=10_000.0)], speed=LONGEST_SECONDS * 100)
    chat.wait()
    assert "nobody answered" in chat.children[0].value


def test_nothing_to_play_ends_at_once() -> None:
    chat = Chat()
    chat.wait()
    chat.play([])
    chat.wait()
    assert ["", ""] == [box.value for box in chat.children]
    assert ["none", "none"] == [box.layout.display for box in chat.children]


def test_a_box_that_is_not_needed_is_hidden_until_it_is() -> None:
    chat = Chat()
    chat.play([FAST], speed=100)
    chat.wait()
    assert [None, "none"] == [box.layout.display for box in chat.children]
    chat.play([FAST, NEVER], speed=100)
    chat.wait()
    assert [None, None] == [box.layout.display for box in chat.children]


def test_more_answers_than_boxes_are_refused() -> None:
    with pytest.raises(ValueError, match="3 answers do not fit in 2 boxes"):
        Chat().play([FAST, FAST, FAST])
