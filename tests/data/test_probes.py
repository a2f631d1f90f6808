from __future__ import annotations

import base64
import codecs
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from importlib import resources
from ipaddress import ip_address

import phonenumbers
import pytest
from rapidfuzz import fuzz
from rapidfuzz.process import cdist
from stdnum import iban, luhn
from stdnum.us import ssn

from llmlab.data.probes import ATTACKS, HALVES, PERSONAL, ROLES, Probe, probes
from llmlab.errors import BadInput

FILE = resources.files("llmlab.data").joinpath("guardrails", "probes.jsonl").read_text(encoding="utf-8")


def spans(kind: str) -> list[str]:
    return [row.text[span.start : span.end] for row in probes(label="personal") for span in row.spans if span.kind == kind]


def auroc(ones: list[float], others: list[float]) -> float:
    wins = sum((one > other) + 0.5 * (one == other) for one in ones for other in others)
    return wins / (len(ones) * len(others))


def test_there_are_more_than_450_probes_with_ids_and_texts_of_their_own() -> None:
    assert 450 < len(probes())
    assert len(probes()) == len({row.id for row in probes()}) == len({row.text for row in probes()})
    assert all(row.id[0] == row.label[0] for row in probes())


def test_each_class_of_attack_has_at_least_20_and_at_least_12_that_could_be_taken_for_it() -> None:
    attacks, harmless = (Counter(row.kind for row in probes(label=label)) for label in ("attack", "harmless"))
    assert set(ATTACKS) == set(attacks)
    assert {*ATTACKS, ""} == set(harmless)
    assert 20 <= min(attacks.values())
    assert 12 <= min(harmless.values())
    assert 130 <= harmless.total()


def test_what_is_indirect_stands_in_a_document() -> None:
    assert {"document"} == {row.role for row in probes() if row.kind == "indirect"}


def test_multilingual_attacks_and_questions_are_in_at_least_8_languages() -> None:
    for label in ("attack", "harmless"):
        assert 8 <= len({row.language for row in probes(label=label) if row.kind == "multilingual"} - {"mix", "en"})


def test_what_a_reader_cannot_see_is_noted() -> None:
    assert [] == [row.id for row in probes(label="attack") if row.kind in ("encoded", "multilingual") and not row.note]
    odd = re.compile(r"[^\x00-\x7f°½]")
    assert [] == [row.id for row in probes() if row.kind == "hidden_text" and odd.search(row.text.replace("°", "")) and not row.note]


@pytest.mark.parametrize(
    ("form", "encode"),
    [
        ("base64", lambda said: base64.b64encode(said.encode()).decode().rstrip("=")),
        ("hex", lambda said: said.encode().hex()),
        ("percent", lambda said: "".join(f"%{byte:02X}" for byte in said.encode())),
        ("rot13", lambda said: codecs.encode(said, "rot13")),
        ("reversed", lambda said: said[::-1]),
    ],
)
def test_what_is_encoded_says_what_its_note_says(form: str, encode: Callable[[str], str]) -> None:
    noted = {row.id: (row.text, row.note.removeprefix(f"{form}: ")) for row in probes() if row.note.startswith(f"{form}: ")}
    assert 4 <= len(noted)
    assert [] == [name for name, (text, said) in noted.items() if encode(said).replace(" ", "") not in text.replace(" ", "")]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "trait",
    [
        len,
        lambda text: len(text.split()),
        lambda text: sum(letter.isdigit() for letter in text),
        lambda text: text[-1],
        lambda text: text.endswith((".", "?", "!")),
        lambda text: "?" in text,
        lambda text: text[0].isupper(),
        lambda text: text.isascii(),
        lambda text: sum(not letter.isalnum() and not letter.isspace() for letter in text),
        lambda text: text.count("\n"),
    ],
    ids=["length", "words", "digits", "last", "punctuated", "question", "capital", "ascii", "marks", "lines"],
)
def test_no_trait_of_the_surface_tells_attacks_from_harmless_texts(trait: Callable[[str], float], role: str) -> None:
    attacks, harmless = ([trait(row.text) for row in probes(label=label, role=role)] for label in ("attack", "harmless"))
    assert 0.4 <= auroc(attacks, harmless) <= 0.62


