from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import pytest

from llmlab.errors import BadInput, BrokenCassette, CassetteError, CassetteInUse
from llmlab.wire.tape import file, store
from llmlab.wire.tape.interaction import Interaction
from llmlab.wire.tape.store import Store

URL = "https://api.openai.com/v1/x"


def interaction(name: str, came: str = "") -> Interaction:
    request = {"method": "POST", "uri": URL, "body": name, "headers": {}}
    status = {"code": 200, "message": "OK"}
    return {
        "request": request,
        "response": {"status": status, "headers": {}, "body": {"string": came or name}, "llmlab": {"source": "live"}},
    }


def names(store: Store) -> list[str]:
    return [f"{i['request']['body']}={i['response']['body']['string']}" for i in store.contents.interactions]


def killed(path: Path, *finished: tuple[int, str], came: str = "") -> Store:
    """Record and never end; the system lets go of a dead process's lock."""
    store = Store(path)
    for number, name in finished:
        store.append(number, interaction(name, came))
    return died(store)


def died(store: Store) -> Store:
    if store._lock is not None:
        store._lock()
    return store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "c.yaml"


def test_what_was_recorded_is_in_the_file_in_the_order_of_sending(path: Path) -> None:
    store = Store(path, recorded_at="2026-11-23")
    store.begin()
    store.append(2, interaction("b"))
    store.append(1, interaction("a"))
    assert not path.exists()
    store.end()
    store.end()
    assert ["a=a", "b=b"] == names(Store(path))
    assert ["c.yaml"] == os.listdir(path.parent)
    described = Store(path).contents.metadata["llmlab"]
    assert ("2026-11-23", {"live": 2}) == (described["recorded_at"], described["sources"])
    assert ["httpx2", "llmlab", "openai", "vcrpy"] == sorted(described["versions"])


def test_each_interaction_is_on_the_disk_when_append_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_size))
    store = Store(path)
    store.append(1, interaction("é\n"))
    assert [store.journal.stat().st_size] == synced


def test_the_next_one_finds_what_a_killed_recorder_had_finished(path: Path) -> None:
    killed(path, (1, "a"))
    killed(path, (1, "b"), (2, "c"))
    assert ["a=a", "b=b", "c=c"] == names(Store(path))
    assert ["c.yaml"] == os.listdir(path.parent)


def test_a_crash_between_writing_the_file_and_emptying_the_journal_doubles_nothing(path: Path) -> None:
    left = killed(path, (1, "a"), (2, "a"), (3, "b")).journal.read_bytes()
    Store(path)
    Path(f"{path}.journal").write_bytes(left)
    assert ["a=a", "a=a", "b=b"] == names(Store(path))


def test_an_interaction_that_was_cut_off_is_dropped(path: Path) -> None:
    journal = killed(path, (1, "a")).journal
    with journal.open("ab") as lines:
        lines.write(b'[2, {"requ')
    store = Store(path)
    store.append(1, interaction("b"))
    store.end()
    assert ["a=a", "b=b"] == names(Store(path))


@pytest.mark.parametrize("line", [b"{", b"[1]", b"\xff", b'[1, {"request": {}}, {}]', b"[1, 2, 3]", b"5"])
def test_a_damaged_line_is_an_error(path: Path, line: bytes) -> None:
    journal = killed(path, (1, "a")).journal
    journal.write_bytes(journal.read_bytes() + line + b"\n" + journal.read_bytes())
    with pytest.raises(BrokenCassette, match=r"c\.yaml\.journal, line 2: .*Delete that line"):
        Store(path)


def test_a_journal_that_cannot_be_read_says_so(path: Path) -> None:
    Path(f"{path}.journal").mkdir(parents=True)
    with pytest.raises(BrokenCassette, match="IsADirectory"):
        Store(path)


def test_a_file_that_cannot_be_written_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(path, (1, "a"))

    def crash(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "replace", crash)
    reader = Store(path)
    assert ["a=a"] == names(reader)
    with pytest.raises(CassetteError, match=r"cannot be written: Input/output error. Nothing is lost"):
        reader.begin()
    monkeypatch.undo()
    assert ["a=a"] == names(Store(path))


def test_a_full_disk_says_what_is_safe_and_leaves_no_half_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(path)
    store.append(1, interaction("a"))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CassetteError, match=r"No space left on device.*recorded before is safe"):
        store.append(2, interaction("b"))
    monkeypatch.undo()
    store.append(3, interaction("c"))
    store.end()
    assert ["a=a", "c=c"] == names(Store(path))


def test_new_recordings_replace_the_old_ones_of_the_same_request(path: Path) -> None:
    killed(path, (1, "a"), (2, "b"), (3, "a"))
    store = Store(path)
    store.append(1, interaction("a", "new"))
    store.append(2, interaction("a", "newer"))
    store.end()
    assert ["b=b", "a=new", "a=newer"] == names(Store(path))
    killed(path, (1, "b"), came="new")
    assert ["a=new", "a=newer", "b=new"] == names(Store(path))


def test_a_reader_beside_a_recorder_sees_what_is_finished_and_touches_nothing(path: Path) -> None:
    writer = Store(path)
    writer.append(1, interaction("a"))
    with writer.journal.open("ab") as lines:
        lines.write(b'[2, {"requ')
    before = writer.journal.read_bytes()
    reader = Store(path)
    assert (["a=a"], before) == (names(reader), writer.journal.read_bytes())
    with pytest.raises(CassetteInUse, match=r"c\.yaml is being recorded by another recorder\. Wait"):
        reader.begin()


def test_a_lock_that_was_forgotten_ends_with_its_owner(path: Path) -> None:
    store = Store(path)
    store.begin()
    del store
    gc.collect()
    Store(path).begin()


