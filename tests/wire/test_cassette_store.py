from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from vcr.request import Request

from llmlab.errors import BadInput, BrokenCassette, CassetteError, CassetteInUse
from llmlab.wire import cassette_file, cassette_store
from llmlab.wire.cassette_store import Store
from llmlab.wire.interaction import Interaction
from llmlab.wire.journal import journal_of

URL = "https://api.openai.com/v1/x"


def interaction(name: str, came: str = "") -> Interaction:
    response = {
        "status": {"code": 200, "message": "OK"},
        "headers": {},
        "body": {"string": (came or name).encode()},
        "llmlab": {"source": "live"},
    }
    return Interaction(Request("POST", URL, name.encode(), {}), response)


def names(store: Store) -> list[str]:
    return [f"{i.body.decode()}={i.response['body']['string'].decode()}" for i in store.contents.interactions]


def opened(path: Path, **options: Any) -> Store:
    store = Store(path, **options)
    store.load()
    return store


def killed(path: Path, *finished: tuple[int, str], **options: Any) -> None:
    """Record and never end."""
    store = opened(path, **options)
    for number, name in finished:
        store.append(number, interaction(name))
    store._release()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "c.yaml"


def test_what_was_recorded_is_in_the_file_in_the_order_of_sending(path: Path) -> None:
    store = opened(path, recorded_at="2026-11-23")
    store.begin()
    store.append(2, interaction("b"))
    store.append(1, interaction("a"))
    assert not path.exists()
    store.end()
    store.end()
    assert ["a=a", "b=b"] == names(opened(path))
    assert ["c.yaml"] == os.listdir(path.parent)
    described = opened(path).contents.metadata["llmlab"]
    assert ("2026-11-23", {"live": 2}) == (described["recorded_at"], described["sources"])
    assert ["httpx2", "llmlab", "openai", "vcrpy"] == sorted(described["versions"])


def test_the_next_one_finds_what_a_killed_recorder_had_finished(path: Path) -> None:
    killed(path, (1, "a"))
    killed(path, (1, "b"), (2, "c"))
    assert ["a=a", "b=b", "c=c"] == names(opened(path))
    assert not journal_of(path).exists()


def test_a_crash_between_writing_the_file_and_removing_the_journal_doubles_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(path, (1, "a"))
    left = journal_of(path).read_bytes()
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    opened(path)
    monkeypatch.undo()
    assert left in journal_of(path).read_bytes()
    assert ["a=a"] == names(opened(path))
    store = opened(path)
    store.append(1, interaction("b"))
    store.end()
    assert ["a=a", "b=b"] == names(opened(path))


