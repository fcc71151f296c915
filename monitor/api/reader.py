"""Connection of the refresher to the store, and a periodic search for states that were deleted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from monitor.lib import logs
from monitor.model.checks import State
from monitor.ports.store import StateStore, Store

RESYNC_SECONDS = 2.0
"""Interval between two reads of known states."""

RESYNC_SIZE = 250
"""Number of known states in one of these reads."""

log = logs.get_logger("monitor.api")


class ReaderConnection:
    """Holder of the open store. The first use opens the store, and the first use after :meth:`close` opens it again."""

    def __init__(self, connect: Callable[[], Store]) -> None:
        self._connect = connect
        self._store: Store | None = None

    @property
    def is_open(self) -> bool:
        """Return whether the store is open."""
        return self._store is not None

    def get(self) -> Store:
        """Return the store. Opens the store if it is not open."""
        if self._store is None:
            self._store = self._connect()
        return self._store

    def close(self) -> None:
        """Close the store. Never raises."""
        store, self._store = self._store, None
        if store is not None:
            try:
                store.close()
            except Exception:
                log.debug("store.reader_not_closed", exc_info=True)


class Resync:
    """Search for known states that no longer exist, because another client has deleted keys of the store.

    The store reports only changes that the monitor makes. Each call of :meth:`without_missing` reads some of the
    known states.
    """

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._next_at = time.monotonic() + RESYNC_SECONDS

    def without_missing(self, reader: StateStore, states: Mapping[str, State]) -> Mapping[str, State]:
        """Read some of the states again, if that is due. Return all states except those that no longer exist."""
        if not states or time.monotonic() < self._next_at:
            return states
        self._next_at = time.monotonic() + RESYNC_SECONDS
        self._waiting = self._waiting or list(states)
        due, self._waiting = self._waiting[:RESYNC_SIZE], self._waiting[RESYNC_SIZE:]
        missing = set(due) - reader.read(due).states.keys()
        return {name: state for name, state in states.items() if name not in missing} if missing else states
