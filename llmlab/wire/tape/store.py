"""A cassette on the disk: the file, and beside it a journal while somebody records. Never lost, never half written.

The journal gets a line for each finished interaction, on the disk before the next one begins. Who holds its lock may write; the operating
system takes the lock from a process that died. At the end the file is written anew under another name, renamed, and the journal removed.
New recordings take the place of old ones of the same request, so whoever opens what a killed process left can bring it in once more.
"""

from __future__ import annotations

import json
import os
import shutil
import weakref
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llmlab.errors import BadInput, BrokenCassette, CassetteError, CassetteInUse, LlmlabError
from llmlab.wire.tape import file
from llmlab.wire.tape.file import Contents
from llmlab.wire.tape.interaction import OURS, Interaction, ours
from llmlab.wire.tape.matching import wanted_by

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    import msvcrt

    fcntl = None  # type: ignore[assignment]


class Store:
    """The interactions of one cassette, and the way new ones reach the disk.

    Args:
        path: The cassette.
        recorded_at: The day that new recordings are given (ISO 8601); None for today, or that of SOURCE_DATE_EPOCH.

    Raises:
        BrokenCassette: The file or its journal cannot be read.
    """

    contents: Contents
    """What was recorded."""
    existed: bool
    """Whether there was anything on the disk."""

    def __init__(self, path: Path, *, recorded_at: str | None = None) -> None:
        if os.path.isdir(path):  # a folder that may not be entered is found out on reading
            raise BrokenCassette(f"{path} is a folder. Name a file in it, as in {path / 'cassette.yaml'}")
        self.path = Path(os.path.realpath(path))
        self.journal = Path(f"{self.path}.journal")
        self._recorded_at = recorded_at
        self._lock: weakref.finalize[Any, Any] | None = None
        self._seen: tuple[int, ...] | None = None
        self._refresh()
        if self.journal.exists():
            with suppress(LlmlabError):  # it is being recorded just now, or may not be written: what was read will do
                self.begin()
            self.end()

    def begin(self) -> None:
        """Become the one who writes.

        Raises:
            CassetteInUse: Somebody else does.
            CassetteError: The folder cannot be written.
            BadInput: The file is in a format that is not written.
        """
        if self._lock is not None:
            return
        if self.contents.foreign:
            raise BadInput(f"{self.path} is in another recorder's format, which is read and not written. Record into another file.")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = _locked(self.journal)
        except BlockingIOError as error:
            raise CassetteInUse(f"{self.path} is being recorded by another recorder. Wait for its end, or use another file.") from error
        except OSError as error:
            raise CassetteError(f"cannot record into {self.path}: {error.strerror}. Choose another folder.") from error
        self._lock = weakref.finalize(self, os.close, self._handle)
        try:
            self._settle()
        except BaseException:
            self._lock = self._lock()
            raise

    def append(self, number: int, interaction: Interaction) -> None:
        """Write down a finished interaction; it is on the disk when this returns.

        Args:
            number: Its place in the order of sending.
            interaction: What was sent and what came, without secrets.

        Raises:
            CassetteError: It could not be written; earlier ones are safe.
        """
        self.begin()
        now = float(os.environ.get("SOURCE_DATE_EPOCH") or datetime.now(UTC).timestamp())
        day = self._recorded_at or datetime.fromtimestamp(now, UTC).date().isoformat()
        versions = {name: file.version(name) for name in ("httpx2", "llmlab", "openai", "vcrpy")}
        line = [number, interaction, {"recorded_at": day, "versions": versions}]
        size = os.fstat(self._handle).st_size
        try:
            with open(self._handle, "ab", closefd=False) as journal:
                journal.write(json.dumps(line).encode() + b"\n")
            os.fsync(self._handle)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._handle, size)
            advice = "What was recorded before is safe. Make room, and record the rest with record_mode='new_episodes'."
            raise CassetteError(f"{self.journal} cannot be written: {error.strerror}. {advice}") from error

    def end(self) -> None:
        """Bring the journal into the file, and let others write.

        Raises:
            CassetteError: The file could not be written; the journal stays.
        """
        if self._lock is None:
            return
        try:
            self._settle()
            with suppress(PermissionError):  # Windows lets nobody remove an open file; an empty one does no harm
                self.journal.unlink(missing_ok=True)
        finally:
            self._lock = self._lock()

    def _refresh(self) -> bool:
        """Read what changed on the disk, and return whether a journal holds anything."""
        new, again, about = [], set(), {}
        try:
            lines = self.journal.read_bytes().split(b"\n")[:-1]  # after the last line's end stands nothing, or what did not finish
            for line in lines:
                number, interaction, about = json.loads(line)
                again.add(_same(interaction))
                new.append((int(number), interaction))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError) as error:
            advice = "Delete that line to keep the others, or the file to lose what was recorded last."
            raise BrokenCassette(f"{self.journal}, line {len(new) + 1}: {error!r}. {advice}") from error
        seen = _signature(self.path)
        if seen != self._seen:
            self._filed, self._seen = file.read(self.path), seen
        self.existed = self._filed is not None or bool(new)
        self.contents = self._filed or Contents()
        if new:
            old = [interaction for interaction in self.contents.interactions if _same(interaction) not in again]
            new.sort(key=lambda line: line[0])
            about = {**self.contents.metadata, OURS: about}
            self.contents = Contents([*old, *(interaction for _, interaction in new)], about, self.contents.foreign)
        return bool(new)

    def _settle(self) -> None:
        """Write the file anew where the journal holds anything, and empty the journal."""
        if self._refresh():
            sources = Counter(str(ours(interaction).get("source") or "unknown") for interaction in self.contents.interactions)
            self.contents.metadata[OURS]["sources"] = dict(sorted(sources.items()))
            draft = Path(f"{self.path}.tmp")
            try:
                with draft.open("wb") as written:
                    written.write(file.dump(self.path, self.contents))
                    written.flush()
                    os.fsync(written.fileno())
                if self.path.exists():
                    shutil.copymode(self.path, draft)
                draft.replace(self.path)
                if os.name == "posix":  # the new name is on the disk before the journal is emptied
                    folder = os.open(self.path.parent, os.O_RDONLY)
                    os.fsync(folder)
                    os.close(folder)
            except OSError as error:
                advice = f"Nothing is lost: what was recorded is in {self.journal}, and goes into the file when it is next opened."
                raise CassetteError(f"{self.path} cannot be written: {error.strerror}. {advice}") from error
            self._seen, self._filed = _signature(self.path), self.contents
        os.ftruncate(self._handle, 0)


def _locked(journal: Path) -> int:
    """Return the journal, open and locked; BlockingIOError says that somebody else has locked it."""
    while True:
        handle = os.open(journal, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:  # pragma: no cover - Windows
                os.lseek(handle, 1 << 40, os.SEEK_SET)
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            os.close(handle)
            raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), journal.stat()):
                return handle
        os.close(handle)  # its owner removed the file in between


def _same(interaction: Interaction) -> tuple[bytes, str]:
    """Return what is the same for every recording of the same request."""
    wanted = wanted_by(interaction)
    return wanted.digest, wanted.place.site


def _signature(path: Path) -> tuple[int, ...]:
    """Return what changes when the file at `path` changes."""
    with suppress(OSError):
        return (stat := path.stat()).st_ino, stat.st_mtime_ns, stat.st_size
    return ()
