"""Rosters, states and moments to render."""

from __future__ import annotations

import uuid
from typing import Any

from monitor.api.refresher import CachedSnapshot
from monitor.api.render import Renderer
from monitor.api.roster import RosterReader
from monitor.config import CheckSpec, Config, GroupSpec
from monitor.model import Result, State, Status
from monitor.policy import advance
from monitor.ports import Store
from tests.support.builders import NOW


def check(name: str, **fields: Any) -> CheckSpec:
    """A check of the kind that its name says, in the group `ready`."""
    return CheckSpec(**{"name": name, "kind": name, "interval": 10, "timeout": 5, "groups": ("ready",), **fields})


def config(*checks: CheckSpec, **fields: Any) -> Config:
    """A configuration with these checks; `hold` names groups that keep their last verdict, for `hold_for`."""
    hold, hold_for = fields.pop("hold", ()), fields.pop("hold_for", "5m")
    groups = {name: GroupSpec(name=name, stale="hold", hold_for=hold_for) for name in hold}
    return Config(checks={each.name: each for each in checks}, groups=groups, **fields)


def roster(*checks: CheckSpec, **fields: Any) -> RosterReader:
    """The roster of such a configuration."""
    return RosterReader(config(*checks, **fields))


def renderer(*checks: CheckSpec, **fields: Any) -> Renderer:
    """A renderer for such a roster."""
    return Renderer(roster(*checks, **fields))


def state(name: str, status: str = "ok", *, age: float = 1.0, **fields: Any) -> State:
    """A state whose last result was observed `age` seconds before noon, and is good for 30 s."""
    at = NOW - age
    result = Result(f"run-{name}", Status(fields.pop("result", status)), at, at + 30, fields.pop("ms", 2.0), **fields)
    return State(name, Status(status), at, 1, result)


def moment(*states: State, answering: bool | None = True, tried: bool = True) -> CachedSnapshot:
    """Noon, when these states are known."""
    return CachedSnapshot({each.check: each for each in states}, NOW, answering, tried)


def record(store: Store, name: str, status: str = "ok", *, valid_seconds: float = 30.0, **fields: Any) -> None:
    """Write a state to a store, as a run of the check would."""
    flight = store.states.take(name, uuid.uuid4().hex, lease_seconds=5)
    at = flight.taken_at
    result = Result(flight.run_id, Status(status), at, at + valid_seconds, 2.0, **fields)
    store.states.update(flight, lambda before: advance(before, result, check(name)))
