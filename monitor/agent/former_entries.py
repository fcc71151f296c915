"""Beat entries that earlier versions of the monitor stored in a project's schedule, and their removal.

django-celery-beat keeps such an entry as a row, redbeat as a key, for ever: even when nothing puts it there any more.
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
"""What they are called. The monitor's own application has entries of these names for its own scheduler only."""

PAUSE_SECONDS = 10.0
"""Time between two attempts, while the database or the server with the schedule does not answer."""

log = logging.getLogger("monitor.beat")


def remove_at_first_tick(scheduler: Any) -> None:
    """Have the entries removed by the scheduler's first tick, before it sends anything. The tick itself goes on."""
    tick = scheduler.tick
    next_at, failed = 0.0, False

    @functools.wraps(tick)
    def remove_and_tick(*args: Any, **kwargs: Any) -> Any:
        nonlocal next_at, failed
        if next_at <= time.monotonic():
            try:
                remove(scheduler)
                next_at = float("inf")
            except Exception as error:  # noqa: BLE001 - of any database
                next_at = time.monotonic() + PAUSE_SECONDS
                if not failed:
                    log.warning("entries of an earlier version cannot be removed yet (%s)", type(error).__name__)
                failed = True
        return tick(*args, **kwargs)

    scheduler.tick = remove_and_tick


def remove(scheduler: Any) -> None:
    """Remove the entries from where the scheduler keeps them. Raises what its database raises."""
    if hasattr(getattr(scheduler, "Model", None), "_default_manager"):
        _remove_rows(scheduler)
    elif hasattr(getattr(scheduler, "Entry", None), "generate_key"):
        _remove_keys(scheduler)
    schedule = scheduler.schedule
    for name in NAMES:
        if name in schedule:
            del schedule[name]


def _remove_rows(scheduler: Any) -> None:
    """Remove the rows of django-celery-beat, and their intervals that nothing uses any more."""
    rows = scheduler.Model._default_manager.filter(name__in=NAMES, task__startswith="monitor.tasks.")
    intervals = {row.interval for row in rows if row.interval is not None}
    removed, _ = rows.delete()
    for interval in intervals:
        if not _is_used(interval):
            interval.delete()
    if removed:
        scheduler.Changes.update_changed()  # a row that has run is deleted without this


def _is_used(row: Any) -> bool:
    """Return whether a row of any model refers to this one: it would be deleted with it."""
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
