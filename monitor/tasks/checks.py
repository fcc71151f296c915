"""Tasks ``dispatch`` and ``run_check``. Beat sends ``dispatch``, which sends ``run_check`` for each due check."""

from __future__ import annotations

from celery import Celery
from structlog.contextvars import bound_contextvars

from monitor.policy.schedule import admit
from monitor.ports.executor import ExecutorStarting, ExecutorUnavailable
from monitor.services.declared_queues import with_declared_queues
from monitor.services.run_check import due_now, log_run, run_check
from monitor.tasks.alerts import wake
from monitor.tasks.base import dispatch_queue, log, log_unavailable
from monitor.tasks.publish import Publisher
from monitor.wiring import Runtime

RUN_CHECK = "monitor.tasks.run_check"
DISPATCH = "monitor.tasks.dispatch"

WAITING_PER_SLOT = 4
"""Messages of ``run_check`` that may always wait, for each slot of the monitor's workers."""


def run(app: Celery, runtime: Runtime, name: str, due_at: float | None = None) -> None:
    """Run one check. If its status changes, send the task ``alert``."""
    with bound_contextvars(check=name), log_unavailable("check"):
        check = runtime.checks.get(name)
        if check is None:
            log.warning("check.unknown", hint="beat and worker have different configurations")
            return
        if name in runtime.counts_declared_queues:
            check = with_declared_queues(check, runtime.store.workers)
        try:
            result = run_check(check, due_at, store=runtime.store.states, executor=runtime.executor)
        except ExecutorStarting as starting:
            log.debug("check.not_run", message=str(starting))  # the worker logs the import, once for all checks
            return
        except ExecutorUnavailable as error:
            log.error("check.not_run", message=str(error))
            return
        log_run(log, result)
        wake(Publisher(app), runtime.config, result.transitions)


def dispatch(app: Celery, runtime: Runtime) -> None:
    """Send ``run_check`` for each check that is due."""
    publisher, config = Publisher(app), runtime.config
    with log_unavailable("dispatch", publisher):
        # `due_now` claims the time since the last dispatch, and no other dispatch sends the checks that became due in
        # it. So the broker must answer first.
        waiting = publisher.waiting(config.queue)
        at_least_seconds = config.dispatch_interval_seconds / 4
        due = due_now(runtime.plan, config.fingerprint, store=runtime.store.states, at_least_seconds=at_least_seconds)
        if due is None:
            # Another dispatch ran a moment ago, so several messages of `dispatch` were waiting. They are not needed.
            publisher.purge(dispatch_queue(config))
            return
        admitted = admit(due, waiting, min_queue_limit=WAITING_PER_SLOT * config.worker_slots)
        if len(admitted) < len(due):
            log.warning("dispatch.overloaded", left_out=len(due) - len(admitted), waiting=waiting)
        publisher.send_all(RUN_CHECK, admitted, queue=config.queue)
        log.debug("dispatch.sent", checks=len(admitted))
