"""The folded solutions of every notebook, executed: each must pass its own check."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9]*.ipynb"))
FOLDED = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.DOTALL)
CHECK = re.compile(r"^llmlab\.check\.(\w+)\((.+)\)$", re.MULTILINE)


def solutions(path: Path) -> list[str]:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return [code for cell in cells if cell["cell_type"] == "markdown" for code in FOLDED.findall("".join(cell["source"]))]


def exercises(path: Path) -> list[str]:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return [name for cell in cells if cell["cell_type"] == "code" for name, _ in CHECK.findall("".join(cell["source"]))]


ALL = [pytest.param(code, id=f"{path.stem}-{number}") for path in NOTEBOOKS for number, code in enumerate(solutions(path), 1)]


@pytest.mark.parametrize("code", ALL)
def test_a_folded_solution_passes_its_check(code: str) -> None:
    (exercise,) = CHECK.findall(code)
    names: dict[str, Any] = {}
    exec(f"import llmlab\n{CHECK.sub('', code)}\nfeedback = llmlab.check.{exercise[0]}({exercise[1]})", names)
    assert names["feedback"].passed, names["feedback"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_exercise_has_a_folded_solution_in_the_same_order(path: Path) -> None:
    solved = [name for code in solutions(path) for name, _ in CHECK.findall(code)]
    assert exercises(path) == solved
    assert solved
