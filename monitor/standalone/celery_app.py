"""Celery application of the monitor. ``monitor worker``, ``monitor beat`` and ``celery -A monitor ...`` use it."""

from __future__ import annotations

import atexit
import functools
import os
import threading
from typing import Any

from celery import Celery, signals
from celery.app.amqp import AMQP

from monitor import wiring
from monitor.agent import attach, former_entries
from monitor.agent.settings import AgentSettings
from monitor.config import Config, Loaded
from monitor.config.layers import CELERY_ORIGIN
from monitor.executor.waiting import wait_for_start
from monitor.lib import logs
from monitor.lib.redis_urls import for_redis_py
from monitor.ports.executor import Executor, ExecutorUnavailable
from monitor.project import discovery
from monitor.services.presence import Presence
from monitor.supervisor.role_file import RoleFile
from monitor.tasks import gate
from monitor.tasks.beat import DispatchScheduler
from monitor.tasks.recovery import RECONNECT, RecoveringConnection, on_each_turn, report_blocked
from monitor.tasks.registration import beat_schedule, register
from monitor.tasks.ticks import send_at_each_tick

log = logs.get_logger("monitor.worker")


class _AMQP(AMQP):  # type: ignore[misc]
    Connection = RecoveringConnection


def build() -> Celery:
    """Return the configured application, without connecting to anything. Raise ConfigError."""
    # No task needs the Django fixup, which sets Django up and closes database connections around every task.
    app = Celery("monitor", amqp=_AMQP, task_cls=gate.GatedTask, fixups=[])
    if os.environ.get(discovery.OBSERVED_VARIABLE):
        attach.instrument(app, _agent_settings())
    else:
        attach.exclude(app)
    app.conf.update(settings())
    register(app, wiring.runtime)
    app.names_no_project = True
    return app


def settings() -> dict[str, Any]:
    """Return the Celery settings that differ from their defaults. `celeryconfig.py` contains the same settings."""
    config = _config()
    return {
        "broker_url": wiring.required_url(config, "broker_url"),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # By default the transport has no timeout, so a half-open connection would block the monitor for ever.
        "broker_transport_options": {
            "socket_timeout": 2,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            # socket_timeout does not limit BRPOP. With this interval, kombu drops a half-open connection after two
            # intervals and a second.
            "health_check_interval": 5,
            "on_blocked": report_blocked,  # used by AMQP only
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
def _loaded() -> Loaded:
    return wiring.load(use=wiring.Use.FRESH)


def _config() -> Config:
    return _loaded().config


def _agent_settings() -> AgentSettings:
    """Return the settings of the agent in the monitor's own worker, which does not import the project."""
    config, workers = _config(), _config().workers
    return AgentSettings(
        redis_url=for_redis_py(wiring.required_url(config, "redis_url")),
        key_prefix=config.key_prefix,
        project=None if _loaded().origin("project") == CELERY_ORIGIN else config.project,
        interval_seconds=workers.interval_seconds,
        enabled=workers.enabled,
        stuck_after_seconds=workers.stuck_after_seconds,
        stuck_after_by_task=workers.stuck_after_by_task,
    )


def _setup_logging(**_: Any) -> None:
    config = _config()
    logs.configure(config.log_format, config.log_level)


def _compare_project(sender: Any, signal: Any, **_: Any) -> None:
    """Start the gate: it lets no task run while the store belongs to another project. Record that this role runs.

    The gate of a worker makes this project the owner of a store that has no owner.
    """
    if sender.app is app:
        store = wiring.build_store(_config(), timeout_seconds=1.0)
        identity = wiring.identity(_config(), makes_name=True)
        keep_facts = functools.partial(wiring.keep_facts, _config(), store.ownership)
        claims = signal is signals.worker_init
        gate.start(gate.Gate(identity, store.ownership, claims=claims, keep_facts=keep_facts))
        presence = Presence("worker" if claims else "beat", store.roles, is_allowed=gate.is_open)
        presence.start()
        atexit.register(presence.end)


def _warm_up(sender: Any, **_: Any) -> None:
    """Start the fork server while the worker connects, so that the first runs do not wait for the imports."""
    if sender.app is app:
        runtime = wiring.runtime()  # built now, because several threads at once would build several
        warm_up = threading.Thread(target=_start, args=(runtime.executor,), name="monitor-warm-up", daemon=True)
        try:
            warm_up.start()
        except (RuntimeError, MemoryError) as error:
            # A worker without threads cannot work. If a signal receiver raises another exception, Celery only logs it.
            log.error("worker.exhausted", message=str(error))
            raise SystemExit(1) from error


def _start(executor: Executor) -> None:
    """Start the fork server. While it imports the project, log the time now and then."""
    try:
        seconds = wait_for_start(executor, lambda starting: log.info("executor.importing", message=str(starting)))
    except ExecutorUnavailable as error:
        log.error("executor.unavailable", message=str(error))
    else:
        if seconds:
            log.info("executor.started", seconds=round(seconds, 1))


def _close(sender: Any, **_: Any) -> None:
    """End the check processes now. Otherwise they would end seconds after the worker."""
    if sender.app is app:
        wiring.runtime().executor.close()


def _write_role_file(sender: Any, signal: Any, **_: Any) -> None:
    """Keep the file written by which `monitor probe role` judges this worker or beat."""
    if sender.app is not app:
        return
    role_file = RoleFile("worker" if signal is signals.worker_init else "beat")
    role_file.keep_written()
    if signal is signals.worker_init:
        on_each_turn(role_file.turn)
    elif isinstance(sender.scheduler, DispatchScheduler):
        sender.scheduler.on_turn = role_file.turn


def _attach_to_beat(sender: Any, **_: Any) -> None:
    """Make another scheduler than the monitor's (``celery -A monitor beat -S ...``) send the tasks at its ticks."""
    if sender.app is app and not isinstance(sender.scheduler, DispatchScheduler):
        former_entries.remove_at_first_tick(sender.scheduler)
        send_at_each_tick(sender.scheduler, app, beat_schedule(_config()))


app = build()
signals.setup_logging.connect(_setup_logging, weak=False)
signals.worker_init.connect(_compare_project, weak=False)
signals.beat_init.connect(_compare_project, weak=False)
signals.beat_init.connect(_attach_to_beat, weak=False)
signals.worker_init.connect(_write_role_file, weak=False)
signals.beat_init.connect(_write_role_file, weak=False)
signals.worker_init.connect(_warm_up, weak=False)
signals.worker_shutdown.connect(_close, weak=False)