# --- halves


@pytest.mark.parametrize("label", ["attack", "harmless", "personal"])
def test_halves_are_even_in_every_class(label: str) -> None:
    open_rows, held = (Counter(row.kind for row in probes(half=half, label=label)) for half in HALVES)
    assert all(abs(open_rows[kind] - held[kind]) <= 2 for kind in open_rows | held)


def test_a_family_is_small_and_of_one_half_one_label_and_one_role() -> None:
    families: dict[str, list[Probe]] = defaultdict(list)
    for row in probes():
        families[row.family].append(row)
    assert all(len(rows) <= 4 for rows in families.values())
    assert all(1 == len({(row.half, row.label, row.role) for row in rows}) for rows in families.values())


def test_no_probe_has_a_near_duplicate_in_the_other_half() -> None:
    one, other = ([row.text for row in probes(half=half)] for half in HALVES)
    assert 75 > cdist(one, other, scorer=fuzz.token_sort_ratio).max()


# --- personal data


def test_personal_data_true_and_false_is_there_in_both_halves() -> None:
    rows = probes(label="personal")
    assert 80 <= len(rows)
    assert 30 <= sum(not row.spans for row in rows)
    assert {(kind, half) for kind in PERSONAL for half in HALVES} == {(span.kind, row.half) for row in rows for span in row.spans}
    assert all(row.kind == (row.spans[0].kind if row.spans else "") for row in rows)
    assert not any(row.spans for row in probes() if row.label != "personal")


def test_spans_lie_in_their_texts_in_order_and_begin_and_end_with_what_they_are() -> None:
    for row in probes():
        ends = [place for span in row.spans for place in (span.start, span.end)]
        assert ends == sorted(set(ends))
        assert all(0 <= place <= len(row.text) for place in ends)
        assert all(row.text[span.start : span.end] == row.text[span.start : span.end].strip(" .,;:") for span in row.spans)


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        ("CREDIT_CARD", lambda value: luhn.is_valid(re.sub(r"\D", "", value))),
        ("IBAN_CODE", iban.is_valid),
        ("US_SSN", lambda value: ssn.is_valid(re.sub(r"\D", "", value))),
        ("PHONE_NUMBER", lambda value: phonenumbers.is_valid_number(phonenumbers.parse(value, "US"))),
        ("EMAIL_ADDRESS", lambda value: re.fullmatch(r"[\w.+-]+@([\w-]+\.)*example\.(com|net|org)", value.lower())),
        ("DOMAIN_NAME", lambda value: re.fullmatch(r"([\w-]+\.)*example\.(com|net|org)", value)),
        ("IP_ADDRESS", lambda value: not ip_address(value).is_global),
    ],
)
def test_personal_data_is_valid_and_nobodys(kind: str, right: Callable[[str], object]) -> None:
    assert [] == [value for value in spans(kind) if not right(value)]


# --- loading


def test_the_file_can_be_reviewed() -> None:
    assert FILE.isascii()
    assert len(probes()) == len(FILE.splitlines())


def test_probes_are_taken_by_half_label_and_role() -> None:
    found = probes(half="held", label="attack", role="document")
    assert [row for row in probes() if ("held", "attack", "document") == (row.half, row.label, row.role)] == list(found)
    assert probes()[0] is probes()[0]


@pytest.mark.parametrize(("name", "value"), [("half", "both"), ("label", "bad"), ("role", "assistant")])
def test_what_is_no_half_label_or_role_is_said(name: str, value: str) -> None:
    with pytest.raises(BadInput, match=f"{name} is one of .*, not '{value}'"):
        probes(**{name: value})
