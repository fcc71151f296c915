"""How requests read the past: few at a time, through one reader with a short time limit, never while it is in vain."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog

from monitor.api.refresher import Refresher
from monitor.model import Transition
from monitor.ports import History, StoreUnavailable

TIMEOUT_SECONDS = 0.5
"""Of one answer of the store."""
AT_A_TIME = 2
"""Requests that read at the same time in a process: a server's other threads are there for the probes."""
PATIENCE_SECONDS = 0.5
"""One more request waits so long for its turn; all others are asked to come again."""

log = structlog.get_logger("monitor.api")


class Archive(Protocol):
    """The part of a store that has the past, through a connection with short timeouts and no retries."""

    @property
    def history(self) -> History:
        """What was observed."""
        ...

    def transitions(self, *, after: str | None = None, limit: int = 100) -> list[tuple[str, Transition]]:
        """Stored transitions, oldest first, as (cursor, transition), after the given cursor."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class Busy(Exception):
    """Others are reading. In a moment they will have finished."""


class ReadingRoom:
    """Where a process' requests read the past. ``connect`` makes the reader, which all of them share."""

    def __init__(self, connect: Callable[[], Archive], refresher: Refresher) -> None:
        self._connect = connect
        self._refresher = refresher
        self._archive: Archive | None = None
        self._reset()

    @contextmanager
    def enter(self) -> Iterator[Archive]:
        """The reader, for as long as one's turn lasts. Raises Busy and StoreUnavailable.

        At once, when the refresher knows that the store does not answer.
        """
        if self._process != os.getpid():
            self._reset()  # after a fork: somebody may have been here
        self._refresher.start()
        self._look()
        seats = self._seats
        if not seats.acquire(blocking=False):
            self._wait(seats)
        try:
            self._look()
            if self._archive is None:
                self._archive = self._connect()
            yield self._archive
        except StoreUnavailable as error:
            log.warning("history.not_read", error=str(error))
            raise
        finally:
            seats.release()

    def _wait(self, seats: threading.Semaphore) -> None:
        if not self._bench.acquire(blocking=False):
            raise Busy
        try:
            if not seats.acquire(timeout=PATIENCE_SECONDS):
                raise Busy
        finally:
            self._bench.release()

    def _look(self) -> None:
        if self._refresher.moment().answering is False:
            raise StoreUnavailable("the store does not answer")

    def _reset(self) -> None:
        self._process = os.getpid()
        self._seats, self._bench = threading.Semaphore(AT_A_TIME), threading.Semaphore(1)
