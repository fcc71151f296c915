"""Self-check of the monitor: mark stale checks, judge the monitor itself, forget removed checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from monitor import policy
from monitor.config import CheckSpec
from monitor.model.checks import Flight, Outcome, State, Transition
from monitor.policy.self_check import BEAT, SERIES, is_expected, judge, overdue, specs, ticking_since
from monitor.ports.store import Reducer, Store
from monitor.services.flight import NotCompleted, in_flight, store_outcomes

LEASE_SECONDS = 15.0
FLIGHT = "monitor"
PING = "monitor:ping"
"""Flight of the ping of the dead man's switch. Its lease is the time between two pings, over all replicas."""

REMOVED_SECONDS = 86_400.0
"""Time for which a check that is not configured keeps its state. Another configuration may contain it in a roll-out."""


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """Result of one self-check: ``own`` are the outcomes of the monitor's own checks."""

    transitions: tuple[Transition, ...]
    own: Mapping[str, Outcome]
    forgotten: tuple[str, ...]


def run_self_check(
    checks: Mapping[str, CheckSpec], *, store: Store, interval_seconds: float, outcomes: Mapping[str, Outcome]
) -> SelfCheck | None:
    """Mark stale checks, store the monitor's own checks, forget checks that are no longer configured.

    ``outcomes`` are those of the monitor's own checks that do not follow from the store (``QUEUE``, ``ALERTS``). Return
    None when another process is running a self-check. Raises StoreUnavailable.
    """
    try:
        with in_flight(store.states, FLIGHT, lease_seconds=LEASE_SECONDS) as flight:
            return _run(checks, store, flight, interval_seconds, outcomes)
    except NotCompleted:
        return None


def _run(
    checks: Mapping[str, CheckSpec],
    store: Store,
    flight: Flight,
    interval_seconds: float,
    outcomes: Mapping[str, Outcome],
) -> SelfCheck:
    set_aside = store.rejected_counts()  # first: it removes values beyond all limits
    states, now = store.states.read().states, flight.taken_at
    since = ticking_since(states.get(BEAT), now, interval_seconds)
    late = overdue((state for name, state in states.items() if is_expected(name, checks)), now, since)
    dispatched_at, own_checks = store.states.dispatched_at(), specs(interval_seconds)
    judged = judge(checks, states, now=now, since=since, late=late, dispatched_at=dispatched_at, set_aside=set_aside)
    own = {name: replace(outcome, series=SERIES[name]) for name, outcome in {**judged, **outcomes}.items()}
    transitions = store_outcomes(
        store.states,
        flight,
        [(own_checks[name], outcome) for name, outcome in own.items()],
        history=own_checks,
        reducers={state.check: _expire(state, flight) for state in late if state.stale_since is None},
    )
    removed = tuple(name for name, state in states.items() if _is_removed(state, checks, now))
    if removed:
        store.states.forget(removed)
    return SelfCheck(transitions, own, removed)


def _is_removed(state: State, checks: Mapping[str, CheckSpec], now: float) -> bool:
    return not is_expected(state.check, checks) and now - state.result.valid_until > REMOVED_SECONDS


def _expire(known: State, flight: Flight) -> Reducer:
    return lambda state: policy.expire(state or known, flight.taken_at, flight.run_id)
