"""``workers``, sent by beat twice in an interval, asks the project's workers and queues, and judges them."""

from __future__ import annotations

from celery import Celery

from monitor.ports.workers import Broker
from monitor.services.watch_workers import run_round
from monitor.tasks.alerts import announce
from monitor.tasks.base import log, log_unavailable
from monitor.tasks.broker import CeleryBroker
from monitor.tasks.publish import Publisher
from monitor.wiring import Runtime

WORKERS = "monitor.tasks.workers"

_ignored: set[str] = set()


def workers(app: Celery, runtime: Runtime) -> None:
    """Run one round over the workers, if they are watched."""
    _workers(Publisher(app), CeleryBroker(app), runtime)


def _workers(publisher: Publisher, broker: Broker, runtime: Runtime) -> None:
    if not runtime.config.workers.enabled:
        return
    with log_unavailable("workers"):
        made = run_round(
            runtime.config.workers,
            store=runtime.store.states,
            fleet=runtime.store.workers,
            broker=broker,
            project=runtime.project,
            owner=runtime.store.ownership.read(),
        )
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
