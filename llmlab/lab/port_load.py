"""How many requests a second a served transport answers: the server in a process of its own on one core, raw sockets on this side."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from llmlab.wire.serving.server import serve

CONNECTIONS = 16
_SERVER = "from llmlab.lab.port_load import serve_until_closed; serve_until_closed()"


def serve_until_closed() -> None:
    """Serve a simulator without latency on one core, say where, and end with standard input."""
    from llmlab.wire.simulator import Simulator

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with serve(Simulator(latency=False)) as server:
        print(server.url, flush=True)
        sys.stdin.read()


def requests_per_second(body: dict[str, Any], requests: int) -> float:
    """Return how many plain requests with `body` are answered a second (in real time).

    Args:
        body: The JSON of each request.
        requests: How many, over `CONNECTIONS` connections that are kept alive.
    """
    with subprocess.Popen([sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            url = urlsplit(server.stdout.readline().strip())
            content = json.dumps(body).encode()
            head = f"POST {url.path}/chat/completions HTTP/1.1\r\nhost: {url.netloc}\r\nauthorization: Bearer key\r\n"
            request = head.encode() + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content) + content
            asyncio.run(_send(url.hostname, url.port, request, CONNECTIONS * 5))
            started = time.perf_counter()
            asyncio.run(_send(url.hostname, url.port, request, requests))
            return requests / (time.perf_counter() - started)
        finally:
            server.stdin.close()


async def _send(host: str | None, port: int | None, request: bytes, times: int) -> None:
    left = iter(range(times))

    async def one() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            for _ in left:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200 "):
                    raise RuntimeError(f"the server refused: {head[:200]!r}")
                await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]))
        finally:
            writer.close()
            await writer.wait_closed()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
