"""Real Prometheus, with a target whose samples the test sets. It starts in a tenth of a second."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.processes import free_port, missing, wait_for

CONFIG = """
global:
  scrape_interval: {interval}
  scrape_timeout: {interval}
  evaluation_interval: {interval}
rule_files: {rules}
scrape_configs:
  - job_name: test
    static_configs:
      - targets: {targets}
"""


def find_promtool() -> str:
    """Return the path of promtool. Without it, skip the test (in CI: fail it)."""
    return shutil.which("promtool") or missing("promtool")


class Exporter:
    """Target that answers `/metrics` with the text that the test has set."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        exporter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = exporter.text.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Log nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, name="exporter", daemon=True).start()

    def stop(self) -> None:
        """Close its port."""
        self._server.shutdown()
        self._server.server_close()


class PrometheusServer:
    """Prometheus on a free port of 127.0.0.1 that scrapes ``targets`` and evaluates ``rules`` every ``interval``."""

    def __init__(
        self,
        *,
        targets: Iterable[str] = (),
        rules: Iterable[Path] = (),
        interval: str = "250ms",
        config: str | None = None,
        flags: Iterable[str] = (),
    ) -> None:
        """Prepare a server. ``config`` replaces the entire configuration; ``flags`` are more command line arguments."""
        self._binary = shutil.which("prometheus") or missing("prometheus")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.directory = Path(tempfile.mkdtemp(prefix="prometheus-test-", dir="/tmp"))
        self._flags = list(flags)
        text = config or CONFIG.format(
            interval=interval,
            rules=json.dumps([str(Path(each).resolve()) for each in rules]),
            targets=json.dumps(list(targets)),
        )
        (self.directory / "prometheus.yml").write_text(text)
        self._process: subprocess.Popen[bytes]
        self.start()

    @property
    def pid(self) -> int:
        """Return the process id of the current server process."""
        return self._process.pid

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and values of an instant query at the present time."""
        asked = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{asked}", timeout=5) as response:
            result = json.load(response)["data"]["result"]
        return [(each["metric"], float(each["value"][1])) for each in result]

    def wait_for_value(self, expression: str, value: float, *, seconds: float = 30) -> None:
        """Wait until a query returns at least one series, and all series have this value."""
        wait_for(
            lambda: (found := self.query(expression)) and all(each == value for _, each in found),
            seconds=seconds,
            every=0.1,
            what=f"{expression} is {value}",
        )

    def start(self) -> None:
        """Start it (again) with the same port and data, and wait until it answers."""
        place = [f"--config.file={self.directory}/prometheus.yml", f"--storage.tsdb.path={self.directory}/data"]
        command = [self._binary, *place, f"--web.listen-address=127.0.0.1:{self.port}", *self._flags]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.directory, stdout=log, stderr=log)
        wait_for(self._answers, seconds=30, every=0.05, what=f"Prometheus answers, see {self.directory}/log")

    def kill(self) -> None:
        """Send SIGKILL, frozen or not."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Send SIGSTOP. Connections are accepted, but get no response."""
        os.kill(self.pid, signal.SIGSTOP)
        # The process stops when one of its threads handles the signal. On a busy machine the others answer until then.
        wait_for(
            lambda: psutil.Process(self.pid).status() == psutil.STATUS_STOPPED,
            what="Prometheus stands still",
        )

    def thaw(self) -> None:
        """Send SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Stop it and remove its directory."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            pytest.fail(f"Prometheus ended at once: {(self.directory / 'log').read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as response:
                return bool(response.status == 200)
        except urllib.error.HTTPError as error:
            return error.code == 401  # it is configured with a password
        except OSError:
            return False


StartPrometheus = Callable[..., PrometheusServer]


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    """Provide a target whose samples the test sets: `exporter.text = "..."`."""
    exporter = Exporter()
    yield exporter
    exporter.stop()


@pytest.fixture
def start_prometheus() -> Iterator[StartPrometheus]:
    """Provide `start_prometheus(targets=[exporter.address], rules=[PATH])`, which starts a server for one test."""
    servers: list[PrometheusServer] = []

    def start(**options: Any) -> PrometheusServer:
        servers.append(PrometheusServer(**options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
