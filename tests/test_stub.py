from __future__ import annotations

import os
import subprocess
import sys

import hypothesis.strategies as st
from hypothesis import given

from llmlab.wire import answer


@given(st.integers())
def test_answer(number: int) -> None:
    assert number + 42 == answer() + number


def test_environment() -> None:
    assert "1" == os.environ["LLMLAB_STRICT"]
    assert "OPENAI_API_KEY" not in os.environ
    code = "import sys; sys.argv = ['x', 'doctor']; from llmlab.cli import main; main()"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=True).returncode
