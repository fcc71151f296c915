"""Executed heartbeats of the workers in this process, on their way from the pool's results to the store.

Celery reports every result of a pool to the worker's main process. So the processes of the pool need no connection
of their own, and a store that answers late holds no slot.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from monitor.agent.protocol import target_field


class HeartbeatRecorder:
    """Heartbeats that one worker has executed. Filled in any thread, emptied by the beacon's."""

    def __init__(self, target: str, wake: Callable[[], None]) -> None:
        """``target``: what its own heartbeats are sent to. ``wake`` is called when there is something to take."""
        self.count = 0
        """How many were executed since the worker started."""
        self.newest_us: int | None = None
        """When the newest of its own that it has executed had been sent; None before the first."""
        self._target, self._wake = target, wake
        self._lock = threading.Lock()
        self._waiting: dict[str, int] = {}

    def add(self, kind: str, target: str, sent: int) -> None:
        """Add one. ``sent``: when it was sent, in microseconds by the store's clock."""
        own = kind == "worker"
        field = target_field(kind, self._target if own else target)
        with self._lock:
            self.count += 1
            self._waiting[field] = max(sent, self._waiting.get(field, 0))
            if own:
                self.newest_us = max(sent, self.newest_us or 0)
        self._wake()

    def take(self) -> dict[str, int]:
        """Return what was added since the last call: by target field, when the newest one had been sent."""
        with self._lock:
            taken, self._waiting = self._waiting, {}
        return taken


def register(node: str, executions: HeartbeatRecorder) -> None:
    """Record the heartbeats that the worker ``node`` in this process executes."""
    _executions[node] = executions


def record_execution(node: str, kind: str, target: str, sent: int) -> None:
    """Record a heartbeat that the worker ``node`` has executed, if its beacon listens."""
    if (executions := _executions.get(node)) is not None:
        executions.add(kind, target, sent)


_executions: dict[str, HeartbeatRecorder] = {}
