"""Judgement over results and states: hysteresis when one is written, staleness and verdicts when they are read.

Pure: no IO, no clock; ``now`` is an argument.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping
from typing import Any, NamedTuple

from monitor.config import CheckSpec
from monitor.model.checks import Flight, Outcome, Overall, Reason, Result, State, Status, Streak, Transition

FUTURE_TOLERANCE_SECONDS = 5.0


class GroupHold(NamedTuple):
    """How long a group keeps a verdict that is out of date, and whether it then fails nothing."""

    seconds: float
    forever: bool = False


class Reading(NamedTuple):
    """The status of a state at one moment.

    ``held`` says that it is out of date, but that its group or its check keeps the last verdict; or that it is too
    early to say.
    """

    status: Status
    reason: str | None = None
    held: bool = False


def as_result(
    check: CheckSpec, flight: Flight, outcome: Outcome, response_time_ms: float, *, due_at: float | None = None
) -> Result:
    """The outcome of a run, dated by the moment its flight was taken: never by the moment of writing."""
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
    """The state after one more result, and the transition this makes, if any.

    The first result of all is believed at once. After it, a worse status needs ``failure_threshold``
    consecutive worse results that span ``for_seconds``, a better one ``success_threshold`` better ones.
    A state that had been noted as stale comes back by a transition, whatever it comes back as. A result that only
    says that it is too early to say anything changes nothing.
    """
    if state is None:
        unknown = State(check.name, Status.UNKNOWN, result.observed_at, 0, result)
        return (unknown, ()) if result.grace else _turn(unknown, result)
    after, transitions = _advance(state, result, check)
    if state.stale_since is None:
        return after, transitions
    after = _turned(after, state, result.observed_at, result.run_id, since=result.observed_at, stale_since=None)
    return after, (_transition(after, Status.STALE, after.status, result.observed_at, result.reason),)


def expire(state: State, now: float, sweep_id: str) -> tuple[State, tuple[Transition, ...]]:
    """Return the state marked as out of date at ``now`` by a sweep, and the transition this makes.

    Nothing changes when its result is still valid, or when an earlier sweep marked it.
    """
    if now <= state.result.valid_until or state.stale_since is not None:
        return state, ()
    expired = _turned(state, state, now, sweep_id, stale_since=now)
    return expired, (_transition(expired, state.status, Status.STALE, now, Reason.STALE),)


def _advance(state: State, result: Result, check: CheckSpec) -> tuple[State, tuple[Transition, ...]]:
    if result.grace:
        return _evolve(state, result, state.streak, state.retry_at), ()
    if not state.is_judged:
        return _turn(state, result)
    streak = _continue_streak(state, result)
    if streak is None:
        return _evolve(state, result), ()
    if _is_confirmed(state, streak, result, check):
        return _turn(state, result, streak.status)
    return _evolve(state, result, streak, _retry_at(state, streak, result, check)), ()


def read_status(state: State | None, now: float, *, hold: GroupHold | None = None) -> Reading:
    """Return the status of a stored state at ``now`` on the store's clock: an old one is ``stale``, none ``unknown``.

    With ``hold`` an out-of-date state keeps its last status for as long as its numbers are no older than that, and says
    so. A result from further in the future than clocks may differ is not believed.
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
    """Whether a critical check with this reading fails its group.

    A warning never does; nor, where staleness holds, does ignorance.
    """
    ignorant = reading.status in (Status.STALE, Status.UNKNOWN)
    return reading.status.severity == 2 and not (ignorant and reading.held)


def group_passes(readings: Mapping[str, Reading], critical: Container[str]) -> bool:
    """Whether a group is ready: no critical check of it fails."""
    return not any(fails(reading) for name, reading in readings.items() if name in critical)


def overall(readings: Mapping[str, Reading], critical: Container[str]) -> Overall:
    """``unhealthy`` when a critical check fails, else ``degraded`` when anything is not ok, else ``healthy``."""
    if not group_passes(readings, critical):
        return Overall.UNHEALTHY
    if any(reading.status is not Status.OK for reading in readings.values()):
        return Overall.DEGRADED
    return Overall.HEALTHY


def _turned(state: State, before: State, at: float, run_id: str, **changes: Any) -> State:
    """Return ``state`` with the next sequence after ``before``, turned by this run or sweep."""
    # Not below the clock's milliseconds: after the store was flushed, numbering goes on above what was used.
    sequence = max(before.sequence + 1, int(at * 1000))
    return dataclasses.replace(state, sequence=sequence, turned_by=run_id, **changes)


def _rank(status: Status) -> int:
    """How bad a result is: as its severity, but to know of an error is worse than not to know."""
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


def _turn(state: State, result: Result, status: Status | None = None) -> tuple[State, tuple[Transition, ...]]:
    new = status or result.status
    # A streak may be confirmed at a milder status than its last result, which then begins the next streak.
    rest = None if new is result.status else Streak(result.status, 1, result.observed_at)
    base = State(state.check, new, result.observed_at, state.sequence, result, rest)
    turned = _turned(base, state, result.observed_at, result.run_id)
    return turned, (_transition(turned, state.status, new, result.observed_at, result.reason),)


def _transition(state: State, old: Status, new: Status, at: float, reason: str | None) -> Transition:
    return Transition(state.check, state.sequence, old, new, at, state.turned_by, reason)
