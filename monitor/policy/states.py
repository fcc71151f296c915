"""Rules for states: hysteresis when a result is written, staleness and group verdicts when states are read.

The rules are pure: no IO, no clock; ``now`` is an argument.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping
from typing import Any, NamedTuple

from monitor.config import CheckSpec
from monitor.model.checks import Flight, Outcome, Overall, Reason, Result, State, Status, Streak, Transition

FUTURE_TOLERANCE_SECONDS = 5.0
"""Clocks may differ by this much. A result from later than this is rejected."""


class GroupHold(NamedTuple):
    """Handling of stale results in a group.

    The last status of a stale check counts for ``seconds``. With ``forever``, a stale check does not fail the group
    after that.
    """

    seconds: float
    forever: bool = False


class Reading(NamedTuple):
    """The status of a state at one moment.

    ``held`` is true when the result is out of date but the group or the check keeps the last verdict, and when it is
    too early for a verdict. A held reading that is ``stale`` or ``unknown`` does not fail a group.
    """

    status: Status
    reason: str | None = None
    held: bool = False


def as_result(
    check: CheckSpec, flight: Flight, outcome: Outcome, response_time_ms: float, *, due_at: float | None = None
) -> Result:
    """Return the result of a run: its outcome, dated by the taking of its flight, not by the time of writing."""
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
    """Return the state after one more result, and the transition that this makes, if any.

    The first result determines the status at once. After it, a worse status needs ``failure_threshold`` consecutive
    worse results that span ``for_seconds``; a better status needs ``success_threshold`` consecutive better results.
    A state that was marked as stale always leaves that by a transition. A result with ``grace`` (too early for a
    verdict) does not change the status.
    """
    if state is None:
        unknown = State(check.name, Status.UNKNOWN, result.observed_at, 0, result)
        return (unknown, ()) if result.grace else _change_status(unknown, result)
    after, transitions = _advance(state, result, check)
    if state.stale_since is None:
        return after, transitions
    after = _with_next_sequence(
        after, state, result.observed_at, result.run_id, since=result.observed_at, stale_since=None
    )
    return after, (_transition(after, Status.STALE, after.status, result.observed_at, result.reason),)


def expire(state: State, now: float, sweep_id: str) -> tuple[State, tuple[Transition, ...]]:
    """Return the state marked as out of date at ``now`` by a sweep, and the transition this makes.

    Nothing changes when the result is still valid, or when an earlier sweep has marked the state.
    """
    if now <= state.result.valid_until or state.stale_since is not None:
        return state, ()
    expired = _with_next_sequence(state, state, now, sweep_id, stale_since=now)
    return expired, (_transition(expired, state.status, Status.STALE, now, Reason.STALE),)


def _advance(state: State, result: Result, check: CheckSpec) -> tuple[State, tuple[Transition, ...]]:
    if result.grace:
        return _evolve(state, result, state.streak, state.retry_at), ()
    if not state.is_judged:
        return _change_status(state, result)
    streak = _continue_streak(state, result)
    if streak is None:
        return _evolve(state, result), ()
    if _is_confirmed(state, streak, result, check):
        return _change_status(state, result, streak.status)
    return _evolve(state, result, streak, _retry_at(state, streak, result, check)), ()


def read_status(state: State | None, now: float, *, hold: GroupHold | None = None) -> Reading:
    """Return the status of a stored state at ``now`` by the store's clock.

    A state whose result has expired is ``stale``. With ``hold`` it keeps its last status, marked as ``held``, while its
    numbers are not older than ``hold.seconds``. A missing state is ``unknown``, and so is one with a result from
    further in the future than `FUTURE_TOLERANCE_SECONDS`.
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

    A warning does not, and neither does a held reading that is ``stale`` or ``unknown``.
    """
    is_unknown = reading.status in (Status.STALE, Status.UNKNOWN)
    return reading.status.severity == 2 and not (is_unknown and reading.held)


def group_passes(readings: Mapping[str, Reading], critical: Container[str]) -> bool:
    """Return whether a group passes: none of its critical checks fails."""
    return not any(fails(reading) for name, reading in readings.items() if name in critical)


def overall(readings: Mapping[str, Reading], critical: Container[str]) -> Overall:
    """Return ``unhealthy`` when a critical check fails, else ``degraded`` when a check is not ok, else ``healthy``."""
    if not group_passes(readings, critical):
        return Overall.UNHEALTHY
    if any(reading.status is not Status.OK for reading in readings.values()):
        return Overall.DEGRADED
    return Overall.HEALTHY


def _with_next_sequence(state: State, before: State, at: float, run_id: str, **changes: Any) -> State:
    """Return ``state`` with the next sequence after ``before``, changed by this run or sweep."""
    # Sequences are at least the clock's milliseconds, so that after a flush of the store they are above earlier ones.
    sequence = max(before.sequence + 1, int(at * 1000))
    return dataclasses.replace(state, sequence=sequence, turned_by=run_id, **changes)


def _rank(status: Status) -> int:
    """Return how bad a status is: its severity, but a known error is worse than ``stale`` and ``unknown``."""
    return status.severity + (status is Status.ERROR)


def _continue_streak(state: State, result: Result) -> Streak | None:
    before, after = _rank(state.status), _rank(result.status)
    if after == before:
        return None
    running = state.streak
    if running is None or (_rank(running.status) > before) != (after > before):
        return Streak(result.status, 1, result.observed_at)
    nearest = min if after > before else max
    status = nearest(running.status, result.status, key=_rank)
    return Streak(status, running.count + 1, running.since)


def _is_worse(state: State, streak: Streak) -> bool:
    return _rank(streak.status) > _rank(state.status)


def _is_confirmed(state: State, streak: Streak, result: Result, check: CheckSpec) -> bool:
    if _is_worse(state, streak):
        lasted = result.observed_at - streak.since
        return streak.count >= check.failure_threshold and lasted >= check.for_seconds
    return streak.count >= check.success_threshold


def _retry_at(state: State, streak: Streak, result: Result, check: CheckSpec) -> float | None:
    if check.retry_interval_seconds is None or not _is_worse(state, streak):
        return None
    return result.observed_at + check.retry_interval_seconds


def _evolve(state: State, result: Result, streak: Streak | None = None, retry_at: float | None = None) -> State:
    return dataclasses.replace(state, result=result, streak=streak, retry_at=retry_at, stale_since=None)


def _change_status(state: State, result: Result, status: Status | None = None) -> tuple[State, tuple[Transition, ...]]:
    new = status or result.status
    # A confirmed streak may have a milder status than its last result. That result then begins the next streak.
    rest = None if new is result.status else Streak(result.status, 1, result.observed_at)
    base = State(state.check, new, result.observed_at, state.sequence, result, rest)
    changed = _with_next_sequence(base, state, result.observed_at, result.run_id)
    return changed, (_transition(changed, state.status, new, result.observed_at, result.reason),)


def _transition(state: State, old: Status, new: Status, at: float, reason: str | None) -> Transition:
    return Transition(state.check, state.sequence, old, new, at, state.turned_by, reason)
