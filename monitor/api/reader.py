"""How a store is read: through a connection that is replaced after every error, and now and then once more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import structlog

from monitor.model import State
from monitor.ports import StateStore, Store

PATROL_SECONDS = 2.0
PATROL_SIZE = 250

log = structlog.get_logger("monitor.api")


class Connection:
    """A reader that is made when it is needed, and thrown away when it is closed."""

    def __init__(self, connect: Callable[[], Store]) -> None:
        self._connect = connect
        self._reader: Store | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a reader that has been used before."""
        return self._reader is not None

    def get(self) -> Store:
        """The reader."""
        if self._reader is None:
            self._reader = self._connect()
        return self._reader

    def close(self) -> None:
        """Throw the reader away. Never raises."""
        reader, self._reader = self._reader, None
        if reader is not None:
            try:
                reader.close()
            except Exception:
                log.debug("store.reader_not_closed", exc_info=True)


class Patrol:
    """Reads known states again, a few at a time: what somebody else damages or deletes is not announced as a change."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._next_at = time.monotonic() + PATROL_SECONDS

    def visit(self, reader: StateStore, states: Mapping[str, State]) -> Mapping[str, State]:
        """The states, without those that were visited now and are not there any more."""
        if not states or time.monotonic() < self._next_at:
            return states
        self._next_at = time.monotonic() + PATROL_SECONDS
        self._waiting = self._waiting or list(states)
        visited, self._waiting = self._waiting[:PATROL_SIZE], self._waiting[PATROL_SIZE:]
        found = reader.read(visited).states
        lost = set(visited) - found.keys()
        return {name: state for name, state in states.items() if name not in lost} if lost else states
