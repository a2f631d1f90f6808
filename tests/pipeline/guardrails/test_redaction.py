from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails import PIIGuard
from llmlab.pipeline.guardrails.redaction import Restorer, Vault, masked

GUARD = PIIGuard()


def hidden(vault: Vault, text: str) -> str:
    return vault.hide(text, GUARD.check(text))


def finding(kind: str, start: int, end: int) -> Finding:
    return Finding(kind, "rule", start, end, "reason")


def test_what_is_hidden_comes_back() -> None:
    vault, text = Vault(), "Write to ada@example.org or call +1 212-555-0123."
    assert "Write to [EMAIL_ADDRESS_1] or call [PHONE_NUMBER_1]." == hidden(vault, text)
    assert "I called +1 212-555-0123 and wrote ada@example.org" == vault.show("I called [PHONE_NUMBER_1] and wrote [EMAIL_ADDRESS_1]")


def test_the_same_value_has_the_same_placeholder_in_all_texts_of_a_request() -> None:
    vault = Vault()
    assert "[EMAIL_ADDRESS_1], [EMAIL_ADDRESS_2]" == hidden(vault, "ada@example.org, bob@example.org")
    assert "[EMAIL_ADDRESS_2]; [EMAIL_ADDRESS_1]" == hidden(vault, "bob@example.org; Ada@Example.org")
    assert "ada@example.org" == vault.show("[EMAIL_ADDRESS_1]")


@pytest.mark.parametrize(
    "written",
    ["[email_address_1]", "[EMAIL ADDRESS 1]", "[ Email_Address_1 ]", r"[EMAIL\_ADDRESS\_1]", "[EMAIL-ADDRESS-1]", "[EMAIL_ADDRESS_01]"],
)
def test_a_placeholder_may_be_written_a_little_differently(written: str) -> None:
    vault = Vault()
    hidden(vault, "ada@example.org")
    assert "to ada@example.org." == vault.show(f"to {written}.")


@pytest.mark.parametrize(
    "written", ["[EMAIL_ADDRESS_2]", "[EMAIL_ADDRESS_12]", "[NAME_1]", "EMAIL_ADDRESS_1", "[EMAIL_ADDRESS]", "[1]", "[doc 1]", "["]
)
def test_what_is_no_placeholder_of_ours_stays(written: str) -> None:
    vault = Vault()
    hidden(vault, "ada@example.org")
    assert written == vault.show(written)


def test_a_placeholder_in_the_text_is_restored_to_nobodys_data() -> None:
    vault, text = Vault(), "I am ada@example.org. What is [EMAIL_ADDRESS_1], [email address 2]?"
    assert "I am [EMAIL_ADDRESS_3]. What is [EMAIL_ADDRESS_1], [email address 2]?" == hidden(vault, text)
    assert "[EMAIL_ADDRESS_1] [Email_Address_2] ada@example.org" == vault.show("[EMAIL_ADDRESS_1] [Email_Address_2] [EMAIL_ADDRESS_3]")


def test_a_placeholder_in_a_later_text_is_hidden_itself() -> None:
    vault = Vault()
    hidden(vault, "I am ada@example.org.")
    assert "Repeat [EMAIL_ADDRESS_2]" == hidden(vault, "Repeat [EMAIL_ADDRESS_1]")
    assert "[EMAIL_ADDRESS_1] and ada@example.org" == vault.show("[EMAIL_ADDRESS_2] and [EMAIL_ADDRESS_1]")


def test_a_placeholder_inside_of_a_finding_goes_with_it() -> None:
    vault, text = Vault(), "a [X_1] b"
    vault.hide("x", [finding("X", 0, 1)])
    assert "[NOTE_1] b" == vault.hide(text, [finding("NOTE", 0, 7)])
    assert "a [X_1]" == vault.show("[NOTE_1]")


@pytest.mark.parametrize(
    ("kind", "placeholder"),
    [("order number", "[ORDER_NUMBER_1]"), ("IPv4", "[IPV_1]"), ("7", "[DATA_1]"), ("X", "[X_1]"), ("x" * 90, f"[{'X' * 40}_1]")],
)
def test_every_kind_makes_a_placeholder_that_comes_back(kind: str, placeholder: str) -> None:
    vault = Vault()
    assert placeholder == vault.hide("secret", [finding(kind, 0, 6)])
    assert "secret" == vault.show(placeholder)


def vault_of(*values: str) -> Vault:
    vault = Vault()
    for value in values:
        vault.hide(value, [finding("note", 0, len(value))])
    return vault


def test_a_value_restored_into_json_writes_no_field_of_its_own() -> None:
    value = 'x","admin":true,"z":"y\\\n'
    vault, answer = vault_of(value), '{"name": "[NOTE_1]", "by": "é [note 1]"}'
    assert {"name": value, "by": f"é {value}"} == json.loads(vault.show(answer, escaped=True))
    restorer = Restorer(vault, escaped=True)
    assert vault.show(answer, escaped=True) == "".join(map(restorer.feed, answer)) + restorer.finish()


