"""The embedded server keeps what it acknowledged, through SIGKILL, an upgrade and a full disk."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from monitor.supervisor import embedded
from tests.support.processes import wait_for

FSYNC_SECONDS = 1.0


@contextmanager
def running(home: Path) -> Iterator[tuple[redis.Redis, subprocess.Popen[bytes]]]:
    """A server as `monitor up` starts it, and a client; killed afterwards, not stopped."""
    role = embedded.server_role(home)
    path = embedded.socket_path(home)
    with subprocess.Popen(role.argv, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: embedded.responds(path), seconds=20, what=f"the server answers, see {role.log}")
            with redis.Redis(unix_socket_path=str(path), socket_timeout=10) as client:
                yield client, process
        finally:
            process.kill()


def test_at_most_one_second_is_lost(tmp_path: Path) -> None:
    """Killed in the middle of writing: everything that is older than a second is there again, and in order."""
    with running(tmp_path) as (client, process):
        acknowledged: list[float] = []
        ends_at = time.monotonic() + 3 * FSYNC_SECONDS
        while time.monotonic() < ends_at:
            client.rpush("written", len(acknowledged))
            acknowledged.append(time.monotonic())
        killed_at = time.monotonic()
        process.kill()
        process.wait()
    with running(tmp_path) as (client, _):
        kept = [int(value) for value in client.lrange("written", 0, -1)]
    assert kept == list(range(len(kept)))
    assert len(kept) >= sum(at < killed_at - FSYNC_SECONDS for at in acknowledged)


def test_a_torn_end_is_cut_off(tmp_path: Path) -> None:
    """What was half written when the machine went down does not keep the server from starting."""
    with running(tmp_path) as (client, _):
        client.set("whole", 1)
        client.bgrewriteaof()
        wait_for(lambda: not client.info("persistence")["aof_rewrite_in_progress"], what="rewritten")
        client.set("after", 2)
    increments = sorted((tmp_path / "redis" / "appendonlydir").glob("*.incr.aof"))
    with increments[-1].open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\nto")
    with running(tmp_path) as (client, _):
        assert client.mget("whole", "after") == [b"1", b"2"]


def test_the_file_is_bounded(tmp_path: Path) -> None:
    """Writing the same megabyte two hundred times does not keep two hundred megabytes."""
    with running(tmp_path) as (client, _):
        for number in range(200):
            client.set("same", os.urandom(2**20))
            client.incr("number", number)
        wait_for(lambda: not client.info("persistence")["aof_rewrite_in_progress"], seconds=30, what="rewritten")
        assert client.info("persistence")["aof_rewrites"] >= 1
    size = sum(file.stat().st_size for file in (tmp_path / "redis" / "appendonlydir").iterdir())
    assert size < 100 * 2**20


def test_a_dump_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    """A server with an append-only file loads no dump: without care an upgrade would begin empty."""
    with running(tmp_path) as (client, _):
        client.set("before", "upgrade")
        client.save()
        client.config_set("appendonly", "no")
    for file in (tmp_path / "redis" / "appendonlydir").iterdir():
        file.unlink()
    assert (tmp_path / "redis" / "dump.rdb").exists()
    with running(tmp_path) as (client, _):
        assert client.get("before") == b"upgrade"
        client.set("after", "upgrade")
        client.waitaof(1, 0, 5000)
    assert not (tmp_path / "redis" / "dump.rdb").exists()
    with running(tmp_path) as (client, _):
        assert client.mget("before", "after") == [b"upgrade", b"upgrade"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_silences_nothing(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes are refused only until the next look; once there is room, the file is written again."""
    monkeypatch.setattr(embedded, "_FREE_BYTES", 2**20)
    with running(small_disk) as (client, _):
        path = embedded.socket_path(small_disk)

        def refused() -> bool:
            try:
                client.set("k", os.urandom(200_000))
            except redis.ResponseError as error:
                return str(error).startswith("MISCONF")
            return False

        wait_for(refused, seconds=30, what="the disk is full")
        assert embedded.keep_writable(path) == "off"
        assert client.set("k", "small")
        for file in (small_disk / "redis" / "appendonlydir").iterdir():
            file.unlink()
        wait_for(lambda: embedded.keep_writable(path) == "on", seconds=30, what="written again")
        assert client.set("k", "stored")
        wait_for(lambda: not client.info("persistence")["aof_rewrite_in_progress"], seconds=30, what="rewritten")
        client.waitaof(1, 0, 5000)
    with running(small_disk) as (client, _):
        assert client.get("k") == b"stored"
