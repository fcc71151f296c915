"""Whether the monitor itself is whole: what has gone stale, what its own parts are worth, and what a dead man may say.

The monitor's own state is checks like any other, ``monitor:beat`` and so on. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from monitor.config import CheckSpec
from monitor.model.alerts import AlertsOverview
from monitor.model.checks import Outcome, Reason, State, Status
from monitor.policy.runtime_checks import CHILD, is_dynamic, parent_checks

KIND = "monitor"
BEAT, SCHEDULE, RESULTS, QUEUE, ALERTS, STORE = (
    f"{KIND}:{what}" for what in ("beat", "schedule", "results", "queue", "alerts", "store")
)
OWN = (BEAT, SCHEDULE, RESULTS, QUEUE, ALERTS, STORE)

GAP_SECONDS = 2.0
"""Two looks further apart than this, or than two intervals, have something between them that nobody saw."""
GRACE_SECONDS = 2.0
SILENT_SECONDS = 5.0
"""A dispatch is expected every half second; the worker may be busy for a while."""
UNDELIVERABLE_SECONDS = 300.0
SET_ASIDE_SECONDS = 300.0
"""How long values that were set aside are a warning."""
DEAD_SECONDS = 86_400.0
"""How long a dead letter is a warning."""

SERIES: Mapping[str, tuple[str, ...]] = {
    BEAT: ("tick_age_ms",),
    SCHEDULE: ("delay_ms",),
    RESULTS: ("overdue",),
    QUEUE: ("pending_tasks",),
    ALERTS: ("pending", "oldest_pending_seconds"),
    STORE: ("values_set_aside",),
}
"""The numbers of each that history keeps."""


def specs(interval_seconds: float) -> dict[str, CheckSpec]:
    """The checks that the monitor's own state is, by name."""
    return {
        name: CheckSpec(name=name, kind=KIND, critical=False, interval=interval_seconds, valid_for=4 * interval_seconds)
        for name in OWN
    }


def ticking_since(last: State | None, now: float, interval_seconds: float) -> float:
    """Since when one look has followed the other without a gap: what is older than this proves nothing."""
    since = last.result.data.get("ticking_since") if last is not None else None
    if last is None or not isinstance(since, int | float):
        return now
    gap = now - last.result.observed_at
    return now if gap > max(GAP_SECONDS, 2 * interval_seconds) or not 0 <= since <= now else float(since)


def is_expected(check: str, checks: Collection[str]) -> bool:
    """Whether new results should come of a check: it is configured, part of one that is, or found and retired
    by the workers' rounds.

    One that was taken off the configuration is not: its last state is no alarm. The monitor's own state speaks for
    itself: who would look at it is the one who writes it.
    """
    if check.startswith(f"{CHILD}:"):
        return check in checks or bool(parent_checks(check, checks))
    return check in checks or (is_dynamic(check) and check not in OWN)


def overdue(states: Iterable[State], now: float, since: float) -> list[State]:
    """The states whose next result has not come although it could have.

    After a gap (nobody dispatched, the store was away) every check first gets the time it takes to come round again.
    """
    return [state for state in states if now > max(state.result.valid_until, since + _round_seconds(state))]


def judge(
    checks: Mapping[str, CheckSpec],
    states: Mapping[str, State],
    *,
    now: float,
    since: float,
    late: Iterable[State],
    dispatched_at: float | None,
    set_aside: Mapping[str, int],
) -> dict[str, Outcome]:
    """Return the outcomes of the monitor's own checks that follow from the store. ``late``: see :func:`overdue`."""
    return {
        BEAT: judge_beat(dispatched_at, now, since),
        SCHEDULE: judge_schedule(checks, states),
        RESULTS: judge_results(checks, states, late),
        STORE: judge_store(set_aside, states.get(STORE), now),
    }


