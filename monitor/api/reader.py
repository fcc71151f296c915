"""Connection of the refresher to the store, and a periodic second read of all known states."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import structlog

from monitor.model.checks import State
from monitor.ports.store import StateStore, Store

RESYNC_SECONDS = 2.0
RESYNC_SIZE = 250

log = structlog.get_logger("monitor.api")


class ReaderConnection:
    """Store that is opened on first use, and dropped when it is closed."""

    def __init__(self, connect: Callable[[], Store]) -> None:
        self._connect = connect
        self._reader: Store | None = None

    @property
    def is_open(self) -> bool:
        """Return whether the store has been opened by an earlier use."""
        return self._reader is not None

    def get(self) -> Store:
        """Return the store, which is opened first if necessary."""
        if self._reader is None:
            self._reader = self._connect()
        return self._reader

    def close(self) -> None:
        """Close and drop the store. Never raises."""
        reader, self._reader = self._reader, None
        if reader is not None:
            try:
                reader.close()
            except Exception:
                log.debug("store.reader_not_closed", exc_info=True)


class Resync:
    """Second read of known states, a few at a time: the store does not announce changes that other clients make."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._next_at = time.monotonic() + RESYNC_SECONDS

    def without_lost(self, reader: StateStore, states: Mapping[str, State]) -> Mapping[str, State]:
        """Read some of the states again, and return all states without those that were not found."""
        if not states or time.monotonic() < self._next_at:
            return states
        self._next_at = time.monotonic() + RESYNC_SECONDS
        self._waiting = self._waiting or list(states)
        due, self._waiting = self._waiting[:RESYNC_SIZE], self._waiting[RESYNC_SIZE:]
        found = reader.read(due).states
        lost = set(due) - found.keys()
        return {name: state for name, state in states.items() if name not in lost} if lost else states
