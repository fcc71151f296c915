"""Celery application of the monitor, for the roles ``worker`` and ``beat`` (and ``celery -A monitor ...``)."""

from __future__ import annotations

import functools
import os
import threading
from typing import Any

import structlog
from celery import Celery, signals
from celery.app.amqp import AMQP

from monitor import wiring
from monitor.agent import attach, former_entries
from monitor.config import Config
from monitor.lib import logs
from monitor.ports.executor import Executor, ExecutorUnavailable
from monitor.project import discovery
from monitor.tasks import gate
from monitor.tasks.beat import DispatchScheduler
from monitor.tasks.recovery import RECONNECT, RecoveringConnection, report_blocked
from monitor.tasks.registration import beat_schedule, register
from monitor.tasks.ticks import send_at_each_tick

log = structlog.get_logger("monitor.worker")


class _AMQP(AMQP):  # type: ignore[misc]
    Connection = RecoveringConnection


def build() -> Celery:
    """Return the configured application, without connecting to anything. Raise ConfigError."""
    # No fixups: the Django fixup sets Django up and closes database connections around every task. No task needs that.
    app = Celery("monitor", amqp=_AMQP, task_cls=gate.GatedTask, fixups=[])
    if os.environ.get(discovery.OBSERVED_VARIABLE):
        attach.instrument(app)
    else:
        attach.exclude(app)
    app.conf.update(settings())
    register(app, wiring.runtime)
    app.names_no_project = True
    return app


def settings() -> dict[str, Any]:
    """Return every Celery setting that is not left at its default. `celeryconfig.py` shows them, too."""
    config = _config()
    return {
        "broker_url": wiring.required_url(config, "broker_url"),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # The transport has no timeout by default: a half-open connection would block the monitor for ever.
        "broker_transport_options": {
            "socket_timeout": 2,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            # socket_timeout does not bound BRPOP. Kombu drops a half-open connection after twice this and a second.
            "health_check_interval": 5,
            "on_blocked": report_blocked,  # for AMQP
            **RECONNECT,
            **config.broker_transport_options,
        },
        "beat_schedule": beat_schedule(config),
        "task_default_queue": config.queue,
        "task_ignore_result": True,
        "result_backend": None,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "worker_prefetch_multiplier": 4,
        "worker_concurrency": config.worker_slots,
        "worker_pool": "threads",
        "worker_consumer": "monitor.tasks.recovery:RecoveringConsumer",
        "worker_hijack_root_logger": False,
    }


@functools.cache
def _config() -> Config:
    return wiring.load().config


def _setup_logging(**_: Any) -> None:
    config = _config()
    logs.configure(config.log_format, config.log_level)


def _compare_project(sender: Any, signal: Any, **_: Any) -> None:
    """Start the gate that stops all work in the store of another project. A worker claims a store without an owner."""
    if sender.app is app:
        ownership = wiring.build_store(_config(), timeout_seconds=1.0).ownership
        identity = wiring.identity(_config(), makes_name=True)
        gate.start(gate.Gate(identity, ownership, claims=signal is signals.worker_init))


def _warm_up(sender: Any, **_: Any) -> None:
    """Start the fork server while the worker connects, so that the first checks need not wait for its imports."""
    if sender.app is app:
        runtime = wiring.runtime()  # before there are threads, each of which would build its own
        warm_up = threading.Thread(target=_start, args=(runtime.executor,), name="monitor-warm-up", daemon=True)
        try:
            warm_up.start()
        except (RuntimeError, MemoryError) as error:
            # The worker cannot run without threads. SystemExit, because Celery only logs a receiver's exception.
            log.error("worker.exhausted", message=str(error))
            raise SystemExit(1) from error


def _start(executor: Executor) -> None:
    try:
        executor.start()
    except ExecutorUnavailable as error:
        log.error("executor.unavailable", message=str(error))


def _close(sender: Any, **_: Any) -> None:
    """End the check processes at once. On their own they end seconds later, when they notice the worker's end."""
    if sender.app is app:
        wiring.runtime().executor.close()


def _attach_to_beat(sender: Any, **_: Any) -> None:
    """Send the tasks at the ticks of a foreign scheduler (``celery -A monitor beat -S ...``), not by its schedule."""
    if sender.app is app and not isinstance(sender.scheduler, DispatchScheduler):
        former_entries.remove_at_first_tick(sender.scheduler)
        send_at_each_tick(sender.scheduler, app, beat_schedule(_config()))


app = build()
signals.setup_logging.connect(_setup_logging, weak=False)
signals.worker_init.connect(_compare_project, weak=False)
signals.beat_init.connect(_compare_project, weak=False)
signals.beat_init.connect(_attach_to_beat, weak=False)
signals.worker_init.connect(_warm_up, weak=False)
signals.worker_shutdown.connect(_close, weak=False)
