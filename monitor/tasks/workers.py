"""``workers``, sent by beat twice in an interval, asks the project's workers and queues, and judges them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from structlog.contextvars import bound_contextvars

from monitor import fleet
from monitor.config import Config
from monitor.ports import Broker, StoreUnavailable
from monitor.tasks.broker import CeleryBroker
from monitor.tasks.changes import announce
from monitor.tasks.entries import TASK_OPTIONS, beat_entry, rounds_queue
from monitor.tasks.publish import Publisher

if TYPE_CHECKING:
    from celery import Celery

    from monitor.wiring import Runtime

WORKERS = "monitor.tasks.workers"

log = structlog.get_logger("monitor.tasks")

_ignored: set[str] = set()


def register(app: Celery, runtime: Callable[[], Runtime]) -> None:
    """Add this task to ``app``."""

    def workers(task: Any) -> None:
        with bound_contextvars(task_id=task.request.id):
            _workers(Publisher(app), CeleryBroker(app), runtime())

    app.task(workers, name=WORKERS, **TASK_OPTIONS)


def beat_entries(config: Config) -> dict[str, Any]:
    """What beat sends; nothing when workers are not watched."""
    if not config.workers.enabled:
        return {}
    return {
        "celery-health-monitor-workers": beat_entry(WORKERS, config.workers.interval_seconds / 2, rounds_queue(config))
    }


def _workers(publisher: Publisher, broker: Broker, runtime: Runtime) -> None:
    if not runtime.config.workers.enabled:
        return
    try:
        made = fleet.run_round(
            runtime.config.workers,
            store=runtime.store.states,
            fleet=runtime.store.workers,
            broker=broker,
            project=runtime.project,
            owner=runtime.store.ownership.read(),
        )
    except StoreUnavailable as error:
        log.warning("workers.store_unavailable", reason=error.reason, message=str(error))
        return
    if made.event == "completed":
        _report_ignored(runtime.project.name, made.ignored)
    if made.broker_message is not None:
        log.warning("workers.broker_unavailable", message=made.broker_message)
    if made.event == "completed":
        log.debug("workers.judged", checks=len(made.outcomes), sent=made.sent, suspended=made.suspended)
    else:
        log.debug("workers.not_judged", reason=made.reason)
    announce(publisher, runtime.config, made.transitions, made.outcomes)


def _report_ignored(project: str, names: tuple[str, ...]) -> None:
    """Log, once for each, which other projects have workers that write into this store."""
    new = [name for name in names if name not in _ignored]
    _ignored.clear()
    _ignored.update(names)
    if new:
        message = (
            f"workers of {', '.join(map(repr, new))} write into the store of the project {project!r} and are ignored: "
            "set another `key_prefix` or `redis_url` for them, or the same `project`"
        )
        log.warning("workers.ignored", project=project, others=new, message=message)
