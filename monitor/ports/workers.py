"""Protocols of the registry of workers, and of the watched broker."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from monitor.agent.protocol import Beacon


class BrokerUnavailable(Exception):
    """Error: the watched broker did not answer in time, or refused a request. The text contains no credentials."""


@dataclass(frozen=True, slots=True)
class ExecutedHeartbeat:
    """The newest executed heartbeat of a worker or queue: when it was sent, and when and on which node it was executed.

    ``instance`` is the :attr:`Beacon.instance` of the executing worker; empty when an older agent did not write it.
    """

    sent_at: float
    done_at: float
    node: str
    instance: str = ""


@dataclass(frozen=True, slots=True)
class StoredBeacon:
    """The newest beacon of an instance, and the time ``at`` which it was written."""

    beacon: Beacon
    at: float


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """The beacons and executed heartbeats that workers have stored, and the state that the last round has stored.

    - ``now`` is the store's time.
    - ``beacons`` maps :attr:`Beacon.target` to a beacon. Each instance of a worker has its own target.
    - ``executed`` maps `monitor.agent.protocol.target_field` to a heartbeat.
    - ``server`` is an id that changes when the store's server restarts or is replaced; None when the server reports
      none.
    - ``up_seconds`` is the time since the start of this server.
    """

    now: float
    beacons: Mapping[str, StoredBeacon]
    executed: Mapping[str, ExecutedHeartbeat]
    round_state: bytes = b""
    server: str | None = None
    up_seconds: float | None = None


class WorkerRegistry(Protocol):
    """Store of beacons, heartbeats and the round state. Every method may raise :class:`StoreUnavailable`."""

    def report(self) -> WorkerReport:
        """Return all stored beacons and heartbeats, and the round state. Delete values that cannot be decoded."""
        ...

    def round_state(self) -> bytes:
        """Return the state that the last round stored, without beacons and heartbeats. Empty if there is none."""
        ...

    def count_rejected(self, kind: str, number: int = 1) -> None:
        """Count rejected values that the caller found in the report. Raise nothing."""
        ...

    def connected(self, workers: Iterable[Beacon]) -> Mapping[str, bool] | None:
        """Return for each worker's target whether the worker is connected to the store.

        Return None when the server does not report its connections.
        """
        ...

    def store_round(self, round_state: bytes, *, emitted: Mapping[str, float], removed: Iterable[Beacon] = ()) -> None:
        """Store the round state, and in ``emitted`` when heartbeats were sent (by target field). Delete ``removed``."""
        ...


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The number of messages that wait in a queue, and the id of the next message.

    ``head`` is the id of the next message; None when the caller did not request it, or when the broker did not return
    it. ``consumers`` is the number of the queue's consumers; None when it is unknown.
    """

    pending: int
    head: str | None = None
    consumers: int | None = None

    def without(self, number: int) -> QueueDepth:
        """Return the depth that the queue has after ``number`` messages were removed."""
        left = max(0, self.pending - number)
        return QueueDepth(left, self.head if left else None, self.consumers)


@dataclass(frozen=True, slots=True)
class BrokerSnapshot:
    """Queues and nodes of the watched broker at one moment.

    ``nodes`` are the node names of the workers that the broker knows. ``content_types`` are the serializations in which
    heartbeats can be sent, the preferred one first. ``server`` identifies the broker's server.
    """

    queues: Mapping[str, QueueDepth]
    nodes: frozenset[str] = frozenset()
    server: str | None = None
    content_types: tuple[str, ...] = ("application/json",)


class Broker(Protocol):
    """The watched broker. Every method may raise :class:`BrokerUnavailable`."""

    def snapshot(self, queues: Iterable[str], *, heads: Container[str]) -> BrokerSnapshot:
        """Return the depths of ``queues``. For the queues in ``heads``, include the id of the next message."""
        ...

    def send(self, heartbeats: Iterable[tuple[str, tuple[Any, ...], str]]) -> None:
        """Send heartbeats, given as (queue, arguments, content type).

        Each heartbeat is taken from the iterator only after the one before it was sent, so it contains its own time.
        """
        ...

    def remove(self, queues: Iterable[str]) -> None:
        """Delete these queues, which are the own queues of workers that no longer exist."""
        ...

    def take_back(self, queues: Iterable[str]) -> Mapping[str, int]:
        """Remove the monitor's heartbeats among the newest 100 messages of each queue. Return their number by queue.

        Return an empty mapping for a broker that cannot remove single messages.
        """
        ...
