"""Cassette: recorded answers behind any client, in vcrpy's file format.

It replays what was recorded, byte for byte but for secrets, and says so: where the answer came from, which take it is, whether it was
served before. What it records is on the disk before the client goes on.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from os import PathLike
from pathlib import Path
from typing import Any

import httpx2

from llmlab.errors import BadInput, BrokenCassette, CassetteMiss, UnknownName
from llmlab.protocol import draws
from llmlab.protocol.identity import Stamper
from llmlab.wire.tape.interaction import Interaction, reply
from llmlab.wire.tape.matching import Index, wanted
from llmlab.wire.tape.recording import Recording
from llmlab.wire.tape.store import Store
from llmlab.wire.transport import TIMED, Clock, Planned, Reply, answer_of

TAKE = "llmlab.take"
"""Response extension: which of how many recordings of the request this is, as in (0, 5)."""
REUSED = "llmlab.reused"
"""Response extension: whether this very take was served before; a replayed answer is one observation however often it is replayed."""
RECORD_MODES = ("none", "once", "new_episodes", "all")
"""VCR's own record modes."""


class _Elsewhere(Exception):
    """A signal to the driver: the transport behind answers this one, and whom to give the recording, if anybody."""

    def __init__(self, done: Callable[[Interaction], None] | None) -> None:
        self.done = done


