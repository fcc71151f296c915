"""Gate that stops the monitor's worker and beat while the store belongs to another project.

A thread periodically reads the name of the project that owns the store. If it is another project's name, the gate is
closed: the worker consumes no queue, because the queues may belong to the other project too, and beat sends no tasks.
While the store does not answer, the gate does not change.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from celery import Task

from monitor.agent.identity import Identity
from monitor.lib import logs
from monitor.ports.store import Ownership, StoreUnavailable
from monitor.services.ownership import OwnershipState, check_ownership, explanation

CLOSED_INTERVAL_SECONDS = 10.0
"""Interval at which the owner is read while the gate is closed."""

OPEN_INTERVAL_SECONDS = 5.0
"""Interval at which the owner is read while the gate is open.

It is shorter than ``CLOSED_INTERVAL_SECONDS``. So after a flush of the store, the project that owned the store writes
its name before a project that waits.
"""

FACTS_INTERVAL_SECONDS = 3600.0
"""Interval at which a role stores again what commands need to know about the project. It expires after a day."""

POLL_SECONDS = 0.5
"""Interval of the callback while a role waits for the gate to open."""

log = logs.get_logger("monitor.project")


class OtherProject(Exception):
    """Error that closes a worker's connection to the broker, because the store belongs to another project."""


class Gate(threading.Thread):
    """Thread that opens and closes the gate for the worker and beat of this process.

    If ``claims`` is set (in workers), the thread writes the project's name into a store that has no owner.
    ``keep_facts`` is called every ``FACTS_INTERVAL_SECONDS`` while the gate is open. It may raise StoreUnavailable.
    """

    def __init__(
        self, project: Identity, ownership: Ownership, *, claims: bool, keep_facts: Callable[[], Any] = lambda: None
    ) -> None:
        super().__init__(name="monitor-project", daemon=True)
        self._project, self._ownership, self._claims = project, ownership, claims
        self._state = OwnershipState()
        self._has_read = threading.Event()
        self._on_refusal: Callable[[], Any] = lambda: None
        self._keep_facts, self._keep_facts_at = keep_facts, 0.0

    @property
    def is_open(self) -> bool:
        """True if the store belonged to no other project at the last read; False before the first read."""
        return self._has_read.is_set() and self._state.owner is None

    def wait(self, on_poll: Callable[[], Any]) -> None:
        """Return once the gate is open; call ``on_poll`` twice a second until then."""
        while not self.is_open:
            on_poll()
            self._has_read.wait(POLL_SECONDS)
            if self._state.owner is not None:
                threading.Event().wait(POLL_SECONDS)

    def when_refused(self, action: Callable[[], Any]) -> None:
        """Set the callback that the gate's thread calls each time the gate closes."""
        self._on_refusal = action

    def run(self) -> None:
        """Read the owner of the store periodically. Never return."""
        pause = threading.Event()
        while True:
            self.check()
            pause.wait(OPEN_INTERVAL_SECONDS if self.is_open else CLOSED_INTERVAL_SECONDS)

    def check(self) -> None:
        """Read the owner of the store once, open or close the gate, and log a change."""
        before = self._state
        try:
            self._state = check_ownership(before, self._project, self._ownership, claims=self._claims)
            if self._state.owner is None and time.monotonic() >= self._keep_facts_at:
                self._keep_facts()
                self._keep_facts_at = time.monotonic() + FACTS_INTERVAL_SECONDS
        except StoreUnavailable as error:
            log.debug("project.not_compared", reason=error.reason, message=str(error))
        except Exception:
            # A programming error here must not make a role wait forever for the first read.
            log.exception("project.look_failed")
        owner = self._state.owner
        self._has_read.set()
        if owner is not None and (before.owner is None or before.owner.name != owner.name):
            message = explanation(self._project, owner)
            log.error("project.refused", project=self._project.name, owner=owner.name, message=message)
            self._on_refusal()
        elif owner is None and before.owner is not None:
            log.info("project.accepted", project=self._project.name)


class GatedTask(Task):  # type: ignore[misc]  # celery has no types
    """Task that does nothing while the gate is closed. The worker may have received its message before that."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task, unless the gate is closed."""
        return super().__call__(*args, **kwargs) if is_open() else None


_gates: list[Gate] = []


def start(gate: Gate) -> None:
    """Start the gate of this process. Later calls do nothing: a worker with an embedded beat has one gate."""
    if not _gates:
        gate.start()
        _gates.append(gate)


def is_open() -> bool:
    """Return whether the gate of this process is open. True in a process without a gate."""
    return all(gate.is_open for gate in _gates)


def wait(on_poll: Callable[[], Any]) -> None:
    """Return once the gate of this process is open; call ``on_poll`` twice a second until then."""
    for gate in _gates:
        gate.wait(on_poll)


def when_refused(action: Callable[[], Any]) -> None:
    """Set the callback of this process's gate, which its thread calls each time the gate closes."""
    for gate in _gates:
        gate.when_refused(action)
