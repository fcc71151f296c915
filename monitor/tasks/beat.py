"""The scheduler of our own beat."""

from __future__ import annotations

from typing import Any

import structlog
from celery.beat import Scheduler, SchedulingError

from monitor.tasks.publish import messages_waiting

MAX_WAITING = 5

log = structlog.get_logger("monitor.beat")


class DispatchScheduler(Scheduler):  # type: ignore[misc]  # celery has no types
    """Celery's in-memory scheduler, which sends none of ours while others wait to be taken.

    Redis drops no message by itself: while no worker is there, two a second would pile up.
    A project's own beat works as well; there the backlog is purged by the first dispatch that runs.
    """

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send one due entry; ours without the line of log that Celery writes for each."""
        if not entry.task.startswith("monitor.tasks."):
            super().apply_entry(entry, producer)
            return
        try:
            if messages_waiting(self.connection.default_channel, entry.options["queue"]) < MAX_WAITING:
                self.apply_async(entry, producer=producer, advance=False)
        except (SchedulingError, *self.connection.connection_errors) as error:
            log.warning("beat.broker_unavailable", message=str(error))
