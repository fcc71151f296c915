"""The demo's processes: those of `monitor up`, with one that plays a shop in place of beat and worker."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from demo.present import MARK, PREFIX
from demo.shop import TOML
from monitor.cli.access import PAGE, link
from monitor.config.keys import SHORT_NAMES
from monitor.credentials import token_file
from monitor.lib import logs
from monitor.supervisor import embedded, preflight, readiness
from monitor.supervisor.children import Role
from monitor.supervisor.output import Output
from monitor.supervisor.supervisor import Supervisor

HOST, PORT = "127.0.0.1", 8000
ROOT = Path(__file__).parents[1]


def run(port: int | None, *, seed: int, incident_in: float) -> None:
    """Start everything in a directory that is thrown away afterwards; returns after Ctrl-C. Raises CannotStart."""
    with tempfile.TemporaryDirectory(prefix="monitor-demo-") as directory:
        home = Path(directory).resolve()
        host, port = free_port() if port is None else preflight.listen_address(HOST, port)
        prepare(home, seed=seed, incident_in=incident_in)
        with environment(home):
            logs.configure("auto", "info")
            output, mark = Output(), secrets.token_hex(16)
            with preflight.lock(home, mark):
                supervisor = Supervisor(embedded.server_role(home), _roles(port, output), mark, output)
                if output.terminal:
                    output.line("monitor", "starting Redis, an invented shop and web: a few seconds")
                welcome = Welcome(host, port, output, incident_in, token_file.ensure(home))
                supervisor.run(lambda: embedded.responds(embedded.socket_path(home)), welcome.look)


def prepare(home: Path, *, seed: int, incident_in: float) -> None:
    """The configuration, and the mark of a demo, without which nothing is written."""
    (home / "monitor.toml").write_text(TOML.format(url=embedded.server_url(home), prefix=PREFIX))
    (home / MARK).write_text(json.dumps({"seed": seed, "incident_in": incident_in}))


@contextlib.contextmanager
def environment(home: Path) -> Iterator[None]:
    """Without any setting of whoever calls: no Redis, no project and no configuration but the demo's own."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("MONITOR_", "DJANGO_")) or name in SHORT_NAMES:
            del os.environ[name]
    os.environ |= {
        "MONITOR_CONFIG": str(home / "monitor.toml"),
        "MONITOR_DATA_DIR": str(home),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), before.get("PYTHONPATH")))),
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def free_port() -> tuple[str, int]:
    """Where to listen: at the usual port, or at any that is free."""
    try:
        return preflight.listen_address(HOST, PORT)
    except preflight.CannotStart:
        return preflight.listen_address(HOST, 0)


class Welcome:
    """Says what to open, as soon as there is something to see."""

    def __init__(self, host: str, port: int, output: Output, incident_in: float, token: str) -> None:
        self._host, self._port, self._output = host, port, output
        self._token = token
        self._incident_in = incident_in
        self._started_at = time.monotonic()
        self._said = False

    def look(self) -> None:
        """Called again and again."""
        if self._said:
            return
        view = readiness.fetch_readiness(self._host, self._port)
        if view is None or view.unobserved:
            return
        self._said = True
        base = readiness.base_url(self._host, self._port)
        url = f"{base}/{PAGE}"
        lines = [
            "DEMO DATA of an invented shop. Nothing is being watched.",
            f"open {link(base, self._token)}",
            "     (works once, within 10 minutes)",
            f"in {self._incident_in:g} s an incident begins; until then the past is written",
            "Ctrl-C ends everything",
        ]
        for line in lines if self._output.terminal else lines[:1]:
            self._output.event("demo.ready", line, url=url, seconds=round(time.monotonic() - self._started_at, 1))


def _roles(port: int, output: Output) -> list[Role]:
    said: Mapping[str, str] = {"PYTHONUNBUFFERED": "1", **output.environment}
    return [
        Role("demo", (sys.executable, "-m", "demo.present"), said),
        Role("web", (sys.executable, "-m", "monitor", "web", "--host", HOST, "--port", str(port)), said),
    ]
