"""Removal of the beat entries that earlier versions of the monitor stored in a project's schedule.

django-celery-beat keeps an entry as a row and redbeat as a key, also when no configuration declares it any more.
"""

from __future__ import annotations

import functools
import importlib
import logging
import time
from typing import Any

NAMES = (
    "celery-health-monitor",
    "celery-health-monitor-alerts",
    "celery-health-monitor-history",
    "celery-health-monitor-pulse",
    "celery-health-monitor-workers",
)
"""Names of the entries. The monitor's own application still uses these names, in its own scheduler only."""

PAUSE_SECONDS = 10.0
"""Time between two attempts while the schedule's database does not answer."""

log = logging.getLogger("monitor.beat")


def remove_at_first_tick(scheduler: Any) -> None:
    """Wrap the scheduler's tick so that the first one removes the entries before it sends anything.

    If the removal fails, the tick continues, and a later tick tries again.
    """
    tick = scheduler.tick
    next_at, failed = 0.0, False

    @functools.wraps(tick)
    def remove_and_tick(*args: Any, **kwargs: Any) -> Any:
        nonlocal next_at, failed
        if next_at <= time.monotonic():
            try:
                remove(scheduler)
                next_at = float("inf")
            except Exception as error:  # noqa: BLE001 - any database may raise here
                next_at = time.monotonic() + PAUSE_SECONDS
                if not failed:
                    log.warning("old beat entries of the monitor could not be removed yet (%s)", type(error).__name__)
                failed = True
        return tick(*args, **kwargs)

    scheduler.tick = remove_and_tick


def remove(scheduler: Any) -> None:
    """Remove the entries from the scheduler and from its storage. Raises the exceptions of its database."""
    if hasattr(getattr(scheduler, "Model", None), "_default_manager"):
        _remove_rows(scheduler)
    elif hasattr(getattr(scheduler, "Entry", None), "generate_key"):
        _remove_keys(scheduler)
    schedule = scheduler.schedule
    for name in NAMES:
        if name in schedule:
            del schedule[name]


def _remove_rows(scheduler: Any) -> None:
    """Remove the rows of django-celery-beat, and those of their intervals that no other row uses."""
    rows = scheduler.Model._default_manager.filter(name__in=NAMES, task__startswith="monitor.tasks.")
    intervals = {row.interval for row in rows if row.interval is not None}
    removed, _ = rows.delete()
    for interval in intervals:
        if not _is_used(interval):
            interval.delete()
    if removed:
        scheduler.Changes.update_changed()  # deleting a row that has run does not notify the scheduler


def _is_used(row: Any) -> bool:
    """Return whether a row of any model refers to this one. Such a row would be deleted with it (cascade)."""
    return any(
        relation.related_model._base_manager.filter(**{relation.field.name: row}).exists()
        for relation in row._meta.get_fields(include_hidden=True)
        if relation.auto_created and not relation.concrete and (relation.one_to_many or relation.one_to_one)
    )


def _remove_keys(scheduler: Any) -> None:
    """Remove the keys of redbeat."""
    app = scheduler.app
    for name in NAMES:
        scheduler.Entry(name, app=app).delete()
    importlib.import_module("redbeat.schedulers").get_redis(app).srem(app.redbeat_conf.statics_key, *NAMES)
