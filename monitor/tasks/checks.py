"""``dispatch``, sent by beat several times a second, sends ``run_check`` for each check that is due."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from structlog.contextvars import bound_contextvars

from monitor import runner, schedule
from monitor.model import Transition
from monitor.ports import ExecutorUnavailable, StoreUnavailable
from monitor.run_log import report
from monitor.tasks.alerts import wake
from monitor.tasks.broker_errors import describe
from monitor.tasks.entries import TASK_OPTIONS, beat_entry, dispatch_queue
from monitor.tasks.publish import Publisher

if TYPE_CHECKING:
    from celery import Celery

    from monitor.config import Config
    from monitor.wiring import Runtime

RUN_CHECK = "monitor.tasks.run_check"
DISPATCH = "monitor.tasks.dispatch"

WAITING_PER_SLOT = 4

log = structlog.get_logger("monitor.tasks")


def register(app: Celery, runtime: Callable[[], Runtime]) -> None:
    """Add these tasks to ``app``."""

    def run_check(task: Any, name: str, due_at: float | None = None) -> None:
        with bound_contextvars(check=name, task_id=task.request.id):
            current = runtime()
            wake(Publisher(app), current.config, _run_check(current, name, due_at))

    def dispatch(task: Any) -> None:
        with bound_contextvars(task_id=task.request.id):
            _dispatch(app, runtime())

    app.task(run_check, name=RUN_CHECK, **TASK_OPTIONS)
    app.task(dispatch, name=DISPATCH, **TASK_OPTIONS)


def beat_entries(config: Config) -> dict[str, Any]:
    """What beat sends."""
    return {"celery-health-monitor": beat_entry(DISPATCH, config.dispatch_interval_seconds, dispatch_queue(config))}


def _dispatch(app: Celery, runtime: Runtime) -> None:
    publisher = Publisher(app)
    try:
        _send_due(publisher, runtime)
    except StoreUnavailable as error:
        log.warning("dispatch.store_unavailable", reason=error.reason, message=str(error))
    except publisher.errors as error:
        log.warning("dispatch.broker_unavailable", **describe(error))


def _send_due(publisher: Publisher, runtime: Runtime) -> None:
    config = runtime.config
    # Asked first: a broker that does not answer is noticed before a window is claimed, whose checks would be left out.
    waiting = publisher.waiting(config.queue)
    due = runner.due_now(
        runtime.plan,
        config.fingerprint,
        store=runtime.store.states,
        at_least_seconds=config.dispatch_interval_seconds / 4,
    )
    if due is None:
        # Somebody dispatched a moment ago: messages have piled up while no worker was there.
        publisher.purge(dispatch_queue(config))
        return
    admitted = schedule.admit(due, waiting, at_least=WAITING_PER_SLOT * config.worker_slots)
    if len(admitted) < len(due):
        log.warning("dispatch.overloaded", left_out=len(due) - len(admitted), waiting=waiting)
    publisher.send_all(RUN_CHECK, admitted, queue=config.queue)
    log.debug("dispatch.sent", checks=len(admitted))


def _run_check(runtime: Runtime, name: str, due_at: float | None) -> tuple[Transition, ...]:
    check = runtime.checks.get(name)
    if check is None:
        log.warning("check.unknown", hint="beat and worker have different configurations")
        return ()
    try:
        run = runner.run_check(check, due_at, store=runtime.store.states, executor=runtime.executor)
    except StoreUnavailable as error:
        log.warning("check.store_unavailable", reason=error.reason, message=str(error))
        return ()
    except ExecutorUnavailable as error:
        log.error("check.not_run", message=str(error))
        return ()
    report(log, run)
    return run.transitions
