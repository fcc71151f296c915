"""Workers of the user: real processes, in this environment or in one with an older Celery."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.support.celery_nodes import ROOT, HostProcess
from tests.support.faults import FaultProxy

PYTHON = Path(sys.executable)


class Node(HostProcess):
    """One worker. Its name is Celery's (``name@soak``); it can be ended and started again under that name."""

    def __init__(
        self,
        name: str,
        *,
        pool: str,
        slots: int,
        queues: Sequence[str],
        env: Mapping[str, str],
        python: Path = PYTHON,
        proxy: FaultProxy | None = None,
    ) -> None:
        self.node, self.pool, self.slots, self.queues, self.proxy = f"{name}@soak", pool, slots, tuple(queues), proxy
        self.wants_goodbye = "FAKETIME" in env
        self._celery = [str(python), "-m", "celery", "-A", "soak.user_app", "worker", "-l", "INFO"]
        # Gossip between dozens of workers would cost this machine more than everything else.
        self._celery += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        self._celery += ["-P", pool, "-c", str(slots), "-n", self.node]
        # Else Celery finds the monitor's own `celeryconfig.py`, which is in no user's directory.
        configured = {"CELERY_CONFIG_MODULE": "soak.user_settings"}
        super().__init__(self._command(self.queues), {"PYTHONPATH": str(ROOT), **configured, **env}, ROOT)

    def end(self) -> None:
        """Kill it and its children, if they still run. Waits for the end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()

    def start_with(self, queues: Sequence[str]) -> None:
        """Start it (again), consuming ``queues``; Celery's default queue when there are none."""
        self._argv = self._command(queues)
        self.start()

    @property
    def slots_processes(self) -> list[int]:
        """The process ids of a prefork worker's children."""
        return [child.pid for child in psutil.Process(self.pid).children()]

    @property
    def family(self) -> list[int]:
        """Its process id, and those of its children."""
        return [self.pid, *self.slots_processes]

    def _command(self, queues: Sequence[str]) -> list[str]:
        return [*self._celery, *(["-Q", ",".join(queues)] if queues else [])]
