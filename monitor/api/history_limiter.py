"""Limiter of the requests that read the stored history.

It permits two requests at a time, and refuses all requests while the store does not answer.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from monitor.api.refresher import Refresher
from monitor.lib import logs
from monitor.ports.store import Store, StoreUnavailable

TIMEOUT_SECONDS = 0.5
"""Time limit of one reply of the store."""
SLOTS = 2
"""Number of requests that read at the same time in a process, so that other threads of the server answer probes."""
QUEUE_SECONDS = 0.5
"""Time for which one request waits while all slots are taken. While it waits, other requests are refused at once."""

log = logs.get_logger("monitor.api")


class Busy(Exception):
    """Error for a request that gets no slot, because other requests hold all slots."""


class HistoryReadLimiter:
    """Slots for the history requests of a process. ``connect`` opens the store that all these requests share."""

    def __init__(self, connect: Callable[[], Store], refresher: Refresher) -> None:
        self._connect = connect
        self._refresher = refresher
        self._source: Store | None = None
        self._reset()

    @contextmanager
    def slot(self) -> Iterator[Store]:
        """Hold a slot and yield the store. Raises Busy and StoreUnavailable.

        If the refresher knows that the store does not answer, StoreUnavailable is raised at once.
        """
        if self._process_id != os.getpid():
            self._reset()  # this process was forked, and its parent may have held a slot
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
        self._process_id = os.getpid()
        self._slots, self._queue = threading.Semaphore(SLOTS), threading.Semaphore(1)
