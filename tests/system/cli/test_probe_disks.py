"""`monitor probe worker` where there is no place for the file that it reads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faults import Freezer
from tests.support.probed import NODES, Probed, environment, probe
from tests.support.processes import wait_for


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB where the pulses are."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    directory = tmp_path / "pulses"
    directory.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(directory)], check=True)
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(directory: Path) -> Path:
    """Take all that is free there."""
    path = directory / "fill"
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while file.write(b"x" * 4096):
            pass
    return path


def test_a_full_disk(small_disk: Path, probed: Probed, freezer: Freezer, tmp_path: Path) -> None:
    """The worker is judged as ever: also one that is started now, and one that stands still."""
    worker = probed.start()
    filling = fill(small_disk)
    probed.stays_alive("has executed a heartbeat", seconds=6)
    probed.start(NODES[1])
    freezer.freeze(worker.pid)
    probed.wait_for(1, "is stopped")
    assert probe(small_disk, "--name", NODES[1])[0] == 0
    freezer.thaw(worker.pid)
    probed.wait_for(0, "has executed a heartbeat")
    filling.unlink()
    wait_for(lambda: len(list(small_disk.glob("*.pulse"))) == 2, what="both write to the disk again")
    wait_for(lambda: not list(Path("/dev/shm").glob(f"*{tmp_path.name}*")), what="memory is left")
    probed.stays_alive("has executed a heartbeat", seconds=1)


def test_no_place_for_the_file(small_disk: Path, probed: Probed) -> None:
    """Memory cannot be written either: then nothing is known of the worker, and a restart is not called for."""
    prefix = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o ro tmpfs /dev/shm && exec "$@"', "sh"]

    def probe_there() -> tuple[int, str]:
        command = [*prefix, sys.executable, "-m", "monitor", "probe", "worker"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(small_disk))
        return done.returncode, done.stdout

    filling = fill(small_disk)
    worker = probed.start_without_waiting(NODES[0], "-P", "threads", prefix=prefix)
    wait_for(lambda: " ready." in worker.logs(), seconds=60, what="the worker is ready")
    line = f"ok: no worker is judged: none can write into {small_disk} (No space left on device)\n"
    assert probe_there() == (0, line)
    filling.unlink()
    wait_for(lambda: "has executed a heartbeat" in probe_there()[1], seconds=30, what="the worker is judged")
    fill(small_disk)
    wait_for(lambda: "is not judged: it cannot write" in probe_there()[1], seconds=30, what="the file is too old")
    assert probe_there()[0] == 0
