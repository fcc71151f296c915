"""``pulse``, sent by beat every few seconds, looks after the monitor itself, and tells a dead-man's switch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from structlog.contextvars import bound_contextvars

from monitor import pulse as use_case
from monitor.alerts import dead_man
from monitor.config import Config
from monitor.policy import pulse as rules
from monitor.ports import StoreUnavailable
from monitor.tasks.broker_errors import describe
from monitor.tasks.changes import announce
from monitor.tasks.checks import WAITING_PER_SLOT
from monitor.tasks.entries import TASK_OPTIONS, beat_entry, own_queues, rounds_queue
from monitor.tasks.publish import Publisher

if TYPE_CHECKING:
    from celery import Celery

    from monitor.wiring import Runtime

PULSE = "monitor.tasks.pulse"
PING_TIMEOUT_SECONDS = 5.0

log = structlog.get_logger("monitor.tasks")


def register(app: Celery, runtime: Callable[[], Runtime]) -> None:
    """Add this task to ``app``."""

    def pulse(task: Any) -> None:
        with bound_contextvars(task_id=task.request.id):
            _pulse(Publisher(app), runtime())

    app.task(pulse, name=PULSE, **TASK_OPTIONS)


def beat_entries(config: Config) -> dict[str, Any]:
    """What beat sends."""
    return {
        "celery-health-monitor-pulse": beat_entry(PULSE, config.alerting.sweep_interval_seconds, rounds_queue(config))
    }


def _pulse(publisher: Publisher, runtime: Runtime) -> None:
    try:
        looked = _look(publisher, runtime)
        if looked is not None:
            announce(publisher, runtime.config, looked.transitions, looked.own)
        if looked is not None and looked.whole:
            _ping(runtime)
    except StoreUnavailable as error:
        log.warning("pulse.store_unavailable", reason=error.reason, message=str(error))
    except publisher.errors as error:
        log.warning("pulse.broker_unavailable", **describe(error))


def _look(publisher: Publisher, runtime: Runtime) -> use_case.Looked | None:
    config = runtime.config
    waiting = sum(publisher.waiting(queue) for queue in own_queues(config))
    seen = {
        rules.QUEUE: rules.queue(waiting, 2 * WAITING_PER_SLOT * config.worker_slots),
        rules.ALERTS: rules.alerts(_backlog(runtime)),
    }
    looked = use_case.look(
        runtime.checks, store=runtime.store, interval_seconds=config.alerting.sweep_interval_seconds, seen=seen
    )
    if looked is not None and looked.forgotten:
        log.info("check.forgotten", checks=looked.forgotten)
    return looked


def _backlog(runtime: Runtime) -> rules.Backlog:
    overview = runtime.store.alerts.overview()
    oldest_at = overview.oldest_pending_at
    return rules.Backlog(
        pending=sum(lane.pending for lane in overview.lanes),
        oldest_seconds=0.0 if oldest_at is None else max(0.0, overview.read_at - oldest_at),
        dead=sum(letter.at > overview.read_at - rules.DEAD_SECONDS for letter in overview.dead_letters),
    )


def _ping(runtime: Runtime) -> None:
    alerting = runtime.config.alerting
    if alerting.ping_url is None:
        return
    claim = use_case.claim_ping(runtime.store, alerting.ping_interval_seconds)
    if claim is None:
        return
    try:
        dead_man.ping(alerting.ping_url, timeout_seconds=PING_TIMEOUT_SECONDS)
    except dead_man.NotReached as error:
        runtime.store.states.release(claim)
        log.warning("ping.not_reached", message=str(error))
