"""What the refresher's thread reads now and then, rather than in each of its rounds: some only while somebody asks."""

from __future__ import annotations

import time

import structlog

from monitor.alert_states import AlertsOverview
from monitor.api.reader import Connection
from monitor.ports import Reaches, StoreUnavailable

WANTED_SECONDS = 60.0
"""Who has asked within this time will ask again."""

EVERY_SECONDS = 1.0
FRESH_SECONDS = 5.0
"""What was read longer ago is not worth an answer."""

REACHES_EVERY_SECONDS = 5.0

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
            self._known = connection.get().alerts.overview()
            self._read_at = now
        except Exception:
            connection.close()
            log.debug("alerts.not_read", exc_info=True)


class Refusal:
    """Why the store takes no writes, as the thread has read it last. A reader that cannot tell has no part in it."""

    def __init__(self) -> None:
        self.known: str | None = None
        self._tried_at = float("-inf")

    def visit(self, connection: Connection) -> None:
        """Read it, when it is due. Called by the thread after an attempt that went well; never raises."""
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
    """How far back history reaches, as the thread has read it last."""

    def __init__(self) -> None:
        self.known = Reaches()
        self._tried_at = float("-inf")

    def visit(self, connection: Connection) -> None:
        """Read it, when it is due. Called by the thread after an attempt that went well; never raises."""
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
