"""The place where people work: is everything there, the learner's copy of the notebooks, and JupyterLab on it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from llmlab.errors import BadInput, LlmlabError

FIRST_NOTEBOOK = "00_start_here.ipynb"
_PACKAGES = ("openai", "httpx2", "pydantic", "vcrpy", "pandas", "matplotlib", "scipy", "genai-prices")
_JUPYTER = ("jupyterlab", "ipywidgets", "ipykernel")


class Finding(NamedTuple):
    """One line of the doctor's report."""

    what: str
    ok: bool
    detail: str
    """What was found, or what to do."""
    needed: bool = True
    """Whether a workshop needs it."""


def examine() -> list[Finding]:
    """Look at all that a workshop needs, and whether `serve` can run; nothing of it touches the network."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("Python", _python),
        ("packages", lambda: _versions(_PACKAGES, "pip install -c constraints.txt -e .")),
        ("JupyterLab", lambda: _versions(_JUPYTER, "pip install -c constraints.txt -e '.[notebooks]'")),
        ("kernel", _kernel),
        ("serve", lambda: _versions(("uvicorn",), "pip install -c constraints.txt -e '.[serve]'")),
        ("notebooks", lambda: f"{len(_notebooks())} in {_folder().name}/"),
        ("virtual time", _virtual_time),
        ("recordings", _recordings),
        ("one question", _one_question),
    ]
    findings = []
    for what, check in checks:
        try:
            found, ok = check(), True
        except Exception as error:  # a doctor reports, whatever the illness
            found, ok = f"{error}" if isinstance(error, LlmlabError) else f"{type(error).__name__}: {error}", False
        findings.append(Finding(what, ok, found, needed=what != "serve"))
    return findings


def _python() -> str:
    return sys.version.split()[0]


def _versions(names: tuple[str, ...], remedy: str) -> str:
    found, missing = [], []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        raise BadInput(f"{', '.join(missing)} not installed; run: {remedy}")
    return ", ".join(found)


def _kernel() -> str:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        raise BadInput("Jupyter knows no kernel named python3; run: python -m ipykernel install --sys-prefix") from None
    command = Path(spec.argv[0])
    if command.is_absolute() and command.parent != Path(sys.executable).parent:
        raise BadInput("the python3 kernel starts another Python than this one; run: python -m ipykernel install --sys-prefix")
    return str(spec.display_name)


def _virtual_time() -> str:
    import asyncio

    from llmlab.protocol.clock import simulate

    async def hour() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    return f"{simulate(hour()):g} s passed at once"


def _recordings() -> str:
    from llmlab.lab.source import bundled_cassette
    from llmlab.wire.cassette import Cassette

    path = bundled_cassette()
    if not path.exists():
        raise BadInput("the bundled recordings are missing; record them with: llmlab record")
    return f"{len(Cassette(path)):,} interactions in {path.name}"


def _one_question() -> str:
    from llmlab.lab.apps import stack
    from llmlab.lab.lab import Lab

    row = Lab(source="cassette").run(stack, requests=1).rows[0]
    if row.status != "ok":
        raise BadInput(f"the stack did not answer: {row.reason}")
    return f"answered in {row.total_seconds:.2f} virtual seconds, {row.attempts} attempt, {row.source}"


def _folder() -> Path:
    """Return the folder of the notebooks as they were committed."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package.parent / "notebooks", package / "data" / "notebooks"):
        if folder.is_dir():
            return folder
    raise BadInput("the notebooks are not here: an installed package has none; clone the project and run make lab")


def _notebooks() -> list[Path]:
    return sorted(_folder().glob("[0-9]*.ipynb"))


def prepare(target: Path, *, reset: bool = False) -> list[str]:
    """Copy the notebooks to `target`, and return the names of those that were written.

    Args:
        target: The learner's folder; what is changed there stays.
        reset: Put the committed notebooks back; the learner's are kept beside them as NAME.mine.ipynb.
    """
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for notebook in _notebooks():
        copy = target / notebook.name
        if copy.exists() and (not reset or copy.read_bytes() == notebook.read_bytes()):
            continue
        if copy.exists():
            copy.replace(copy.with_suffix(".mine.ipynb"))
        shutil.copyfile(notebook, copy)
        written.append(copy.name)
    return written


def free_port(port: int) -> int:
    """Return `port` if nobody listens there.

    Raises:
        BadInput: Somebody does; the message names a way out.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise BadInput(
                f"port {port} is in use ({error.strerror}); choose another: llmlab lab --port {port + 1 if port else 8899}"
            ) from None
    return port


def _settings(target: Path) -> Path:
    """Write JupyterLab's defaults for this bench and return their folder: nobody is asked about news, which would want a network."""
    folder = target.resolve() / ".jupyterlab"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "overrides.json").write_text(json.dumps({"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}))
    return folder


def command(target: Path, *, port: int, browser: bool) -> list[str]:
    """Return the command that starts JupyterLab on loopback."""
    words = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    words += [f"--ServerApp.root_dir={target}", f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}"]
    words += [f"--LabApp.app_settings_dir={_settings(target)}", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    if not browser:
        words.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        words.append("--allow-root")
    return words
