"""Workers and the broker: what workers have written, what waits in queues."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from monitor.agent.protocol import Beacon


class BrokerUnavailable(Exception):
    """The watched broker did not answer in time, or refused. Its text is free of credentials."""


@dataclass(frozen=True, slots=True)
class ExecutedHeartbeat:
    """The newest heartbeat to a worker or queue that was executed: when it was sent, when executed, and by whom.

    ``instance`` is the :attr:`Beacon.instance` of the worker; empty when its agent does not write it.
    """

    sent_at: float
    done_at: float
    node: str
    instance: str = ""


@dataclass(frozen=True, slots=True)
class StoredBeacon:
    """A worker's newest beacon, and when it was written."""

    beacon: Beacon
    at: float


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What the workers have written into the store, by its clock, and what the last round noted there.

    ``server`` changes when the store's server is another one, or was started again; None when it does not tell.
    ``beacons`` is by :attr:`Beacon.target`: each start of a worker is an entry. ``executed`` is by
    `monitor.agent.protocol.target_field`.
    """

    now: float
    beacons: Mapping[str, StoredBeacon]
    executed: Mapping[str, ExecutedHeartbeat]
    notes: bytes = b""
    server: str | None = None
    up_seconds: float | None = None


class WorkerRegistry(Protocol):
    """What workers write into the store, and the notes of those who read it. May raise :class:`StoreUnavailable`."""

    def sight(self) -> WorkerReport:
        """Everything the workers have written. What cannot be understood is left out, and removed."""
        ...

    def set_aside(self, kind: str, number: int = 1) -> None:
        """Count values that the reader of what was sighted has set aside. Never raises."""
        ...

    def connected(self, workers: Iterable[Beacon]) -> Mapping[str, bool] | None:
        """Return by target which workers are connected to the store; None when the server does not tell."""
        ...

    def note(self, notes: bytes, *, emitted: Mapping[str, float], gone: Iterable[Beacon] = ()) -> None:
        """Keep the notes for the next round, say when heartbeats were sent (by target field), forget workers."""
        ...


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """What waits in a queue. ``head`` names the message that is taken next, when it was asked for and is known."""

    pending: int
    head: str | None = None
    consumers: int | None = None

    def without(self, number: int) -> QueueDepth:
        """Return what is left when so many messages were removed."""
        left = max(0, self.pending - number)
        return QueueDepth(left, self.head if left else None, self.consumers)


@dataclass(frozen=True, slots=True)
class BrokerSnapshot:
    """What is known of the watched broker. ``nodes`` are the workers that it knows, as far as it does.

    ``content_types``: those in which heartbeats can be sent to it, the preferred one first.
    """

    queues: Mapping[str, QueueDepth]
    nodes: frozenset[str] = frozenset()
    server: str | None = None
    content_types: tuple[str, ...] = ("application/json",)


class Broker(Protocol):
    """The watched broker. Every method may raise :class:`BrokerUnavailable`."""

    def look(self, queues: Iterable[str], *, heads: Container[str]) -> BrokerSnapshot:
        """How many messages wait in ``queues``, and which is next in those that ``heads`` holds."""
        ...

    def send(self, heartbeats: Iterable[tuple[str, tuple[Any, ...], str]]) -> None:
        """Send heartbeats: the queue, the arguments, the content type. The next is taken when the last was sent."""
        ...

    def remove(self, queues: Iterable[str]) -> None:
        """Remove workers' own queues."""
        ...

    def take_back(self, queues: Iterable[str]) -> Mapping[str, int]:
        """Remove our heartbeats from queues of few messages; how many there were in each, where that is possible."""
        ...
