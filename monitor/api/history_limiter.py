"""Limiter of the requests that read the stored history: few at a time, and none while the store does not answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from monitor.api.refresher import Refresher
from monitor.ports.store import Store, StoreUnavailable

TIMEOUT_SECONDS = 0.5
"""Time limit of one reply of the store."""
SLOTS = 2
"""Number of requests that read at the same time in a process. The server's other threads remain free for probes."""
QUEUE_SECONDS = 0.5
"""Time that one more request waits for a slot. All further requests are refused at once."""

log = structlog.get_logger("monitor.api")


class Busy(Exception):
    """Error for a request that gets no slot, because other requests hold all."""


class HistoryReadLimiter:
    """Slots for the history requests of a process. ``connect`` opens the store, which all of them share."""

    def __init__(self, connect: Callable[[], Store], refresher: Refresher) -> None:
        self._connect = connect
        self._refresher = refresher
        self._source: Store | None = None
        self._reset()

    @contextmanager
    def slot(self) -> Iterator[Store]:
        """Hold a slot and yield the store. Raises Busy and StoreUnavailable.

        Raises StoreUnavailable at once if the refresher knows that the store does not answer.
        """
        if self._process != os.getpid():
            self._reset()  # after a fork: the parent may have held a slot
        self._refresher.start()
        self._require_store()
        slots = self._slots
        if not slots.acquire(blocking=False):
            self._wait(slots)
        try:
            self._require_store()
            if self._source is None:
                self._source = self._connect()
            yield self._source
        except StoreUnavailable as error:
            log.warning("history.not_read", error=str(error))
            raise
        finally:
            slots.release()

    def _wait(self, slots: threading.Semaphore) -> None:
        if not self._queue.acquire(blocking=False):
            raise Busy
        try:
            if not slots.acquire(timeout=QUEUE_SECONDS):
                raise Busy
        finally:
            self._queue.release()

    def _require_store(self) -> None:
        if self._refresher.snapshot().answering is False:
            raise StoreUnavailable("the store does not answer")

    def _reset(self) -> None:
        self._process = os.getpid()
        self._slots, self._queue = threading.Semaphore(SLOTS), threading.Semaphore(1)
