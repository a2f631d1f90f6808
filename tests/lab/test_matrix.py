from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llmlab.lab.matrix import Cell, as_csv, matrix
from llmlab.wire.faults import catalogue

COMMITTED = Path(__file__).parent / "sdk_matrix.csv"


NOT_SEEN = {"BrownOut", "Bursts", "Quota", "ChangedName", "JsonNaN", "WrongEnum", "MalformedToolArguments", "UnknownTool"}
"""What does not strike a single request at the first moment of a run, to a provider without slots, whose answer holds no name, no number
outside of its sentences, no choice of values, and calls no tool."""


@pytest.fixture(scope="module")
def cells() -> list[Cell]:
    return matrix()


def test_the_client_behaves_as_it_did(cells: list[Cell]) -> None:
    """An SDK that behaves otherwise is seen here; after a look, `llmlab matrix --to tests/lab/sdk_matrix.csv` writes it down."""
    assert COMMITTED.read_text("utf-8") == as_csv(cells)


def test_every_fault_of_the_catalogue_is_met(cells: list[Cell]) -> None:
    assert {entry.name for entry in catalogue()} - NOT_SEEN == {cell.fault for cell in cells}


def test_the_command_line_prints_the_same(cells: list[Cell], tmp_path: Path) -> None:
    to = tmp_path / "matrix.csv"
    words = [sys.executable, "-m", "llmlab.cli", "matrix", "--json", "--to", str(to)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert [list(cell) for cell in cells] == [list(cell.values()) for cell in json.loads(done.stdout)["cells"]]
    assert as_csv(cells) == to.read_text("utf-8")
