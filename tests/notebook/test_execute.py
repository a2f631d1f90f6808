from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from llmlab.notebook import execute

NOTEBOOK = new_notebook(
    cells=[
        new_markdown_cell("# A notebook"),
        new_code_cell("import os\nprint(os.environ['LLMLAB_STRICT'])", metadata={"tags": ["kept"], "scrolled": True}),
        new_code_cell("import ipywidgets\nipywidgets.IntSlider(value=3)"),
    ]
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "00_small.ipynb"
    nbformat.write(NOTEBOOK, place)
    return place


def test_a_notebook_is_run_in_place_and_twice_gives_the_same_bytes(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == execute.main([str(path)])
    first = path.read_bytes()
    assert 0 == execute.main([str(path)])
    assert first == path.read_bytes()
    assert 0 == execute.main([str(path), "--check"])
    made = nbformat.read(path, as_version=4)
    assert "1\n" == made.cells[1].outputs[0].text
    assert "IntSlider(value=3)" == made.cells[2].outputs[0].data["text/plain"]
    assert "3 cells, checked" in capsys.readouterr().out


def test_another_output_is_found_and_written_nowhere(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = path.read_bytes()
    assert 1 == execute.main([str(path), "--check"])
    assert before == path.read_bytes()
    assert "cell 1 (import os) has another output" in capsys.readouterr().err


def test_a_cell_that_raises_is_an_error_and_leaves_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "00_broken.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), place)
    before = place.read_bytes()
    assert 1 == execute.main([str(place)])
    assert before == place.read_bytes()
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_file_that_is_no_notebook_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "00_text.ipynb"
    place.write_text("no JSON")
    assert 1 == execute.main([str(place), str(tmp_path / "missing.ipynb")])
    said = capsys.readouterr().err
    assert "00_text.ipynb" in said
    assert "missing.ipynb" in said


def test_without_names_all_notebooks_here_are_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert 1 == execute.main([])
    assert "no notebooks here" in capsys.readouterr().err
    (tmp_path / "notebooks").mkdir()
    nbformat.write(NOTEBOOK, tmp_path / "notebooks" / "00_small.ipynb")
    monkeypatch.setattr(execute, "run", lambda notebook, folder: notebook)
    assert 0 == execute.main(["--check"])


def noisy() -> Any:
    output = new_output("execute_result", {"text/plain": "Slider", execute._WIDGET_VIEW: {"model_id": "a1"}}, execution_count=1)
    cell = new_code_cell(
        "slider", execution_count=1, outputs=[output], metadata={"execution": {"iopub.status.busy": "now"}, "tags": ["kept"]}
    )
    metadata = {
        "widgets": {},
        "kernelspec": {"name": "mine", "display_name": "Mine"},
        "language_info": {"name": "python", "version": "3.12.1"},
    }
    return new_notebook(cells=[cell, new_markdown_cell("")], metadata=metadata)


def test_what_differs_between_machines_is_stripped() -> None:
    tidied = execute.tidy(noisy())
    assert {"kernelspec", "language_info"} == set(tidied.metadata)
    assert {"name": "python"} == tidied.metadata.language_info
    assert "Python 3" == tidied.metadata.kernelspec.display_name
    assert {"tags": ["kept"]} == tidied.cells[0].metadata
    assert {"text/plain": "Slider"} == tidied.cells[0].outputs[0].data
    assert ["cell-00", "cell-01"] == [cell.id for cell in tidied.cells]


def test_pictures_are_not_compared_and_words_are() -> None:
    old, new = noisy(), noisy()
    old.cells[0].outputs[0].data["image/png"] = "abc"
    assert [] == list(execute.differences(old, new))
    new.cells[0].outputs[0].data["text/plain"] = "Knob"
    new.cells[1].source = "# More"
    assert ["cell 0 (slider) has another output", "cell 1 (empty) has another output"] == list(execute.differences(old, new))


def test_a_cell_more_is_a_difference() -> None:
    fewer = noisy()
    del fewer.cells[1]
    assert ["1 cells, and 2 after a run"] == list(execute.differences(fewer, noisy()))
