"""The use cases: run one check and store what it found; say which checks are due now. Speaks to ports only."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor import policy
from monitor.config import CheckSpec
from monitor.model import Flight, Outcome, Past, Result, Transition
from monitor.policy.dynamic_checks import part_spec
from monitor.ports import Executor, FlightLost, FlightRefused, Reducer, StateStore
from monitor.schedule import Due, Plan


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one run. ``event`` is ``completed``, ``dropped`` (overdue, or in flight elsewhere) or ``lost``."""

    check: str
    event: str
    reason: str | None = None
    result: Result | None = None
    transitions: tuple[Transition, ...] = field(default=())


def run_check(check: CheckSpec, due_at: float | None, *, store: StateStore, executor: Executor) -> Run:
    """Run ``check`` once and store its result, unless somebody else is at it or its turn has passed.

    A run that is still waiting when the next one is due is of no use: it is dropped, by the store's clock.
    Raises StoreUnavailable, and whatever keeps the executor from running anything.
    """
    executor.start()  # may take longer than a lease, when the first checks are due before a process is there
    overdue_at = None if due_at is None else due_at + check.interval_seconds
    run_id = uuid.uuid4().hex
    try:
        flight = store.take(check.name, run_id, lease_seconds=check.lease_seconds, overdue_at=overdue_at)
    except FlightRefused as refusal:
        return Run(check.name, "dropped", refusal.reason)
    try:
        outcome, response_time_ms = executor.run(check, Past(flight.taken_at, flight.memory))
    except BaseException:
        store.release(flight)
        raise
    result = policy.as_result(check, flight, outcome, response_time_ms, due_at=due_at)
    try:
        # The check itself comes last: its memory says which parts there are, and frees the flight.
        parts = _update_parts(check, flight, outcome.parts, response_time_ms, store)
        transitions = store.update(flight, _advance(check, result), memory=outcome.memory)
    except FlightLost:
        return Run(check.name, "lost", "lease_expired", result)
    return Run(check.name, "completed", outcome.reason, result, (*transitions, *parts))


def due_now(plan: Plan, fingerprint: str, *, store: StateStore, at_least_seconds: float = 0.0) -> list[Due] | None:
    """What is due since anybody last asked, the earliest first; None when that was ``at_least_seconds`` ago or less."""
    window = store.claim_window(fingerprint, at_least_seconds=at_least_seconds)
    return None if window is None else plan.due(window)


def _update_parts(
    check: CheckSpec, flight: Flight, parts: Mapping[str, Outcome | None], response_time_ms: float, store: StateStore
) -> tuple[Transition, ...]:
    if not parts:
        return ()
    reducers: dict[str, Reducer] = {}
    gone: list[str] = []
    for part, outcome in parts.items():
        spec = part_spec(check, part)
        if outcome is None:
            gone.append(spec.name)
        else:
            reducers[spec.name] = _advance(spec, policy.as_result(spec, flight, outcome, response_time_ms))
    made = store.update_many(flight, reducers, history=reducers)
    if gone:
        store.forget(gone)
    return tuple(transition for some in made.values() for transition in some)


def _advance(check: CheckSpec, result: Result) -> Reducer:
    return lambda state: policy.advance(state, result, check)
