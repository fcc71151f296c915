"""Results and runs to store."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

import redis

from demo.history import HistoryWriter
from monitor.config import CheckSpec
from monitor.history.samples import Sample
from monitor.model import Flight, Result, State, Status, Transition
from monitor.policy import advance
from monitor.ports import Reducer, Store
from monitor.store.memory_history import MemoryHistory
from monitor.store.redis_history import RedisHistory


def spec(name: str = "db", **options: Any) -> CheckSpec:
    """A check that believes what it sees at once, unless ``options`` say otherwise."""
    return CheckSpec(**{"name": name, "kind": "python", "interval": 10, "timeout": 5, "valid_for": 30, **options})


def result(flight: Flight, status: str = "ok", **fields: Any) -> Result:
    """What a run found, at the moment its flight was taken."""
    at = fields.pop("observed_at", flight.taken_at)
    return Result(flight.run_id, Status(status), at, at + 30, fields.pop("response_time_ms", 1.5), **fields)


def becoming(flight: Flight, status: str = "ok", check: CheckSpec | None = None, **fields: Any) -> Reducer:
    """The reducer that a runner would pass: one more result."""
    found, judged = result(flight, status, **fields), check or spec(flight.check)
    return lambda state: advance(state, found, judged)


def run(store: Store, name: str, status: str = "ok", **options: Any) -> tuple[Transition, ...]:
    """One whole run of a check: take, update."""
    flight = store.states.take(name, uuid.uuid4().hex, lease_seconds=5)
    return store.states.update(flight, becoming(flight, status, spec(name, **options)))


def state_of(store: Store, name: str) -> State | None:
    """What the store says of one check."""
    return store.states.read([name]).states.get(name)


def writer(history: RedisHistory) -> HistoryWriter:
    """What writes into a history what no check has observed."""
    client = redis.Redis(connection_pool=history._link._pool)
    return HistoryWriter(client, history._names.prefix, history._retention)


def add(history: MemoryHistory | RedisHistory, check: str, samples: Iterable[Sample]) -> None:
    """Write samples that wait to be packed."""
    (history if isinstance(history, MemoryHistory) else writer(history)).add(check, samples)
