"""Refresher: a thread that reads the store for all probes of a process."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from monitor.api.on_demand import PeriodicValue, RequestedAlerts
from monitor.api.reader import ReaderConnection, Resync
from monitor.lib import logs
from monitor.model.checks import State
from monitor.ports.history import HistoryBounds
from monitor.ports.store import Store, StoreUnavailable

SILENCE_SECONDS = 1.0
"""If the thread has read nothing for this time longer than its interval, the store counts as not answering.

The thread may wait for something else, such as a name server.
"""
REACHES_EVERY_SECONDS = 5.0
"""Interval at which the bounds of the history are read."""

log = logs.get_logger("monitor.api")


@dataclass(frozen=True, slots=True)
class CachedSnapshot:
    """States that a process has read, and the condition of the store.

    - ``now`` is the time of the store's clock.
    - ``answering`` is whether the store answers this process; None before the first attempt to read has ended.
    - ``tried`` is whether an attempt to read has ended, with or without success.
    - ``refusal`` is the reason code of the store's error reply: to the last read if that failed, otherwise to writes.
    """

    states: Mapping[str, State]
    now: float
    answering: bool | None
    tried: bool
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class _ReadResults:
    """Results of the thread's reads. Times are monotonic. The thread replaces the object, so requests need no lock."""

    started_at: float
    states: Mapping[str, State] = field(default_factory=dict)
    cursor: str | None = None
    ahead_seconds: float | None = None  # the store's clock minus the monotonic clock
    succeeded_at: float | None = None
    failures: int = 0
    refusal: str | None = None  # the reason code of the last failed read


class Refresher:
    """Daemon thread, one per process, that reads the changes of the store every ``interval_seconds``.

    ``connect`` opens the store. After every error and after a fork, the thread closes the store and calls ``connect``
    again, which resolves host names again.
    """

    def __init__(self, connect: Callable[[], Store], *, interval_seconds: float = 0.25) -> None:
        self._connect = connect
        self._interval_seconds = interval_seconds
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._results = _ReadResults(time.monotonic())
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
        """Start the thread if it is not running. Never blocks, and is cheap to call for each request."""
        if self.is_running or not self._starting.acquire(blocking=False):
            return
        try:
            if not self.is_running and not self._stop.is_set():
                self._results = _ReadResults(
                    time.monotonic(), self._results.states, ahead_seconds=self._results.ahead_seconds
                )
                self._thread = threading.Thread(target=self._run, name="monitor-refresher", daemon=True)
                self._thread.start()
        finally:
            self._starting.release()

    @property
    def is_running(self) -> bool:
        """Return whether the thread is running."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """End the thread for ever. An attempt to read may still run when this method returns."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(SILENCE_SECONDS)

    def snapshot(self) -> CachedSnapshot:
        """Return the current snapshot. Reads memory only."""
        results, clock = self._results, time.monotonic()
        last_success_at = results.started_at if results.succeeded_at is None else results.succeeded_at
        is_silent = clock - last_success_at > self._interval_seconds + SILENCE_SECONDS
        answering: bool | None = None
        if is_silent or results.failures:
            answering = False
        elif results.succeeded_at is not None:
            answering = True
        now = time.time() if results.ahead_seconds is None else clock + results.ahead_seconds
        # The reason for refused writes is out of date when reads fail.
        refusal = results.refusal if answering is False else self.refusal.value
        return CachedSnapshot(results.states, now, answering, answering is not None, refusal)

    def read_once(self) -> CachedSnapshot:
        """Read once in the calling thread, and return the snapshot. For processes that do not start the thread."""
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
                # The server may have closed an idle connection. Only a new connection shows whether the server answers.
                answered = self._attempt(connection, resync)
            if answered:
                self.alerts.refresh(connection)
                self.reaches.refresh(connection)
                self.refusal.refresh(connection)
            self._stop.wait(self._interval_seconds)
        connection.close()

    def _attempt(self, connection: ReaderConnection, resync: Resync) -> bool:
        results, requested_at, was_open = self._results, time.monotonic(), connection.is_open
        try:
            reader = connection.get().states
            changes = reader.changes(results.cursor)
            states = changes.states
            if not changes.full:
                states = {**results.states, **states} if states else results.states
            self._results = _ReadResults(
                results.started_at,
                resync.without_missing(reader, states),
                changes.cursor,
                # Computed with the time before the request, so that no result appears younger than it is.
                ahead_seconds=changes.read_at - requested_at,
                succeeded_at=time.monotonic(),
            )
        except Exception as error:  # noqa: BLE001 - if this thread ended, all states would become stale
            connection.close()
            if not was_open:
                self._record_failure(results, error)
            return False
        if results.failures:
            log.info("store.answers", after_failures=results.failures)
        return True

    def _record_failure(self, results: _ReadResults, error: Exception) -> None:
        if not results.failures:
            log.warning("store.unreachable", error=f"{type(error).__name__}: {error}")
        # If the store did not answer, the cursor stays valid. After any other error, such as a reply that could not be
        # decoded, all states are read again.
        cursor = results.cursor if isinstance(error, StoreUnavailable) else None
        refusal = getattr(error, "reason", None)
        self._results = dataclasses.replace(results, cursor=cursor, failures=results.failures + 1, refusal=refusal)


def _restart_after_fork(refresher: Refresher) -> None:
    """Start the thread in each forked child (gunicorn --preload), because a fork does not copy threads."""
    reference = weakref.ref(refresher)

    def restart() -> None:
        inherited = reference()
        if inherited is not None and inherited._thread is not None:
            inherited._starting = threading.Lock()
            inherited.start()

    os.register_at_fork(after_in_child=restart)
