"""Frames to draw, and what a picture says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import pytest

from llmlab.lab.pictures import Picture

Waits = Mapping[str, Sequence[float | None]]


@pytest.fixture
def rows() -> Callable[..., pd.DataFrame]:
    """Rows as of `Runs.frame`, from each app's waits; None failed. Requests come every half second, and each lasts a second longer."""

    def build(waits: Waits, **columns: object) -> pd.DataFrame:
        made = [
            {
                "app": app,
                "number": number,
                "case": f"q{number}",
                "repetition": 0,
                "status": "failed" if wait is None else "ok",
                "intended_at": number / 2,
                "sent_at": number / 2,
                "wait_seconds": wait,
                "total_seconds": 1.0 + (wait or 0.0),
                "attempts": 1,
                "usd": 0.002,
                "source": "simulator",
            }
            for app, some in waits.items()
            for number, wait in enumerate(some)
        ]
        empty = [
            "app",
            "case",
            "repetition",
            "status",
            "intended_at",
            "sent_at",
            "wait_seconds",
            "total_seconds",
            "attempts",
            "usd",
            "source",
        ]
        return (pd.DataFrame(made) if made else pd.DataFrame(columns=empty)).assign(**columns)

    return build


@pytest.fixture
def words() -> Callable[[Picture], list[str]]:
    """What a picture says, wherever it stands; a name that is broken into lines is one line."""

    def read(picture: Picture) -> list[str]:
        texts = [*picture.texts, *(text for axes in picture.axes for text in axes.texts)]
        return [text.get_text().replace("\n", " ") for text in texts]

    return read
