from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx2
import openai
import pytest

from llmlab.lab.matrix import SCENES, Cell, as_csv, matrix
from llmlab.wire.faults import catalogue

COMMITTED = Path(__file__).parent / "sdk_matrix.csv"


@pytest.fixture(scope="module")
def cells() -> list[Cell]:
    return matrix()


def test_the_client_behaves_as_it_did(cells: list[Cell]) -> None:
    """An SDK that behaves otherwise is seen here; after a look, `llmlab matrix --to tests/lab/sdk_matrix.csv` writes it down."""
    assert COMMITTED.read_text("utf-8") == as_csv(cells)


def test_every_fault_of_the_catalogue_is_met(cells: list[Cell]) -> None:
    assert {entry.name for entry in catalogue()} == {cell.fault.partition("(")[0] for cell in cells}


def test_a_character_is_split_where_there_is_one(cells: list[Cell]) -> None:
    """Its row was met in the second scene, for nothing in the first is longer than a byte."""
    first, second, _ = SCENES
    assert first["messages"][1]["content"].isascii()
    assert not second["messages"][1]["content"].isascii()
    assert [("stream", "ok", 1, False)] == [cell[1:5] for cell in cells if cell.fault == "SplitCharacter"]


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        ("RateLimit", 3),
        ("RateLimit(retry_after_seconds=200.0)", 1),
        ("RateLimit(should_retry=False)", 1),
        ("ServerError(should_retry=False)", 1),
        ("ContextLength(should_retry=True)", 3),
    ],
)
def test_what_the_provider_says_of_retries_has_rows(cells: list[Cell], fault: str, attempts: int) -> None:
    assert [attempts] * 2 == [cell.attempts for cell in cells if cell.fault == fault]


def test_the_command_line_prints_the_same(cells: list[Cell], tmp_path: Path) -> None:
    to = tmp_path / "matrix.csv"
    words = [sys.executable, "-m", "llmlab.cli", "matrix", "--json", "--to", str(to)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert [list(cell) for cell in cells] == [list(cell.values()) for cell in told["cells"]]
    assert openai.__version__ == told["versions"]["openai"]
    assert as_csv(cells) == to.read_text("utf-8")
    table = subprocess.run(words[:4], capture_output=True, text=True, check=True).stdout
    assert f"What openai {openai.__version__} with httpx2 {httpx2.__version__} makes of each fault" in " ".join(table.split())
