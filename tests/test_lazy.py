"""`import llmlab` is cheap, and every name it promises is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import llmlab

HEAVY = ["IPython", "matplotlib", "openai", "pandas", "vcr"]


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The top-level packages that `import llmlab` loads in a fresh process."""
    code = "import sys, llmlab; print(*{name.partition('.')[0] for name in sys.modules})"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("package", HEAVY)
def test_import_llmlab_does_not_load(package: str, loaded: set[str]) -> None:
    assert "llmlab" in loaded
    assert package not in loaded


def test_the_names_are_sorted_and_each_stands_there_once() -> None:
    assert sorted(set(llmlab.__all__)) == list(llmlab.__all__)


@pytest.mark.parametrize("name", llmlab.__all__)
def test_a_name_resolves(name: str) -> None:
    assert getattr(llmlab, name) is not None


def test_dir_lists_the_names() -> None:
    assert set(llmlab.__all__) <= set(dir(llmlab))


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        llmlab.no_such_name  # noqa: B018
