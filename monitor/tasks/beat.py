"""Scheduler of the monitor's own beat."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from celery.beat import Scheduler

from monitor.lib import logs
from monitor.tasks import gate
from monitor.tasks.broker_errors import is_exhausted, log_fields
from monitor.tasks.publish import count_waiting
from monitor.tasks.recovery import PAUSE_SECONDS

MAX_WAITING = 5
"""While this many messages wait in the queue of a task of the monitor, beat does not send the task."""

CLOCK_STEP_SECONDS = 2.0
"""A larger jump of the system's clock restarts the schedule."""

log = logs.get_logger("monitor.beat")


class DispatchScheduler(Scheduler):  # type: ignore[misc]  # celery has no types
    """In-memory scheduler of Celery that limits the waiting messages of each task of the monitor (``MAX_WAITING``).

    Redis does not expire messages, so without a worker two messages a second would pile up. If an unlimited scheduler
    sends the tasks, the first ``dispatch`` that runs purges its queue.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ahead_seconds = time.time() - time.monotonic()
        self.on_turn: Callable[[], None] = lambda: None

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send the due entries, and return the seconds until the next tick.

        After an error the connection is closed, and the next tick opens a new one.
        """
        self.on_turn()
        self._follow_clock()
        if not gate.is_open():
            return PAUSE_SECONDS
        try:
            return float(super().tick(*args, **kwargs))
        except Exception as error:
            if is_exhausted(error):
                raise
            log.warning("beat.broker_unavailable", **log_fields(error))
            self._disconnect()
            self.populate_heap()  # Celery has removed the failed entry from the heap
            return PAUSE_SECONDS

    def _disconnect(self) -> None:
        """Close the connection. The next use opens a new connection."""
        self.__dict__.pop("producer", None)
        connection = self.__dict__.pop("connection", None)
        if connection is not None:
            connection.collect(socket_timeout=PAUSE_SECONDS)  # sends nothing: the broker may not answer

    def _follow_clock(self) -> None:
        """Restart the schedule after the system's clock was set.

        Celery would send nothing after the clock was set back, until the clock reaches its former time.
        """
        ahead_seconds = time.time() - time.monotonic()
        if abs(ahead_seconds - self._ahead_seconds) > CLOCK_STEP_SECONDS:
            for entry in self.schedule.values():
                entry.last_run_at = entry.default_now()
            self.populate_heap()
        self._ahead_seconds = ahead_seconds

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send one due entry. Raises the errors of the broker. Entries of the monitor are not logged."""
        if not entry.task.startswith("monitor.tasks."):
            super().apply_entry(entry, producer)
        elif count_waiting(self.connection, entry.options["queue"]) < MAX_WAITING:
            # The worker would compare `expires` with its own clock, which may be wrong by hours. The messages need no
            # `expires`: MAX_WAITING limits them, and `run_check` drops a run that is overdue by the store's clock.
            entry.options.pop("expires", None)
            entry.options["retry"] = False  # the next tick sends the entry again
            self.apply_async(entry, producer=producer, advance=False)
