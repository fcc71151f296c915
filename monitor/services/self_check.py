"""Self-check of the monitor: marks stale checks, judges the monitor's own checks, forgets removed checks."""

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
"""Name of the flight of the ping of the dead man's switch.

The flight is not released. So its lease is the time between two pings, over all replicas.
"""

REMOVED_SECONDS = 86_400.0
"""Time for which the state of a check is kept that this process has no configuration for.

During a roll-out, the configuration of another process may still contain the check.
"""


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """Result of one self-check.

    ``own`` holds the outcomes of the monitor's own checks. ``forgotten`` names the checks whose states were deleted.
    """

    transitions: tuple[Transition, ...]
    own: Mapping[str, Outcome]
    forgotten: tuple[str, ...]


def run_self_check(
    checks: Mapping[str, CheckSpec],
    *,
    store: Store,
    interval_seconds: float,
    outcomes: Mapping[str, Outcome],
    importing_seconds: float | None = None,
) -> SelfCheck | None:
    """Mark stale checks, store the monitor's own checks, forget checks that are no longer configured.

    ``outcomes`` holds the outcomes of the two own checks that the caller has judged: ``monitor:queue`` and
    ``monitor:alerts``. The other own checks are judged here. ``importing_seconds`` is the time for which the check
    processes have been importing the project, if they are. Return None when another process is running a self-check.
    Raises StoreUnavailable.
    """
    try:
        with in_flight(store.states, FLIGHT, lease_seconds=LEASE_SECONDS) as flight:
            return _run(
                checks,
                store,
                flight,
                interval_seconds=interval_seconds,
                outcomes=outcomes,
                importing_seconds=importing_seconds,
            )
    except NotCompleted:
        return None


def _run(
    checks: Mapping[str, CheckSpec],
    store: Store,
    flight: Flight,
    *,
    interval_seconds: float,
    outcomes: Mapping[str, Outcome],
    importing_seconds: float | None,
) -> SelfCheck:
    set_aside = store.rejected_counts()  # before the states are read, because this deletes values that are too large
    states, now = store.states.read().states, flight.taken_at
    since = ticking_since(states.get(BEAT), now, interval_seconds)
    overdue_states = overdue((state for name, state in states.items() if is_expected(name, checks)), now, since)
    own_checks = specs(interval_seconds)
    judged = judge(
        checks,
        states,
        now=now,
        since=since,
        overdue_states=overdue_states,
        dispatched_at=store.states.dispatched_at(),
        set_aside=set_aside,
        importing_seconds=importing_seconds,
    )
    own = {name: replace(outcome, series=SERIES[name]) for name, outcome in {**judged, **outcomes}.items()}
    transitions = store_outcomes(
        store.states,
        flight,
        [(own_checks[name], outcome) for name, outcome in own.items()],
        history=own_checks,
        reducers={state.check: _expire(state, flight) for state in overdue_states if state.stale_since is None},
    )
    removed = tuple(name for name, state in states.items() if _is_removed(state, checks, now))
    if removed:
        store.states.forget(removed)
    return SelfCheck(transitions, own, removed)


def _is_removed(state: State, checks: Mapping[str, CheckSpec], now: float) -> bool:
    return not is_expected(state.check, checks) and now - state.result.valid_until > REMOVED_SECONDS


def _expire(state_before: State, flight: Flight) -> Reducer:
    return lambda state: policy.expire(state or state_before, flight.taken_at, flight.run_id)
