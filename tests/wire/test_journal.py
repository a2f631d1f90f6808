from __future__ import annotations

import gc
import os
import warnings
from pathlib import Path

import pytest

from llmlab.errors import BrokenCassette, CassetteError, CassetteInUse
from llmlab.wire import journal as module
from llmlab.wire.journal import Journal, Lock, Recorded, journal_of, recorded


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "c.yaml"


def test_lines_come_back_as_they_were_written(path: Path) -> None:
    journal = Journal(path, {"replaces": True})
    journal.append({"number": 1, "text": "é\n"})
    journal.append({"number": 2})
    assert Recorded({"journal": 1, "replaces": True}, [{"number": 1, "text": "é\n"}, {"number": 2}], "") == recorded(path)
    journal.remove()
    assert Recorded({}, [], "") == recorded(path)


def test_each_line_is_on_the_disk_when_append_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_size))
    journal = Journal(path, {})
    journal.append({"number": 1})
    assert [len('{"journal": 1}\n'), journal_of(path).stat().st_size] == synced


@pytest.mark.parametrize("cut", range(1, 14))
def test_a_half_line_at_the_end_is_dropped_with_a_warning(path: Path, cut: int) -> None:
    journal = Journal(path, {})
    journal.append({"number": 1})
    whole = journal_of(path).read_bytes()
    journal_of(path).write_bytes(whole + b'{"number": 2}\n'[:cut])
    if cut == 13:  # nothing but the line's end is missing
        assert [{"number": 1}, {"number": 2}] == recorded(path).lines
        return
    with pytest.warns(UserWarning, match="line 3: the recording was cut off"):
        assert [{"number": 1}] == recorded(path).lines
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [{"number": 1}] == recorded(path, in_progress=True).lines


def test_a_half_line_stays_dropped_when_the_journal_is_sealed(path: Path) -> None:
    journal_of(path).write_bytes(b'{"journal": 1}\n{"number": 1}\n{"numb\n{"sealed": "abc"}\n')
    with pytest.warns(UserWarning, match="line 3"):
        assert Recorded({"journal": 1}, [{"number": 1}], "abc") == recorded(path)


@pytest.mark.parametrize("line", [b"{", b"[1]", b"\xff"])
def test_a_damaged_line_in_the_middle_is_an_error(path: Path, line: bytes) -> None:
    journal_of(path).write_bytes(b'{"journal": 1}\n' + line + b'\n{"number": 1}\n')
    with pytest.raises(BrokenCassette, match=r"c\.yaml\.journal, line 2.*Delete that line"):
        recorded(path)


def test_a_journal_that_cannot_be_read_says_so(path: Path) -> None:
    journal_of(path).mkdir()
    with pytest.raises(BrokenCassette, match="cannot be read"):
        recorded(path)
    with pytest.raises(CassetteError, match="cannot record"):
        Journal(path, {})


def test_a_full_disk_says_what_is_safe(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(path, {})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CassetteError, match=r"No space left on device.*recorded before is safe"):
        journal.append({"number": 1})


def test_a_second_recorder_is_refused_until_the_first_lets_go(path: Path) -> None:
    first = Lock(path)
    with pytest.raises(CassetteInUse, match="another recorder in this process"):
        Lock(path)
    first.release()
    first.release()
    Lock(path).release()
    assert [] == list(path.parent.iterdir())


def test_the_process_that_records_is_named(path: Path) -> None:
    lock = Lock(path)
    Path(f"{path}.lock").write_text("4242")
    with pytest.raises(CassetteInUse, match=r"c\.yaml is being recorded by process 4242\. Wait"):
        Lock(path)
    lock.release()


def test_a_lock_that_was_forgotten_ends_with_its_owner(path: Path) -> None:
    lock = Lock(path)
    del lock
    gc.collect()
    Lock(path).release()


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    still = module._is_still

    def removed_once(handle: int, file: Path) -> bool:
        if not calls:
            file.unlink()
        calls.append(still(handle, file))
        return calls[-1]

    monkeypatch.setattr(module, "_is_still", removed_once)
    Lock(path).release()
    assert [False, True] == calls
