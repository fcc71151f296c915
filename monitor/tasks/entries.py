"""What our tasks have in common: their queues, their options, their entries in a beat schedule."""

from __future__ import annotations

from typing import Any

from monitor.config import Config

# For a project's own beat. Judged by the worker's clock, which may be an hour ahead. Our beat sends without it.
EXPIRES_SECONDS = 7200

# Explicit, because in a project's own app its defaults would apply to our tasks.
TASK_OPTIONS: dict[str, Any] = {
    "bind": True,
    "ignore_result": True,
    "acks_late": False,
    "shared": False,
    "rate_limit": None,
    "serializer": "json",
}


def dispatch_queue(config: Config) -> str:
    """A queue of its own: checks waiting to be run do not hold up the schedule, and it can be purged."""
    return f"{config.queue}.dispatch"


def rounds_queue(config: Config) -> str:
    """Another, for all that looks after the whole: it is not purged, and does not wait behind checks either."""
    return f"{config.queue}.rounds"


def own_queues(config: Config) -> tuple[str, ...]:
    """All the queues that workers of the monitor consume."""
    return (config.queue, dispatch_queue(config), rounds_queue(config))


def beat_entry(task: str, interval_seconds: float, queue: str) -> dict[str, Any]:
    """An entry for any scheduler (Celery's own, redbeat, ...)."""
    options = {"queue": queue, "expires": EXPIRES_SECONDS, "ignore_result": True}
    return {"task": task, "schedule": interval_seconds, "options": options}
