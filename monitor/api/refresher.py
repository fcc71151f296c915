"""Thread that reads the store for all requests of a process."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from monitor.api.on_demand import PeriodicValue, RequestedAlerts
from monitor.api.reader import ReaderConnection, Resync
from monitor.model.checks import State
from monitor.ports.history import HistoryBounds
from monitor.ports.store import Store, StoreUnavailable

SILENCE_SECONDS = 1.0
"""Silence after which the store counts as down, even if the thread waits for something else, such as a name server."""
REACHES_EVERY_SECONDS = 5.0

log = structlog.get_logger("monitor.api")


@dataclass(frozen=True, slots=True)
class CachedSnapshot:
    """States that a process has read, and the condition of the store.

    ``now`` is the store's clock. ``answering`` is whether the store answers this process; None before the first
    attempt has ended. ``tried`` is whether an attempt has ended, successful or not. ``refusal`` is the reason why the
    store accepts no writes, or its error reply to the last read.
    """

    states: Mapping[str, State]
    now: float
    answering: bool | None
    tried: bool
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """Results of the thread, replaced as one value, so that readers need no lock. Times are monotonic."""

    started_at: float
    states: Mapping[str, State] = field(default_factory=dict)
    cursor: str | None = None
    ahead_seconds: float | None = None  # the store's clock minus the monotonic clock
    succeeded_at: float | None = None
    failures: int = 0
    refusal: str | None = None  # the store's reply to the last read that failed


class Refresher:
    """Daemon thread, one per process, that reads the changes of the store every ``interval_seconds``.

    ``connect`` opens the store. The thread calls it again after every error and after a fork, so that names are
    resolved again and a dead connection is replaced.
    """

    def __init__(self, connect: Callable[[], Store], *, interval_seconds: float = 0.25) -> None:
        self._connect = connect
        self._interval_seconds = interval_seconds
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._known = _Known(time.monotonic())
        self.alerts = RequestedAlerts()
        self.reaches = PeriodicValue(
            "history.reach_not_read",
            lambda store: store.history.reaches(),
            HistoryBounds(),
            every_seconds=REACHES_EVERY_SECONDS,
        )
        self.refusal = PeriodicValue("refusal.not_read", lambda store: store.refusal(), None)
        _restart_after_fork(self)

    def start(self) -> None:
        """Start the thread, also after a fork, where it is lost. Never blocks, and is cheap to call often."""
        if self.is_running or not self._starting.acquire(blocking=False):
            return
        try:
            if not self.is_running and not self._stop.is_set():
                self._known = _Known(time.monotonic(), self._known.states, ahead_seconds=self._known.ahead_seconds)
                self._thread = threading.Thread(target=self._run, name="monitor-refresher", daemon=True)
                self._thread.start()
        finally:
            self._starting.release()

    @property
    def is_running(self) -> bool:
        """Return whether the thread is running."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """End the thread for good, after its current attempt, which may last longer than this call."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(SILENCE_SECONDS)

    def snapshot(self) -> CachedSnapshot:
        """Return the current snapshot. Reads memory only."""
        known, clock = self._known, time.monotonic()
        last_success_at = known.started_at if known.succeeded_at is None else known.succeeded_at
        silent = clock - last_success_at > self._interval_seconds + SILENCE_SECONDS
        answering: bool | None = None
        if silent or known.failures:
            answering = False
        elif known.succeeded_at is not None:
            answering = True
        now = time.time() if known.ahead_seconds is None else clock + known.ahead_seconds
        # When reads fail, the known reason for refused writes is out of date, so the reason of the failed read is used.
        refusal = known.refusal if answering is False else self.refusal.known
        return CachedSnapshot(known.states, now, answering, answering is not None, refusal)

    def read_once(self) -> CachedSnapshot:
        """Read once in the calling thread, for a process that needs no thread, and return the snapshot."""
        connection = ReaderConnection(self._connect)
        try:
            self._attempt(connection, Resync())
        finally:
            connection.close()
        return self.snapshot()

    def _run(self) -> None:
        connection, resync = ReaderConnection(self._connect), Resync()
        while not self._stop.is_set():
            was_open = connection.is_open
            answered = self._attempt(connection, resync)
            if not answered and was_open:
                # A server may close an idle connection at any time; only a new connection shows whether it answers.
                answered = self._attempt(connection, resync)
            if answered:
                self.alerts.refresh(connection)
                self.reaches.refresh(connection)
                self.refusal.refresh(connection)
            self._stop.wait(self._interval_seconds)
        connection.close()

    def _attempt(self, connection: ReaderConnection, resync: Resync) -> bool:
        known, requested_at, was_open = self._known, time.monotonic(), connection.is_open
        try:
            reader = connection.get().states
            changes = reader.changes(known.cursor)
            states = changes.states
            if not changes.full:
                states = {**known.states, **states} if states else known.states
            self._known = _Known(
                known.started_at,
                resync.without_lost(reader, states),
                changes.cursor,
                # Measured from before the request, so that no result appears younger than it is.
                ahead_seconds=changes.read_at - requested_at,
                succeeded_at=time.monotonic(),
            )
        except Exception as error:  # noqa: BLE001 - without this thread, every response would become stale
            connection.close()
            if not was_open:
                self._record_failure(known, error)
            return False
        if known.failures:
            log.info("store.answers", after_failures=known.failures)
        return True

    def _record_failure(self, known: _Known, error: Exception) -> None:
        if not known.failures:
            log.warning("store.unreachable", error=f"{type(error).__name__}: {error}")
        # The cursor stays valid when the store did not answer, but not after a reply that could not be decoded.
        cursor = known.cursor if isinstance(error, StoreUnavailable) else None
        refusal = getattr(error, "reason", None)
        self._known = dataclasses.replace(known, cursor=cursor, failures=known.failures + 1, refusal=refusal)


def _restart_after_fork(refresher: Refresher) -> None:
    """Restart the thread with a new connection in a forked child (gunicorn --preload), where the thread is lost."""
    reference = weakref.ref(refresher)

    def restart() -> None:
        survivor = reference()
        if survivor is not None and survivor._thread is not None:
            survivor._starting = threading.Lock()
            survivor.start()

    os.register_at_fork(after_in_child=restart)
