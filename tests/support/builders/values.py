"""Checks and their outcomes, and the rosters and snapshots from which they are read."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

import redis

from demo.history import HistoryWriter
from monitor.api.refresher import CachedSnapshot
from monitor.api.render import Renderer
from monitor.api.roster import RosterReader
from monitor.config import CheckSpec, Config, GroupSpec
from monitor.history.samples import Sample
from monitor.model.checks import Flight, Result, State, Status, Transition
from monitor.policy import advance
from monitor.ports.store import Reducer, Store
from monitor.store.memory.history import MemoryHistory
from monitor.store.redis.history import RedisHistory
from tests.support.builders import NOW


def check(name: str = "db", **fields: Any) -> CheckSpec:
    """Return a check with its kind as the name, in the group `ready`."""
    return CheckSpec(**{"name": name, "kind": name, "interval": 10, "timeout": 5, "groups": ("ready",), **fields})


def config(*checks: CheckSpec, **fields: Any) -> Config:
    """Return a configuration with these checks. `hold` names groups that keep their last verdict for `hold_for`."""
    hold, hold_for = fields.pop("hold", ()), fields.pop("hold_for", "5m")
    groups = {name: GroupSpec(name=name, stale="hold", hold_for=hold_for) for name in hold}
    return Config(checks={each.name: each for each in checks}, groups=groups, **fields)


def roster(*checks: CheckSpec, **fields: Any) -> RosterReader:
    """Return the roster of such a configuration."""
    return RosterReader(config(*checks, **fields))


def renderer(*checks: CheckSpec, **fields: Any) -> Renderer:
    """Return a renderer for such a roster."""
    return Renderer(roster(*checks, **fields))


def state(name: str, status: str = "ok", *, age: float = 1.0, **fields: Any) -> State:
    """Return a state whose last result was observed `age` seconds before noon and is valid for 30 s."""
    at = NOW - age
    result = Result(f"run-{name}", Status(fields.pop("result", status)), at, at + 30, fields.pop("ms", 2.0), **fields)
    return State(name, Status(status), at, 1, result)


def moment(*states: State, answering: bool | None = True, tried: bool = True) -> CachedSnapshot:
    """Return the snapshot of these states at noon."""
    return CachedSnapshot({each.check: each for each in states}, NOW, answering, tried)


def record(store: Store, name: str, status: str = "ok", *, valid_seconds: float = 30.0, **fields: Any) -> None:
    """Write a state to a store, as a run of the check would."""
    flight = store.states.take(name, uuid.uuid4().hex, lease_seconds=5)
    at = flight.taken_at
    result = Result(flight.run_id, Status(status), at, at + valid_seconds, 2.0, **fields)
    store.states.update(flight, lambda before: advance(before, result, check(name)))


def result(flight: Flight, status: str = "ok", **fields: Any) -> Result:
    """Return the result of a run at the moment when its flight was taken."""
    at = fields.pop("observed_at", flight.taken_at)
    return Result(flight.run_id, Status(status), at, at + 30, fields.pop("response_time_ms", 1.5), **fields)


def becoming(flight: Flight, status: str = "ok", spec: CheckSpec | None = None, **fields: Any) -> Reducer:
    """Return the reducer that a runner would pass, for one more result."""
    found, judged = result(flight, status, **fields), spec or check(flight.check)
    return lambda state: advance(state, found, judged)


def run(store: Store, name: str, status: str = "ok", **options: Any) -> tuple[Transition, ...]:
    """Run a check completely: take its flight and update its state."""
    flight = store.states.take(name, uuid.uuid4().hex, lease_seconds=5)
    return store.states.update(flight, becoming(flight, status, check(name, **options)))


def state_of(store: Store, name: str) -> State | None:
    """Return the state of one check in the store."""
    return store.states.read([name]).states.get(name)


def writer(history: RedisHistory) -> HistoryWriter:
    """Return a writer into a history, for samples that no check has observed."""
    client = redis.Redis(connection_pool=history._connection._pool)
    return HistoryWriter(client, history._names.prefix, history._retention)


def add(history: MemoryHistory | RedisHistory, check: str, samples: Iterable[Sample]) -> None:
    """Write samples that are not yet packed."""
    (history if isinstance(history, MemoryHistory) else writer(history)).add(check, samples)