def test_a_journal_that_was_removed_while_it_was_locked_is_opened_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def removed_once(one: os.stat_result, other: os.stat_result) -> bool:
        seen.append(one)
        if len(seen) == 1:
            Path(f"{path}.journal").unlink()
            raise FileNotFoundError
        return one.st_ino == other.st_ino

    monkeypatch.setattr(os.path, "samestat", removed_once)
    Store(path).begin()
    assert 2 == len(seen)


def test_a_folder_that_may_not_be_written_can_still_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(path, (1, "a"))

    def refused(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store, "_locked", refused)
    reader = Store(path)
    assert ["a=a"] == names(reader)
    with pytest.raises(CassetteError, match=r"cannot record into .*Permission denied"):
        reader.begin()


def test_a_recorder_takes_in_what_another_has_written_meanwhile(path: Path) -> None:
    first, second = Store(path), Store(path)
    first.append(1, interaction("a"))
    first.end()
    second.append(1, interaction("b"))
    second.end()
    assert ["a=a", "b=b"] == names(Store(path))


def test_a_file_that_changed_under_the_recorder_is_read_again(path: Path) -> None:
    killed(path, (1, "a"), (2, "b"))
    store = Store(path)
    store.append(1, interaction("c"))
    contents = Store(path).contents
    path.write_bytes(file.dump(path, file.Contents(contents.interactions[1:2], contents.metadata)))
    store.end()
    assert ["b=b", "c=c"] == names(Store(path))


def test_nothing_is_written_where_nothing_was_recorded(path: Path) -> None:
    store = Store(path)
    store.begin()
    store.end()
    assert ([], False) == (os.listdir(path.parent), store.existed)


def test_old_recordings_are_scrubbed_when_the_file_is_written_anew(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(
        "interactions:\n- request: {method: GET, uri: u, headers: {authorization: [abc]}, body: null}\n"
        "  response: {status: {code: 200, message: OK}, headers: {}, body: {string: sk-abcdef1234567890}}\nversion: 1\n"
    )
    path.chmod(0o600)
    killed(path, (1, "a"))
    store = Store(path)
    assert 2 == len(store.contents.interactions)
    text = path.read_text()
    assert (2, False) == (text.count("[scrubbed]"), "sk-" in text)
    assert 0o600 == path.stat().st_mode & 0o777
    assert {"live": 1, "unknown": 1} == store.contents.metadata["llmlab"]["sources"]


def test_a_file_in_another_format_is_not_written(path: Path) -> None:
    path.parent.mkdir()
    text = "interactions:\n- request: {method: GET, url: u, headers: {}}\n  response: {code: 200, status: 200 OK, body: x}\nversion: 2\n"
    path.write_text(text)
    with pytest.raises(BadInput, match="another recorder's format, which is read and not written"):
        Store(path).begin()
    assert (text, ["c.yaml"]) == (path.read_text(), os.listdir(path.parent))


def test_a_folder_is_no_cassette(tmp_path: Path) -> None:
    with pytest.raises(BrokenCassette, match=r"is a folder. Name a file in it, as in .*cassette\.yaml"):
        Store(tmp_path)


def test_a_link_to_a_cassette_stays_a_link(path: Path, tmp_path: Path) -> None:
    killed(path, (1, "a"))
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    store = Store(link)
    store.append(1, interaction("b"))
    store.end()
    assert link.is_symlink()
    assert ["a=a", "b=b"] == names(Store(path))


@pytest.mark.parametrize(("expected", "epoch"), [("2023-11-14", "1700000000"), (None, "")])
def test_the_day_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, path: Path, expected: str | None, epoch: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    killed(path, (1, "a"))
    day = Store(path).contents.metadata["llmlab"]["recorded_at"]
    assert expected is None or expected == day
    assert 10 == len(day)


class Crash(BaseException):
    """The process is gone: nothing that it would do from now on reaches the disk."""


def crashing(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Crash before the `at`-th thing that is done to the disk, and stay dead."""
    done = 0

    def mortal(real: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal done
            done += 1
            if done >= at:
                raise Crash
            return real(*args, **options)

        return call

    for owner, name in (os, "fsync"), (os, "ftruncate"), (Path, "replace"), (Path, "unlink"), (file, "dump"):
        monkeypatch.setattr(owner, name, mortal(getattr(owner, name)))


@pytest.mark.parametrize("ending", ["yaml", "json"])
@pytest.mark.parametrize("half", [b"", b'[9, {"requ'])
def test_a_crash_at_any_step_loses_nothing_that_was_finished_and_doubles_nothing(tmp_path: Path, ending: str, half: bytes) -> None:
    survived = False
    for step in range(1, 99):
        path = tmp_path / str(step) / f"c.{ending}"
        killed(path, (1, "a"), (2, "b"))
        finished = ["a=a", "b=b"]
        with pytest.MonkeyPatch.context() as monkeypatch:
            store = Store.__new__(Store)
            store._lock = None
            crashing(monkeypatch, step)
            try:
                store.__init__(path)  # type: ignore[misc]  # which also takes in what the killed one left
                for number, name in enumerate("cde"):
                    store.append(number, interaction(name))
                    finished.append(f"{name}={name}")
                store.end()
                survived = True
            except Crash:
                died(store)
        if half and store.journal.exists():
            with store.journal.open("ab") as lines:
                lines.write(half)
        found = names(Store(path))
        assert finished == found[: len(finished)]
        # One more may have reached the disk just before its recorder could say so.
        assert ["a=a", "b=b", "c=c", "d=d", "e=e"][: len(found)] == found
        assert len(finished) + 1 >= len(found)
        assert found == names(Store(path))
        if survived:
            assert 15 < step
            return
    pytest.fail("it never got through")
