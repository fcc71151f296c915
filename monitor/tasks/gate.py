"""The gate of our own worker and beat: they do nothing in a store that belongs to another project.

A thread looks at the store again and again. A worker that is refused consumes nothing (the queues may be the other
project's, too), and a beat sends nothing. While the store does not answer, both go on as before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import structlog
from celery import Task

from monitor.agent.identity import Identity
from monitor.ports.store import Ownership, StoreUnavailable
from monitor.services.ownership import OwnershipState, check_ownership, explanation

REFUSED_SECONDS = 10.0
"""How often a role looks that was refused."""

HELD_SECONDS = 5.0
"""How often one looks that works: more often, so that after a flush its name is back before another's is written."""

TURN_SECONDS = 0.5

log = structlog.get_logger("monitor.project")


class OtherProject(Exception):
    """The store belongs to another project: the worker gives up its connection to the broker, and waits."""


class Gate(threading.Thread):
    """Whether the roles of this process may work. ``claims`` is for workers: they write the project's name."""

    def __init__(self, project: Identity, ownership: Ownership, *, claims: bool) -> None:
        super().__init__(name="monitor-project", daemon=True)
        self._project, self._ownership, self._claims = project, ownership, claims
        self._standing = OwnershipState()
        self._looked = threading.Event()
        self._on_refusal: Callable[[], Any] = lambda: None

    @property
    def is_open(self) -> bool:
        """Whether the store is ours, or nobody's, as far as is known: not before the first look at it."""
        return self._looked.is_set() and self._standing.owner is None

    def wait(self, each_turn: Callable[[], Any]) -> None:
        """Return once the gate is open; call ``each_turn`` twice a second meanwhile."""
        while not self.is_open:
            each_turn()
            self._looked.wait(TURN_SECONDS)
            if self._standing.owner is not None:
                threading.Event().wait(TURN_SECONDS)

    def when_refused(self, action: Callable[[], Any]) -> None:
        """Have this called, in the gate's thread, each time that the gate closes."""
        self._on_refusal = action

    def run(self) -> None:
        """Look for ever."""
        pause = threading.Event()
        while True:
            self.look()
            pause.wait(HELD_SECONDS if self.is_open else REFUSED_SECONDS)

    def look(self) -> None:
        """Look once, and log what has changed."""
        before = self._standing
        try:
            self._standing = check_ownership(before, self._project, self._ownership, claims=self._claims)
        except StoreUnavailable as error:
            log.debug("project.not_compared", reason=error.reason, message=str(error))
        except Exception:
            # A fault of ours must not keep a role waiting for its first look.
            log.exception("project.look_failed")
        owner = self._standing.owner
        self._looked.set()
        if owner is not None and (before.owner is None or before.owner.name != owner.name):
            message = explanation(self._project, owner)
            log.error("project.refused", project=self._project.name, owner=owner.name, message=message)
            self._on_refusal()
        elif owner is None and before.owner is not None:
            log.info("project.accepted", project=self._project.name)


class GatedTask(Task):  # type: ignore[misc]  # celery has no types
    """A task that does nothing while the gate is closed: its message was taken from the broker before."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task, unless the store belongs to another project."""
        return super().__call__(*args, **kwargs) if is_open() else None


_gates: list[Gate] = []


def start(gate: Gate) -> None:
    """Start this process's gate. The first one counts: a worker with an embedded beat has one."""
    if not _gates:
        gate.start()
        _gates.append(gate)


def is_open() -> bool:
    """Return whether the roles of this process may work. True in a process without a gate."""
    return all(gate.is_open for gate in _gates)


def wait(each_turn: Callable[[], Any]) -> None:
    """Return once the roles of this process may work; call ``each_turn`` twice a second meanwhile."""
    for gate in _gates:
        gate.wait(each_turn)


def when_refused(action: Callable[[], Any]) -> None:
    """Have this called each time that the gate closes."""
    for gate in _gates:
        gate.when_refused(action)
