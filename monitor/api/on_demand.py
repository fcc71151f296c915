"""Values that the refresher's thread reads less often than states, and some of them only while clients request them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from monitor.api.reader import ReaderConnection
from monitor.model.alerts import AlertsOverview
from monitor.ports.store import Store

WANTED_SECONDS = 60.0
"""Time after a request for which the thread continues to read the value."""

EVERY_SECONDS = 1.0
FRESH_SECONDS = 5.0
"""Maximum age of a value that a request gets."""

log = structlog.get_logger("monitor.api")
T = TypeVar("T")


class PeriodicValue(Generic[T]):
    """Value that the thread reads periodically. Requests and the thread share it without a lock."""

    def __init__(
        self, failure_event: str, read: Callable[[Store], T], initial: T, *, every_seconds: float = EVERY_SECONDS
    ) -> None:
        self.known = initial
        self._failure_event = failure_event
        self._read = read
        self._every_seconds = every_seconds
        self._tried_at = self._read_at = float("-inf")

    def refresh(self, connection: ReaderConnection) -> None:
        """Read the value if it is due. The thread calls this after a successful read of the states. Never raises."""
        now = time.monotonic()
        if now - self._tried_at < self._every_seconds:
            return
        self._tried_at = now
        try:
            self.known = self._read(connection.get())
            self._read_at = now
        except Exception:
            connection.close()
            log.debug(self._failure_event, exc_info=True)


class RequestedAlerts(PeriodicValue[AlertsOverview | None]):
    """State of alerting, which is read only while clients request it."""

    def __init__(self) -> None:
        super().__init__("alerts.not_read", lambda store: store.alerts.overview(), None)
        self._wanted_until = 0.0

    def request(self) -> AlertsOverview | None:
        """Return the last value; None until it is read after the first request, and while the store does not answer."""
        self._wanted_until = time.monotonic() + WANTED_SECONDS
        known = self.known
        return known if time.monotonic() - self._read_at < FRESH_SECONDS else None

    def refresh(self, connection: ReaderConnection) -> None:
        """Read the value if it was requested lately and is due."""
        if time.monotonic() <= self._wanted_until:
            super().refresh(connection)
