from __future__ import annotations

import pandas as pd
import pytest

from llmlab.errors import BadInput
from llmlab.notebook import page

EVIL = "<script>alert(1)</script> & co"


@pytest.mark.parametrize(
    "shown",
    [
        page.sentence(EVIL, EVIL),
        page.banner(EVIL),
        page.trouble(ValueError(EVIL)),
        page.table(pd.DataFrame({EVIL: [EVIL]})),
        page.boxed_table(pd.DataFrame({"a": [EVIL]}), EVIL),
        page.code(EVIL),
    ],
)
def test_what_comes_from_outside_is_escaped(shown: str) -> None:
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_our_own_errors_say_what_to_do_and_others_at_least_their_kind() -> None:
    assert ">record it first<" in page.trouble(BadInput("record it first"))
    assert "ZeroDivisionError: by zero. What you see below is the last run that worked" in page.trouble(ZeroDivisionError("by zero"))


def test_nothing_to_say_leaves_no_box() -> None:
    assert ("", "") == (page.banner(""), page.code(""))
    assert "llmlab-note" not in page.sentence("all is well").removeprefix(page.STYLE)
    assert "llmlab-note" not in page.boxed_table(pd.DataFrame({"a": [1]}))
