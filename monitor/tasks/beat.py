"""The scheduler of our own beat."""

from __future__ import annotations

from typing import Any

import structlog
from celery.beat import Scheduler

from monitor.tasks.publish import messages_waiting
from monitor.tasks.recovery import PAUSE_SECONDS, is_exhausted, reason

MAX_WAITING = 5

log = structlog.get_logger("monitor.beat")


class DispatchScheduler(Scheduler):  # type: ignore[misc]  # celery has no types
    """Celery's in-memory scheduler, which sends none of ours while others wait to be taken.

    Redis drops no message by itself: while no worker is there, two a second would pile up.
    A project's own beat works as well; there the backlog is purged by the first dispatch that runs.
    """

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due, and return the seconds until the next tick.

        After any error the connection is closed, and the next tick makes a new one.
        """
        try:
            return float(super().tick(*args, **kwargs))
        except Exception as error:
            if is_exhausted(error):
                raise
            log.warning("beat.broker_unavailable", message=reason(error))
            self.close()
            self.populate_heap()  # Celery took the entry that failed out of it
            return PAUSE_SECONDS

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send one due entry; ours without the line of log that Celery writes for each. Raises what the broker says."""
        if not entry.task.startswith("monitor.tasks."):
            super().apply_entry(entry, producer)
        elif messages_waiting(self.connection.default_channel, entry.options["queue"]) < MAX_WAITING:
            self.apply_async(entry, producer=producer, advance=False)
