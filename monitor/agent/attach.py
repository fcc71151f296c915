"""Installation of the agent in a worker: receivers of Celery's signals, and one bootstep of the consumer.

There are two entry points, and a process may use both:

- `instrument` installs the agent in the workers of one application. ``monitor.install(app)`` calls it.
- `instrument_any_worker` installs the agent in the worker of any application that starts in this process. The module
  `monitor.tasks` calls it when autodiscovery or ``-I`` imports it.

No function here raises an exception into the worker or opens a connection.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from celery import signals

from monitor.agent import beacon_places, instrumentation
from monitor.agent.instrumentation import safely
from monitor.agent.liveness import OFF, STARTING, LivenessSample

if TYPE_CHECKING:
    from monitor.agent.settings import AgentSettings

log = logging.getLogger("monitor.agent")

_instrumented: WeakSet[Any] = WeakSet()
_excluded: WeakSet[Any] = WeakSet()
# Loggers of Celery that write lines for each task. The last two write at level debug.
_TASK_LOGGERS = ("celery.worker.strategy", "celery.app.trace", "celery.worker.request", "celery.pool")
_OWN_TASKS = "monitor.tasks."
_settings: WeakKeyDictionary[Any, AgentSettings] = WeakKeyDictionary()
_state = {"connected": False, "any_app": False}


def instrument(app: Any, agent_settings: AgentSettings | None = None) -> None:
    """Install the agent in the workers of this application.

    Without ``agent_settings``, a worker reads them when it starts. For this, it imports the project's Django settings.
    """
    app = getattr(app, "_get_current_object", lambda: app)()  # `current_app` is a proxy
    _instrumented.add(app)
    if agent_settings is not None:
        _settings[app] = agent_settings
    _connect_signals()
    _register(app)


def instrument_any_worker() -> None:
    """Install the agent in the worker of any application that starts in this process."""
    if not _state["any_app"]:
        _state["any_app"] = True
        _connect_signals()
        _register_with_all()


def exclude(app: Any) -> None:
    """Never install the agent in the workers of this application. Used for the monitor's own application."""
    _excluded.add(app)


def _should_log(record: logging.LogRecord) -> bool:
    """Return False for Celery's lines about the monitor's tasks up to level INFO, which would fill the worker's log."""
    if record.levelno > logging.INFO:
        return True
    data = getattr(record, "data", None)
    if isinstance(data, dict):
        return not str(data.get("name")).startswith(_OWN_TASKS)
    # "Task accepted" has the name of the task as argument; "TaskPool: Apply" has a tuple that begins with the name, as
    # text.
    arguments = record.args if isinstance(record.args, tuple) else ()
    return not any(each.lstrip("[(\"'").startswith(_OWN_TASKS) for each in arguments[:2] if isinstance(each, str))


def _filter_logs(**_: Any) -> None:
    """Add the filter to Celery's loggers. A process of a prefork pool that is spawned needs it too."""
    for name in _TASK_LOGGERS:
        logging.getLogger(name).addFilter(_should_log)


def _should_instrument(app: Any) -> bool:
    return app not in _excluded and (_state["any_app"] or app in _instrumented)


def _connect_signals() -> None:
    if not _state["connected"]:
        _state["connected"] = True
        signals.worker_init.connect(_worker_init, weak=False)
        signals.worker_process_init.connect(_filter_logs, weak=False)
        signals.celeryd_after_setup.connect(_after_setup, weak=False)
        signals.worker_shutting_down.connect(_shutting_down, weak=False)
        signals.worker_shutdown.connect(_shutdown, weak=False)


@safely
def _register(app: Any) -> None:
    from monitor.agent import heartbeat  # noqa: PLC0415

    if app not in _excluded:
        heartbeat.register(app)


@safely
def _register_with_all() -> None:
    # As `shared_task` does. A prefork process that is spawned instead of forked also gets the task in this way.
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

    agent_settings = _settings.get(app) or settings.load(app.conf)
    for problem in agent_settings.problems:
        log.warning("the monitor's agent ignores a wrong setting: %s", problem)
    if not agent_settings.enabled:
        _write_sample(str(sender.hostname), OFF, agent_settings)
        return
    if agent_settings.redis_url is None:
        log.warning("the monitor's agent is off: it has no store. Set MONITOR_REDIS_URL")
        _write_sample(str(sender.hostname), OFF, agent_settings)
        return
    heartbeat.record_executions()
    instrumentation.use_settings(app, agent_settings)
    instrumentation.begin_instance(str(sender.hostname))
    _register(app)
    _filter_logs()
    app.steps["consumer"].add(AgentStep)


@safely
def _after_setup(sender: Any, instance: Any, **_: Any) -> None:
    settings = instrumentation.settings_of(instance.app)
    if settings is not None:
        _write_sample(str(sender), STARTING, settings)


@safely
def _write_sample(node: str, phase: str, settings: AgentSettings) -> None:
    """Write a liveness sample for `monitor probe worker`.

    A worker that still waits for its broker has no beacon thread. Without this sample, the probe would find no worker.
    """
    beacon_places.write(node, LivenessSample(phase=phase, interval_seconds=settings.interval_seconds))


def _shutting_down(sender: Any, **_: Any) -> None:
    """Request the goodbye. Celery calls this receiver in a signal handler, so the function must not wait."""
    instrumentation.request_goodbye(str(sender))


@safely
def _shutdown(sender: Any, **_: Any) -> None:
    instrumentation.finish(str(sender.hostname), failed=bool(sender.exitcode))
