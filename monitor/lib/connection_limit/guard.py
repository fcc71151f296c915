"""The thread that keeps the connections of a server process below their bound."""

from __future__ import annotations

import threading
import time

import structlog

from monitor.lib.connection_limit.bounds import Bounds
from monitor.lib.connection_limit.idle import IdleTimes, surplus
from monitor.lib.connection_limit.sockets import Sockets

CALM_SECONDS = 0.2
"""Between two counts of the open descriptors while there are few. Each wakes a server that is at rest."""

FILLING_SECONDS = 0.05
"""The same while there are more descriptors than half the bound."""

CROWDED_SECONDS = 0.01
"""The same while there are more connections than the bound: the server must not reach its own limit meanwhile."""

REVIEW_SECONDS = 2.0
"""Between two reviews of all connections while there are few: requests that are never answered are found by them."""

BUSY_SHARE = 0.2
"""The most of one processor that the guard may take while clients connect faster than it closes."""

LOG_SECONDS = 60.0

log = structlog.get_logger("monitor.connections")


class ConnectionGuard:
    """Closes the longest idle connections on ``port`` above ``bounds.connections``, in a thread of this process."""

    def __init__(self, port: int, bounds: Bounds) -> None:
        self._bound = bounds.connections
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
        """Close what is above the bound now, and requests that are never answered."""
        now = time.monotonic()
        descriptors = self._sockets.descriptors()
        self._pause_seconds = CALM_SECONDS if 2 * len(descriptors) <= self._bound else FILLING_SECONDS
        if len(descriptors) <= self._bound and now - self._reviewed_at < REVIEW_SECONDS:
            return
        self._reviewed_at = now
        idle = self._idle_times.observe(self._sockets.connections(descriptors), now)
        if len(idle) > self._bound:
            self._pause_seconds = CROWDED_SECONDS
        self._closed += sum(self._sockets.close(connection) for connection in surplus(idle, self._bound))
        if self._closed and now - self._logged_at >= LOG_SECONDS:
            log.warning("connections.closed", closed=self._closed, open=len(idle), bound=self._bound)
            self._closed, self._logged_at = 0, now

    def _run(self) -> None:
        while True:
            used = time.thread_time()
            try:
                self.enforce()
            except Exception:  # a thread that ends would take the bound with it
                if not self._failed:
                    log.exception("connections.guard_failed")
                self._failed = True
            time.sleep(max(self._pause_seconds, (time.thread_time() - used) / BUSY_SHARE))
