"""The heartbeat task: runs in the worker's pool and does nothing. That it was executed is recorded by its request."""

from __future__ import annotations

from typing import Any

from celery.app.task import Task

from monitor.agent.protocol import HEARTBEAT


class HeartbeatTask(Task):  # type: ignore[misc]
    """A task that is the same in every application, whatever its defaults, annotations and own Task class say."""

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
        """No ``task_annotations``: a ``"*"`` in there is meant for the project's own tasks."""


def register(app: Any) -> None:
    """Make the heartbeat task known to an application, now or when it is finalized. Again is once."""
    if HEARTBEAT not in app._tasks:
        app.task(name=HEARTBEAT, base=HeartbeatTask, bind=True, shared=False, lazy=not app.finalized)(_heartbeat)


def record_executions() -> None:
    """Have the workers of this process record the heartbeats that their pools execute."""
    from monitor.agent.heartbeat_request import HeartbeatRequest  # noqa: PLC0415 - it needs `celery.worker`

    HeartbeatTask.Request = HeartbeatRequest


def _heartbeat(self: Any, *_: Any) -> None:
    """Take a slot of the pool for a moment."""


# What children of prefork that are spawned, not forked, are told to import; and that makes the task known to them.
_heartbeat.__module__ = "monitor.tasks.heartbeat"
