"""The use cases of the monitor itself: is it whole, and what has gone stale?"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor import policy
from monitor.config import CheckSpec
from monitor.model import Flight, Outcome, State, Transition
from monitor.policy import pulse as rules
from monitor.ports import FlightLost, FlightRefused, Reducer, Store

LEASE_SECONDS = 15.0
FLIGHT = "monitor"
PING = "monitor:ping"
REMOVED_SECONDS = 86_400.0
"""A check that no configuration names keeps its state for a day: another one, still being rolled out, may know it."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look came to. ``whole`` tells that nothing of the monitor itself is broken."""

    transitions: tuple[Transition, ...]
    own: Mapping[str, Outcome] = field(default_factory=dict)
    forgotten: tuple[str, ...] = ()
    whole: bool = False


def look(
    checks: Mapping[str, CheckSpec], *, store: Store, interval_seconds: float, seen: Mapping[str, Outcome]
) -> Looked | None:
    """Note what has gone stale, store the monitor's own state, forget what is no longer configured.

    ``seen`` is the part of its own state that is seen elsewhere than in the store (``rules.queue``, ``rules.alerts``).
    None when somebody else is at it. Raises StoreUnavailable.
    """
    try:
        flight = store.states.take(FLIGHT, uuid.uuid4().hex, lease_seconds=LEASE_SECONDS)
    except FlightRefused:
        return None
    try:
        return _look(checks, store, flight, interval_seconds, seen)
    except FlightLost:
        return None
    finally:
        store.states.release(flight)


def claim_ping(store: Store, interval_seconds: float) -> Flight | None:
    """The right to send the dead-man's ping, once in ``interval_seconds`` over all replicas. Raises StoreUnavailable.

    It is used up by time. Release it when the ping did not get through, so that the next look tries again.
    """
    try:
        return store.states.take(PING, uuid.uuid4().hex, lease_seconds=interval_seconds)
    except FlightRefused:
        return None


def _look(
    checks: Mapping[str, CheckSpec], store: Store, flight: Flight, interval_seconds: float, seen: Mapping[str, Outcome]
) -> Looked:
    total = store.set_aside()  # first: it removes what is beyond what can be read
    states, now = store.states.read().states, flight.taken_at
    specs = rules.specs(interval_seconds)
    since = rules.ticking_since(states.get(rules.BEAT), now, interval_seconds)
    late = rules.overdue((state for name, state in states.items() if rules.is_expected(name, checks)), now, since)
    own = {
        rules.BEAT: rules.beat(store.states.dispatched_at(), now, since),
        rules.SCHEDULE: rules.schedule(checks, states),
        rules.RESULTS: rules.results(checks, states, late),
        rules.STORE: rules.store(total, states.get(rules.STORE), now),
        **seen,
    }
    reducers: dict[str, Reducer] = {state.check: _expire(state, flight) for state in late if state.stale_since is None}
    reducers |= {name: _advance(specs[name], flight, outcome) for name, outcome in own.items()}
    made = store.states.update_many(flight, reducers, history=specs)
    removed = [name for name, state in states.items() if _is_removed(state, checks, now)]
    if removed:
        store.states.forget(removed)
    transitions = tuple(transition for some in made.values() for transition in some)
    return Looked(transitions, own, tuple(removed), rules.is_whole(own))


def _is_removed(state: State, checks: Mapping[str, CheckSpec], now: float) -> bool:
    return not rules.is_expected(state.check, checks) and now - state.result.valid_until > REMOVED_SECONDS


def _expire(known: State, sweep: Flight) -> Reducer:
    return lambda state: policy.expire(state or known, sweep.taken_at, sweep.run_id)


def _advance(check: CheckSpec, flight: Flight, outcome: Outcome) -> Reducer:
    outcome = dataclasses.replace(outcome, series=rules.SERIES[check.name])
    result = policy.as_result(check, flight, outcome, 0.0)
    return lambda state: policy.advance(state, result, check)
