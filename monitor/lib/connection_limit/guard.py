"""Thread that keeps the connections of a server process below their limit."""

from __future__ import annotations

import threading
import time

import structlog

from monitor.lib.connection_limit.bounds import Bounds
from monitor.lib.connection_limit.idle import IdleTimes, surplus
from monitor.lib.connection_limit.sockets import Sockets

CALM_SECONDS = 0.2
"""Pause between two counts of the open descriptors while there are few. Each count wakes an idle server."""

FILLING_SECONDS = 0.05
"""Pause while there are more descriptors than half the limit."""

CROWDED_SECONDS = 0.01
"""Pause while there are more connections than the limit: the server must not reach its own limit during the pause."""

REVIEW_SECONDS = 2.0
"""Interval between reviews of all connections while there are few. A review finds requests that get no response."""

BUSY_SHARE = 0.2
"""Highest share of one processor that the guard uses while clients connect faster than it closes."""

LOG_SECONDS = 60.0
"""Shortest interval between two log events about closed connections."""

log = structlog.get_logger("monitor.connections")


class ConnectionGuard:
    """Guard that closes the longest idle connections on ``port`` above ``bounds.connections``, in a thread."""

    def __init__(self, port: int, bounds: Bounds) -> None:
        self._limit = bounds.connections
        self._sockets = Sockets(port)
        self._idle_times = IdleTimes()
        self._reviewed_at = 0.0
        self._logged_at = -LOG_SECONDS
        self._closed = 0
        self._pause_seconds = CALM_SECONDS
        self._failed = False

    def start(self) -> None:
        """Start the thread. It ends with the process."""
        threading.Thread(target=self._run, name="monitor-connections", daemon=True).start()

    def enforce(self) -> None:
        """Close the connections above the limit, and those whose request has got no response for too long."""
        now = time.monotonic()
        descriptors = self._sockets.descriptors()
        self._pause_seconds = CALM_SECONDS if 2 * len(descriptors) <= self._limit else FILLING_SECONDS
        if len(descriptors) <= self._limit and now - self._reviewed_at < REVIEW_SECONDS:
            return
        self._reviewed_at = now
        idle = self._idle_times.observe(self._sockets.connections(descriptors), now)
        if len(idle) > self._limit:
            self._pause_seconds = CROWDED_SECONDS
        self._closed += sum(self._sockets.close(connection) for connection in surplus(idle, self._limit))
        if self._closed and now - self._logged_at >= LOG_SECONDS:
            log.warning("connections.closed", closed=self._closed, open=len(idle), bound=self._limit)
            self._closed, self._logged_at = 0, now

    def _run(self) -> None:
        while True:
            used = time.thread_time()
            try:
                self.enforce()
            except Exception:  # the thread must go on: without it there is no limit
                if not self._failed:
                    log.exception("connections.guard_failed")
                self._failed = True
            time.sleep(max(self._pause_seconds, (time.thread_time() - used) / BUSY_SHARE))
