"""Values that the refresher's thread reads less often than states, some of them only while clients request them."""

from __future__ import annotations

import time

import structlog

from monitor.alert_states import AlertsOverview
from monitor.api.reader import ReaderConnection
from monitor.ports import Reaches, StoreUnavailable

WANTED_SECONDS = 60.0
"""The thread goes on reading for this long after a request."""

EVERY_SECONDS = 1.0
FRESH_SECONDS = 5.0
"""The age up to which a value is returned."""

REACHES_EVERY_SECONDS = 5.0

log = structlog.get_logger("monitor.api")


class Alerts:
    """The state of alerting, as the thread has read it last. Requests and the thread share it without a lock."""

    def __init__(self) -> None:
        self._wanted_until = 0.0
        self._tried_at = self._read_at = float("-inf")
        self._known: AlertsOverview | None = None

    def request(self) -> AlertsOverview | None:
        """Return the last value; None before it is read for the first request, and while the store does not answer."""
        self._wanted_until = time.monotonic() + WANTED_SECONDS
        known = self._known
        return known if time.monotonic() - self._read_at < FRESH_SECONDS else None

    def refresh(self, connection: ReaderConnection) -> None:
        """Read the value, when it is wanted and due. Called by the thread after a successful attempt; never raises."""
        now = time.monotonic()
        if now > self._wanted_until or now - self._tried_at < EVERY_SECONDS:
            return
        self._tried_at = now
        try:
            self._known = connection.get().alerts_overview()
            self._read_at = now
        except Exception:
            connection.close()
            log.debug("alerts.not_read", exc_info=True)


class WriteRefusal:
    """The reason why the store takes no writes, as the thread has read it last."""

    def __init__(self) -> None:
        self.known: str | None = None
        self._tried_at = float("-inf")

    def refresh(self, connection: ReaderConnection) -> None:
        """Read the value, when it is due. Called by the thread after a successful attempt; never raises."""
        now = time.monotonic()
        if now - self._tried_at < EVERY_SECONDS:
            return
        self._tried_at = now
        try:
            self.known = connection.get().refusal()
        except Exception:
            connection.close()
            log.debug("refusal.not_read", exc_info=True)


class HistoryReaches:
    """The times back to which history reaches, as the thread has read them last."""

    def __init__(self) -> None:
        self.known = Reaches()
        self._tried_at = float("-inf")

    def refresh(self, connection: ReaderConnection) -> None:
        """Read the value, when it is due. Called by the thread after a successful attempt; never raises."""
        now = time.monotonic()
        if now - self._tried_at < REACHES_EVERY_SECONDS:
            return
        self._tried_at = now
        try:
            self.known = connection.get().history.reaches()
        except StoreUnavailable:
            connection.close()
        except Exception:
            log.debug("history.reach_not_read", exc_info=True)
