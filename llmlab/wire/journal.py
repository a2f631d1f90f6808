"""The journal of a recording: one line for each finished interaction, on the disk before the next one begins.

The process may be killed at any moment: what was finished is in the journal, and whoever opens the cassette next finds it there. The
operating system releases the lock of a process that died.
"""

from __future__ import annotations

import json
import os
import weakref
from pathlib import Path
from typing import Any, NamedTuple
from warnings import warn

from llmlab.errors import BrokenCassette, CassetteError, CassetteInUse

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]


class Recorded(NamedTuple):
    """What a journal holds."""

    header: dict[str, Any]
    """What was written when the recording began; empty where there is no journal."""
    lines: list[dict[str, Any]]
    """A line for each finished interaction, as they finished."""
    sealed: str
    """Digest of the file that holds all of it already, or an empty string."""


class Lock:
    """The right to write a cassette, held by one recorder at a time.

    Args:
        path: The cassette.

    Raises:
        CassetteInUse: Somebody else holds it.
        OSError: The folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._file = Path(f"{path}.lock")
        while True:
            handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                _take(handle)
            except OSError as error:
                owner = os.read(handle, 32).decode("ascii", "replace").strip()
                os.close(handle)
                who = f"process {owner}" if owner and owner != str(os.getpid()) else "another recorder in this process"
                raise CassetteInUse(
                    f"{path} is being recorded by {who}. Wait until it has finished, or close that cassette, or record into another file."
                ) from error
            if _is_still(handle, self._file):
                break
            os.close(handle)  # its owner removed the file in between
        self._closer = weakref.finalize(self, os.close, handle)
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())

    def release(self) -> None:
        """Let others write."""
        if self._closer.alive:
            if fcntl is not None:
                self._file.unlink(missing_ok=True)
            self._closer()


class Journal:
    """Writes lines and sees them onto the disk.

    Args:
        path: The cassette.
        header: The first line.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self._file = journal_of(path)
        try:
            self._handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        except OSError as error:
            raise CassetteError(f"cannot record: {self._file} cannot be written ({error.strerror}). Choose another folder.") from error
        self._closer = weakref.finalize(self, os.close, self._handle)
        self.append({"journal": 1, **header})

    def append(self, line: dict[str, Any]) -> None:
        """Write one line; it is on the disk when this returns.

        Raises:
            CassetteError: It could not be written; earlier lines are safe.
        """
        data = json.dumps(line).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._handle, data) :]
            os.fsync(self._handle)
        except OSError as error:
            raise CassetteError(
                f"the last interaction was not recorded: {self._file} cannot be written ({error.strerror}). "
                "What was recorded before is safe. Make room, and record the rest with record_mode='new_episodes'."
            ) from error

    def remove(self) -> None:
        """Close and delete it."""
        self._closer()
        self._file.unlink(missing_ok=True)


def journal_of(path: Path) -> Path:
    """Return the path of the journal of the cassette at `path`."""
    return Path(f"{path}.journal")


def recorded(path: Path, *, in_progress: bool = False) -> Recorded:
    """Return what the journal of the cassette at `path` holds.

    Args:
        path: The cassette.
        in_progress: Somebody is writing it: a half line at the end is nothing to warn of.

    Raises:
        BrokenCassette: A line that is not the last is damaged.
    """
    file = journal_of(path)
    try:
        lines = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return Recorded({}, [], "")
    except OSError as error:
        raise BrokenCassette(f"{file} cannot be read: {error.strerror}. It holds what was recorded last; make it readable.") from error
    header: dict[str, Any] = {}
    entries: list[dict[str, Any]] = []
    sealed = ""
    last = max((number for number, line in enumerate(lines) if line.strip() and not line.startswith(b'{"sealed"')), default=0)
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict):
                raise ValueError("no mapping")
        except ValueError as error:
            if number != last:
                raise BrokenCassette(
                    f"{file}, line {number + 1}: {error}. Delete that line to keep the others, or the file to lose them."
                ) from error
            if not in_progress:
                warn(
                    f"{file}, line {number + 1}: the recording was cut off in the middle of an interaction, which is dropped", stacklevel=4
                )
            continue
        if "journal" in entry:
            header = entry
        elif "sealed" in entry:
            sealed = str(entry["sealed"])
        else:
            entries.append(entry)
    return Recorded(header, entries, sealed)


def _take(handle: int) -> None:
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:  # pragma: no cover - Windows
        import msvcrt

        os.lseek(handle, 1 << 20, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        os.lseek(handle, 0, os.SEEK_SET)


def _is_still(handle: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False
