"""The name of a monitor that belongs to no project: made once, and kept in its data directory."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from monitor.config import standalone


def test_it_is_made_once(tmp_path: Path) -> None:
    """By whichever role comes first; another directory has another one."""
    with ThreadPoolExecutor(8) as pool:
        names = {*pool.map(lambda _: standalone.read_or_create(tmp_path / "data"), range(32))}
    [name] = names
    assert name == standalone.read(tmp_path / "data")
    assert name != standalone.read_or_create(tmp_path / "other")
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["project"]
    assert stat.S_IMODE((tmp_path / "data" / "project").stat().st_mode) == 0o600


def test_roles_of_one_directory_are_one_monitor(tmp_path: Path) -> None:
    """Those of two directories on one host are two, and roles that were not given a directory are nobody's."""
    one, same, other = (standalone.identity(tmp_path / name, creates_name=True) for name in ("a", "a", "b"))
    assert one == same
    assert one.differs_from(other)
    assert not standalone.identity(None, creates_name=True).name


def test_roles_in_two_containers_are_not_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They share no directory: worker and beat of one monitor must not refuse each other."""
    monkeypatch.setattr("socket.gethostname", lambda: "worker-1")
    worker = standalone.identity(tmp_path / "a", creates_name=True)
    monkeypatch.setattr("socket.gethostname", lambda: "beat-1")
    assert not worker.differs_from(standalone.identity(tmp_path / "b", creates_name=True))


def test_the_name_of_monitor_up_counts_on_every_host(tmp_path: Path) -> None:
    """Its roles are complete: two of them in one store are two monitors."""
    for name in ("a", "b"):
        standalone.read_or_create(tmp_path / name)
    one, other = (standalone.identity(tmp_path / name, creates_name=True) for name in ("a", "b"))
    assert one.differs_from(other)
    assert not one.is_local


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    """A role without a name is never refused; what is no name is none."""
    (tmp_path / "file").touch()
    assert not standalone.identity(tmp_path / "file", creates_name=True).name
    assert not standalone.identity(tmp_path / "absent").name
    assert not (tmp_path / "absent").exists(), "a command that only reads makes none"
    (tmp_path / "project").write_text("two\nlines\n")
    assert not standalone.identity(tmp_path, creates_name=True).name
    (tmp_path / "project").write_text("mine\n")
    assert standalone.identity(tmp_path).name == "mine"
