"""Every key is put together here at run time: no scanner shall find one in the tree."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from streaming_law import holds

from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails import SecretsGuard
from llmlab.pipeline.guardrails.base import Streaming

GUARD = SecretsGuard()

LETTERS = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7"
RANDOM = LETTERS + LETTERS[::-1]
TRUE = [
    ("openai", "sk" + "-proj-" + RANDOM, "{}"),
    ("openai", "sk" + "-" + RANDOM[:48], 'api_key="{}"'),
    ("anthropic", "sk" + "-ant-api03-" + RANDOM, "key={} there"),
    ("aws", "AK" + "IA" + "ABCDEFGHIJKLMNO2", "id {},"),
    ("github", "gh" + "p_" + RANDOM[:36], "{}"),
    ("github", "github" + "_pat_" + RANDOM, "https://{}@example.com"),
    ("gitlab", "gl" + "pat-" + RANDOM[:20], "{}"),
    ("google", "AI" + "za" + RANDOM[:35], "?key={}&a=b"),
    ("huggingface", "h" + "f_" + RANDOM[:34], "{}"),
    ("npm", "np" + "m_" + RANDOM[:36], "{}"),
    ("pypi", "pyp" + "i-AgE" + RANDOM, "{}"),
    ("sendgrid", "S" + "G." + RANDOM[:22] + "." + RANDOM[:43], "{}"),
    ("slack", "xo" + "xb-" + "123456789012-" + RANDOM[:24], "{}"),
    ("slack", "hooks.slack" + ".com/services/" + "T0AAAAAAA/B0AAAAAAA/" + RANDOM[:24], "https://{}"),
    ("stripe", "sk" + "_live_" + RANDOM[:24], "{}"),
    ("stripe", "wh" + "sec_" + RANDOM[:32], "{}"),
    ("jwt", "ey" + "JhbGciOi" + "JIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-_1", "Cookie: t={}; a"),
    ("private_key", "-----BEGIN " + "RSA PRIVATE KEY-----", "{}\nMII"),
    ("private_key", "-----BEGIN " + "PRIVATE KEY-----", "a {}"),
    ("address", "hunter2", "postgres://ada:{}@db.example.com/x"),
    ("named", "hunter2x!", "my password is {}"),
    ("named", "Tr0ub4dor&3", "PASSWORD: {}"),
    ("named", RANDOM[:40], "aws_secret_access_key = {}"),
    ("named", RANDOM + LETTERS[:20], "AccountKey={}=="),
    ("named", "0123456789abcdef0123", "Authorization: Bearer {}"),
    ("named", "550e8400-e29b-41d4-a716-446655440000", "'api-key' => '{}'"),
    ("mixed", RANDOM[:32], "it reads {}."),
    ("mixed", RANDOM[:24], "{}"),
]
FALSE = [
    "",
    "A token is a part of a word; 1,000 tokens: 750 words. The password is secret.",
    "password: required or not",
    "password: <your-password-1>, token=$TOKEN1234, secret: xxxxxxxx1",
    "api_key = os.environ['KEY_12345']",
    "commit " + "0123456789abcdef" * 2 + "01234567",
    "sha256:" + "0123456789abcdef" * 4,
    "550e8400-e29b-41d4-a716-446655440000",
    "sha512-" + RANDOM,
    "chatcmpl" + "-" + RANDOM[:29],
    "data:image/png;base64,iVBORw0KGgo" + RANDOM * 4,
    "SGVsbG8gd29ybGQsIHRoaXMgaXMgcGxhaW4gdGV4dA",
    "getHTTPResponseCodeV2FromServer3AndReturnIt",
    "//github.com/P-H-C/phc-winner-argon2/blob/main/CMakeLists.txt",
    "page-2026-02-14T19-22-42-679Z.yml",
    "sk" + "-learn-is-a-name-of-something-else",
    "AK" + "IA" + "ABCDEFGHIJKLMNO",
    "-----BEGIN " + "CERTIFICATE-----",
    "-----BEGIN " + "PUBLIC KEY-----",
    "https://example.com:8080/@ada, postgres://db.example.com/x",
    "aA1" * 9,
]


@pytest.mark.parametrize(("rule", "value", "around"), TRUE)
def test_a_secret_is_found_where_it_stands(rule: str, value: str, around: str) -> None:
    start = around.index("{}")
    assert [("SECRET", f"secret.{rule}", start, start + len(value))] == [finding[:4] for finding in GUARD.check(around.format(value))]


@pytest.mark.parametrize("text", FALSE)
def test_what_is_no_secret_passes(text: str) -> None:
    assert [] == GUARD.check(text)


def test_a_reason_does_not_quote() -> None:
    assert "it has the shape of a key of gitlab" == GUARD.check("gl" + "pat-" + RANDOM[:20])[0].reason


def test_the_lines_of_a_private_key_are_found_too() -> None:
    text = "-----BEGIN " + "PRIVATE KEY-----\n" + (RANDOM + RANDOM)[:64] + "\n" + (LETTERS * 3)[:64]
    assert ["secret.private_key", "secret.mixed", "secret.mixed"] == [finding.rule for finding in GUARD.check(text)]


def test_a_key_that_goes_on_is_found_by_its_beginning() -> None:
    found = GUARD.check("sk" + "-proj-" + RANDOM * 20)
    assert [(0, 93)] == [(finding.start, finding.end) for finding in found]


def test_the_guard_is_one_for_streams() -> None:
    assert isinstance(GUARD, Streaming)


@pytest.mark.parametrize(
    ("text", "edge"),
    [("", 0), ("All is said. ", 13), ("the key is sk" + "-ab", 11), ("-----BEGIN RSA PRI", 0), ("x" * 500, 388), ("我的密码", 4)],
)
def test_what_may_still_become_a_secret_is_held(text: str, edge: int) -> None:
    assert edge == GUARD.open_from(text)


FRAGMENTS = st.sampled_from(
    [value for _, value, _ in TRUE]
    + [around.format(value) for _, value, around in TRUE]
    + [text[:90] for text in FALSE if text]
    + [*" \n-./:=@+_\"'", "password", "token=", "Bearer ", "://a:", "sk" + "-", "é", "\ud800", "1a"],
)
TEXTS = st.lists(st.one_of(FRAGMENTS, st.text("0aA-_/=:@ ", max_size=12)), max_size=7).map(lambda parts: "".join(parts)[:300])


@given(TEXTS)
@example("token=a1b2c3d4" * 20)
@example("://a:b1@" * 20)
@example("sk" + "-" + RANDOM + " ")
@example("xo" + "xb-123456789012-" + "a1" * 38 + "-----BEGIN " + "PRIVATE KEY-----")
@example("-----BEGIN " + "ENCRYPTED PRIVATE KEY BLOCK----- and more")
def test_the_promises_of_a_stream_hold(text: str) -> None:
    holds(GUARD, text)


MANY = ["1a", "a", "a1 ", "=", ":", "is ", "token=", "token=a1b2c3d4 ", "://", "://a:b", "-----BEGIN ", "sk" + "-", "eyJ", "\ud800", "A1b/"]


@pytest.mark.parametrize("piece", MANY)
def test_a_megabyte_of_anything_is_looked_at(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    assert all(isinstance(finding, Finding) for finding in GUARD.check(text))
    assert len(text) - 112 <= GUARD.open_from(text)
