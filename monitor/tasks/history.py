"""Task ``compact``, which beat sends every minute: packs stored samples, and deletes those beyond history's limits."""

from __future__ import annotations

import time

from celery import Celery

from monitor.tasks.base import log, log_unavailable
from monitor.wiring import Runtime

COMPACT = "monitor.tasks.compact"
COMPACT_SECONDS = 60.0


def compact(_app: Celery, runtime: Runtime) -> None:
    """Compact history, unless history is off. After history was switched off, its samples expire in the store."""
    if not runtime.config.history.enabled:
        return
    with log_unavailable("history"):
        started = time.perf_counter()
        result = runtime.store.history.compact(runtime.store.states.now())
        duration_ms = round((time.perf_counter() - started) * 1000, 1)
        log.debug("history.compacted", hours=result.hours, kept_bytes=result.kept_bytes, duration_ms=duration_ms)
        if result.evicted:
            log.info("history.evicted", blocks=result.evicted, kept_bytes=result.kept_bytes)
