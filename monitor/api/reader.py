"""How a store is read: through a connection that is replaced after every error, and now and then once more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import structlog

from monitor.alert_states import AlertsOverview
from monitor.model import Changes, Snapshot, State
from monitor.ports import History

PATROL_SECONDS = 2.0
PATROL_SIZE = 250

log = structlog.get_logger("monitor.api")


class Reader(Protocol):
    """The part of a store that is read here, through a connection of its own with short timeouts and no retries."""

    @property
    def history(self) -> History:
        """What was observed."""
        ...

    def changes(self, cursor: str | None) -> Changes:
        """What was written since ``cursor``."""
        ...

    def read(self, checks: Iterable[str] | None = None) -> Snapshot:
        """The states of ``checks``."""
        ...

    def alerts_overview(self) -> AlertsOverview:
        """All there is to know of alerting."""
        ...

    def refusal(self) -> str | None:
        """Why the store takes no writes, as a reason code, where a read shows it."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Connection:
    """A reader that is made when it is needed, and thrown away when it is closed."""

    def __init__(self, connect: Callable[[], Reader]) -> None:
        self._connect = connect
        self._reader: Reader | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a reader that has been used before."""
        return self._reader is not None

    def get(self) -> Reader:
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

    def visit(self, reader: Reader, states: Mapping[str, State]) -> Mapping[str, State]:
        """The states, without those that were visited now and are not there any more."""
        if not states or time.monotonic() < self._next_at:
            return states
        self._next_at = time.monotonic() + PATROL_SECONDS
        self._waiting = self._waiting or list(states)
        visited, self._waiting = self._waiting[:PATROL_SIZE], self._waiting[PATROL_SIZE:]
        found = reader.read(visited).states
        lost = set(visited) - found.keys()
        return {name: state for name, state in states.items() if name not in lost} if lost else states
