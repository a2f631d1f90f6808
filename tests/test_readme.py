"""The README's examples run, and print what the README shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import llmlab

README = Path(__file__).parents[1] / "README.md"
FENCE = re.compile(r"^(?P<fence>`{3,})(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    line: int
    code: str
    output: str | None
    """What the README shows as the output, or None where it shows none."""


def examples(markdown: str) -> list[Example]:
    """Return each python block with the text block that is the next block after it, if it is."""
    blocks = list(FENCE.finditer(markdown))
    found = []
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block["language"] == "python":
            output = following["body"] if following and following["language"] == "text" else None
            found.append(Example(markdown.count("\n", 0, block.start()) + 1, block["body"], output))
    return found


EXAMPLES = examples(README.read_text("utf-8"))


def run(code: str, folder: Path) -> str:
    """Run `code` as a script of a new user's would run, and return what it prints."""
    environment = {**os.environ, "LLMLAB_STRICT": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert 0 == done.returncode, done.stderr
    return done.stdout


def tidy(output: str) -> list[str]:
    return [line.rstrip() for line in output.strip().splitlines()]


def test_the_readme_has_an_example_with_its_output() -> None:
    assert [] != [example for example in EXAMPLES if example.output]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"line_{example.line}")
def test_an_example_runs_and_prints_what_the_readme_shows(example: Example, tmp_path: Path) -> None:
    printed = run(example.code, tmp_path)
    if example.output is not None:
        assert tidy(example.output) == tidy(printed)


def test_a_text_block_belongs_to_the_python_block_before_it() -> None:
    markdown = "a\n```python\nx = 1\n```\nb\n```python\nprint(1)\n```\nprints\n\n```text\n1\n```\n```sh\nls\n```\n"
    assert [Example(2, "x = 1\n", None), Example(6, "print(1)\n", "1\n")] == examples(markdown)


def test_an_example_that_fails_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run("1 / 0", tmp_path)


def test_the_picture_is_there_and_its_words_are_those_of_the_example() -> None:
    words, path = re.search(r"!\[(.*?)\]\((.*?)\)", README.read_text("utf-8")).groups()
    assert (README.parent / path).read_bytes().startswith(b"\x89PNG")
    line = next(line for line in str(EXAMPLES[0].output).splitlines() if line.startswith("first word after 4 s"))
    shares = re.findall(r"(\d+\.\d) \[", line)
    assert f"naive {shares[0]} %, careful {shares[1]} %, stack {shares[2]} %." in words


def test_the_table_of_faults_is_the_catalogue() -> None:
    """After a change: `python -c "import llmlab; print(llmlab.faults.catalogue().markdown())"`."""
    assert llmlab.faults.catalogue().markdown() in README.read_text("utf-8")
