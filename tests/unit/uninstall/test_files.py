"""Files that `monitor uninstall` removes from a machine, and the files that it keeps."""

from __future__ import annotations

import fcntl
from pathlib import Path

from monitor.uninstall.files import DataDirectoryPlace

OWN = ("up.lock", "project", "token", "web-address", "sidecar.json", ".sidecar.json.12", "token.0123456789abcdef")


def filled(directory: Path) -> Path:
    for name in OWN:
        (directory / name).write_text("x")
    (directory / "monitor.sqlite3").touch()
    for name in ("redis/appendonlydir", "used-codes"):
        (directory / name).mkdir(parents=True)
        (directory / name / "file").touch()
    return directory


def test_the_directory_is_removed(tmp_path: Path) -> None:
    """All files of the monitor, and then the empty directory."""
    directory, socket = tmp_path / "data", tmp_path / "socket"
    directory.mkdir()
    socket.mkdir()
    place = DataDirectoryPlace(filled(directory), [socket, tmp_path / "missing"])
    assert place.find().count == len(OWN) + 4
    assert place.remove().count == len(OWN) + 4
    assert (directory.exists(), socket.exists()) == (False, False)
    assert place.find().count == 0


def test_other_files_are_kept(tmp_path: Path) -> None:
    """So are a database with contents, and the target of a symbolic link."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept").touch()
    directory = tmp_path / "data"
    directory.mkdir()
    filled(directory)
    (directory / "monitor.sqlite3").write_bytes(b"SQLite format 3")
    (directory / "celery.db").touch()
    (directory / "used-codes" / "file").unlink()
    (directory / "used-codes").rmdir()
    (directory / "used-codes").symlink_to(tmp_path / "mine")
    place = DataDirectoryPlace(directory)
    assert place.find().kept[0].names == ("celery.db", "monitor.sqlite3")
    place.remove()
    assert sorted(path.name for path in directory.iterdir()) == ["celery.db", "monitor.sqlite3"]
    assert (tmp_path / "mine" / "kept").exists()


def test_a_locked_directory_is_in_use(tmp_path: Path) -> None:
    """`monitor up` locks it."""
    filled(tmp_path)
    with (tmp_path / "up.lock").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert DataDirectoryPlace(tmp_path).find().users == ("monitor up",)
    assert DataDirectoryPlace(tmp_path).find().users == ()


def test_a_missing_directory_has_nothing(tmp_path: Path) -> None:
    """The command is run on machines without one, too."""
    assert DataDirectoryPlace(tmp_path / "missing").remove().count == 0
