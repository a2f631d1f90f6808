"""An exception in a widget's handler is only logged; here it fails the test."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_exception_in_a_callback(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    died: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda details: died.append(repr(details.exc_value)))
    with caplog.at_level(logging.WARNING):
        yield
    assert [] == [record.getMessage() for record in caplog.records if "Exception in callback" in record.getMessage()]
    assert [] == died
