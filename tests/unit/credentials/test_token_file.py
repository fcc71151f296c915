"""The token's file, and what lies beside it, on a machine that other users share."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click.testing
import pytest

from monitor.cli.access import open_page, provide_token, store_address
from monitor.config import Config
from monitor.credentials import token_file
from monitor.credentials.signed import CODE, sign
from monitor.credentials.token_file import TokenUnusable
from monitor.credentials.used_codes import UsedCodes

OTHER, SELF = 65534, 12345
TOKEN = "token-of-the-tests-0123456789"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory in which every user can make files, as `/tmp` is."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        directory = Path(made)
        directory.chmod(0o1777)
        yield directory


@pytest.fixture
def theirs(shared: Path) -> Path:
    """A directory that another user has made there first, where we can write as well."""
    directory = shared / "data"
    directory.mkdir()
    directory.chmod(0o777)
    os.chown(directory, OTHER, OTHER)
    return directory


def as_us(act: Callable[[], object]) -> int:
    """Return the exit status of a child that is an ordinary user and does that: 0, or 1 when it raised."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(SELF)
            os.setuid(SELF)
            act()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_it_is_made_once(tmp_path: Path) -> None:
    """By however many processes start at the same time; random, sound, and for its user alone."""
    home = tmp_path / "a" / "b"
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: token_file.ensure(home), range(32)))
    assert len(made) == 1
    assert token_file.is_sound(*made)
    assert stat.S_IMODE((home / "token").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert [file.name for file in home.iterdir()] == ["token"]
    assert token_file.ensure(tmp_path / "other") not in made


def link(path: Path) -> None:
    """Put a link to a good token there."""
    target = path.with_name("elsewhere")
    target.write_text(TOKEN)
    target.chmod(0o600)
    path.symlink_to(target)


def written(text: str, mode: int) -> Callable[[Path], None]:
    """Return what writes a file of that text and mode."""

    def write(path: Path) -> None:
        path.write_text(text)
        path.chmod(mode)

    return write


@pytest.mark.parametrize(
    ("caption", "put"),
    [
        ("a link", link),
        ("a file that the group can read", written(TOKEN, 0o640)),
        ("a file that everybody can read", written(TOKEN, 0o604)),
        ("an empty file", written("", 0o600)),
        ("a short token", written("fifteen-letters\n", 0o600)),
        ("a token that is not ASCII", written("sixteen-lettr\u00fcrs", 0o600)),
        ("a pipe, which would be waited for", os.mkfifo),
        ("a directory", Path.mkdir),
    ],
)
def test_what_is_no_token(tmp_path: Path, caption: str, put: Callable[[Path], None]) -> None:
    """Is neither read nor replaced."""
    put(tmp_path / "token")
    for ask in (token_file.read, token_file.ensure):
        with pytest.raises(TokenUnusable):
            ask(tmp_path)
            pytest.fail(caption)


@AS_ROOT
def test_another_user_cannot_read_it(shared: Path) -> None:
    """Neither the file, nor what is in its directory."""
    token_file.ensure(shared / "data")
    for command in (["cat", str(shared / "data" / "token")], ["ls", str(shared / "data")]):
        done = subprocess.run(command, user=OTHER, group=OTHER, extra_groups=[], capture_output=True, check=False)
        assert done.returncode != 0
        assert done.stdout == b""


@AS_ROOT
def test_a_file_of_another_user_is_no_token(shared: Path) -> None:
    """Whoever writes it knows it."""
    home = shared / "data"
    home.mkdir(mode=0o700)
    written(TOKEN, 0o600)(home / "token")
    os.chown(home / "token", OTHER, OTHER)
    with pytest.raises(TokenUnusable):
        token_file.ensure(home)


@AS_ROOT
@pytest.mark.parametrize("user", [os.geteuid(), SELF], ids=["as root", "as an ordinary user"])
def test_nothing_is_put_into_a_directory_of_another_user(
    theirs: Path, user: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No token, no address through a link of theirs, no used code; a configured token goes on working."""
    monkeypatch.setenv("MONITOR_DATA_DIR", "")
    victim = theirs.parent / "precious"
    victim.write_text("precious")
    os.chown(victim, user, user)
    (theirs / "web-address").symlink_to(victim)

    def act() -> None:
        with pytest.raises(TokenUnusable):
            token_file.ensure(theirs)
        assert provide_token(Config.model_validate({"token": TOKEN}), theirs) == TOKEN
        store_address(theirs, "http://127.0.0.1:1")
        with pytest.raises(OSError, match="another user"):
            UsedCodes(theirs).claim(sign(TOKEN, CODE, 60))

    if user == SELF:
        assert as_us(act) == 0
    else:
        act()
    assert victim.read_text() == "precious"
    assert [file.name for file in theirs.iterdir()] == ["web-address"]


@AS_ROOT
def test_a_link_does_not_go_where_another_user_says(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their server would be sent the code."""
    (theirs / "web-address").write_text("http://127.0.0.1:6666\n")
    monkeypatch.setenv("MONITOR_TOKEN", TOKEN)
    monkeypatch.delenv("MONITOR_REDIS_URL", raising=False)
    done = click.testing.CliRunner().invoke(open_page, ["--data-dir", str(theirs)])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("http://127.0.0.1:8000/admin/monitoring/#")


def test_a_configured_token_gets_a_directory_for_used_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no file of the token."""
    monkeypatch.setenv("MONITOR_DATA_DIR", "")
    home = tmp_path / "data"
    assert provide_token(Config.model_validate({"token": TOKEN}), home) == TOKEN
    assert UsedCodes(home).claim(sign(TOKEN, CODE, 60))
    assert not (home / "token").exists()
