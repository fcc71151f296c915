"""Runs of checks: runs a check and stores its result, and lists the checks that are due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from monitor import policy
from monitor.config import CheckSpec
from monitor.model.checks import Flight, Outcome, Past, Result, Status, Transition
from monitor.policy.runtime_checks import child_spec
from monitor.policy.schedule import DueCheck, Plan
from monitor.ports.executor import Executor
from monitor.ports.store import StateStore
from monitor.services.flight import NotCompleted, in_flight, store_outcomes


@dataclass(frozen=True, slots=True)
class Run:
    """Result of one run.

    ``event`` is ``completed``, ``dropped`` (the run was overdue, or another run was in flight) or ``lost`` (the lease
    ended during the run). ``reason`` is the reason of the outcome, or the reason why the run was dropped or lost.
    """

    check: str
    event: str
    reason: str | None = None
    result: Result | None = None
    transitions: tuple[Transition, ...] = field(default=())


def run_check(check: CheckSpec, due_at: float | None, *, store: StateStore, executor: Executor) -> Run:
    """Run a check once and store its result, unless another run is in flight or this run is overdue.

    A run is overdue when the next run is due already, by the store's clock. Raises StoreUnavailable, and the errors of
    an executor that cannot run checks.
    """
    executor.start()  # before the lease begins: starting the first process may take longer than a lease
    overdue_at = None if due_at is None else due_at + check.interval_seconds
    result: Result | None = None
    try:
        with in_flight(
            store, check.name, lease_seconds=check.lease_seconds, overdue_at=overdue_at, keep=True
        ) as flight:
            outcome, response_time_ms = executor.run(check, Past(flight.taken_at, flight.memory))
            result = policy.as_result(check, flight, outcome, response_time_ms, due_at=due_at)
            # The check is written after its child checks, because this write releases the flight. It also stores the
            # memory, which lists the child checks.
            child_transitions = _update_children(check, flight, outcome.children, response_time_ms, store)
            advance = partial(policy.advance, result=result, check=check)
            transitions = store.update(flight, advance, memory=outcome.memory)
    except NotCompleted as end:
        return Run(check.name, end.event, end.reason, result)
    return Run(check.name, "completed", outcome.reason, result, (*transitions, *child_transitions))


def log_run(log: Any, run: Run) -> None:
    """Log the run's event with ``log``: ``check.completed``, ``check.dropped`` or ``check.lost``.

    The level is debug if the run completed without a transition, a note and the message of a failure. Otherwise it is
    info.
    """
    fields: dict[str, Any] = {"reason": run.reason} if run.reason else {}
    if run.result is not None:
        fields |= {"status": run.result.status.value, "duration_ms": run.result.response_time_ms}
        if run.result.message:
            fields["message"] = run.result.message
        if note := run.result.data.get("note"):
            fields["note"] = note
    for transition in run.transitions:
        fields |= {"transition": transition.id, "was": transition.old.value, "now": transition.new.value}
    is_ok = run.result is not None and run.result.status is Status.OK
    has_text = "note" in fields or ("message" in fields and not is_ok)
    is_quiet = run.event == "completed" and not run.transitions and not has_text
    getattr(log, "debug" if is_quiet else "info")(f"check.{run.event}", **fields)


def due_now(plan: Plan, fingerprint: str, *, store: StateStore, at_least_seconds: float = 0.0) -> list[DueCheck] | None:
    """Claim the window since the last claim, and return the checks that became due in it, the earliest first.

    Return None if the last claim was less than ``at_least_seconds`` ago.
    """
    window = store.claim_window(fingerprint, at_least_seconds=at_least_seconds)
    return None if window is None else plan.due(window)


def _update_children(
    check: CheckSpec, flight: Flight, children: Mapping[str, Outcome | None], response_time_ms: float, store: StateStore
) -> tuple[Transition, ...]:
    """Store the outcomes of child checks, and forget the child checks that no longer exist."""
    if not children:
        return ()
    checks = [(child_spec(check, child), outcome) for child, outcome in children.items()]
    observed = [(spec, outcome) for spec, outcome in checks if outcome is not None]
    deleted = [spec.name for spec, outcome in checks if outcome is None]
    history = {spec.name for spec, _ in observed}
    transitions = store_outcomes(store, flight, observed, response_time_ms=response_time_ms, history=history)
    if deleted:
        store.forget(deleted)
    return transitions
