"""Removal of the beat entries that earlier versions of the monitor stored in a project's schedule.

django-celery-beat keeps an entry as a row, and redbeat as a key, even if no configuration declares the entry any more.
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
"""Names of the entries. The scheduler of the monitor's own application still uses these names."""

PAUSE_SECONDS = 10.0
"""Time between two attempts while the schedule's database does not answer."""

log = logging.getLogger("monitor.beat")


def remove_at_first_tick(scheduler: Any) -> None:
    """Wrap the scheduler's tick: the first tick removes the entries before it sends any task.

    If the removal fails, this tick still sends its tasks, and a later tick tries the removal again.
    """
    tick = scheduler.tick
    next_attempt_at, has_failed = 0.0, False

    @functools.wraps(tick)
    def remove_and_tick(*args: Any, **kwargs: Any) -> Any:
        nonlocal next_attempt_at, has_failed
        if next_attempt_at <= time.monotonic():
            try:
                remove(scheduler)
                next_attempt_at = float("inf")
            except Exception as error:  # noqa: BLE001 - any database may raise here
                next_attempt_at = time.monotonic() + PAUSE_SECONDS
                if not has_failed:
                    log.warning("old beat entries of the monitor could not be removed yet (%s)", type(error).__name__)
                has_failed = True
        return tick(*args, **kwargs)

    scheduler.tick = remove_and_tick


def remove(scheduler: Any) -> None:
    """Remove the entries from the scheduler and from its database. Raises any exception of the database."""
    if hasattr(getattr(scheduler, "Model", None), "_default_manager"):
        remove_rows(scheduler.Model, scheduler.Changes)
    elif hasattr(getattr(scheduler, "Entry", None), "generate_key"):
        remove_redbeat_keys(scheduler.Entry, scheduler.app)
    schedule = scheduler.schedule
    for name in NAMES:
        if name in schedule:
            del schedule[name]


def stored_rows(model: Any) -> tuple[list[str], list[str]]:
    """Return the entries in django-celery-beat's table, and the intervals that nothing else uses, as texts.

    ``model`` is the model ``PeriodicTask``. Raises any exception of the database.
    """
    rows = list(_rows(model))
    return [row.name for row in rows], [str(interval) for interval in _intervals(rows) if not _is_used(interval, rows)]


def remove_rows(model: Any, changes: Any) -> None:
    """Remove the entries' rows from django-celery-beat's table, and the rows of intervals that nothing else uses.

    ``model`` and ``changes`` are the models ``PeriodicTask`` and ``PeriodicTasks``.
    """
    rows = _rows(model)
    intervals = _intervals(rows)
    removed, _ = rows.delete()
    for interval in intervals:
        if not _is_used(interval):
            interval.delete()
    if removed:
        changes.update_changed()  # otherwise the scheduler ignores the deletion of rows that have run


def _rows(model: Any) -> Any:
    return model._default_manager.filter(name__in=NAMES, task__startswith="monitor.tasks.")


def _intervals(rows: Any) -> set[Any]:
    return {row.interval for row in rows if row.interval is not None}


def _is_used(row: Any, ignored: Any = ()) -> bool:
    """Return whether another row refers to ``row``. Deleting ``row`` would then delete the other row (cascade).

    ``ignored`` are rows that are to be deleted as well.
    """
    return any(
        any(user not in ignored for user in relation.related_model._base_manager.filter(**{relation.field.name: row}))
        for relation in row._meta.get_fields(include_hidden=True)
        if relation.auto_created and not relation.concrete and (relation.one_to_many or relation.one_to_one)
    )


def remove_redbeat_keys(entry: Any, app: Any) -> None:
    """Remove the entries' keys from redbeat's Redis. ``entry`` is redbeat's class of an entry."""
    for name in NAMES:
        entry(name, app=app).delete()
    importlib.import_module("redbeat.schedulers").get_redis(app).srem(app.redbeat_conf.statics_key, *NAMES)
