"""What the checks know, in a file: kept, recalled, and never in the way."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from monitor.config import Config
from monitor.sidecar import single_process
from monitor.sidecar.memories import FILE, MemoryFile, UnusableDirectory
from monitor.store.memory.store import MemoryStore
from tests.support.builders.values import becoming, run, state_of
from tests.support.logs import capture_logs


def remember(store: MemoryStore, text: str) -> None:
    """A run of a kind that remembers."""
    flight = store.states.take("kafka", text, lease_seconds=5)
    store.states.update(flight, becoming(flight), memory=text)


def recalled(directory: Path) -> MemoryStore:
    """A new store, with what the file in this directory holds."""
    store = MemoryStore()
    MemoryFile(directory, store.states).load()
    return store


def test_a_new_process_knows_what_the_old_one_knew(tmp_path: Path) -> None:
    """States and memories, as they were; a run goes on from there."""
    store = MemoryStore()
    memories = MemoryFile(tmp_path / "made" / "on the way", store.states)
    memories.load()
    remember(store, "the window")
    run(store, "other", "error")
    memories.save()
    again = recalled(tmp_path / "made" / "on the way")
    assert again.states.read().states == store.states.read().states
    assert again.states.take("kafka", "next", lease_seconds=5).memory == "the window"
    assert again.states.take("other", "next", lease_seconds=5).memory is None
    assert [file.name for file in (tmp_path / "made" / "on the way").iterdir()] == [FILE]


def test_it_is_written_when_something_has_changed(tmp_path: Path) -> None:
    """And only then."""
    store = MemoryStore()
    memories = MemoryFile(tmp_path, store.states)
    remember(store, "one")
    memories.save()
    (tmp_path / FILE).unlink()
    memories.save()
    assert not (tmp_path / FILE).exists()
    remember(store, "two")
    memories.save()
    assert json.loads((tmp_path / FILE).read_text())["memories"] == {"kafka": "two"}


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'"x"',
        b'{"version": 2}',
        b'{"version": 1, "states": {"a": 1}, "memories": {}}',
        b"{}",
    ],
)
def test_what_cannot_be_read_is_a_new_beginning(tmp_path: Path, garbage: bytes) -> None:
    """Said in the log, and overwritten by what comes."""
    (tmp_path / FILE).write_bytes(garbage)
    with capture_logs() as logs:
        store = recalled(tmp_path)
    assert (store.states.read().states, [log["event"] for log in logs]) == ({}, ["sidecar.memories_unreadable"])


def test_a_state_that_is_none_is_left_out(tmp_path: Path) -> None:
    """The others are known."""
    store = MemoryStore()
    memories = MemoryFile(tmp_path, store.states)
    run(store, "good")
    run(store, "bad")
    memories.save()
    kept = json.loads((tmp_path / FILE).read_text())
    kept["states"]["bad"] = '{"s": "ok"}'
    (tmp_path / FILE).write_text(json.dumps(kept))
    again = recalled(tmp_path)
    assert state_of(again, "good") is not None and state_of(again, "bad") is None


def test_a_full_disk_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks go on, what was written before stays whole, and it is written again as soon as that works."""
    store = MemoryStore()
    memories = MemoryFile(tmp_path, store.states)
    remember(store, "one")
    memories.save()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr("monitor.sidecar.memories.MemoryFile._write", full)
        for text in ("two", "three"):
            remember(store, text)
            memories.save()
    assert [log["event"] for log in logs] == ["sidecar.memories_not_written"]
    assert json.loads((tmp_path / FILE).read_text())["memories"] == {"kafka": "one"}
    memories.save()
    assert json.loads((tmp_path / FILE).read_text())["memories"] == {"kafka": "three"}


def test_a_directory_of_no_use(tmp_path: Path) -> None:
    """Said before anything starts."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UnusableDirectory, match=r"cannot use the data directory .*: Not a directory"):
        MemoryFile(tmp_path / "file" / "data", MemoryStore().states)


def test_another_users_directory_is_not_used(tmp_path: Path) -> None:
    """In a directory like /tmp everybody can make one of that name first."""
    if os.getuid():
        pytest.skip("only root can make a directory of another user's")
    tmp_path.chmod(0o1777)
    (tmp_path / "data").mkdir()
    os.chown(tmp_path / "data", 65534, -1)
    with pytest.raises(UnusableDirectory, match="it belongs to another user"):
        MemoryFile(tmp_path / "data", MemoryStore().states)


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """The temporary file's name can be guessed by whoever else may write to the directory."""
    (tmp_path / "precious").write_text("kept")
    (tmp_path / f".{FILE}.{os.getpid()}").symlink_to(tmp_path / "precious")
    with pytest.raises(UnusableDirectory):
        MemoryFile(tmp_path, MemoryStore().states)
    assert (tmp_path / "precious").read_text() == "kept"


def test_alone_it_keeps_no_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no page and no question that would tell of the past, and runs for months."""
    stores: list[MemoryStore] = []

    class Begun(Exception):
        pass

    def made(*, keeps_history: bool) -> MemoryStore:
        stores.append(MemoryStore(keeps_history=keeps_history))
        return stores[0]

    def begin(*_: object) -> None:
        raise Begun

    monkeypatch.setattr(single_process, "MemoryStore", made)
    monkeypatch.setattr(single_process, "CheckLoop", begin)
    monkeypatch.setattr(single_process.logs, "configure", lambda *_: None)
    with pytest.raises(Begun):
        single_process.run(Config(checks={}), "127.0.0.1", 0)

    (store,) = stores
    run(store, "kafka")
    assert store.history.reaches() == (None, None)
