"""Notebook 00 in JupyterLab, in a real browser: run all, move a slider, and look whether the panel works."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "00_start_here.ipynb"
SECONDS = 50_000  # for a browser's step, in milliseconds

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is None, reason="JupyterLab is not installed"),
    pytest.mark.skipif(not NOTEBOOK.exists(), reason="there is no notebook 00"),
]


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """JupyterLab on loopback with a token, on a copy of the notebook and with no settings of this machine."""
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(NOTEBOOK, work)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    # All cells are drawn, seen or not, and nobody is asked about news.
    settings = {"notebook-extension/tracker": {"windowingMode": "none"}, "apputils-extension/notification": {"fetchNews": "false"}}
    for name, values in settings.items():
        place = tmp_path / "SETTINGS" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(values))
    homes = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    homes |= {f"JUPYTERLAB_{name}_DIR": str(tmp_path / name) for name in ("SETTINGS", "WORKSPACES")}
    words = [
        "--no-browser",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={work}",
        "--LabApp.news_url=None",
    ]
    words += [f"--IdentityProvider.token={token}", "--ServerApp.port_retries=0", "--allow-root"]
    log = (tmp_path / "log").open("w+")
    server = subprocess.Popen([sys.executable, "-m", "jupyterlab", *words], env={**os.environ, **homes}, stdout=log, stderr=log)
    try:
        began = time.monotonic()
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status?token={token}", timeout=5).close()
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                log.seek(0)
                assert server.poll() is None, log.read()
                assert time.monotonic() - began < 40, log.read()
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/lab/tree/{NOTEBOOK.name}?token={token}"
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()


def pixels(page: Any) -> list[int]:
    """The width of each picture within the panel, as the browser decoded it."""
    return page.locator(".jupyter-widgets.widget-image").evaluate_all("images => images.map(image => image.naturalWidth)")


def test_run_all_and_a_moved_slider_give_a_new_sentence_and_a_picture(address: str) -> None:
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        page = browser.new_page(viewport={"width": 1360, "height": 1000})
        page.set_default_timeout(SECONDS)
        page.goto(address)
        page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # what is run before the kernel is there is not run at all
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        sentence = page.locator(".llmlab-sentence")
        sentence.wait_for(state="attached")
        sentence.scroll_into_view_if_needed()
        expect(sentence).to_contain_text("First word after")
        before = sentence.inner_text()
        assert "4.0" == page.locator(".widget-readout").first.inner_text()

        page.locator(".noUi-handle").first.focus()
        for _ in range(4):
            page.keyboard.press("ArrowRight")
        expect(sentence).not_to_have_text(before, timeout=SECONDS)
        expect(page.locator(".widget-readout").first).to_have_text("6.0")
        assert "First word after 6." in sentence.inner_text()
        assert len(pixels(page)) == 2
        assert all(width > 1000 for width in pixels(page))
        assert 0 == page.get_by_text("Click to show javascript error").count()

        page.get_by_role("button", name="Show code").click()
        expect(page.locator(".llmlab-code")).to_contain_text("LatencySpike(probability=1.0, seconds=6.0)")
        browser.close()