def test_a_crash_before_the_file_was_written_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(path, (1, "a"))

    def crash(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(CassetteError, match=r"cannot be written: Input/output error. Nothing is lost"):
        opened(path)
    monkeypatch.undo()
    assert ["a=a"] == names(opened(path))


def test_new_recordings_replace_the_old_ones_of_the_same_request_only_if_asked(path: Path) -> None:
    killed(path, (1, "a"), (2, "b"), (3, "a"))
    store = opened(path, replaces=True)
    store.append(1, interaction("a", "new"))
    store.end()
    assert ["b=b", "a=new"] == names(opened(path))
    killed(path, (1, "b"), replaces=True)
    assert ["a=new", "b=b"] == names(opened(path))


def test_a_reader_beside_a_recorder_sees_what_is_finished_and_touches_nothing(path: Path) -> None:
    writer = opened(path)
    writer.append(1, interaction("a"))
    before = journal_of(path).read_bytes()
    with journal_of(path).open("ab") as file:
        file.write(b'{"number": 2, "requ')
    assert ["a=a"] == names(opened(path))
    assert journal_of(path).read_bytes().startswith(before)
    with pytest.raises(CassetteInUse):
        opened(path).begin()


def test_a_folder_that_may_not_be_written_can_still_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(path, (1, "a"))

    def refused(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cassette_store, "Lock", refused)
    store = opened(path)
    assert ["a=a"] == names(store)
    with pytest.raises(CassetteError, match=r"cannot record into .*Permission denied"):
        store.begin()


def test_a_recorder_takes_in_what_another_has_written_meanwhile(path: Path) -> None:
    first, second = opened(path), opened(path)
    first.append(1, interaction("a"))
    first.end()
    second.append(1, interaction("b"))
    second.end()
    assert ["a=a", "b=b"] == names(opened(path))


def test_a_file_that_changed_under_the_recorder_is_read_again(path: Path) -> None:
    killed(path, (1, "a"), (2, "b"))
    store = opened(path)
    store.append(1, interaction("c"))
    contents = opened(path).contents
    path.write_bytes(cassette_file.dump(path, cassette_file.Contents(contents.interactions[1:2], contents.metadata)))
    store.end()
    assert ["b=b", "c=c"] == names(opened(path))


def test_nothing_is_written_where_nothing_was_recorded(path: Path) -> None:
    store = opened(path)
    store.begin()
    store.end()
    assert [] == os.listdir(path.parent)


def test_old_recordings_are_scrubbed_when_the_file_is_written_anew(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(
        "interactions:\n- request: {method: GET, uri: u, headers: {authorization: [abc]}, body: null}\n"
        "  response: {status: {code: 200, message: OK}, headers: {}, body: {string: sk-abcdef1234567890}}\nversion: 1\n"
    )
    path.chmod(0o600)
    killed(path, (1, "a"))
    store = opened(path)
    assert 2 == len(store.contents.interactions)
    text = path.read_text()
    assert 2 == text.count("[scrubbed]")
    assert "sk-" not in text
    assert 0o600 == path.stat().st_mode & 0o777
    assert {"live": 1, "unknown": 1} == store.contents.metadata["llmlab"]["sources"]


def test_a_file_in_another_format_is_not_written(path: Path) -> None:
    path.parent.mkdir()
    text = "interactions:\n- request: {method: GET, url: u, headers: {}}\n  response: {code: 200, status: 200 OK, body: x}\nversion: 2\n"
    path.write_text(text)
    with pytest.raises(BadInput, match="format of go-vcr, which is read and not written"):
        opened(path).begin()
    assert (text, ["c.yaml"]) == (path.read_text(), os.listdir(path.parent))


def test_a_folder_is_no_cassette(tmp_path: Path) -> None:
    with pytest.raises(BrokenCassette, match=r"is a folder. Name a file in it, as in .*cassette\.yaml"):
        Store(tmp_path)


def test_a_damaged_interaction_in_the_journal_is_an_error(path: Path) -> None:
    path.parent.mkdir()
    journal_of(path).write_text('{"journal": 1}\n{"number": 1}\n{"number": 2}\n')
    with pytest.raises(BrokenCassette, match=r"interaction 1 is damaged \(KeyError\('request'\)\)"):
        opened(path)


def test_a_link_to_a_cassette_stays_a_link(path: Path, tmp_path: Path) -> None:
    killed(path, (1, "a"))
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    store = opened(link)
    store.append(1, interaction("b"))
    store.end()
    assert link.is_symlink()
    assert ["a=a", "b=b"] == names(opened(path))


@pytest.mark.parametrize(("expected", "epoch"), [("2023-11-14", "1700000000"), (None, "")])
def test_the_day_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, path: Path, expected: str | None, epoch: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    killed(path, (1, "a"))
    day = opened(path).contents.metadata["llmlab"]["recorded_at"]
    assert expected is None or expected == day
    assert 10 == len(day)


def test_a_version_that_is_not_installed_is_unknown() -> None:
    assert "unknown" == cassette_store._version("no-such-distribution-as-this")


def test_a_journal_without_a_description_is_taken_in_too(path: Path) -> None:
    killed(path, (1, "a"))
    text = journal_of(path).read_text().splitlines(keepends=True)
    journal_of(path).write_text("".join(text[1:]))
    assert ["a=a"] == names(opened(path))
    assert {"sources": {"live": 1}} == opened(path).contents.metadata["llmlab"]


class Crash(BaseException):
    """The process is gone: nothing that it would do from now on reaches the disk."""


def crashing(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Crash in the middle of the `at`-th thing that is done to the disk, and stay dead."""
    done = 0

    def mortal(real: Any, half: Any = None) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal done
            done += 1
            if done == at and half:
                half(*args)
            if done >= at:
                raise Crash
            return real(*args, **options)

        return call

    write = os.write
    monkeypatch.setattr(os, "write", mortal(write, lambda handle, data: write(handle, data[: len(data) // 2])))
    monkeypatch.setattr(os, "fsync", mortal(os.fsync))
    monkeypatch.setattr(Path, "replace", mortal(Path.replace))
    monkeypatch.setattr(Path, "unlink", mortal(Path.unlink))


@pytest.mark.parametrize("ending", ["yaml", "json"])
@pytest.mark.filterwarnings("ignore:.*cut off in the middle")
def test_a_crash_at_any_step_loses_nothing_that_was_finished_and_doubles_nothing(tmp_path: Path, ending: str) -> None:
    survived = False
    for step in range(1, 99):
        path = tmp_path / str(step) / f"c.{ending}"
        killed(path, (1, "a"), (2, "b"))
        finished = ["a=a", "b=b"]
        with pytest.MonkeyPatch.context() as monkeypatch:
            store = Store(path)
            crashing(monkeypatch, step)
            try:
                store.load()  # which also takes in what the killed one left
                for number, name in enumerate("cde"):
                    store.append(number, interaction(name))
                    finished.append(f"{name}={name}")
                store.end()
                survived = True
            except Crash:
                if store._lock is not None:
                    store._lock._closer()  # the system lets go of a dead process's lock
        found = names(opened(path))
        assert finished == found[: len(finished)]
        # One more may have reached the disk just before its recorder could say so.
        assert ["a=a", "b=b", "c=c", "d=d", "e=e"][: len(found)] == found
        assert len(finished) + 1 >= len(found)
        assert found == names(opened(path))
        if survived:
            assert 15 < step
            return
    pytest.fail("it never got through")
