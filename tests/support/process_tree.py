"""Real `monitor up` under test, with the entire tree of its processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from monitor.supervisor import marks
from tests.support.processes import free_port, wait_for

ROLES = ("worker", "beat", "web")


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of this process without the variables that configure a monitor."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MONITOR_", "DJANGO_", "DATABASE_"))}
    return {**kept, **changes}


class Up:
    """`monitor up` in its own directory on a free port."""

    def __init__(self, home: Path, *arguments: str, **variables: str) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home / "up.log"
        command = [sys.executable, "-m", "monitor", "up", "--port", str(self.port), "--data-dir", str(home / "data")]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, *arguments], cwd=home, env=environment(**variables), stdout=output, stderr=output
            )

    def get(self, path: str) -> tuple[int, Any]:
        """Return status code and JSON body; (0, None) without a response."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=2) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            return 0, None

    def wait_until_ready(self, seconds: float = 30) -> None:
        """Wait until ready answers 200 for the first time."""
        try:
            wait_for(lambda: self.get("/api/health/ready/")[0] == 200, seconds=seconds)
        except pytest.fail.Exception:
            pytest.fail(f"not ready within {seconds} s: {self.get('/api/health/ready/')}\n{self.text()}")

    def text(self) -> str:
        """Return the output of it and its children."""
        return self.log.read_text(errors="replace")

    def events(self) -> list[dict[str, Any]]:
        """Return its own log lines."""
        lines = [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]
        return [line for line in lines if "event" in line]

    def pid_of(self, role: str) -> int | None:
        """Return the process of a role, found by its command line as an operator would."""
        for process in psutil.Process(self.process.pid).children():
            try:
                if f"-m monitor {role}" in " ".join(process.cmdline()):
                    return process.pid
            except psutil.NoSuchProcess:
                pass
        return None

    def tree(self) -> set[int]:
        """Return every process of the tree: descendants, and processes with its mark."""
        mark = (self.home / "data" / "up.lock").read_text().split()[1]
        children = psutil.Process(self.process.pid).children(recursive=True)
        return {
            self.process.pid,
            *(child.pid for child in children),
            *(found.pid for found in marks.marked_processes(mark)),
        }

    def end(self) -> int:
        """Send SIGTERM and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)
