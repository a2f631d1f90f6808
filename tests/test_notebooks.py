"""The contract that every notebook keeps. Strict nbval compares outputs; this sees to it that there is something to compare."""

from __future__ import annotations

import ast
import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
TEMPLATE = ROOT / "notebooks" / "_template.ipynb"
Notebook = dict[str, Any]

ITEM = re.compile(r"^\s*(?:[-*]|\d+\.)\s+\S")
ABSOLUTE_PATH = re.compile(r"(?<![\w./:<-])(?:/(?:home|root|tmp|work|Users|private|var|opt|mnt|usr|content)/\w|[A-Za-z]:\\\\?\w)")
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}")
NOT_COMPARABLE = re.compile(r"\b(?:Output|interact|interactive|interactive_output|clear_output)\b")
RUNS = re.compile(r"\b(?:run|start|ask|stream|simulate|compare|gameday)\w*\(")


def text(lines: str | list[str]) -> str:
    return lines if isinstance(lines, str) else "".join(lines)


def source(cell: Notebook) -> str:
    return text(cell["source"])


def code_cells(notebook: Notebook) -> list[Notebook]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and source(cell).strip()]


def shown(cell: Notebook) -> Iterator[str]:
    """All text of a cell's outputs: streams, text, HTML, tracebacks; no pictures."""
    for output in cell.get("outputs", []):
        yield text(output.get("text", ""))
        yield text(output.get("traceback", ""))
        for kind, data in output.get("data", {}).items():
            if not kind.startswith("image/"):
                yield json.dumps(data) if isinstance(data, dict) else text(data)


def lines_of_code(cell: Notebook) -> int:
    return sum(1 for line in source(cell).splitlines() if line.strip() and not line.lstrip().startswith("#"))


def objectives(opening: str) -> int:
    """The items of the list that follows the words "you can"."""
    after = re.split(r"you can\b", opening, maxsplit=1, flags=re.IGNORECASE)[-1].splitlines()[1:]
    count = 0
    for line in after:
        if ITEM.match(line):
            count += 1
        elif count and line.strip() and not line.startswith(" "):
            break
    return count


def opens_with_what_a_learner_wants_to_know(notebook: Notebook) -> Iterator[str]:
    first = notebook["cells"][0]
    opening = source(first)
    if first["cell_type"] != "markdown":
        yield "the first cell is not markdown"
    if "?" not in opening:
        yield "the first cell asks no question"
    if not re.search(r"you can\b", opening, re.IGNORECASE) or not 3 <= objectives(opening) <= 5:
        yield f"after 'you can' the first cell lists {objectives(opening)} objectives, not 3 to 5"
    if not re.search(r"prerequisite", opening, re.IGNORECASE):
        yield "the first cell names no prerequisites"
    if not re.search(r"\d\s*(?:-|–|to)\s*\d+\s*min", opening):
        yield "the first cell does not say how many minutes, as in '10 minutes to teach, 5-10 minutes to exercise'"


