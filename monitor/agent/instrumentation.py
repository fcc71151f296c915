"""State of the agent in this process: settings by application, instance ids, and running beacon threads."""

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
"""Longest time for which a process waits at its end until the goodbye (the last beacon) is written."""

_settings: WeakKeyDictionary[Any, AgentSettings] = WeakKeyDictionary()
_threads: list[BeaconThread] = []
_instances: dict[str, str] = {}


def safely(function: Callable[..., None]) -> Callable[..., None]:
    """Wrap a function so that its exceptions are logged and not raised."""

    @wraps(function)
    def safe(*arguments: Any, **keywords: Any) -> None:
        try:
            function(*arguments, **keywords)
        except Exception:
            log.warning("the monitor's agent continues without %s, which failed", function.__name__, exc_info=True)

    return safe


def use_settings(app: Any, settings: AgentSettings) -> None:
    """Set the agent's settings for the workers of this application. Workers without settings have no agent."""
    _settings[app] = settings


def begin_instance(node: str) -> None:
    """Create a new instance id for a worker that starts."""
    _instances[node] = uuid.uuid4().hex[:16]


def instance_of(node: str) -> str:
    """Return the instance id of the worker ``node``; empty if no such worker has started in this process."""
    return _instances.get(node, "")


def settings_of(app: Any) -> AgentSettings | None:
    """Return the agent's settings for the workers of this application; None if these workers have no agent."""
    return _settings.get(app)


def add_thread(thread: BeaconThread) -> None:
    """Add the running beacon thread of a worker, so that the thread writes a goodbye when the worker ends."""
    _threads.append(thread)
    if len(_threads) == 1:
        atexit.register(_finish_process, os.getpid())


def request_goodbye(node: str) -> None:
    """Request a goodbye from the beacon thread of ``node``. Returns at once, so a signal handler may call it."""
    for thread in _threads:
        if thread.node == node:
            thread.request_goodbye()


def finish(node: str, *, failed: bool) -> None:
    """Remove the beacon thread of a worker that ends, and wait for the goodbye.

    If the worker ``failed``, a goodbye is written only if a signal or remote control requested the shutdown.
    """
    for thread in [thread for thread in _threads if thread.node == node]:
        if not failed or _is_shutdown_requested():
            thread.request_goodbye()
            thread.wait_for_goodbye(GOODBYE_SECONDS)
        _threads.remove(thread)


def _finish_process(pid: int) -> None:
    """Write the remaining goodbyes at the exit of the process ``pid``. Do nothing in its forked children.

    A cold shutdown sends no Celery signal ``worker_shutting_down``. Some shutdowns send no Celery signal at all.
    """
    if os.getpid() != pid:
        return
    for thread in _threads:
        if _is_shutdown_requested():
            thread.request_goodbye()
        if thread.is_goodbye_requested:
            thread.wait_for_goodbye(GOODBYE_SECONDS)


def _is_shutdown_requested() -> bool:
    state: Any = importlib.import_module("celery.worker.state")
    return any(flag not in (None, False) for flag in (state.should_stop, state.should_terminate))
