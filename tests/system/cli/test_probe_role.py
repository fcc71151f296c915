"""`monitor probe role` beside real roles: what fails it, and what does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.agent import beacon_file
from tests.support.faults import Freezer
from tests.support.process_tree import Up
from tests.support.processes import free_port, wait_for
from tests.support.roles import Monitor, StartMonitor

ROSTER = '[checks.redis]\nkind = "redis"\ninterval = "1s"\ngroups = ["ready"]\n'


def probe(directory: Path, *arguments: str) -> tuple[int, str]:
    """Return exit code and output of `monitor probe role`."""
    command = [sys.executable, "-m", "monitor", "probe", "role", *arguments]
    env = {**os.environ, beacon_file.VARIABLE: str(directory)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=env)
    assert not done.stderr
    return done.returncode, done.stdout


def wait_for_probe(directory: Path, code: int, text: str, *arguments: str) -> str:
    """Return the line of the probe, once it has this exit code and contains this text."""

    def found() -> str | None:
        result = probe(directory, *arguments)
        return result[1] if result[0] == code and text in result[1] else None

    return wait_for(found, seconds=60, every=0.2, what=_Last(directory, arguments))


class _Last:
    def __init__(self, directory: Path, arguments: tuple[str, ...]) -> None:
        self._directory, self._arguments = directory, arguments

    def __str__(self) -> str:
        return str(probe(self._directory, *self._arguments))


def started(start_monitor: StartMonitor, directory: Path) -> Monitor:
    """Return a monitor whose roles write into a directory of their own."""
    return start_monitor(ROSTER, {beacon_file.VARIABLE: str(directory)})


def test_each_role_is_found_and_judged(start_monitor: StartMonitor, freezer: Freezer, tmp_path: Path) -> None:
    """Worker, beat and web are alive also while Redis is down. A frozen one is not, until it continues."""
    directory = tmp_path / "roles"
    monitor = started(start_monitor, directory)
    worker, beat, web = monitor.all_roles()
    for role, text in (("worker", "worker is running"), ("beat", "beat is running"), ("web", "web answers: 200 alive")):
        wait_for_probe(directory, 0, text, role)
    code, line = probe(directory)
    assert code == 0
    assert line.startswith("ok: beat is running, worker is running, web answers: 200 alive (http://127.0.0.1:")

    monitor.redis.kill()
    monitor.wait_for_ready(503)
    assert probe(directory)[0] == 0
    monitor.redis.start()
    monitor.wait_for_ready(200)

    for role in (worker, beat):
        freezer.freeze(role.pid)
    freezer.freeze(web.pid, children=True)
    wait_for_probe(directory, 1, "worker is stopped", "worker")
    wait_for_probe(directory, 1, "beat is stopped", "beat")
    assert probe(directory, "web")[1].startswith("failed: web does not answer: ")
    freezer.thaw_all()
    wait_for_probe(directory, 0, "worker is running")


def test_a_worker_that_waits_for_its_broker_is_alive(start_monitor: StartMonitor, tmp_path: Path) -> None:
    """Its loop turns with each attempt to connect, before the first connection as well."""
    directory = tmp_path / "roles"
    monitor = started(start_monitor, directory)
    monitor.redis.kill()
    monitor.worker()
    monitor.beat()
    wait_for_probe(directory, 0, "beat is running, worker is running")


def test_up_is_several_roles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor, its worker and its beat are judged by their files, and its web once by its endpoint."""
    directory = tmp_path / "roles"
    monkeypatch.setenv(beacon_file.VARIABLE, str(directory))
    running = Up(tmp_path)
    try:
        running.wait_until_ready()
        line = wait_for_probe(directory, 0, "beat is running, up is running, worker is running, up answers: 200 alive")
        assert line.count("http://") == 1
    finally:
        running.end()
    assert probe(directory)[0] == 1


def test_a_sidecar(tmp_path: Path) -> None:
    """It is judged by `/health`, whatever it reports about its consumer group."""
    directory, port = tmp_path / "roles", free_port()
    env = {
        **os.environ,
        beacon_file.VARIABLE: str(directory),
        "KAFKA_GROUP": "orders",
        "KAFKA_BROKERS": f"127.0.0.1:{free_port()}",
    }
    command = [sys.executable, "-m", "monitor", "sidecar", "--host", "0.0.0.0", "--port", str(port)]
    sidecar = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        line = wait_for_probe(directory, 0, "sidecar answers: 200 alive")
        assert f"(http://127.0.0.1:{port}/health)" in line
    finally:
        sidecar.terminate()
        sidecar.wait(30)
    assert probe(directory)[1].startswith("failed: no role of the monitor that runs")
