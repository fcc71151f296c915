"""Where the agent meets a worker: Celery's signals and one step of the consumer.

Two doors, of which either or both may be used: `to` for one application (``monitor.install(app)``), and
`to_any_worker` for whichever starts in this process (autodiscovery and ``-I`` import `monitor.tasks`).
Nothing here raises into the worker, and nothing connects.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from celery import signals

from monitor.agent import beacon_places, instrumentation
from monitor.agent.instrumentation import safely
from monitor.agent.liveness import OFF, STARTING, LivenessSample
from monitor.agent.protocol import HEARTBEAT

if TYPE_CHECKING:
    from monitor.agent.settings import AgentSettings

log = logging.getLogger("monitor.agent")

_chosen: WeakSet[Any] = WeakSet()
_left_alone: WeakSet[Any] = WeakSet()
_TASK_LOGGERS = ("celery.worker.strategy", "celery.app.trace")
_state = {"connected": False, "any": False}


def instrument(app: Any) -> None:
    """Instrument the workers of this application."""
    app = getattr(app, "_get_current_object", lambda: app)()  # what is behind `current_app`
    _chosen.add(app)
    _connect_signals()
    _register(app)


def instrument_any_worker() -> None:
    """Instrument whichever application's worker starts in this process."""
    if not _state["any"]:
        _state["any"] = True
        _connect_signals()
        _register_with_all()


def exclude(app: Any) -> None:
    """Never instrument this one: it is the monitor's own."""
    _left_alone.add(app)


def _should_log(record: logging.LogRecord) -> bool:
    """Whether a worker's log needs this line: that a heartbeat was received and executed, it does not."""
    data = getattr(record, "data", None)
    return record.levelno > logging.INFO or not isinstance(data, dict) or data.get("name") != HEARTBEAT


def _should_instrument(app: Any) -> bool:
    return app not in _left_alone and (_state["any"] or app in _chosen)


def _connect_signals() -> None:
    if not _state["connected"]:
        _state["connected"] = True
        signals.worker_init.connect(_worker_init, weak=False)
        signals.celeryd_after_setup.connect(_after_setup, weak=False)
        signals.worker_shutting_down.connect(_shutting_down, weak=False)
        signals.worker_shutdown.connect(_shutdown, weak=False)


@safely
def _register(app: Any) -> None:
    from monitor.agent import heartbeat  # noqa: PLC0415

    if app not in _left_alone:
        heartbeat.register(app)


@safely
def _register_with_all() -> None:
    # As `shared_task` does it. Also children of prefork that are spawned, not forked, know the task by this.
    from celery._state import _get_active_apps, connect_on_app_finalize  # noqa: PLC0415

    connect_on_app_finalize(_register)
    for app in _get_active_apps():
        if app.finalized:
            _register(app)


@safely
def _worker_init(sender: Any, **_: Any) -> None:
    app = sender.app
    if not _should_instrument(app):
        return
    from monitor.agent import heartbeat, settings  # noqa: PLC0415
    from monitor.agent.consumer_step import AgentStep  # noqa: PLC0415

    found = settings.load(app.conf)
    for problem in found.problems:
        log.warning("the monitor's agent: %s", problem)
    if not found.enabled:
        _write_sample(str(sender.hostname), OFF, found)
        return
    if found.redis_url is None:
        log.warning("the monitor's agent does nothing: MONITOR_REDIS_URL does not say where its store is")
        _write_sample(str(sender.hostname), OFF, found)
        return
    heartbeat.record_executions()
    instrumentation.use_settings(app, found)
    instrumentation.begin_instance(str(sender.hostname))
    _register(app)
    for name in _TASK_LOGGERS:
        logging.getLogger(name).addFilter(_should_log)
    app.steps["consumer"].add(AgentStep)


@safely
def _after_setup(sender: Any, instance: Any, **_: Any) -> None:
    settings = instrumentation.settings_of(instance.app)
    if settings is not None:
        _write_sample(str(sender), STARTING, settings)


@safely
def _write_sample(node: str, phase: str, settings: AgentSettings) -> None:
    """For `monitor probe worker`: a worker without a beacon, which waits for its broker, must not be restarted."""
    beacon_places.write(node, LivenessSample(phase=phase, interval_seconds=settings.interval_seconds))


def _shutting_down(sender: Any, **_: Any) -> None:
    """Runs in a signal handler."""
    instrumentation.request_goodbye(str(sender))


@safely
def _shutdown(sender: Any, **_: Any) -> None:
    instrumentation.finish(str(sender.hostname), failed=bool(sender.exitcode))
