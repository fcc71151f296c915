"""Results and runs to store."""

from __future__ import annotations

import uuid
from typing import Any

from monitor.config import CheckSpec
from monitor.model import Flight, Result, State, Status, Transition
from monitor.policy import advance
from monitor.ports import Reducer, Store


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
    flight = store.take(name, uuid.uuid4().hex, lease_seconds=5)
    return store.update(flight, becoming(flight, status, spec(name, **options)))


def state_of(store: Store, name: str) -> State | None:
    """What the store says of one check."""
    return store.read([name]).states.get(name)
