"""The heartbeat task. The task does nothing.

The request object in the worker's main process records that the task was executed.
"""

from __future__ import annotations

from typing import Any

from celery.app.task import Task

from monitor.agent.protocol import HEARTBEAT


class HeartbeatTask(Task):  # type: ignore[misc]
    """A task with fixed options, independent of an application's defaults, annotations and Task class."""

    from_config = ()
    ignore_result = True
    store_errors_even_if_ignored = False
    track_started = False
    acks_late = False
    acks_on_failure_or_timeout = True
    acks_on_failure = True
    acks_on_timeout = True
    reject_on_worker_lost = False
    retry_on_worker_lost = False
    rate_limit = None
    max_retries = 0
    serializer = "json"
    send_events = False

    @classmethod
    def annotate(cls) -> None:
        """Ignore ``task_annotations``, since an entry ``"*"`` is meant for the project's own tasks."""


def register(app: Any) -> None:
    """Register the heartbeat task with an application, now or when it is finalized. Repeated calls have no effect."""
    if HEARTBEAT not in app._tasks:
        app.task(name=HEARTBEAT, base=HeartbeatTask, bind=True, shared=False, lazy=not app.finalized)(_heartbeat)


def record_executions() -> None:
    """Set the request class that records executed heartbeats in the workers of this process."""
    from monitor.agent.heartbeat_request import HeartbeatRequest  # noqa: PLC0415 - it needs `celery.worker`

    HeartbeatTask.Request = HeartbeatRequest


def _heartbeat(self: Any, *_: Any) -> None:
    """Occupy a slot of the pool for a moment."""


# A prefork process that is spawned instead of forked imports the module of this name, which registers the task.
_heartbeat.__module__ = "monitor.tasks.heartbeat"
