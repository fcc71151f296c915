"""``alert`` decides whom to tell what, and ``deliver`` tells it, one channel at a time.

A task that stores a transition calls :func:`wake`; beat sends ``alert`` every few seconds for what was missed, and for
what time brings (reminders, retries, the ends of silences).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import structlog
from celery.worker import state
from structlog.contextvars import bound_contextvars

from monitor import alarms
from monitor.config import Config
from monitor.model import Transition
from monitor.ports import StoreUnavailable
from monitor.tasks.broker_errors import describe
from monitor.tasks.entries import TASK_OPTIONS, beat_entry, rounds_queue
from monitor.tasks.publish import Publisher

if TYPE_CHECKING:
    from celery import Celery

    from monitor.wiring import Runtime

ALERT = "monitor.tasks.alert"
DELIVER = "monitor.tasks.deliver"

AT_A_TIME_SECONDS = 20.0
"""One delivery leaves the rest to the next: its slot is wanted by others as well."""

log = structlog.get_logger("monitor.tasks")


def register(app: Celery, runtime: Callable[[], Runtime]) -> None:
    """Add these tasks to ``app``."""

    def alert(task: Any, everything: bool = True) -> None:
        with bound_contextvars(task_id=task.request.id):
            _alert(Publisher(app), runtime(), everything)

    def deliver(task: Any, channel: str) -> None:
        with bound_contextvars(task_id=task.request.id, channel=channel):
            _deliver(Publisher(app), runtime(), channel)

    app.task(alert, name=ALERT, **TASK_OPTIONS)
    app.task(deliver, name=DELIVER, **TASK_OPTIONS)


def beat_entries(config: Config) -> dict[str, Any]:
    """What beat sends: nothing, when there is nobody to tell."""
    if not config.channels:
        return {}
    interval = config.alerting.sweep_interval_seconds
    return {"celery-health-monitor-alerts": beat_entry(ALERT, interval, rounds_queue(config))}


def wake(publisher: Publisher, config: Config, transitions: Collection[Transition]) -> None:
    """Have somebody decide about new transitions now, rather than at the next sweep. Never raises."""
    if config.channels and transitions:
        _send(publisher, config, ALERT, [(False,)])


def _alert(publisher: Publisher, runtime: Runtime, everything: bool) -> None:
    config, outbox = runtime.config, runtime.store.alerts
    if not config.channels:
        return
    try:
        for channel, notice in alarms.decide(config, store=runtime.store.states, outbox=outbox, everything=everything):
            log.info("alert.decided", channel=channel, notice=notice.id, kind=notice.kind.value, check=notice.check)
        if everything and (buried := alarms.retire(config, store=runtime.store.states, outbox=outbox)):
            log.warning("alert.retired", notices=buried)
        due = outbox.due(config.channels)
    except StoreUnavailable as error:
        log.warning("alert.store_unavailable", reason=error.reason, message=str(error))
        return
    _send(publisher, config, DELIVER, [(channel,) for channel in due])


def _deliver(publisher: Publisher, runtime: Runtime, name: str) -> None:
    config, outbox, channel = runtime.config, runtime.store.alerts, runtime.config.channels.get(name)
    if channel is None:
        return
    try:
        attempts = alarms.deliver(
            channel,
            runtime.senders[name],
            outbox,
            retry_for_seconds=config.alerting.retry_for_seconds,
            for_seconds=AT_A_TIME_SECONDS,
        )
        with contextlib.closing(attempts):
            for attempt in attempts:
                _report(attempt)
                if state.should_stop not in (None, False):
                    break
        due = outbox.due([name])
    except StoreUnavailable as error:
        log.warning("alert.store_unavailable", reason=error.reason, message=str(error))
        return
    _send(publisher, config, DELIVER, [(name,) for name in due])


def _report(attempt: alarms.Attempted) -> None:
    notice = attempt.notice
    fields: dict[str, Any] = {"notice": notice.id, "kind": notice.kind.value, "check": notice.check}
    fields["attempts"] = attempt.attempts
    match attempt.event:
        case "delivered":
            log.info("alert.delivered", **fields)
        case "failed":
            log.warning("alert.failed", **fields, reason=attempt.reason, retry_seconds=attempt.retry_seconds)
        case _:
            log.error("alert.dead", **fields, reason=attempt.reason)


def _send(publisher: Publisher, config: Config, task: str, arguments: list[tuple[Any, ...]]) -> None:
    try:
        publisher.send_all(task, arguments, queue=rounds_queue(config))
    except publisher.errors as error:
        log.warning("alert.broker_unavailable", **describe(error))
