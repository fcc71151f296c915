"""Where the agent meets a worker: Celery's signals and one step of the consumer.

Two doors, of which either or both may be used: `to` for one application (``monitor.install(app)``), and
`to_any_worker` for whichever starts in this process (autodiscovery and ``-I`` import `monitor.tasks`).
Nothing here raises into the worker, and nothing connects.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from celery import signals

from monitor.agent import beacon_file
from monitor.agent.liveness import OFF, STARTING, Pulse
from monitor.agent.protocol import DIRECT_QUEUE_EXPIRES_SECONDS, HEARTBEAT, direct_queue

if TYPE_CHECKING:
    from monitor.agent.beacon import BeaconThread
    from monitor.agent.settings import Settings

log = logging.getLogger("monitor.agent")

FAREWELL_SECONDS = 0.5
"""How long a process that ends waits for its goodbye to be said, at most."""

_chosen: WeakSet[Any] = WeakSet()
_left_alone: WeakSet[Any] = WeakSet()
_settings: WeakKeyDictionary[Any, Settings] = WeakKeyDictionary()
_beacons: list[BeaconThread] = []
_TASK_LOGGERS = ("celery.worker.strategy", "celery.app.trace")
_state = {"connected": False, "any": False}


def to(app: Any) -> None:
    """Instrument the workers of this application."""
    app = getattr(app, "_get_current_object", lambda: app)()  # what is behind `current_app`
    _chosen.add(app)
    _connect()
    _register(app)


def to_any_worker() -> None:
    """Instrument whichever application's worker starts in this process."""
    if not _state["any"]:
        _state["any"] = True
        _connect()
        _register_with_all()


def leave_alone(app: Any) -> None:
    """Never instrument this one: it is the monitor's own."""
    _left_alone.add(app)


def settings_of(app: Any) -> Settings | None:
    """What the agent goes by in a worker of this application that it is attached to."""
    return _settings.get(app)


def started(beacon: BeaconThread) -> None:
    """A worker's beacon has been started; it says goodbye when the worker leaves."""
    _beacons.append(beacon)
    if len(_beacons) == 1:
        atexit.register(_farewell, os.getpid())


def safely(function: Callable[..., None]) -> Callable[..., None]:
    """The same, except that what it raises is logged."""

    @wraps(function)
    def safe(*arguments: Any, **keywords: Any) -> None:
        try:
            function(*arguments, **keywords)
        except Exception:
            log.warning("the monitor's agent does without: %s failed", function.__name__, exc_info=True)

    return safe


def _is_not_ours(record: logging.LogRecord) -> bool:
    """Whether a worker's log needs this line: that a heartbeat was received and executed, it does not."""
    data = getattr(record, "data", None)
    return record.levelno > logging.INFO or not isinstance(data, dict) or data.get("name") != HEARTBEAT


def _concerns(app: Any) -> bool:
    return app not in _left_alone and (_state["any"] or app in _chosen)


def _connect() -> None:
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
    if not _concerns(app):
        return
    from monitor.agent import record, settings  # noqa: F401, PLC0415 - `record` for the children, before they are forked
    from monitor.agent.step import AgentStep  # noqa: PLC0415

    found = settings.load(app.conf)
    for problem in found.problems:
        log.warning("the monitor's agent: %s", problem)
    if not found.enabled:
        _write_down(str(sender.hostname), OFF, found)
        return
    if found.redis_url is None:
        log.warning("the monitor's agent does nothing: MONITOR_REDIS_URL does not say where its store is")
        _write_down(str(sender.hostname), OFF, found)
        return
    _settings[app] = found
    _register(app)
    for name in _TASK_LOGGERS:
        logging.getLogger(name).addFilter(_is_not_ours)
    app.steps["consumer"].add(AgentStep)


@safely
def _after_setup(sender: Any, instance: Any, **_: Any) -> None:
    """The worker's own queue, after -Q was applied, so that it works whatever queues it is told to consume."""
    if instance.app not in _settings:
        return
    entity: Any = importlib.import_module("kombu.entity")
    name = direct_queue(str(sender))
    queue = entity.Queue(name, entity.Exchange(""), routing_key=name, expires=DIRECT_QUEUE_EXPIRES_SECONDS)
    queue = instance.app.amqp.queues.select_add(queue)
    # Celery puts its default exchange there, where each publish would read every binding.
    queue.exchange = entity.Exchange("")
    _write_down(str(sender), STARTING, _settings[instance.app])


@safely
def _write_down(node: str, phase: str, settings: Settings) -> None:
    """For `monitor probe worker`: a worker without a beacon, which waits for its broker, must not be restarted."""
    beacon_file.write(beacon_file.directory(), node, Pulse(phase=phase, interval_seconds=settings.interval_seconds))


def _shutting_down(sender: Any, **_: Any) -> None:
    """Runs in a signal handler: nothing that could wait for a lock."""
    for beacon in _beacons:
        if beacon.node == str(sender):
            beacon.leave()


@safely
def _shutdown(sender: Any, **_: Any) -> None:
    """A worker ends. One that was asked to (by remote control, too) says goodbye; one that fails does not."""
    for beacon in [beacon for beacon in _beacons if beacon.node == str(sender.hostname)]:
        if not sender.exitcode or _asked():
            beacon.leave()
            beacon.wait(FAREWELL_SECONDS)
        _beacons.remove(beacon)


def _farewell(pid: int) -> None:
    """The process ends: a cold shutdown sends no such signal, and some no signal at all."""
    if os.getpid() != pid:
        return
    for beacon in _beacons:
        if _asked():
            beacon.leave()
        if beacon.leaving:
            beacon.wait(FAREWELL_SECONDS)


def _asked() -> bool:
    state: Any = importlib.import_module("celery.worker.state")
    return any(flag not in (None, False) for flag in (state.should_stop, state.should_terminate))
