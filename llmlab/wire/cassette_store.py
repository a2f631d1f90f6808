"""A cassette on the disk: the file and its journal, as one thing that is never lost and never half written."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from llmlab.errors import BadInput, BrokenCassette, CassetteError, CassetteInUse
from llmlab.wire import cassette_file
from llmlab.wire.cassette_file import Contents
from llmlab.wire.interaction import OURS, Interaction, from_plain, to_plain
from llmlab.wire.journal import Journal, Lock, Recorded, journal_of, recorded
from llmlab.wire.matching import wanted_by


class Store:
    """The interactions of one cassette, and the way new ones reach the disk.

    Args:
        path: The cassette.
        replaces: New recordings of a request take the place of the old ones.
        recorded_at: The day that new recordings are given (ISO 8601); None for today, or that of SOURCE_DATE_EPOCH.

    Raises:
        BrokenCassette: The file or its journal cannot be read.
    """

    def __init__(self, path: Path, *, replaces: bool = False, recorded_at: str | None = None) -> None:
        self.path = Path(os.path.realpath(path))
        self.contents = Contents()
        self.existed = False
        self._replaces, self._recorded_at = replaces, recorded_at
        self._lock: Lock | None = None
        self._journal: Journal | None = None
        self._seen: tuple[int, int, int] | None = None
        if os.path.isdir(self.path):  # a folder that may not be entered is found out on reading
            raise BrokenCassette(f"{path} is a folder. Name a file in it, as in {Path(path) / 'cassette.yaml'}")

    def load(self) -> None:
        """Read what is there; bring what a killed recorder left behind into the file, where that is possible."""
        left = self._read()
        if self._lock is not None:
            self._settle(left)
            return
        if not left.lines:
            return
        try:
            self._lock = Lock(self.path)
        except (CassetteInUse, OSError):  # it is being recorded just now, or may not be written: what there is will do
            self._merge(left)
            return
        try:
            self._settle(self._read())
        finally:
            self._release()

    def begin(self) -> None:
        """Become the one who writes.

        Raises:
            CassetteInUse: Somebody else does.
            BadInput: The file is in a format that is not written.
        """
        if self._lock is not None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self.path)
        except OSError as error:
            raise CassetteError(f"cannot record into {self.path}: {error.strerror}. Choose another folder.") from error
        try:
            if self._seen != _signature(self.path) or journal_of(self.path).exists():
                self.load()
            if self.contents.format != "vcrpy":
                raise BadInput(
                    f"{self.path} is in the format of {self.contents.format}, which is read and not written. Record into another file."
                )
        except BaseException:
            self._release()
            raise

    def append(self, number: int, interaction: Interaction) -> None:
        """Write down a finished interaction; it is on the disk when this returns.

        Args:
            number: Its place in the order of sending.
            interaction: What was sent and what came, scrubbed.
        """
        self.begin()
        if self._journal is None:
            self._journal = Journal(self.path, {"replaces": self._replaces, "metadata": self._metadata()})
        self._journal.append({"number": number, **to_plain(interaction)})

    def end(self) -> None:
        """Bring the journal into the file, and let others write."""
        if self._lock is None:
            return
        try:
            if self._journal is not None:
                self._settle(recorded(self.path) if self._seen == _signature(self.path) else self._read())
        finally:
            self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
        self._lock = None

    def _read(self) -> Recorded:
        """Read the file, and return what its journal holds beyond it; again, if somebody changed them meanwhile."""
        for _ in range(10):
            seen = _signature(self.path), _signature(journal_of(self.path))
            contents = cassette_file.read(self.path)
            left = recorded(self.path, in_progress=self._lock is None)
            if seen == (_signature(self.path), _signature(journal_of(self.path))):
                break
        self.existed = contents is not None or bool(left.lines)
        self.contents = contents or Contents()
        self._seen = seen[0]
        if left.sealed and self.path.exists() and left.sealed == _digest(self.path.read_bytes()):
            return Recorded({}, [], left.sealed)
        return left

    def _settle(self, left: Recorded) -> None:
        """Merge `left`, and write the file anew if that changed anything."""
        if left.lines:
            self._merge(left)
            try:
                self._write(left)
            except OSError as error:
                raise CassetteError(
                    f"{self.path} cannot be written: {error.strerror or error}. Nothing is lost: what was recorded is in "
                    f"{journal_of(self.path)}, and goes into the file when the cassette is next opened."
                ) from error
        if left.lines or left.sealed or left.header:
            if self._journal is not None:
                self._journal.remove()
            journal_of(self.path).unlink(missing_ok=True)
            self._seen = _signature(self.path)
        self._journal = None

    def _merge(self, left: Recorded) -> None:
        new = []
        for number, line in enumerate(sorted(left.lines, key=lambda line: int(line.get("number", 0))), 1):
            try:
                new.append(from_plain(line))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise BrokenCassette(f"{journal_of(self.path)}: interaction {number} is damaged ({error!r}). Delete its line.") from error
        old = self.contents.interactions
        if left.header.get("replaces"):
            again = {wanted_by(interaction).same for interaction in new}
            old = [interaction for interaction in old if wanted_by(interaction).same not in again]
        self.contents.interactions = [*old, *new]
        described = left.header.get("metadata")
        if isinstance(described, dict):
            self.contents.metadata = {**self.contents.metadata, OURS: described}

    def _write(self, left: Recorded) -> None:
        contents = self.contents
        for interaction in contents.interactions:
            interaction.scrub()
        described = contents.metadata.setdefault(OURS, {})
        described["sources"] = _sources(contents.interactions)
        data = cassette_file.dump(self.path, contents)
        fresh = Path(f"{self.path}.tmp")
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if self.path.exists():
            fresh.chmod(self.path.stat().st_mode & 0o777)
        _seal(self.path, _digest(data))
        fresh.replace(self.path)
        _sync_folder(self.path.parent)

    def _metadata(self) -> dict[str, Any]:
        return {
            "recorded_at": self._recorded_at or _today(),
            "versions": {name: _version(name) for name in ("httpx2", "llmlab", "openai", "vcrpy")},
        }


def _signature(file: Path) -> tuple[int, int, int]:
    """Return what changes when `file` changes."""
    try:
        stat = file.stat()
    except OSError:
        return 0, 0, 0
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _seal(path: Path, digest: str) -> None:
    """Note in the journal which file will hold all of it, so that a crash between the two does not double it."""
    with journal_of(path).open("a", encoding="ascii") as file:
        file.write(f'\n{{"sealed": "{digest}"}}\n')
        file.flush()
        os.fsync(file.fileno())


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sources(interactions: list[Interaction]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for interaction in interactions:
        source = str(interaction.ours.get("source") or "unknown")
        counts[source] = counts.get(source, 0) + 1
    return dict(sorted(counts.items()))


def _today() -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    now = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdecimal() else datetime.now(UTC)
    return now.date().isoformat()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"
