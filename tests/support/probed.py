"""Workers with the agent, and `monitor probe worker` started beside them as by an exec probe."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from celery import Celery

from monitor.agent import beacon_file, protocol
from tests.support.celery_nodes import ROOT, HostProcess
from tests.support.faults import FaultProxy
from tests.support.processes import wait_for
from tests.support.redis_server import RedisServer, StartRedis

INTERVAL_SECONDS = 0.5
NODES = ("one@probed", "two@probed")


class Probed:
    """Broker behind a proxy, store, workers with the agent, and a sender of heartbeats in place of the monitor."""

    def __init__(self, directory: Path, broker: RedisServer, store: RedisServer, proxy: FaultProxy) -> None:
        self.directory = directory
        self.broker, self.store, self.proxy = broker, store, proxy
        self.workers: dict[str, HostProcess] = {}
        self._app = Celery("sender", broker=broker.url)
        self._app.conf.broker_transport_options = {"socket_timeout": 2, "socket_connect_timeout": 2}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send_heartbeats, daemon=True)
        self._thread.start()

    def start(
        self,
        node: str = NODES[0],
        *options: str,
        waits_for: str = "has executed a heartbeat",
        prefix: Sequence[str] = (),
        **variables: str,
    ) -> HostProcess:
        """Start a worker, and return when the probe reports it alive for the given reason."""
        worker = self.start_without_waiting(node, *options, prefix=prefix, **variables)
        self.wait_for(0, waits_for, node)
        return worker

    def start_without_waiting(
        self, node: str = NODES[0], *options: str, prefix: Sequence[str] = (), **variables: str
    ) -> HostProcess:
        """Start a worker without waiting. ``prefix`` is a command that executes the rest of its command line."""
        argv = [*prefix, sys.executable, "-m", "celery", "-A", "probed_app", "worker", "-l", "INFO", "-n", node]
        env = {
            **environment(self.directory),
            "CELERY_BROKER_URL": f"redis://127.0.0.1:{self.proxy.port}/0",
            "MONITOR_REDIS_URL": self.store.url,
            "MONITOR_WORKERS__INTERVAL": f"{INTERVAL_SECONDS}s",
            **variables,
        }
        self.workers[node] = HostProcess([*argv, "-c", "2", *options], env, self._project())
        return self.workers[node]

    def block(self, seconds: float) -> None:
        """Block the event loops of all workers for so long."""
        self._app.control.broadcast("block", arguments={"seconds": seconds})

    def stop_heartbeats(self) -> None:
        """Stop sending heartbeats, as when the monitor is down."""
        self._stop.set()
        self._thread.join()

    def execute(self, *seconds: float, task: str = "sleep") -> None:
        """Send tasks that take so long each."""
        for each in seconds:
            self._app.send_task(f"probed_app.{task}", (each,), queue="probed")

    def wait_for(self, code: int, words: str, node: str = NODES[0]) -> None:
        """Wait until the probe's exit code is ``code`` and its line contains these words."""
        last = [(-1, "")]

        def answered() -> bool:
            last.append(probe(self.directory, "--name", node))
            return last[-1][0] == code and words in last[-1][1]

        wait_for(answered, seconds=60, every=0.1, what=_LazyText(lambda: f"{code}: {words}; {last[-1]}\n{self.logs()}"))

    def stays_alive(self, words: str, *, seconds: float = 8.0, node: str = NODES[0]) -> None:
        """Check for longer than any limit that each result of the probe is 0 and contains these words."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            code, line = probe(self.directory, "--name", node)
            assert code == 0 and words in line, f"{line}\n{self.logs()}"

    def logs(self) -> str:
        """Return the logs of the workers."""
        return "\n".join(f"--- {node}\n{worker.logs()[-3000:]}" for node, worker in self.workers.items())

    def close(self) -> None:
        """Stop everything."""
        self._stop.set()
        for worker in self.workers.values():
            worker.teardown()
        self._thread.join(10)

    def _project(self) -> Path:
        """Create a project folder without our `celeryconfig.py`, which Celery's default application would load."""
        project = self.directory.parent / "project"
        if not project.exists():
            project.mkdir()
            (project / "celeryconfig.py").touch()
            (project / "monitor").symlink_to(ROOT / "monitor")
            (project / "probed_app.py").symlink_to(ROOT / "tests/support/probed_app.py")
        return project

    def _send_heartbeats(self) -> None:
        emitted = protocol.Keys.of("monitor:").emitted
        while not self._stop.wait(INTERVAL_SECONDS):
            for node in list(self.workers):
                try:
                    with self.store.client(socket_timeout=1) as client:
                        if value := client.hget(protocol.Keys.of("monitor:").beacons, node):
                            seconds, microseconds = client.time()
                            sent = seconds * 1_000_000 + microseconds
                            target = protocol.decode(value.split(b"|", 1)[1]).target
                            queue = protocol.direct_queue(target)
                            heartbeat = ("worker", target, sent)
                            self._app.send_task(protocol.HEARTBEAT, heartbeat, queue=queue, expires=300, retry=False)
                            client.hset(emitted, protocol.target_field("worker", target), sent)
                except Exception:  # noqa: BLE001 - broker or store are away: that is what is tested
                    continue


@pytest.fixture
def probed(tmp_path: Path, start_redis: StartRedis, fault_proxy: Callable[[str, int], FaultProxy]) -> Iterator[Probed]:
    """Provide servers, without any worker."""
    broker, store = start_redis(), start_redis()
    probed = Probed(tmp_path / "pulses", broker, store, fault_proxy("127.0.0.1", broker.port))
    yield probed
    probed.close()


def probe(directory: Path, *arguments: str) -> tuple[int, str]:
    """Return exit code and output of `monitor probe worker`."""
    done = run(directory, *arguments)
    assert not done.stderr
    assert done.stdout.count("\n") == 1
    return done.returncode, done.stdout


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `monitor probe worker`."""
    command = [sys.executable, "-m", "monitor", "probe", "worker", *arguments]
    env = environment(directory)
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=env)


def environment(directory: Path) -> Mapping[str, str]:
    """Return the environment of a container whose workers write into ``directory``."""
    return {**os.environ, beacon_file.VARIABLE: str(directory)}


class _LazyText:
    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make

    def __str__(self) -> str:
        return self._make()
