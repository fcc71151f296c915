"""Task ``pulse``, which beat sends every few seconds: one self-check, and a ping of the dead man's switch."""

from __future__ import annotations

from celery import Celery

from monitor.alerts import dead_mans_switch
from monitor.policy.self_check import ALERTS, QUEUE, judge_alerts, judge_queue, may_ping
from monitor.services.flight import NotCompleted, in_flight
from monitor.services.self_check import PING, run_self_check
from monitor.tasks.alerts import announce
from monitor.tasks.base import all_queues, log, log_unavailable
from monitor.tasks.checks import WAITING_PER_SLOT
from monitor.tasks.publish import Publisher
from monitor.wiring import Runtime

PULSE = "monitor.tasks.pulse"
PING_TIMEOUT_SECONDS = 5.0


def pulse(app: Celery, runtime: Runtime) -> None:
    """Run one self-check. If no self-check fails, ping the dead man's switch."""
    publisher, config = Publisher(app), runtime.config
    with log_unavailable("pulse", publisher):
        waiting = sum(publisher.waiting(name) for name in all_queues(config))
        outcomes = {
            QUEUE: judge_queue(waiting, 2 * WAITING_PER_SLOT * config.worker_slots),
            ALERTS: judge_alerts(runtime.store.alerts.overview()),
        }
        interval_seconds = config.alerting.sweep_interval_seconds
        result = run_self_check(
            runtime.checks,
            store=runtime.store,
            interval_seconds=interval_seconds,
            outcomes=outcomes,
            importing_seconds=runtime.executor.startup_seconds(),
        )
        if result is None:
            return
        if result.forgotten:
            log.info("check.forgotten", checks=result.forgotten)
        announce(publisher, config, result.transitions, result.own)
        if may_ping(result.own):
            _ping(runtime)


def _ping(runtime: Runtime) -> None:
    alerting = runtime.config.alerting
    if alerting.ping_url is None:
        return
    try:
        with in_flight(runtime.store.states, PING, lease_seconds=alerting.ping_interval_seconds, keep=True):
            dead_mans_switch.ping(alerting.ping_url, timeout_seconds=PING_TIMEOUT_SECONDS)
    except NotCompleted:
        return  # another process has sent a ping in this interval
    except dead_mans_switch.SwitchNotReached as error:
        log.warning("ping.not_reached", message=str(error))