def judge_beat(dispatched_at: float | None, now: float, since: float) -> Outcome:
    """Beat's tick, seen by what it causes: windows are claimed."""
    age = 0.0 if dispatched_at is None else max(0.0, now - dispatched_at)
    data = {"tick_age_ms": round(age * 1000), "ticking_since": since}
    if age > SILENT_SECONDS and now - since > SILENT_SECONDS:
        return Outcome(Status.ERROR, data, "not_dispatching", "checks are not dispatched although beat's messages come")
    return Outcome(Status.OK, data)


def judge_schedule(checks: Mapping[str, CheckSpec], states: Mapping[str, State]) -> Outcome:
    """How long after they were due the latest runs began: a warning when that is half of a check's interval."""
    late = {name: states[name].result.late_ms or 0.0 for name in checks if name in states}
    worst = max(late, key=lambda name: late[name] / checks[name].interval_seconds, default=None)
    data = {"delay_ms": max(late.values(), default=0.0)}
    if worst is not None and late[worst] > 500 * checks[worst].interval_seconds:
        return Outcome(Status.WARNING, data, "late", f"{worst} began {late[worst] / 1000:.1f} s after it was due")
    return Outcome(Status.OK, data)


def judge_results(checks: Mapping[str, CheckSpec], states: Mapping[str, State], late: Iterable[State]) -> Outcome:
    """Whether every check has a result that can be believed."""
    missing = [name for name in checks if name not in states]
    old = [state.check for state in late]
    data = {"checks": len(checks), "overdue": len(old), "not_observed": len(missing)}
    if old:
        return Outcome(Status.WARNING, data, "overdue", f"no new result of {_some(old)}")
    return Outcome(Status.OK, data)


def judge_queue(waiting: int, limit: int) -> Outcome:
    """Whether the monitor's workers keep up with the monitor's queue."""
    data = {"pending_tasks": waiting}
    if waiting > limit:
        message = f"more than {limit} messages wait in our own queue"
        return Outcome(Status.WARNING, data, Reason.ABOVE_THRESHOLD, message)
    return Outcome(Status.OK, data)


def judge_alerts(overview: AlertsOverview) -> Outcome:
    """Whether what has to be told is told."""
    oldest_at = overview.oldest_pending_at
    oldest_seconds = 0.0 if oldest_at is None else max(0.0, overview.read_at - oldest_at)
    dead = sum(letter.at > overview.read_at - DEAD_SECONDS for letter in overview.dead_letters)
    pending = sum(lane.pending for lane in overview.lanes)
    data = {"pending": pending, "oldest_pending_seconds": round(oldest_seconds, 1), "dead": dead}
    if oldest_seconds > UNDELIVERABLE_SECONDS:
        return Outcome(Status.ERROR, data, "undelivered", "alerts have waited for minutes; see `monitor status`")
    if dead:
        return Outcome(Status.WARNING, data, "dead_letters", "alerts were given up; see `monitor status`")
    return Outcome(Status.OK, data)


def judge_store(total: Mapping[str, int], last: State | None, now: float) -> Outcome:
    """Whether all that was read from the store is ours: a warning for a while after some of it was set aside."""
    known = last.result.data if last is not None else {}
    count, before, at = sum(total.values()), known.get("values_set_aside"), known.get("set_aside_at")
    if count and count != (before if isinstance(before, int) else 0):
        at = now
    data = {"values_set_aside": count, "set_aside_at": at}
    if isinstance(at, int | float) and now - SET_ASIDE_SECONDS < at <= now:
        kinds = ", ".join(f"{kind} {total[kind]}" for kind in sorted(total) if total[kind])
        message = f"values in the store that are not ours were set aside, so far: {kinds}"
        return Outcome(Status.WARNING, data, "values_set_aside", message, dict(total))
    return Outcome(Status.OK, data, detail=dict(total))


def may_ping(own: Mapping[str, Outcome]) -> bool:
    """Whether a dead-man's ping may be sent: checks are dispatched, results come, alerts can be delivered."""
    return own[BEAT].status is Status.OK and own[RESULTS].status is Status.OK and own[ALERTS].status is not Status.ERROR


def _round_seconds(state: State) -> float:
    return state.result.valid_until - state.result.observed_at + GRACE_SECONDS


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
