"""The heartbeat task: runs in the worker's pool, in whatever process or thread that is, and notes that it did."""

from __future__ import annotations

import logging
from typing import Any

from celery.app.task import Task

from monitor.agent.protocol import HEARTBEAT, instance_target, target_field

log = logging.getLogger("monitor.agent")


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


def _heartbeat(self: Any, kind: str, target: str, sent: int, *_: Any) -> None:
    try:
        from monitor.agent import attached, record  # noqa: PLC0415 - redis: a web process may not need it

        node = str(self.request.hostname)
        instance = attached.instance_of(node)
        if kind == "worker" and instance:
            target = instance_target(node, instance)  # it proves nothing of any other worker
        record.store_of(self.app).record(target_field(kind, target), int(sent), f"{node}|{instance}")
    except Exception:
        log.debug("a heartbeat could not be recorded", exc_info=True)


# What children of prefork that are spawned, not forked, are told to import; and that makes the task known to them.
_heartbeat.__module__ = "monitor.tasks.heartbeat"
