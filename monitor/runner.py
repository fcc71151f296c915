"""The use cases: run one check and store what it found; say which checks are due now. Speaks to ports only."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from monitor import policy
from monitor.config import CheckSpec
from monitor.model import Result, State, Transition
from monitor.ports import Executor, FlightLost, FlightRefused, Store
from monitor.schedule import Due, Plan


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one run. ``event`` is ``completed``, ``dropped`` (overdue, or in flight elsewhere) or ``lost``."""

    check: str
    event: str
    reason: str | None = None
    result: Result | None = None
    transitions: tuple[Transition, ...] = field(default=())


def run_check(check: CheckSpec, due_at: float | None, *, store: Store, executor: Executor) -> Run:
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
        outcome, response_time_ms = executor.run(check)
    except BaseException:
        store.release(flight)
        raise
    result = policy.as_result(check, flight, outcome, response_time_ms, due_at=due_at)

    def reducer(state: State | None) -> tuple[State, tuple[Transition, ...]]:
        return policy.advance(state, result, check)

    try:
        transitions = store.update(flight, reducer)
    except FlightLost:
        return Run(check.name, "lost", "lease_expired", result)
    return Run(check.name, "completed", outcome.reason, result, transitions)


def due_now(plan: Plan, fingerprint: str, *, store: Store, at_least_seconds: float = 0.0) -> list[Due] | None:
    """What is due since anybody last asked, the earliest first; None when that was ``at_least_seconds`` ago or less."""
    window = store.claim_window(fingerprint, at_least_seconds=at_least_seconds)
    return None if window is None else plan.due(window)
