"""Run notebooks from top to bottom, in place, and keep out of the file what differs from machine to machine.

`python -m llmlab.notebook.execute [notebooks...] [--check]`; without names, all of notebooks/.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat as _nbformat
from nbclient import NotebookClient

nbformat: Any = _nbformat  # it comes with types for half of its functions
CELL_SECONDS = 60
"""A cell that takes longer is an error."""
_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def run(notebook: Any, folder: Path) -> Any:
    """Return a copy of `notebook` with the outputs of a fresh run, made the same on every machine.

    Args:
        notebook: As nbformat reads it.
        folder: Where its kernel works.

    Raises:
        CellExecutionError: A cell raised.
    """
    fresh = nbformat.reads(nbformat.writes(notebook), as_version=4)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    environment = {**os.environ, "LLMLAB_STRICT": "1"}
    environment.pop("MPLBACKEND", None)
    client = NotebookClient(
        fresh,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--IPKernelApp.log_level=ERROR"],  # the kernel's remark on TCP concerns nobody who stays on loopback
    )
    client.execute(env=environment)
    return tidy(fresh)


def tidy(notebook: Any) -> Any:
    """Strip what differs between two runs or two machines: widget state and ids, times of execution, versions of Python."""
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
    )
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({name: value for name, value in cell.metadata.items() if name == "tags"})
        for output in cell.get("outputs", []):
            # The view points at a widget that ends with its kernel; the bundle has a table and a picture as well.
            output.get("data", {}).pop(_WIDGET_VIEW, None)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
    return notebook


def differences(committed: Any, fresh: Any) -> Iterator[str]:
    """Yield what differs between two notebooks, a line each. Pictures are not compared: another font draws another one."""
    if len(committed.cells) != len(fresh.cells):
        yield f"{len(committed.cells)} cells, and {len(fresh.cells)} after a run"
    for number, (old, new) in enumerate(zip(committed.cells, fresh.cells, strict=False)):
        if _words(old) != _words(new):
            yield f"cell {number} ({old.source.strip().splitlines()[0][:60] if old.source.strip() else 'empty'}) has another output"


def _words(cell: Any) -> list[Any]:
    kept = []
    for output in cell.get("outputs", []):
        data = {kind: value for kind, value in output.get("data", {}).items() if not kind.startswith("image/")}
        kept.append([output.output_type, output.get("text"), data])
    return [cell.source, cell.get("execution_count"), kept]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 when all went well, 1 when a notebook failed or (with --check) is not as committed.
    """
    parser = argparse.ArgumentParser(prog="python -m llmlab.notebook.execute", description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, help="which; all of notebooks/ if left out")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a run gives another output")
    options = parser.parse_args(arguments)
    paths = options.notebooks or sorted(Path("notebooks").glob("[0-9]*.ipynb"))
    if not paths:
        print("no notebooks here; run this at the top of the project, or name one", file=sys.stderr)
        return 1
    bad = 0
    for path in paths:
        try:
            committed = nbformat.read(path, as_version=4)
            fresh = run(committed, path.resolve().parent)
        except Exception as error:
            print(f"{path}: {error}", file=sys.stderr)
            bad += 1
            continue
        found = list(differences(committed, fresh)) if options.check else []
        for line in found:
            print(f"{path}: {line}", file=sys.stderr)
        bad += bool(found)
        if not options.check:
            path.write_text(nbformat.writes(fresh) + "\n", encoding="utf-8")
        print(f"{path}: {len(fresh.cells)} cells, {'checked' if options.check else 'written'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
