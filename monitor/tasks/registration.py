"""Registration of all tasks of the monitor, and the beat schedule."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from celery import Celery
from structlog.contextvars import bound_contextvars

from monitor.config import Config
from monitor.tasks.alerts import ALERT, DELIVER, alert, deliver
from monitor.tasks.base import dispatch_queue, rounds_queue
from monitor.tasks.checks import DISPATCH, RUN_CHECK, dispatch, run
from monitor.tasks.history import COMPACT, COMPACT_SECONDS, compact
from monitor.tasks.self_check import PULSE, pulse
from monitor.tasks.workers import WORKERS, workers
from monitor.wiring import Runtime

TASKS: Mapping[str, Callable[..., None]] = {
    RUN_CHECK: run,
    DISPATCH: dispatch,
    PULSE: pulse,
    WORKERS: workers,
    ALERT: alert,
    DELIVER: deliver,
    COMPACT: compact,
}
"""Tasks by name. Each function receives the application, the runtime and the arguments of the message."""

# Each option is set, because otherwise the defaults of a project's application would apply to the monitor's tasks.
TASK_OPTIONS: dict[str, Any] = {
    "bind": True,
    "ignore_result": True,
    "acks_late": False,
    "shared": False,
    "rate_limit": None,
    "serializer": "json",
}

# Expiry of the messages that a project's beat sends; the monitor's beat sends messages without expiry. It is long,
# because a worker compares it with its own clock, which may be an hour ahead.
EXPIRES_SECONDS = 7200


def register(app: Celery, runtime: Callable[[], Runtime]) -> None:
    """Add the tasks to ``app``. Each run of a task calls ``runtime`` in the worker's process."""
    for name, function in TASKS.items():
        app.task(_task(function, app, runtime), name=name, **TASK_OPTIONS)


def beat_schedule(config: Config) -> dict[str, Any]:
    """Return the beat entries by name. A feature that is switched off has no entry."""
    rounds, sweep_seconds = rounds_queue(config), config.alerting.sweep_interval_seconds
    entries = {
        "celery-health-monitor": beat_entry(DISPATCH, config.dispatch_interval_seconds, dispatch_queue(config)),
        "celery-health-monitor-pulse": beat_entry(PULSE, sweep_seconds, rounds),
    }
    if config.workers.enabled:
        entries["celery-health-monitor-workers"] = beat_entry(WORKERS, config.workers.interval_seconds / 2, rounds)
    if config.channels:
        entries["celery-health-monitor-alerts"] = beat_entry(ALERT, sweep_seconds, rounds)
    if config.history.enabled:
        entries["celery-health-monitor-history"] = beat_entry(COMPACT, COMPACT_SECONDS, rounds)
    return entries


def beat_entry(task: str, interval_seconds: float, queue: str) -> dict[str, Any]:
    """Return a beat entry that any scheduler accepts (Celery's own, redbeat, ...)."""
    options = {"queue": queue, "expires": EXPIRES_SECONDS, "ignore_result": True}
    return {"task": task, "schedule": interval_seconds, "options": options}


def _task(function: Callable[..., None], app: Celery, runtime: Callable[[], Runtime]) -> Callable[..., None]:
    @functools.wraps(function)
    def task(self: Any, *args: Any, **kwargs: Any) -> None:
        with bound_contextvars(task_id=self.request.id):
            function(app, runtime(), *args, **kwargs)

    return task
