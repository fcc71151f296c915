"""The store in memory: for users' tests, and for whatever runs without Redis."""

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
    """A :class:`monitor.ports.store.Store` in this process, by ``clock``. May be shared by threads.

    Without ``keeps_history``, no samples are kept; else all of them, until history is compacted.
    """

    def __init__(self, clock: Callable[[], float] = time.time, *, keeps_history: bool = True) -> None:
        self.history = MemoryHistory(clock)
        self.states = MemoryStateStore(clock, self.history, keeps_history=keeps_history)
        self.alerts = MemoryOutbox(clock, self.states)
        self.workers = MemoryWorkers(clock)
        self.ownership = MemoryOwnership()

    def set_aside(self) -> Mapping[str, int]:
        """Return how many values were set aside so far, by kind."""
        return dict(self.workers.counts)

    def refusal(self) -> str | None:
        """Return None: memory takes all writes."""
        return None

    def close(self) -> None:
        """Do nothing: there is no connection."""


class MemoryWorkers:
    """Registry of workers in this process. Tests put what workers write into ``beacons`` and ``executed``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._notes = b""
        self.beacons: dict[str, StoredBeacon] = {}
        self.executed: dict[str, ExecutedHeartbeat] = {}
        self.counts = Counter[str]()

    def sight(self) -> WorkerReport:
        """Return everything that the workers have written, and the notes of the last round."""
        return WorkerReport(self._clock(), dict(self.beacons), dict(self.executed), self._notes)

    def set_aside(self, kind: str, number: int = 1) -> None:
        """Count values that the reader of what was sighted has set aside."""
        self.counts += Counter({kind: number})

    def connected(self, workers: Iterable[Beacon]) -> Mapping[str, bool] | None:  # noqa: ARG002
        """Return None: nothing is connected."""
        return None

    def note(self, notes: bytes, *, emitted: Mapping[str, float], gone: Iterable[Beacon] = ()) -> None:  # noqa: ARG002
        """Keep the notes for the next round, and forget workers."""
        self._notes = notes
        for beacon in gone:
            self.beacons.pop(beacon.target, None)
            self.executed.pop(target_field("worker", beacon.target), None)


class MemoryOwnership:
    """A :class:`monitor.ports.store.Ownership` in this process."""

    def __init__(self) -> None:
        self._owner: Identity | None = None

    def read(self) -> Identity | None:
        """Return whose store it is; None while it is nobody's."""
        return self._owner

    def claim(self, project: Identity) -> Identity | None:
        """Make the store this project's if it is nobody's or the same; return whose it is then."""
        if self._owner is None:
            self._owner = project
        return self._owner

    def take_over(self, project: Identity) -> Identity | None:
        """Make the store this project's, and return whose it was."""
        before, self._owner = self._owner, project
        return before
