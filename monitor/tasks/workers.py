"""Task ``workers``, which beat sends twice in an interval: one round over the project's workers and queues."""

from __future__ import annotations

from celery import Celery

from monitor.lib.version import installed_version
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
    """Run one round over the workers and queues, unless ``workers.enabled`` is off."""
    _workers(Publisher(app), CeleryBroker(app), runtime)


def _workers(publisher: Publisher, broker: Broker, runtime: Runtime) -> None:
    if not runtime.config.workers.enabled:
        return
    with log_unavailable("workers"):
        result = run_round(
            runtime.config.workers,
            store=runtime.store.states,
            registry=runtime.store.workers,
            broker=broker,
            project=runtime.project,
            owner=runtime.store.ownership.read(),
            version=installed_version(),
        )
        if result.event == "completed":
            _report_ignored(runtime.project.name, result.ignored)
        if result.broker_message is not None:
            log.warning("workers.broker_unavailable", message=result.broker_message)
        if result.event == "completed":
            log.debug("workers.judged", checks=len(result.outcomes), sent=result.sent, suspended=result.suspended)
        else:
            log.debug("workers.not_judged", reason=result.reason)
        announce(publisher, runtime.config, result.transitions, result.outcomes)


def _report_ignored(project: str, names: tuple[str, ...]) -> None:
    """Log the other projects whose workers write into this store. A project is logged when it is new in ``names``."""
    new = [name for name in names if name not in _ignored]
    _ignored.clear()
    _ignored.update(names)
    if new:
        message = (
            f"workers of {', '.join(map(repr, new))} write into the store of the project {project!r} and are ignored: "
            "set another `key_prefix` or `redis_url` for them, or the same `project` for both"
        )
        log.warning("workers.ignored", project=project, others=new, message=message)
