"""One supervised child: how it is started, told to end, cleaned up after, and when it may start again."""

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
    """What a child is: name, command line, additions to the environment, and a log file where it has one of its own."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None


class Child:
    """A role and the process that plays it at the moment."""

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
        """The process id, while it runs."""
        return self._process.pid if self._process else None

    def start(self, *, piped: bool) -> int | None:
        """Start the process in a session of its own; with ``piped``, the descriptor to read its output from."""
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
                # A second string to the watcher's bow, should both be killed at once.
                preexec_fn=end_with_parent(),  # noqa: PLW1509  (safe: the supervisor has no threads)
            )
        finally:
            if output is not None:
                os.close(output)
        self._started_at = time.monotonic()
        return reader

    def has_ended(self) -> bool:
        """Whether the process has ended since the last look: sets ``exit_code`` and ``start_at``, kills its rest."""
        if self._process is None or self._process.poll() is None:
            return False
        self.exit_code = self._process.returncode
        self._process = None
        self.sweep()
        self.restarts = self.restarts.after_exit(time.monotonic() - self._started_at)
        self.start_at = time.monotonic() + self.restarts.delay_seconds
        return True

    def send(self, number: signal.Signals) -> None:
        """Signal the process itself: what it has started is its own affair until it is gone."""
        if self._process:
            self._process.send_signal(number)

    def sweep(self) -> None:
        """Kill what the ended process left behind (a server's forks, a check in mid-run): it could hold the port."""
        for process in marks.marked_processes(self._mark):
            with contextlib.suppress(psutil.Error):
                process.kill()
