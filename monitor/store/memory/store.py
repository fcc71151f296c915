"""The store in memory, for users' tests and for processes without Redis."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from monitor.agent.identity import Identity
from monitor.agent.protocol import Beacon, target_field
from monitor.ports.workers import ExecutedHeartbeat, StoredBeacon, WorkerReport
from monitor.store.memory.history import MemoryHistory
from monitor.store.memory.outbox import MemoryOutbox
from monitor.store.memory.states import MemoryStateStore


class MemoryStore:
    """A :class:`monitor.ports.store.Store` in this process, with the time of ``clock``. Threads may share it.

    With ``keeps_history``, all samples are kept until history is compacted. Otherwise no samples are kept.
    """

    def __init__(self, clock: Callable[[], float] = time.time, *, keeps_history: bool = True) -> None:
        self.history = MemoryHistory(clock)
        self.states = MemoryStateStore(clock, self.history, keeps_history=keeps_history)
        self.alerts = MemoryOutbox(clock, self.states)
        self.workers = MemoryWorkers(clock)
        self.ownership = MemoryOwnership()
        self.roles = MemoryRoles()

    def rejected_counts(self) -> Mapping[str, int]:
        """Return the number of rejected values so far, by kind."""
        return dict(self.workers.counts)

    def refusal(self) -> str | None:
        """Return None: this store never refuses writes."""
        return None

    def close(self) -> None:
        """Do nothing: there is no connection."""


class MemoryWorkers:
    """Registry of workers in this process. Tests add entries to ``beacons`` and ``executed`` in place of workers."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._round_state = b""
        self.beacons: dict[str, StoredBeacon] = {}
        self.executed: dict[str, ExecutedHeartbeat] = {}
        self.counts = Counter[str]()

    def report(self) -> WorkerReport:
        """Return all beacons and executed heartbeats, and the round state."""
        return WorkerReport(self._clock(), dict(self.beacons), dict(self.executed), self._round_state)

    def round_state(self) -> bytes:
        """Return the state that the last round stored."""
        return self._round_state

    def count_rejected(self, kind: str, number: int = 1) -> None:
        """Count rejected values that the caller found in the report."""
        self.counts += Counter({kind: number})

    def connected(self, workers: Iterable[Beacon]) -> Mapping[str, bool] | None:  # noqa: ARG002
        """Return None: there is no server that could report connections."""
        return None

    def store_round(self, round_state: bytes, *, emitted: Mapping[str, float], removed: Iterable[Beacon] = ()) -> None:  # noqa: ARG002
        """Store the round state, and delete the workers in ``removed``."""
        self._round_state = round_state
        for beacon in removed:
            self.beacons.pop(beacon.target, None)
            self.executed.pop(target_field("worker", beacon.target), None)


class MemoryOwnership:
    """A :class:`monitor.ports.store.Ownership` in this process."""

    def __init__(self) -> None:
        self._owner: Identity | None = None
        self._facts: str | None = None

    def read(self) -> Identity | None:
        """Return the project that owns the store; None when the store has no owner."""
        return self._owner

    def claim(self, project: Identity) -> Identity | None:
        """Make ``project`` the owner if the store has no owner. Return the owner."""
        if self._owner is None:
            self._owner = project
        return self._owner

    def take_over(self, project: Identity) -> Identity | None:
        """Make ``project`` the owner. Return the previous owner."""
        before, self._owner = self._owner, project
        return before

    def read_facts(self) -> str | None:
        """Return the text that `store_facts` stored; None if there is none."""
        return self._facts

    def store_facts(self, text: str, seconds: float) -> None:  # noqa: ARG002
        """Store a text with facts about the project, as long as this process runs."""
        self._facts = text


class MemoryRoles:
    """A :class:`monitor.ports.store.RunningRoles` in this process."""

    def __init__(self) -> None:
        self._roles: set[tuple[str, str, int]] = set()

    def announce(self, role: str, host: str, pid: int) -> None:
        """Record that a role runs."""
        self._roles.add((role, host, pid))

    def leave(self, role: str, host: str, pid: int) -> None:
        """Delete the record of a role that ends."""
        self._roles.discard((role, host, pid))

    def running(self) -> list[tuple[str, str, int]]:
        """Return the running roles: role, host and process id."""
        return sorted(self._roles)
