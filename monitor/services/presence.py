"""Presence of a role: a thread that records in the store that the role of this process runs."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable

from monitor.ports.store import RunningRoles, StoreUnavailable

INTERVAL_SECONDS = 5.0
"""Time between two records. A record expires after three times this time."""

RETRY_SECONDS = 1.0
"""Time before the next attempt, after a record could not be written."""

END_SECONDS = 1.0
"""Time for which a role that ends waits for the store."""


class Presence(threading.Thread):
    """Thread that announces a role every ``INTERVAL_SECONDS``.

    While ``is_allowed`` returns False, nothing is written: the store belongs to another project. A store that does not
    answer, or that this process may only read, has no other effect.
    """

    def __init__(self, role: str, roles: RunningRoles, *, is_allowed: Callable[[], bool] = lambda: True) -> None:
        super().__init__(name="monitor-presence", daemon=True)
        self._place = role, socket.gethostname(), os.getpid()
        self._roles, self._is_allowed = roles, is_allowed
        self._ending, self._ended = threading.Event(), threading.Event()

    def run(self) -> None:
        """Announce the role until :meth:`end`, then delete the record."""
        is_announced = False
        while not self._ending.is_set():
            is_announced = self._announce()
            self._ending.wait(INTERVAL_SECONDS if is_announced else RETRY_SECONDS)
        if is_announced:
            with contextlib.suppress(StoreUnavailable):  # the record expires
                self._roles.leave(*self._place)
        self._ended.set()

    def end(self) -> None:
        """Delete the record, and wait for that for at most ``END_SECONDS``. Raise nothing."""
        self._ending.set()
        self._ended.wait(END_SECONDS)

    def _announce(self) -> bool:
        if not self._is_allowed():
            return False
        try:
            self._roles.announce(*self._place)
        except StoreUnavailable:
            return False
        return True