class Cassette(Planned):
    """A transport that replays recorded answers, or records those of another transport.

    Args:
        path: The file. `.json` is JSON, for big ones; everything else is YAML.
        inner: Who answers what is not recorded; None for nobody.
        record_mode: VCR's own. "none" replays, and passes on to `inner`, unrecorded, what it does not hold. "once" records into a new file
            and only replays an old one. "new_episodes" replays what the file holds and records the rest. "all" records everything. New
            recordings take the place of old ones of the same request, and are replayed after `close()`.
        pace: 0 replays at once, 1 at the recorded times, 2 in twice the time. Chunks stay as they were recorded.
        seed: Which take answers is drawn by it, where there are several and the request has an identity. Without an identity they are
            replayed in recorded order, over and over.
        recorded_at: The day that new recordings are given (ISO 8601); None for today, or the day of SOURCE_DATE_EPOCH.

    Raises:
        BrokenCassette: The file cannot be read, or there is none to replay.
        CassetteInUse: Somebody else records into it.
        BadInput: A record mode without anybody to record from, or a pace below 0.

    Notebook: 00_start_here.ipynb
    """

    def __init__(
        self,
        path: str | PathLike[str],
        inner: httpx2.AsyncBaseTransport | httpx2.BaseTransport | None = None,
        record_mode: str = "none",
        *,
        pace: float = 0.0,
        seed: int = 0,
        recorded_at: str | None = None,
    ) -> None:
        mode = str(getattr(record_mode, "value", record_mode))
        if mode not in RECORD_MODES:
            raise UnknownName("record mode", mode, RECORD_MODES)
        if not isinstance(pace, int | float) or not 0 <= pace < math.inf:
            raise BadInput(f"pace is 0 (at once), 1 (as recorded) or another factor of 0 or more, not {pace!r}")
        self.path, self.record_mode, self.pace, self.seed = Path(path), mode, float(pace), seed
        self.inner: Any = inner
        self._lock = threading.RLock()
        self._stamper = Stamper()
        self._store = Store(self.path, recorded_at=recorded_at)
        if not self._store.existed and (mode == "none" or inner is None):
            advice = "Record one: llmlab record, or Cassette(path, inner=..., record_mode='once')"
            raise BrokenCassette(f"there is no recording in {self.path}. {advice}")
        if inner is None and mode in ("new_episodes", "all"):
            raise BadInput(f"record_mode {mode!r} needs somebody to record from: Cassette(path, inner=..., record_mode={mode!r})")
        self._records = mode in ("new_episodes", "all") or (mode == "once" and not self._store.existed)
        if self._records:
            self._store.begin()
        self._sent = count(1)
        self._rewind()
        self.reset()

    def _rewind(self) -> None:
        """Start with what is in the file now."""
        self._interactions = self._store.contents.interactions
        self._index: Index | None = None
        self._answers: dict[tuple[int, float], Reply] = {}
        self._played: Counter[int] = Counter()
        self._asked: Counter[int] = Counter()

    def reset(self) -> None:
        """Forget what was replayed and counted, as if the cassette had just been opened."""
        with self._lock:
            self.replayed = 0
            """Requests that were answered by the cassette."""
            self.missed = 0
            """Requests that nothing recorded answers, and that were not recorded either."""
            self.recorded = 0
            """Interactions that were recorded."""
            self._played.clear()
            self._asked.clear()
            self._stamper.reset()

    def __len__(self) -> int:
        return len(self._interactions)

    @property
    def metadata(self) -> dict[str, Any]:
        """What the file says of itself: recorded_at, sources, versions; empty for a recording by others."""
        return dict(self._store.contents.metadata.get("llmlab", {}))

    def plan(self, request: httpx2.Request, now: float) -> Reply:
        """Return the recorded answer to `request`, whose body was read.

        Raises:
            CassetteMiss: There is none, and nobody else to ask.
        """
        stamp = self._stamper.stamp(request)
        with self._lock:
            anew = self._records and self.record_mode != "new_episodes"
            index = self._index = self._index or Index(() if anew else self._interactions)
            asked = wanted(request.method, str(request.url), request.content, stamp.body)
            takes = index.takes(asked)
            if not takes and self._records:
                raise _Elsewhere(partial(self._record, next(self._sent)))
            if not takes:
                self.missed += 1
                if self.inner is not None and self.record_mode == "none":
                    raise _Elsewhere(None)
                raise CassetteMiss(index.explain(self.path, asked))
            if stamp.identity and len(takes) > 1:
                at = draws.choice(range(len(takes)), self.seed, "Cassette", "take", *stamp.key)
            else:
                at = self._asked[takes[0]] % len(takes)
                self._asked[takes[0]] += 1
            number = takes[at]
            self._played[number] += 1
            self.replayed += 1
            pace = 0.0 if request.extensions.get(TIMED) else self.pace
            if (number, pace) not in self._answers:
                self._answers[number, pace] = reply(self._interactions[number], pace)
            answer = self._answers[number, pace]
            return replace(answer, extensions={**answer.extensions, TAKE: (at, len(takes)), REUSED: self._played[number] > 1})

    async def _carry_out(self, request: httpx2.Request, on: Clock) -> httpx2.Response:
        try:
            return await super()._carry_out(request, on)
        except _Elsewhere as elsewhere:
            recording = Recording(request, on.now, elsewhere.done)
        with recording:
            return recording.follow(await answer_of(self.inner, request, on))

    def flush(self) -> None:
        """Bring what was recorded into the file and let others write; from now on it is replayed.

        Raises:
            CassetteError: The file could not be written; what was recorded is safe in the journal beside it.
        """
        with self._lock:
            self._store.end()
            if self._records:
                self._rewind()
                self._records = self.record_mode != "once" or not self._interactions

    def close(self) -> None:
        """Flush, and close the transport behind. The cassette can be used again."""
        self.flush()
        if self.inner is not None:
            self.inner.close()

    async def aclose(self) -> None:
        """Flush, and close the transport behind. The cassette can be used again."""
        self.flush()
        if self.inner is not None:
            await self.inner.aclose()

    def __repr__(self) -> str:
        return f"Cassette({str(self.path)!r}, {self.inner!r}, {self.record_mode!r}, pace={self.pace:g}, seed={self.seed})"

    def _record(self, number: int, interaction: Interaction) -> None:
        with self._lock:
            self._store.append(number, interaction)
            self.recorded += 1
