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


class Presence(threading.Thread):
    """Thread that announces a role every ``INTERVAL_SECONDS``.

    While ``is_allowed`` returns False, nothing is written: the store belongs to another project. A store that does not
    answer, or that this process may only read, has no other effect.
    """

    def __init__(self, role: str, roles: RunningRoles, *, is_allowed: Callable[[], bool] = lambda: True) -> None:
        super().__init__(name="monitor-presence", daemon=True)
        self._place = role, socket.gethostname(), os.getpid()
        self._roles, self._is_allowed = roles, is_allowed
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._is_announced = False

    def run(self) -> None:
        """Announce the role until :meth:`end`."""
        while not self._ending.is_set():
            self._announce()
            self._ending.wait(INTERVAL_SECONDS if self._is_announced else 1.0)

    def end(self) -> None:
        """Stop the thread and delete the record. Raise nothing."""
        self._ending.set()
        with self._lock:
            if self._is_announced:
                with contextlib.suppress(StoreUnavailable):  # the record expires
                    self._roles.leave(*self._place)

    def _announce(self) -> None:
        with self._lock:
            if self._ending.is_set() or not self._is_allowed():
                return
            with contextlib.suppress(StoreUnavailable):
                self._roles.announce(*self._place)
                self._is_announced = True
