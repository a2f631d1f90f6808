"""What holds for every test: no network, no key, no switch from the outside, and the same examples each time."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("llmlab", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("llmlab")

# A shell that starts the tests in the background has interrupts ignored, and all that they start inherits it: who tests Ctrl-C would wait.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _strict_and_without_a_key() -> Iterator[None]:
    """Tests run strictly on cassettes, whatever the shell they are started from has set."""
    with pytest.MonkeyPatch.context() as patch:
        for name in sorted(os.environ):
            if name.startswith(("OPENAI_", "LLMLAB_")):
                patch.delenv(name)
        patch.setenv("LLMLAB_STRICT", "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Refuse every connection and name look-up outside of loopback."""
    with pytest.MonkeyPatch.context() as patch:
        for method in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, method, _guarded(getattr(socket.socket, method)))
        look_up = socket.getaddrinfo

        def guarded_look_up(host, *args, **kwargs):
            _refuse_outside(host)
            return look_up(host, *args, **kwargs)

        patch.setattr(socket, "getaddrinfo", guarded_look_up)
        yield


def _guarded(method):
    def guarded(self, *args):
        address = args[-1]
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
            _refuse_outside(address[0])
        return method(self, *args)

    return guarded


def _refuse_outside(host: str | bytes | None) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return
    try:
        inside = ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        inside = False
    if not inside:
        # No OSError: a client would take it for a failed connection and go on.
        raise RuntimeError(f"a test tried to reach {name!r}; tests stay on loopback: use a Simulator or a Cassette")
