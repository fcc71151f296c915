"""What the agent is attached to in this process: applications, and the beacons of workers until they have left."""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import uuid
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from monitor.agent.beacon import BeaconThread
    from monitor.agent.settings import AgentSettings

log = logging.getLogger("monitor.agent")

GOODBYE_SECONDS = 0.5
"""How long a process that ends waits for its goodbye to be said, at most."""

_settings: WeakKeyDictionary[Any, AgentSettings] = WeakKeyDictionary()
_beacons: list[BeaconThread] = []
_instances: dict[str, str] = {}


def safely(function: Callable[..., None]) -> Callable[..., None]:
    """The same, except that what it raises is logged."""

    @wraps(function)
    def safe(*arguments: Any, **keywords: Any) -> None:
        try:
            function(*arguments, **keywords)
        except Exception:
            log.warning("the monitor's agent does without: %s failed", function.__name__, exc_info=True)

    return safe


def use_settings(app: Any, settings: AgentSettings) -> None:
    """The agent goes by these settings in workers of this application."""
    _settings[app] = settings


def begin_instance(node: str) -> None:
    """Give this start of a worker an id of its own."""
    _instances[node] = uuid.uuid4().hex[:16]


def instance_of(node: str) -> str:
    """Return the id of this start of a worker; empty where none has begun."""
    return _instances.get(node, "")


def settings_of(app: Any) -> AgentSettings | None:
    """What the agent goes by in a worker of this application, if it is attached to it."""
    return _settings.get(app)


def add_beacon(beacon: BeaconThread) -> None:
    """A worker's beacon has been started; it says goodbye when the worker leaves."""
    _beacons.append(beacon)
    if len(_beacons) == 1:
        atexit.register(_finish_process, os.getpid())


def request_goodbye(node: str) -> None:
    """A worker is asked to end. May be called in a signal handler: waits for nothing."""
    for beacon in _beacons:
        if beacon.node == node:
            beacon.leave()


def finish(node: str, *, failed: bool) -> None:
    """A worker ends. One that was asked to (by remote control, too) says goodbye; one that has ``failed`` does not."""
    for beacon in [beacon for beacon in _beacons if beacon.node == node]:
        if not failed or _is_shutdown_requested():
            beacon.leave()
            beacon.wait(GOODBYE_SECONDS)
        _beacons.remove(beacon)


def _finish_process(pid: int) -> None:
    """The process ends: a cold shutdown sends no such signal, and some no signal at all."""
    if os.getpid() != pid:
        return
    for beacon in _beacons:
        if _is_shutdown_requested():
            beacon.leave()
        if beacon.leaving:
            beacon.wait(GOODBYE_SECONDS)


def _is_shutdown_requested() -> bool:
    state: Any = importlib.import_module("celery.worker.state")
    return any(flag not in (None, False) for flag in (state.should_stop, state.should_terminate))
