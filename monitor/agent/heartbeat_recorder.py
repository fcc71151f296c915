"""Buffer of executed heartbeats in the worker's main process, until the beacon thread records them in the store.

Celery reports every result of a pool to the main process. So the pool's processes need no connection to the store, and
a slow store occupies no slot.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from monitor.agent.protocol import target_field


class HeartbeatRecorder:
    """Buffer of the heartbeats that one worker has executed.

    Any thread may add heartbeats. The beacon thread takes them.
    """

    def __init__(self, target: str, wake: Callable[[], None]) -> None:
        """Create an empty buffer. ``target`` is the worker's :attr:`Beacon.target`. Each addition calls ``wake``."""
        self.count = 0
        """Number of heartbeats executed since the worker started."""
        self.newest_us: int | None = None
        """Send time of the newest executed direct heartbeat, in microseconds; None before the first."""
        self._target, self._wake = target, wake
        self._lock = threading.Lock()
        self._not_taken: dict[str, int] = {}

    def add(self, kind: str, target: str, sent: int) -> None:
        """Add an executed heartbeat. ``sent`` is its send time in microseconds by the store's clock."""
        is_direct = kind == "worker"
        field = target_field(kind, self._target if is_direct else target)
        with self._lock:
            self.count += 1
            self._not_taken[field] = max(sent, self._not_taken.get(field, 0))
            if is_direct:
                self.newest_us = max(sent, self.newest_us or 0)
        self._wake()

    def take(self) -> dict[str, int]:
        """Remove the heartbeats. Return the send time of the newest heartbeat of each target field."""
        with self._lock:
            taken, self._not_taken = self._not_taken, {}
        return taken


def register(node: str, recorder: HeartbeatRecorder) -> None:
    """Register the recorder for the worker ``node`` in this process."""
    _recorders[node] = recorder


def record_execution(node: str, kind: str, target: str, sent: int) -> None:
    """Record a heartbeat that the worker ``node`` has executed. Does nothing for a worker without a recorder."""
    if (recorder := _recorders.get(node)) is not None:
        recorder.add(kind, target, sent)


_recorders: dict[str, HeartbeatRecorder] = {}
