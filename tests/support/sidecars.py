"""Real `monitor sidecar` under test, with all its child processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from monitor.config import probe_environment
from tests.support.processes import alive, free_port, wait_for
from tests.support.roles import AUTHORIZED, TOKEN, FailureText, get_json

SIDECAR = ("monitor", "sidecar")
PROBE = ("monitor.health_probe",)


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without variables that configure a sidecar, plus ``environ``."""
    ours = ("MONITOR_", "DJANGO_", "DATABASE_", "CELERY_HEALTH_")
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(ours) and k not in probe_environment.PROBE_VARIABLES
    }
    return {**kept, **environ}


class Sidecar:
    """Sidecar on a free port of 127.0.0.1, in its own directory."""

    def __init__(
        self, home: Path, environ: Mapping[str, str], *arguments: str, module: Sequence[str] = SIDECAR
    ) -> None:
        self.port = free_port()
        self.log = home / f"sidecar-{self.port}.log"
        self.started_at = time.monotonic()
        listen = {"BIND_HOST": "127.0.0.1", "MONITOR_SIDECAR__PORT": str(self.port), "MONITOR_TOKEN": TOKEN}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *module, *arguments],
                cwd=home,
                env=clean({**listen, **environ}),
                stdout=output,
                stderr=output,
            )

    def get(self, path: str, *, seconds: float = 10.0) -> tuple[int, dict[str, Any]]:
        """Return status code and body, with the token. Raises OSError without a response in time."""
        return get_json(f"http://127.0.0.1:{self.port}{path}", headers=AUTHORIZED, seconds=seconds)

    def wait_until_it_answers(self, seconds: float = 30.0) -> float:
        """Wait for the first response, and return how many seconds after the start it arrived."""
        wait_for(lambda: self._answers("/health"), seconds=seconds, what=FailureText(self, "the sidecar answers"))
        return time.monotonic() - self.started_at

    def wait_for(self, path: str, code: int, /, seconds: float = 60.0, **fields: Any) -> dict[str, Any]:
        """Return the body of a path, once it has this status code and these fields."""

        def found() -> dict[str, Any] | None:
            with contextlib.suppress(OSError):
                answered, body = self.get(path)
                if answered == code and all(body.get(name) == value for name, value in fields.items()):
                    return body
            return None

        what = FailureText(self, f"{path} answers {code} {fields}")
        return wait_for(found, seconds=seconds, every=0.05, what=what)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log events of this name."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def logs(self) -> str:
        """Return its output and its responses, for the message of a failure."""
        try:
            said = str(self.get("/status"))
        except OSError as error:
            said = repr(error)
        return f"{said}\n{self.log.read_text(errors='replace')[-4000:]}"

    def below(self) -> set[int]:
        """Return its child processes."""
        return {process.pid for process in psutil.Process(self.process.pid).children(recursive=True)}

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process that was started."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Send SIGTERM, check that no child process is left, and return the exit code."""
        below = self.below() if self.process.poll() is None else set()
        if self.process.poll() is None:
            self.send(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            pytest.fail(f"the sidecar does not end\n{self.log.read_text()[-4000:]}")
        finally:
            for pid in alive(below):
                with contextlib.suppress(psutil.Error):
                    psutil.Process(pid).kill()

    def _answers(self, path: str) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"it ended with {self.process.returncode}\n{self.log.read_text()}")
        try:
            return self.get(path)[0] == 200
        except OSError:
            return False