def was_run_from_top_to_bottom(notebook: Notebook) -> Iterator[str]:
    counts = [cell.get("execution_count") for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"the execution counts are {counts}"
    for cell in code_cells(notebook):
        if is_shown(source(cell)) and not cell.get("outputs"):
            yield f"no output of {source(cell)!r}"
        if any(output["output_type"] == "error" for output in cell.get("outputs", [])):
            yield f"an error in {source(cell)!r}"
    if not any(cell.get("outputs") for cell in code_cells(notebook)):
        yield "no cell has an output"


def is_shown(code: str) -> bool:
    """Whether a cell surely has an output: it prints, or ends with a name, an attribute or a text."""
    body = ast.parse(re.sub(r"^\s*[%!].*$", "pass", code, flags=re.MULTILINE)).body
    last = body[-1].value if body and isinstance(body[-1], ast.Expr) else None
    prints = [
        node for node in body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "print"
    ]
    return bool(prints) or isinstance(last, ast.Name | ast.Attribute | ast.JoinedStr)


def is_the_same_on_every_machine(notebook: Notebook) -> Iterator[str]:
    if "widgets" in notebook.get("metadata", {}):
        yield "metadata.widgets is there"
    for cell in notebook["cells"]:
        for words in (source(cell), *shown(cell)):
            for found in ABSOLUTE_PATH.findall(words):
                yield f"an absolute path ({found}...) in {words[:80]!r}"
        for words in shown(cell):
            for found in ADDRESS.findall(words):
                yield f"an address ({found}) in {words[:80]!r}"
    for cell in code_cells(notebook):
        for found in NOT_COMPARABLE.findall(source(cell)):
            yield f"{found}, which strict nbval cannot compare"


def keeps_its_logic_in_the_package(notebook: Notebook) -> Iterator[str]:
    for cell in code_cells(notebook):
        if lines_of_code(cell) > 12:
            yield f"a cell of {lines_of_code(cell)} lines: {source(cell)[:80]!r}"


def keeps_what_was_put_in_apart(notebook: Notebook) -> Iterator[str]:
    words = [each for cell in notebook["cells"] for each in ([source(cell)] if cell["cell_type"] == "markdown" else shown(cell))]
    tables = [each.lower() for each in words if "|" in each or "<t" in each]
    if not any("put in" in table and "found out" in table for table in tables):
        yield "no table 'put in / found out'"


def guesses_before_it_runs(notebook: Notebook) -> Iterator[str]:
    sources = [source(cell) for cell in code_cells(notebook)]
    guesses = [place for place, code in enumerate(sources) if "guess" in code]
    runs = [place for place, code in enumerate(sources) if RUNS.search(code)]
    if not guesses:
        yield "no guess"
    elif not any(guesses[0] < run <= guesses[-1] for run in runs):
        yield "no run between the guess and the cell that shows it against the measurement"


def ends_with_what_to_remember(notebook: Notebook) -> Iterator[str]:
    last = notebook["cells"][-1]
    for phrase in ("What to remember", "stack loses", "read next"):
        if last["cell_type"] != "markdown" or phrase.lower() not in source(last).lower():
            yield f"the last cell does not say {phrase!r}"


CONTRACT: list[Callable[[Notebook], Iterator[str]]] = [
    opens_with_what_a_learner_wants_to_know,
    was_run_from_top_to_bottom,
    is_the_same_on_every_machine,
    keeps_its_logic_in_the_package,
    keeps_what_was_put_in_apart,
    guesses_before_it_runs,
    ends_with_what_to_remember,
]


@pytest.mark.parametrize("rule", CONTRACT, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", [*NOTEBOOKS, TEMPLATE], ids=lambda path: path.stem)
def test_a_notebook(path: Path, rule: Callable[[Notebook], Iterator[str]]) -> None:
    assert [] == list(rule(json.loads(path.read_text("utf-8"))))


def mentioned() -> dict[str, set[str]]:
    """The notebooks that docstrings of llmlab name, and the modules that name each."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "llmlab").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                for name in re.findall(r"^\s*Notebooks?:\s*(.+)$", ast.get_docstring(node) or "", re.MULTILINE):
                    for each in re.split(r"[,\s]+", name.strip().rstrip(".")):
                        found.setdefault(each, set()).add(path.relative_to(ROOT).as_posix())
    return found


def test_a_docstring_points_at_a_notebook_that_exists() -> None:
    assert {} == {name: places for name, places in mentioned().items() if not (ROOT / "notebooks" / name).is_file()}


def test_a_notebook_is_pointed_at_by_a_docstring() -> None:
    assert set() == {path.name for path in NOTEBOOKS} - set(mentioned())


OPENING = """# Start here
*What happens between question and answer?*
After this you can
- read a trace
- build a fault
- put an app in
  of your own
**Prerequisites**: none. 10 minutes to teach, 5-10 minutes to exercise.
- not an objective
"""


def markdown(words: str) -> Notebook:
    return {"cell_type": "markdown", "metadata": {}, "source": words}


def code(words: str, count: int, output: str = "") -> Notebook:
    outputs = [{"output_type": "stream", "name": "stdout", "text": [output]}] if output else []
    return {"cell_type": "code", "metadata": {}, "source": words, "execution_count": count, "outputs": outputs}


@pytest.fixture
def good() -> Notebook:
    """The smallest notebook that keeps the contract."""
    cells = [
        markdown(OPENING),
        code("guess = Guess(seconds=None)", 1),
        code("runs = lab.run(app, cases)\nguess.against(runs)", 2, "no guess yet: 4.1 s"),
        markdown("| put in | found out |\n|---|---|\n| 4 % | 4.1 s |"),
        markdown("## What to remember\n1. a\n\nWhere the stack loses: b. What to read next: c."),
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def problems(notebook: Notebook) -> list[str]:
    return [problem for rule in CONTRACT for problem in rule(notebook)]


def test_the_smallest_notebook_that_keeps_the_contract_keeps_it(good: Notebook) -> None:
    assert [] == problems(good)


PICTURE = {"output_type": "display_data", "data": {"image/png": "abc/tmp/x0xdeadbeef", "text/plain": "Figure"}, "metadata": {}}


def test_a_picture_is_no_text(good: Notebook) -> None:
    good["cells"][1]["outputs"] = [PICTURE]
    assert [] == problems(good)


@pytest.mark.parametrize(
    ("cell", "changes", "expected"),
    [
        (0, {"cell_type": "raw"}, "not markdown"),
        (0, {"source": OPENING.replace("?", ".")}, "no question"),
        (0, {"source": OPENING.replace("- read a trace\n", "")}, "lists 2 objectives"),
        (0, {"source": OPENING.replace("Prerequisites", "Needs")}, "no prerequisites"),
        (0, {"source": OPENING.replace("minutes", "hours")}, "how many minutes"),
        (1, {"execution_count": None}, "execution counts"),
        (1, {"execution_count": 2}, "execution counts"),
        (1, {"source": "guess = 1\nprint(guess)"}, "no output of"),
        (1, {"source": "guess = 1\nguess"}, "no output of"),
        (1, {"outputs": [{"output_type": "error", "ename": "E", "evalue": "", "traceback": ["E"]}]}, "an error in"),
        (2, {"outputs": []}, "no cell has an output"),
        (2, {"outputs": [{"output_type": "stream", "text": ["saved in /home/me/x"]}]}, "absolute path"),
        (2, {"outputs": [{"output_type": "stream", "text": ["saved in C:\\Users\\me"]}]}, "absolute path"),
        (3, {"source": "| put in | found out |\nin `/work/x`"}, "absolute path"),
        (2, {"outputs": [{"output_type": "execute_result", "data": {"text/html": ["<a at 0x7f12ab34>"]}}]}, "an address"),
        (1, {"source": "guess = widgets.Output()"}, "Output, which"),
        (1, {"source": "guess = 1\nclear_output()"}, "clear_output, which"),
        (1, {"source": "guess = 1\n" + "x = 1\n" * 12}, "a cell of 13 lines"),
        (3, {"source": "put in and found out"}, "no table"),
        (1, {"source": "runs = lab.run(app)"}, "no run between"),
        (2, {"source": "runs = lab.run(app)"}, "no run between"),
        (4, {"source": "The end."}, "What to remember"),
        (4, {"cell_type": "code", "execution_count": 3, "source": "'What to remember'"}, "What to remember"),
    ],
)
def test_a_notebook_that_breaks_the_contract_is_found(good: Notebook, cell: int, changes: Notebook, expected: str) -> None:
    broken = copy.deepcopy(good)
    broken["cells"][cell].update(changes)
    assert expected in "; ".join(problems(broken))


def test_widget_metadata_is_found(good: Notebook) -> None:
    assert ["metadata.widgets is there"] == problems({**good, "metadata": {"widgets": {}}})


def test_a_notebook_without_a_guess_is_found(good: Notebook) -> None:
    for cell in good["cells"]:
        cell["source"] = cell["source"].replace("guess", "x")
    assert ["no guess"] == problems(good)
