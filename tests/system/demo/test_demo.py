"""`make demo` whole: its embedded server, its web role and the process that plays the shop."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo.tree import prepare
from tests.support.process_tree import environment
from tests.support.processes import alive, free_port, wait_for
from tests.support.redis_server import RedisServer, StartRedis

ROOT = Path(__file__).parents[3]


class Demo:
    """One that runs, whose incident begins as soon as it does."""

    def __init__(self, home: Path, **variables: str) -> None:
        self._home, self.port, self.log = home, free_port(), home / "demo.log"
        command = [sys.executable, "-m", "demo", "--port", str(self.port), "--incident-in", "-5"]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment(TMPDIR=str(home), **variables), stdout=output, stderr=output
            )

    def get(self, path: str) -> bytes:
        """A body; none while nobody answers."""
        try:
            token = next(self._home.glob("monitor-demo-*/token")).read_text().strip()
            asked = urllib.request.Request(
                f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {token}"}
            )
            with urllib.request.urlopen(asked, timeout=5) as answer:
                return bytes(answer.read())
        except (OSError, StopIteration):
            return b""

    def snapshot(self) -> dict[str, Any]:
        """What the page asks for."""
        found: dict[str, Any] = json.loads(self.get("/api/health/snapshot/") or b"{}")
        return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where temporary directories are made."""
    return tmp_path


@pytest.fixture
def redis(start_redis: StartRedis) -> RedisServer:
    """Somebody's server, empty."""
    return start_redis()


@pytest.fixture
def demo(home: Path, redis: RedisServer) -> Iterator[Demo]:
    """A demo, started by somebody who has a Redis configured."""
    running = Demo(home, MONITOR_REDIS_URL=redis.url, MONITOR_KEY_PREFIX="theirs:")
    yield running
    if running.process.poll() is None:
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(timeout=30)


def test_a_shop_that_lives(demo: Demo, home: Path, redis: RedisServer) -> None:
    """It says what it is; every panel has something, what is wrong is told, results keep coming; Ctrl-C ends all."""
    wait_for(lambda: b"demo.ready" in demo.log.read_bytes(), seconds=40, what=demo.log.read_text)
    page = demo.get("/admin/monitoring/").decode()
    assert "Demo data" in page and 'data-kind="banner"' in page
    assert "demo data" in demo.log.read_text().lower()

    said = wait_for(lambda: (found := demo.snapshot()).get("reaches", {}).get("raw") and found, seconds=40)
    assert len(said["checks"]) == 14 and len(said["workers"]) == 5 and len(said["queues"]) == 3
    assert len(said["groups"]) == 2
    assert "wedged" in {worker["verdict"] for worker in said["workers"]}
    seen = said["checks"]["cpu"]["observed_at"]
    wait_for(lambda: demo.snapshot()["checks"]["cpu"]["observed_at"] != seen, seconds=30)
    events = json.loads(demo.get("/api/health/events/?limit=1000"))["events"]
    assert any(event["check"] == "checkout-api" for event in events)

    tree = {demo.process.pid, *(each.pid for each in psutil.Process(demo.process.pid).children(recursive=True))}
    assert len(list(home.glob("monitor-demo-*"))) == 1
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(timeout=30) == 0
    wait_for(lambda: not alive(tree))
    assert not list(home.glob("monitor-demo-*"))
    assert redis.client().dbsize() == 0  # nothing went where the environment pointed


def test_it_writes_nowhere_else(home: Path, redis: RedisServer) -> None:
    """Pointed at a server that it did not start, it refuses, and writes nothing."""
    prepare(home, seed=1, incident_in=60)
    file = home / "monitor.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("redis_url")]
    file.write_text("\n".join([f'redis_url = "{redis.url}"', *lines]))
    variables = environment(MONITOR_CONFIG=str(file), MONITOR_DATA_DIR=str(home), PYTHONPATH=str(ROOT))
    done = subprocess.run(
        [sys.executable, "-m", "demo.present"],
        cwd=home, env=variables, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "not the embedded server of a demo" in done.stdout + done.stderr
    assert redis.client().dbsize() == 0
