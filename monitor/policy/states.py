"""Rules for states: the new state when a result is written, the readings and the group status when states are read.

The rules are pure: no IO, no clock; ``now`` is an argument.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping
from typing import Any, NamedTuple

from monitor.config import CheckSpec
from monitor.model.checks import Flight, Outcome, Overall, Reason, Result, State, Status, Streak, Transition

FUTURE_TOLERANCE_SECONDS = 5.0
"""Clocks may differ by this time. A result that is further in the future is ignored."""


class GroupHold(NamedTuple):
    """Option of a group: a stale check keeps its last status for ``seconds``.

    After that it fails the group, unless ``forever`` is true.
    """

    seconds: float
    forever: bool = False


class Reading(NamedTuple):
    """The status of a state at the moment of a read.

    ``held`` is true in three cases:

    - The result has expired or is missing, and the group holds (see `GroupHold`).
    - The check has no new numbers and keeps the numbers of an earlier run.
    - It is too early to judge the check.

    A held reading with the status ``stale`` or ``unknown`` does not fail a group.
    """

    status: Status
    reason: str | None = None
    held: bool = False


def as_result(
    check: CheckSpec, flight: Flight, outcome: Outcome, response_time_ms: float, *, due_at: float | None = None
) -> Result:
    """Return the result of a run: its outcome with the time at which the run took its flight."""
    return Result(
        run_id=flight.run_id,
        status=outcome.status,
        observed_at=flight.taken_at,
        valid_until=flight.taken_at + check.valid_seconds,
        response_time_ms=round(response_time_ms, 3),
        data=outcome.data,
        reason=outcome.reason,
        message=outcome.message,
        detail=outcome.detail,
        late_ms=None if due_at is None else round(max(0.0, flight.taken_at - due_at) * 1000, 1),
        grace=outcome.grace,
        series=outcome.series,
        held=outcome.held,
    )


def advance(state: State | None, result: Result, check: CheckSpec) -> tuple[State, tuple[Transition, ...]]:
    """Return the state after one more result, and the transitions (one or none).

    - The first result gives the status at once. With ``for_seconds``, a first result that fails no group does not:
      the check begins as ok, and this result begins a streak.
    - The status gets worse after ``failure_threshold`` consecutive worse results that span at least ``for_seconds``.
    - The status gets better after ``success_threshold`` consecutive better results.
    - A result with ``grace`` (too early to judge) does not change the status.
    - After a state was marked as stale, the next result always makes a transition.
    """
    if state is None:
        first_state = State(check.name, Status.UNKNOWN, result.observed_at, 0, result)
        return (first_state, ()) if result.grace else _judge_first(first_state, result, check)
    after, transitions = _advance(state, result, check)
    if state.stale_since is None:
        return after, transitions
    after = _with_next_sequence(
        after, state, result.observed_at, result.run_id, since=result.observed_at, stale_since=None
    )
    return after, (_transition(after, Status.STALE, after.status, result.observed_at, result.reason),)


def expire(state: State, now: float, sweep_id: str) -> tuple[State, tuple[Transition, ...]]:
    """Return the state marked as stale at ``now`` by a sweep, and the transition to ``stale``.

    If the result is still valid, or an earlier sweep has marked the state, return it unchanged and no transition.
    """
    if now <= state.result.valid_until or state.stale_since is not None:
        return state, ()
    expired = _with_next_sequence(state, state, now, sweep_id, stale_since=now)
    return expired, (_transition(expired, state.status, Status.STALE, now, Reason.STALE),)


def _advance(state: State, result: Result, check: CheckSpec) -> tuple[State, tuple[Transition, ...]]:
    if result.grace:
        return _with_result(state, result, state.streak, state.retry_at), ()
    if not state.is_judged:
        return _judge_first(state, result, check)
    streak = _continue_streak(state, result)
    if streak is None:
        return _with_result(state, result), ()
    if _is_confirmed(state, streak, result, check):
        return _change_status(state, result, streak.status)
    return _with_result(state, result, streak, _retry_at(state, streak, result, check)), ()


def _judge_first(state: State, result: Result, check: CheckSpec) -> tuple[State, tuple[Transition, ...]]:
    """Return the state after the first result that may change the status."""
    fails_no_group = result.status is Status.WARNING or not check.critical
    if check.for_seconds > 0 and result.status is not Status.OK and fails_no_group:
        return _change_status(state, result, Status.OK)
    return _change_status(state, result)


def read_status(state: State | None, now: float, *, hold: GroupHold | None = None) -> Reading:
    """Return the reading of a stored state at ``now`` by the store's clock.

    - If the result is still valid, the reading has the status of the state.
    - If the result has expired, the reading is ``stale``. With ``hold``, while the numbers are not older than
      ``hold.seconds``, it has the status of the state and is held.
    - If there is no state, or its result is further in the future than `FUTURE_TOLERANCE_SECONDS`, the reading is
      ``unknown``.
    """
    forever = hold is not None and hold.forever
    if state is None:
        return Reading(Status.UNKNOWN, Reason.NOT_OBSERVED, forever)
    result = state.result
    if result.observed_at > now + FUTURE_TOLERANCE_SECONDS:
        return Reading(Status.UNKNOWN, Reason.FROM_THE_FUTURE, forever)
    if now <= result.valid_until:
        return Reading(state.status, result.reason, held=result.held or not state.is_judged)
    if hold is not None and now - result.numbers_at <= hold.seconds:
        return Reading(state.status, Reason.STALE, True)
    return Reading(Status.STALE, Reason.STALE, forever)


def fails(reading: Reading) -> bool:
    """Return whether a critical check with this reading fails its group.

    The statuses ``error``, ``stale`` and ``unknown`` fail the group. A held ``stale`` or ``unknown`` does not.
    """
    is_unknown = reading.status in (Status.STALE, Status.UNKNOWN)
    return reading.status.severity == 2 and not (is_unknown and reading.held)


def group_passes(readings: Mapping[str, Reading], critical: Container[str]) -> bool:
    """Return whether a group passes: none of its critical checks fails it."""
    return not any(fails(reading) for name, reading in readings.items() if name in critical)


def overall(readings: Mapping[str, Reading], critical: Container[str]) -> Overall:
    """Return ``unhealthy`` when a critical check fails, else ``degraded`` when a check is not ok, else ``healthy``."""
    if not group_passes(readings, critical):
        return Overall.UNHEALTHY
    if any(reading.status is not Status.OK for reading in readings.values()):
        return Overall.DEGRADED
    return Overall.HEALTHY


def _with_next_sequence(state: State, before: State, at: float, run_id: str, **changes: Any) -> State:
    """Return ``state`` with ``changes``, and with the sequence that follows the sequence of ``before``."""
    # A sequence is at least the time in milliseconds. So after a flush of the store, sequences do not start again at 0.
    sequence = max(before.sequence + 1, int(at * 1000))
    return dataclasses.replace(state, sequence=sequence, transition_run_id=run_id, **changes)


def _rank(status: Status) -> int:
    """Return the severity of a status, but 3 for ``error``, so that it is worse than ``stale`` and ``unknown`` (2)."""
    return status.severity + (status is Status.ERROR)


def _continue_streak(state: State, result: Result) -> Streak | None:
    """Return the streak after a result; None when the result has the status of the state."""
    state_rank, result_rank = _rank(state.status), _rank(result.status)
    if result_rank == state_rank:
        return None
    streak = state.streak
    if streak is None or (_rank(streak.status) > state_rank) != (result_rank > state_rank):
        return Streak(result.status, 1, result.observed_at)
    nearest_to_state = min if result_rank > state_rank else max
    status = nearest_to_state(streak.status, result.status, key=_rank)
    return Streak(status, streak.count + 1, streak.since)


def _is_worse(state: State, streak: Streak) -> bool:
    return _rank(streak.status) > _rank(state.status)


def _is_confirmed(state: State, streak: Streak, result: Result, check: CheckSpec) -> bool:
    if _is_worse(state, streak):
        streak_seconds = result.observed_at - streak.since
        return streak.count >= check.failure_threshold and streak_seconds >= check.for_seconds
    return streak.count >= check.success_threshold


def _retry_at(state: State, streak: Streak, result: Result, check: CheckSpec) -> float | None:
    if check.retry_interval_seconds is None or not _is_worse(state, streak):
        return None
    return result.observed_at + check.retry_interval_seconds


def _with_result(state: State, result: Result, streak: Streak | None = None, retry_at: float | None = None) -> State:
    return dataclasses.replace(state, result=result, streak=streak, retry_at=retry_at, stale_since=None)


def _change_status(state: State, result: Result, status: Status | None = None) -> tuple[State, tuple[Transition, ...]]:
    """Return the state with a new status (by default that of the result), and the transition to this status."""
    new_status = status or result.status
    # The streak that caused the change may have a less severe status than its last result. Then this result begins the
    # next streak.
    next_streak = None if new_status is result.status else Streak(result.status, 1, result.observed_at)
    base = State(state.check, new_status, result.observed_at, state.sequence, result, next_streak)
    changed = _with_next_sequence(base, state, result.observed_at, result.run_id)
    return changed, (_transition(changed, state.status, new_status, result.observed_at, result.reason),)


def _transition(state: State, old: Status, new: Status, at: float, reason: str | None) -> Transition:
    return Transition(state.check, state.sequence, old, new, at, state.transition_run_id, reason)