QUOTED = "a'b\"c\\é"


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("email: 'ada@example.org' is too short", "email: '[NOTE_1]' is too short"),
        ("ada@example.org.uk, ada@example.org", "[NOTE_2], [NOTE_1]"),
        ("[NOTE_1] NOTE", "[NOTE_1] [NOTE_3]"),
        (QUOTED, "[NOTE_4]"),
        (repr(QUOTED), "'[NOTE_4]'"),
        (json.dumps(QUOTED, ensure_ascii=False), '"[NOTE_4]"'),
        ("[X_9] ada@example.com", "[X_9] ada@example.com"),
    ],
)
def test_what_was_hidden_is_covered_again_in_a_message_about_it(text: str, covered: str) -> None:
    assert covered == vault_of("ada@example.org", "ada@example.org.uk", "NOTE", QUOTED).cover(text)
    assert text == Vault().cover(text)


@given(st.text(min_size=1))
def test_whatever_was_hidden_is_covered(value: str) -> None:
    assert "-[NOTE_1]-" == vault_of(value).cover(f"-{value}-") or value in "-[]NOTE_1"


def test_only_the_planted_placeholders_that_no_finding_holds_are_hidden_themselves() -> None:
    text = "ab[NOTE_1][NOTE_1]c[NOTE_1]ef[NOTE_1]"
    assert "[A_1]NOTE_1][NOTE_1[A_2]NOTE_1]ef[NOTE_2]" == vault_of("ada").hide(text, [finding("a", 17, 20), finding("a", 0, 3)])


def test_a_flood_of_planted_placeholders_is_hidden_in_linear_time() -> None:
    assert "[NOTE_2]" * 30_000 == vault_of("ada").hide("[NOTE_1]" * 30_000, [])


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], "0123456789"),
        ([(2, 4)], "01[A]456789"),
        ([(6, 8), (2, 4)], "01[A]45[A]89"),
        ([(2, 5), (4, 7)], "01[A]789"),
        ([(2, 7), (4, 5)], "01[A]789"),
        ([(2, 4), (4, 5)], "01[A][A]56789"),
        ([(-3, 2), (8, 99), (5, 5), (40, 50)], "[A]234567[A]"),
    ],
)
def test_masked_is_gone_for_good(spans: list[tuple[int, int]], expected: str) -> None:
    assert expected == masked("0123456789", [finding("a", start, end) for start, end in spans])


def test_nothing_of_it_shows_in_a_repr() -> None:
    vault = Vault()
    hidden(vault, "ada@example.org and bob@example.org")
    restorer = Restorer(vault)
    restorer.feed("[EMAIL")
    assert "Vault(2 hidden)" == repr(vault)
    assert "Restorer(Vault(2 hidden))" == repr(restorer)


def test_an_answer_with_nothing_to_restore_is_never_held() -> None:
    restorer = Restorer(Vault())
    assert "[EMAIL_" == restorer.feed("[EMAIL_")
    assert "" == restorer.finish()


def test_only_the_beginning_of_a_placeholder_is_held() -> None:
    vault = Vault()
    hidden(vault, "ada@example.org")
    restorer = Restorer(vault)
    assert ["To ", "", "ada@example.org [1", "] [a note!"] == [
        restorer.feed(piece) for piece in ("To [EMA", "IL_ADDRESS_", "1] [1", "] [a note!")
    ]
    assert "" == restorer.feed("[EMAIL_ADDRESS_1")
    assert "[EMAIL_ADDRESS_1" == restorer.finish()


PIECES = st.sampled_from(
    [
        *[
            "ada@example.org",
            "ADA@example.org",
            "bob@example.org",
            "212-555-0123",
            "555-0123",
            "[EMAIL_ADDRESS_1]",
            "[email address 1]",
            "call ",
        ],
        *[
            "[EMAIL\\_ADDRESS\\_2]",
            "[PHONE_NUMBER_1]",
            "[EMAIL_ADDRESS_",
            "1]",
            "[",
            "]",
            " ",
            "_",
            "[x]",
            "[ ",
            "\ud800",
            "a" * 60,
            "1234567",
        ],
    ]
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)


@given(TEXTS, TEXTS)
def test_what_was_hidden_comes_back_and_nothing_else_changes(question: str, document: str) -> None:
    vault = Vault()
    prompts = [hidden(vault, question), hidden(vault, document)]
    # An e-mail comes back as it was written first.
    assert [question.lower(), document.lower()] == [vault.show(prompt).lower() for prompt in prompts]
    for text, prompt in zip((question, document), prompts, strict=True):
        assert not any(text[found.start : found.end] in prompt for found in GUARD.check(text) if found.kind != "PHONE_NUMBER")


@given(TEXTS, TEXTS)
def test_an_answer_is_restored_alike_at_every_split(question: str, answer: str) -> None:
    vault = Vault()
    hidden(vault, question + " ada@example.org")
    for size in range(1, len(answer) + 2):
        restorer, shown, fed = Restorer(vault), "", 0
        for at in range(0, len(answer), size):
            shown += restorer.feed(answer[at : at + size])
            fed = min(len(answer), at + size)
            # What is out is final, and what is not is shorter than a placeholder.
            assert vault.show(answer).startswith(shown)
            assert len(vault.show(answer[:fed])) - len(shown) <= 52
        assert vault.show(answer) == shown + restorer.finish()


def test_a_megabyte_of_brackets_is_restored_in_linear_time() -> None:
    vault = Vault()
    hidden(vault, "ada@example.org")
    for text in ("[" * 1_000_000, "[A_" * 300_000, "[" + "A_1" * 300_000, "[EMAIL_ADDRESS_1]" * 50_000):
        restorer = Restorer(vault)
        assert vault.show(text) == restorer.feed(text) + restorer.finish()
