"""What only few ask for: the refresher's thread reads it while somebody does, and never for each of its rounds."""

from __future__ import annotations

import time

import structlog

from monitor.alert_states import AlertsOverview
from monitor.api.reader import Connection

WANTED_SECONDS = 60.0
"""Who has asked within this time will ask again."""

EVERY_SECONDS = 1.0
FRESH_SECONDS = 5.0
"""What was read longer ago is not worth an answer."""

log = structlog.get_logger("monitor.api")


class Alerts:
    """What alerting has to tell, as the thread has read it last. Requests and the thread meet here without a lock."""

    def __init__(self) -> None:
        self._wanted_until = 0.0
        self._tried_at = self._read_at = float("-inf")
        self._known: AlertsOverview | None = None

    def ask(self) -> AlertsOverview | None:
        """What was read a moment ago; None when nothing was, for nobody had asked or the store does not answer."""
        self._wanted_until = time.monotonic() + WANTED_SECONDS
        known = self._known
        return known if time.monotonic() - self._read_at < FRESH_SECONDS else None

    def visit(self, connection: Connection) -> None:
        """Read it, when it is wanted and due. Called by the thread after an attempt that went well; never raises."""
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
