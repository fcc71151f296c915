"""Values that the refresher's thread reads less often than states: alerts, bounds of history, refusal of writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from monitor.api.reader import ReaderConnection
from monitor.lib import logs
from monitor.model.alerts import AlertsOverview
from monitor.ports.store import Store

WANTED_SECONDS = 60.0
"""Time for which the thread reads the state of alerting after a request for it."""

EVERY_SECONDS = 1.0
"""Interval at which a value is read, unless another interval is given."""

FRESH_SECONDS = 5.0
"""Age of the state of alerting above which a request does not get it."""

log = logs.get_logger("monitor.api")
T = TypeVar("T")


class PeriodicValue(Generic[T]):
    """Value that the thread reads periodically. Requests read ``value`` without a lock."""

    def __init__(
        self, failure_event: str, read: Callable[[Store], T], initial: T, *, every_seconds: float = EVERY_SECONDS
    ) -> None:
        self.value = initial
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
            self.value = self._read(connection.get())
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
        """Return the last value, and let the thread read it for the next minute.

        Returns None if the last read is too old: at the first request, at the first one after a longer pause, and while
        the store does not answer.
        """
        self._wanted_until = time.monotonic() + WANTED_SECONDS
        value = self.value
        return value if time.monotonic() - self._read_at < FRESH_SECONDS else None

    def refresh(self, connection: ReaderConnection) -> None:
        """Read the value if it is due and was requested within the last minute."""
        if time.monotonic() <= self._wanted_until:
            super().refresh(connection)
