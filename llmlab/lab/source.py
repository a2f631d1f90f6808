"""Who answers: the bundled cassettes, the simulator, or a live provider; and the banner that says which."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from llmlab.errors import BadInput, UnknownName

if TYPE_CHECKING:
    from llmlab.wire.cassette import Cassette
    from llmlab.wire.simulator import Simulator

SOURCES = ("cassette", "simulator", "live")
BANNERS = {
    "cassette": "Answers: replayed from recordings of a simulated provider; no key, no network. Weather: simulated, in virtual time.",
    "simulator": "Answers: a simulated provider (no language model); no key, no network. Weather: simulated, in virtual time.",
    "live": "Answers: a LIVE provider, on the real clock. It costs money.",
}
TIMES = {
    "cassette": "preset chat: OpenAI's own processing times, 2023-2026",
    "simulator": "the simulated models' own, from preset chat: OpenAI's own processing times, 2023-2026",
    "live": "the provider's own",
}
"""Where the times of undisturbed answers come from."""


def chosen(source: str | None) -> str:
    """Return the source to use: what is given, else LLMLAB_SOURCE, else "cassette".

    Raises:
        UnknownName: There is no such source.
    """
    name = source or os.environ.get("LLMLAB_SOURCE") or "cassette"
    if name not in SOURCES:
        raise UnknownName("source", name, SOURCES)
    return name


def strict() -> bool:
    """Whether a request that no cassette holds is an error (LLMLAB_STRICT=1)."""
    return os.environ.get("LLMLAB_STRICT", "") not in ("", "0")


def bundled_cassette() -> Path:
    """Return the place of the bundled recordings: within the installed package, or at the top of the project."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "data" / "cassettes" / "help_desk.json"
    return inside if inside.exists() else package.parent / "cassettes" / "help_desk.json"


@lru_cache(maxsize=4)
def _loaded(path: Path, changed: float, with_simulator: bool) -> Cassette:
    from llmlab.wire.cassette import Cassette
    from llmlab.wire.simulator import Simulator

    return Cassette(path, Simulator() if with_simulator else None)


def answering(
    source: str,
    cassette: Path | None = None,
    simulator: Simulator | None = None,
    *,
    lenient: bool = False,
    max_requests: int = 20,
    max_usd: float = 1.0,
) -> httpx2.AsyncBaseTransport:
    """Return the transport that answers, without weather.

    Args:
        source: cassette, simulator or live.
        cassette: A recording instead of the bundled one.
        simulator: A simulator instead of the bundled one.
        lenient: What no recording holds is simulated, also under LLMLAB_STRICT.
        max_requests: Live only: requests before it stops.
        max_usd: Live only: spending before it stops (in USD).

    Raises:
        BadInput: The recording is not there, or live mode lacks its key.
    """
    from llmlab.wire.simulator import Simulator

    if source == "simulator":
        return Simulator() if simulator is None else simulator
    if source == "live":
        from llmlab.wire.live import Live

        key = os.environ.get("OPENAI_API_KEY")
        if not key:
            raise BadInput("live mode needs OPENAI_API_KEY in the environment (and OPENAI_BASE_URL for another provider than OpenAI)")
        return Live(
            os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1", api_key=key, max_requests=max_requests, max_usd=max_usd
        )
    path = cassette or bundled_cassette()
    if not path.exists():
        raise BadInput(f"there is no recording at {path}; record it with: llmlab record")
    return _loaded(path, path.stat().st_mtime, lenient or not strict())
