"""One child process of the supervisor: its start, its signals, the clean-up after its end, and its next start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from monitor.lib.parent_process import end_with_parent
from monitor.supervisor import marks
from monitor.supervisor.restarts import Restarts


@dataclass(frozen=True)
class Role:
    """Definition of a child process: name, command line, additional environment variables, and log file if any."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None


class Child:
    """Child process of the supervisor: a role and the process that currently runs it, if any."""

    def __init__(self, role: Role, mark: str) -> None:
        self.role = role
        self.restarts = Restarts()
        self.exit_code: int | None = None
        self.start_at = 0.0
        self._mark = f"{mark}/{role.name}"
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0

    @property
    def pid(self) -> int | None:
        """Process id while the process runs, else None."""
        return self._process.pid if self._process else None

    def start(self, *, piped: bool) -> int | None:
        """Start the process in its own session.

        With ``piped``, and if the role has no log file, return the descriptor from which to read the output of the
        process. Otherwise return None.
        """
        environment = {**os.environ, **self.role.environment, marks.VARIABLE: self._mark}
        reader, output = os.pipe() if piped and not self.role.log else (None, None)
        if self.role.log:
            output = os.open(self.role.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._process = subprocess.Popen(  # noqa: S603
                self.role.argv,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=None if output is None else subprocess.STDOUT,
                start_new_session=True,
                # Ends the process if the supervisor and the watcher are killed at the same time (Linux only).
                preexec_fn=end_with_parent(),  # noqa: PLW1509  (safe: the supervisor has no threads)
            )
        finally:
            if output is not None:
                os.close(output)
        self._started_at = time.monotonic()
        return reader

    def has_ended(self) -> bool:
        """Return whether the process has ended since the last call.

        If it has ended, set ``exit_code`` and ``start_at`` (the time of the next start), and kill the processes that it
        left behind.
        """
        if self._process is None or self._process.poll() is None:
            return False
        self.exit_code = self._process.returncode
        self._process = None
        self.kill_leftovers()
        self.restarts = self.restarts.after_exit(time.monotonic() - self._started_at)
        self.start_at = time.monotonic() + self.restarts.delay_seconds
        return True

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process. The process itself has to end its own children."""
        if self._process:
            self._process.send_signal(number)

    def kill_leftovers(self) -> None:
        """Kill processes that the ended process left behind, such as forks of a server that still use its port."""
        for process in marks.marked_processes(self._mark):
            with contextlib.suppress(psutil.Error):
                process.kill()
