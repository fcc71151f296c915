"""The scheduler of our own beat."""

from __future__ import annotations

import time
from typing import Any

import structlog
from celery.beat import Scheduler

from monitor.tasks import gate
from monitor.tasks.broker_errors import describe, is_exhausted
from monitor.tasks.publish import messages_waiting
from monitor.tasks.recovery import PAUSE_SECONDS

MAX_WAITING = 5
CLOCK_STEP_SECONDS = 2.0

log = structlog.get_logger("monitor.beat")


class DispatchScheduler(Scheduler):  # type: ignore[misc]  # celery has no types
    """Celery's in-memory scheduler, which sends none of ours while others wait to be taken.

    Redis drops no message by itself: while no worker is there, two a second would pile up.
    A project's own beat works as well; there the backlog is purged by the first dispatch that runs.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ahead_seconds = time.time() - time.monotonic()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due, and return the seconds until the next tick.

        After any error the connection is closed, and the next tick makes a new one.
        """
        self._follow_clock()
        if not gate.is_open():
            return PAUSE_SECONDS
        try:
            return float(super().tick(*args, **kwargs))
        except Exception as error:
            if is_exhausted(error):
                raise
            log.warning("beat.broker_unavailable", **describe(error))
            self._disconnect()
            self.populate_heap()  # Celery took the entry that failed out of it
            return PAUSE_SECONDS

    def _disconnect(self) -> None:
        """Close the connection; the next use makes a new one."""
        self.__dict__.pop("producer", None)
        connection = self.__dict__.pop("connection", None)
        if connection is not None:
            connection.collect(socket_timeout=PAUSE_SECONDS)  # without a word to the broker, which may not answer

    def _follow_clock(self) -> None:
        """Start the schedule again when the system's clock was set: Celery's waits until the clock is where it was."""
        ahead_seconds = time.time() - time.monotonic()
        if abs(ahead_seconds - self._ahead_seconds) > CLOCK_STEP_SECONDS:
            for entry in self.schedule.values():
                entry.last_run_at = entry.default_now()
            self.populate_heap()
        self._ahead_seconds = ahead_seconds

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send one due entry; ours without the line of log that Celery writes for each. Raises what the broker says."""
        if not entry.task.startswith("monitor.tasks."):
            super().apply_entry(entry, producer)
        elif messages_waiting(self.connection, entry.options["queue"]) < MAX_WAITING:
            # Expiry is judged by the worker's clock, which may be off by hours. The count above bounds
            # the backlog, and flights drop what is overdue by the store's clock.
            entry.options.pop("expires", None)
            entry.options["retry"] = False  # the next tick does
            self.apply_async(entry, producer=producer, advance=False)
