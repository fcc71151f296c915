"""``compact``, sent by beat every minute, packs what the results have left and keeps history within its bounds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from structlog.contextvars import bound_contextvars

from monitor.config import Config
from monitor.ports import StoreUnavailable
from monitor.tasks.entries import TASK_OPTIONS, beat_entry, rounds_queue

if TYPE_CHECKING:
    from celery import Celery

    from monitor.wiring import Runtime

COMPACT = "monitor.tasks.compact"
INTERVAL_SECONDS = 60.0

log = structlog.get_logger("monitor.tasks")


def register(app: Celery, runtime: Callable[[], Runtime]) -> None:
    """Add this task to ``app``."""

    def compact(task: Any) -> None:
        with bound_contextvars(task_id=task.request.id):
            _compact(runtime())

    app.task(compact, name=COMPACT, **TASK_OPTIONS)


def beat_entries(config: Config) -> dict[str, Any]:
    """What beat sends: nothing, when no history is kept. What there is goes by its expiry."""
    if not config.history.enabled:
        return {}
    return {"celery-health-monitor-history": beat_entry(COMPACT, INTERVAL_SECONDS, rounds_queue(config))}


def _compact(runtime: Runtime) -> None:
    started = time.perf_counter()
    try:
        done = runtime.store.history.compact(runtime.store.states.now())
    except StoreUnavailable as error:
        log.warning("history.store_unavailable", reason=error.reason, message=str(error))
        return
    duration_ms = round((time.perf_counter() - started) * 1000, 1)
    log.debug("history.compacted", hours=done.hours, kept_bytes=done.kept_bytes, duration_ms=duration_ms)
    if done.evicted:
        log.info("history.evicted", blocks=done.evicted, kept_bytes=done.kept_bytes)
