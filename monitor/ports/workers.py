"""Registry of the project's workers, and the watched broker with its queues."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from monitor.agent.protocol import Beacon


class BrokerUnavailable(Exception):
    """Error: the watched broker did not answer in time, or refused. The text contains no credentials."""


@dataclass(frozen=True, slots=True)
class ExecutedHeartbeat:
    """The newest executed heartbeat of a worker or queue: when it was sent and executed, and by which node.

    ``instance`` is the :attr:`Beacon.instance` of the worker; empty when its agent does not write it.
    """

    sent_at: float
    done_at: float
    node: str
    instance: str = ""


@dataclass(frozen=True, slots=True)
class StoredBeacon:
    """A worker's newest beacon, and the time at which it was written."""

    beacon: Beacon
    at: float


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """Everything that workers have written into the store, and the state that the last round stored.

    ``now`` is the store's time. ``beacons`` is by :attr:`Beacon.target`: each start of a worker is an entry.
    ``executed`` is by `monitor.agent.protocol.target_field`. ``server`` changes when the store moves to another server
    or its server is restarted; None when the server does not report it.
    """

    now: float
    beacons: Mapping[str, StoredBeacon]
    executed: Mapping[str, ExecutedHeartbeat]
    round_state: bytes = b""
    server: str | None = None
    up_seconds: float | None = None


class WorkerRegistry(Protocol):
    """Store of what workers write, and of the state between rounds. May raise :class:`StoreUnavailable`."""

    def report(self) -> WorkerReport:
        """Return everything that workers have written. Values that cannot be decoded are left out and deleted."""
        ...

    def set_aside(self, kind: str, number: int = 1) -> None:
        """Count rejected values that the caller found in the report. Never raise."""
        ...

    def connected(self, workers: Iterable[Beacon]) -> Mapping[str, bool] | None:
        """Return by target which workers are connected to the store; None when the server does not report it."""
        ...

    def store_round(self, round_state: bytes, *, emitted: Mapping[str, float], removed: Iterable[Beacon] = ()) -> None:
        """Store the round state and the times of sent heartbeats (by target field), and delete the given workers."""
        ...


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The number of messages that wait in a queue, and the id of the next one.

    ``head`` is the id of the next message, if it was requested and is known. ``consumers`` is None when it is unknown.
    """

    pending: int
    head: str | None = None
    consumers: int | None = None

    def without(self, number: int) -> QueueDepth:
        """Return the depth after ``number`` messages were removed."""
        left = max(0, self.pending - number)
        return QueueDepth(left, self.head if left else None, self.consumers)


@dataclass(frozen=True, slots=True)
class BrokerSnapshot:
    """Queues and nodes of the watched broker at one moment.

    ``nodes`` are the workers that the broker knows. ``content_types`` are those in which heartbeats can be sent, the
    preferred one first.
    """

    queues: Mapping[str, QueueDepth]
    nodes: frozenset[str] = frozenset()
    server: str | None = None
    content_types: tuple[str, ...] = ("application/json",)


class Broker(Protocol):
    """The watched broker. Every method may raise :class:`BrokerUnavailable`."""

    def snapshot(self, queues: Iterable[str], *, heads: Container[str]) -> BrokerSnapshot:
        """Return the depths of ``queues``, with the id of the next message for the queues in ``heads``."""
        ...

    def send(self, heartbeats: Iterable[tuple[str, tuple[Any, ...], str]]) -> None:
        """Send heartbeats, each as queue, arguments and content type. Take the next one after the last was sent."""
        ...

    def remove(self, queues: Iterable[str]) -> None:
        """Delete workers' own queues."""
        ...

    def take_back(self, queues: Iterable[str]) -> Mapping[str, int]:
        """Remove our heartbeats from short queues. Return the removed number by queue, where the broker supports it."""
        ...
