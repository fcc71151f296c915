"""Tasks ``alert``, which stores the notices that are due, and ``deliver``, which sends the notices of one channel.

A task that stores a transition calls :func:`wake`, which sends ``alert``. Beat sends ``alert`` every few seconds too:
for transitions for which no ``alert`` has run, and for reminders, retries and the ends of silences.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from typing import Any

from celery import Celery
from celery.worker import state
from structlog.contextvars import bound_contextvars

from monitor.config import Config
from monitor.model.checks import Outcome, Transition
from monitor.services import alerting
from monitor.tasks.base import log, log_unavailable, rounds_queue
from monitor.tasks.publish import Publisher
from monitor.wiring import Runtime

ALERT = "monitor.tasks.alert"
DELIVER = "monitor.tasks.deliver"

DELIVERY_SECONDS = 20.0
"""Time after which a run of ``deliver`` ends. The next run sends the other notices, so other tasks can run between."""


def alert(app: Celery, runtime: Runtime, everything: bool = True) -> None:
    """Decide about alerts, and send :func:`deliver` for each channel with due notices.

    Without ``everything``, decide about new transitions only, not about reminders and ends of silences.
    """
    config, outbox = runtime.config, runtime.store.alerts
    if not config.channels:
        return
    with log_unavailable("alert"):
        for channel, notice in alerting.decide(
            config, store=runtime.store.states, outbox=outbox, also_due_alerts=everything
        ):
            log.info("alert.decided", channel=channel, notice=notice.id, kind=notice.kind.value, check=notice.check)
        if everything and (retired := alerting.retire(config, store=runtime.store.states, outbox=outbox)):
            log.warning("alert.retired", notices=retired)
        due = outbox.due(config.channels)
        _send(Publisher(app), config, DELIVER, [(channel,) for channel in due])


def deliver(app: Celery, runtime: Runtime, channel: str) -> None:
    """Deliver the due notices of one channel."""
    config, outbox, spec = runtime.config, runtime.store.alerts, runtime.config.channels.get(channel)
    if spec is None:
        return
    with bound_contextvars(channel=channel), log_unavailable("alert"):
        attempts = alerting.deliver(
            spec,
            runtime.senders[channel],
            outbox,
            retry_for_seconds=config.alerting.retry_for_seconds,
            for_seconds=DELIVERY_SECONDS,
        )
        with contextlib.closing(attempts):
            for attempt in attempts:
                _report(attempt)
                if state.should_stop not in (None, False):
                    break
        due = outbox.due([channel])
        _send(Publisher(app), config, DELIVER, [(name,) for name in due])


def wake(publisher: Publisher, config: Config, transitions: Collection[Transition]) -> None:
    """Send ``alert`` at once if there are transitions, without waiting for beat to send it. Never raises."""
    if config.channels and transitions:
        _send(publisher, config, ALERT, [(False,)])


def announce(
    publisher: Publisher, config: Config, transitions: Collection[Transition], outcomes: Mapping[str, Outcome]
) -> None:
    """Log the transitions of a round or a self-check, then call :func:`wake`. Never raises.

    ``outcomes`` has the messages for the log, by check.
    """
    for transition in transitions:
        outcome = outcomes.get(transition.check)
        log.info(
            "check.changed",
            check=transition.check,
            transition=transition.id,
            was=transition.old.value,
            now=transition.new.value,
            reason=transition.reason,
            message=outcome.message if outcome else None,
        )
    wake(publisher, config, transitions)


def _report(attempt: alerting.DeliveryAttempt) -> None:
    notice = attempt.notice
    fields = {"notice": notice.id, "kind": notice.kind.value, "check": notice.check, "attempts": attempt.attempts}
    match attempt.event:
        case "delivered":
            log.info("alert.delivered", **fields)
        case "failed":
            log.warning("alert.failed", **fields, reason=attempt.reason, retry_seconds=attempt.retry_seconds)
        case _:
            log.error("alert.dead", **fields, reason=attempt.reason)


def _send(publisher: Publisher, config: Config, task: str, arguments: list[tuple[Any, ...]]) -> None:
    with log_unavailable("alert", publisher):
        publisher.send_all(task, arguments, queue=rounds_queue(config))
