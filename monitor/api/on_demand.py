"""Values that the refresher's thread reads less often than states, some of them only while clients request them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from monitor.api.reader import ReaderConnection
from monitor.model.alerts import AlertsOverview
from monitor.ports.store import Store

WANTED_SECONDS = 60.0
"""The thread goes on reading for this long after a request."""

EVERY_SECONDS = 1.0
FRESH_SECONDS = 5.0
"""The age up to which a requested value is returned."""

log = structlog.get_logger("monitor.api")
T = TypeVar("T")


class PeriodicValue(Generic[T]):
    """A value as the thread has read it last. Requests and the thread share it without a lock."""

    def __init__(
        self, failure_event: str, read: Callable[[Store], T], initial: T, *, every_seconds: float = EVERY_SECONDS
    ) -> None:
        self.known = initial
        self._failure_event = failure_event
        self._read = read
        self._every_seconds = every_seconds
        self._tried_at = self._read_at = float("-inf")

    def refresh(self, connection: ReaderConnection) -> None:
        """Read the value, when it is due. Called by the thread after a successful attempt; never raises."""
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
    """The state of alerting, which is read only while clients request it."""

    def __init__(self) -> None:
        super().__init__("alerts.not_read", lambda store: store.alerts.overview(), None)
        self._wanted_until = 0.0

    def request(self) -> AlertsOverview | None:
        """Return the last value; None before it is read for the first request, and while the store does not answer."""
        self._wanted_until = time.monotonic() + WANTED_SECONDS
        known = self.known
        return known if time.monotonic() - self._read_at < FRESH_SECONDS else None

    def refresh(self, connection: ReaderConnection) -> None:
        """Read the value, when it is wanted and due."""
        if time.monotonic() <= self._wanted_until:
            super().refresh(connection)
