"""Thread that keeps the connections of a server process below their limit."""

from __future__ import annotations

import threading
import time

from monitor.lib import logs
from monitor.lib.connection_limit.bounds import Bounds
from monitor.lib.connection_limit.idle import IdleTimes, surplus
from monitor.lib.connection_limit.sockets import Sockets

FEW_DESCRIPTORS_PAUSE_SECONDS = 0.2
"""Pause between two counts of the open descriptors while they are at most half the limit. Each count uses CPU time."""

MANY_DESCRIPTORS_PAUSE_SECONDS = 0.05
"""Pause between two counts while there are more descriptors than half the limit."""

ABOVE_LIMIT_PAUSE_SECONDS = 0.01
"""Pause between two counts while there are more connections than the limit.

During this pause, clients must not be able to open so many connections that the server accepts no more.
"""

REVIEW_SECONDS = 2.0
"""Interval between reviews while there are fewer connections than the limit.

A review reads all connections, and closes those whose request has got no response for too long.
"""

MAX_CPU_SHARE = 0.2
"""Highest share of one processor that the guard uses: it pauses for five times as long as it has used the processor."""

LOG_SECONDS = 60.0
"""Shortest interval between two events ``connections.closed``."""

log = logs.get_logger("monitor.connections")


class ConnectionGuard:
    """Thread that closes connections on ``port`` while there are more than ``bounds.connections``.

    It closes the connections that have been idle for longest.
    """

    def __init__(self, port: int, bounds: Bounds) -> None:
        self._limit = bounds.connections
        self._sockets = Sockets(port)
        self._idle_times = IdleTimes()
        self._reviewed_at = 0.0
        self._logged_at = -LOG_SECONDS
        self._closed = 0
        self._pause_seconds = FEW_DESCRIPTORS_PAUSE_SECONDS
        self._failed = False

    def start(self) -> None:
        """Start the thread, which runs until the process ends."""
        threading.Thread(target=self._run, name="monitor-connections", daemon=True).start()

    def enforce(self) -> None:
        """Close the connections above the limit, and those that waited ``REQUEST_SECONDS`` for a response."""
        now = time.monotonic()
        descriptors = self._sockets.descriptors()
        self._pause_seconds = (
            FEW_DESCRIPTORS_PAUSE_SECONDS if 2 * len(descriptors) <= self._limit else MANY_DESCRIPTORS_PAUSE_SECONDS
        )
        if len(descriptors) <= self._limit and now - self._reviewed_at < REVIEW_SECONDS:
            return
        self._reviewed_at = now
        idle = self._idle_times.observe(self._sockets.connections(descriptors), now)
        if len(idle) > self._limit:
            self._pause_seconds = ABOVE_LIMIT_PAUSE_SECONDS
        self._closed += sum(self._sockets.close(connection) for connection in surplus(idle, self._limit))
        if self._closed and now - self._logged_at >= LOG_SECONDS:
            log.warning("connections.closed", closed=self._closed, open=len(idle), bound=self._limit)
            self._closed, self._logged_at = 0, now

    def _run(self) -> None:
        while True:
            used = time.thread_time()
            try:
                self.enforce()
            except Exception:  # the thread must continue, because nothing else enforces the limit
                if not self._failed:
                    log.exception("connections.guard_failed")
                self._failed = True
            time.sleep(max(self._pause_seconds, (time.thread_time() - used) / MAX_CPU_SHARE))
