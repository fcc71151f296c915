"""Our servers as real processes with a limit on open files, and their log lines about connections."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from monitor.cli import roles
from monitor.lib.connection_limit import Bounds
from monitor.sidecar import server
from tests.support.process_tree import environment
from tests.support.processes import free_port, wait_for
from tests.support.roles import get_json

PATHS: Mapping[str, Mapping[str, Sequence[int]]] = {
    "web": {"/api/health/live/": [200], "/api/health/ready/": [200, 503]},
    "up": {"/api/health/live/": [200], "/api/health/ready/": [200, 503]},
    "sidecar": {"/health": [200], "/ready": [200, 500]},
}
"""URLs of live and ready of each server, with the status codes that are permitted here. Nothing need be healthy."""

_NOWHERE = {"MONITOR_REDIS_URL": "redis://127.0.0.1:1"}
_ENVIRONMENTS = {
    "web": _NOWHERE,
    "up": {},
    "sidecar": {"KAFKA_GROUP": "orders", "KAFKA_BROKERS": "127.0.0.1:1", "BIND_HOST": "127.0.0.1"},
}
_CONNECTIONS = {"web": roles.CONNECTIONS, "up": roles.CONNECTIONS, "sidecar": server.CONNECTIONS}


@dataclass(frozen=True)
class Listener:
    """Server that answers. ``bound`` is the number of connections that it should keep."""

    role: str
    address: tuple[str, int]
    pid: int
    bound: int
    log: Path

    def connections(self) -> int:
        """Return the number of open connections of its processes."""
        family = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
        return sum(_open_on(process, self.address[1]) for process in family)


@contextlib.contextmanager
def listening(role: str, open_files: int | None = None, **variables: str) -> Iterator[Listener]:
    """Run ``monitor ROLE`` in its own directory, with this hard limit on open files and more environment variables."""
    port = free_port()
    argv = [sys.executable, "-m", "monitor", role, "--port", str(port)]
    if open_files is not None:
        argv = ["/bin/sh", "-c", f'ulimit -n {open_files} && exec "$@"', "sh", *argv]
    with tempfile.TemporaryDirectory(prefix="listener-") as home:
        log = Path(home) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                argv, cwd=home, env=environment(**_ENVIRONMENTS[role], **variables), stdout=output, stderr=output
            )
        try:
            wait_for(lambda: _lives(role, port, process), seconds=60, what=f"monitor {role} answers")
            at_most = _CONNECTIONS[role]
            bound = at_most if open_files is None else Bounds.within(open_files, at_most).connections
            yield Listener(role, ("127.0.0.1", port), process.pid, bound, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _lives(role: str, port: int, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"monitor {role} ended with {process.returncode}")
    with contextlib.suppress(OSError):
        return get_json(f"http://127.0.0.1:{port}{next(iter(PATHS[role]))}")[0] == 200
    return False


def _open_on(process: psutil.Process, port: int) -> int:
    try:
        connections = process.net_connections("tcp")
    except psutil.Error:
        return 0
    kept = {psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT}
    return sum(one.laddr.port == port and one.status in kept for one in connections if one.laddr)
