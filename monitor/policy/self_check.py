"""Judgement of the monitor itself: overdue results, the monitor's own checks, and the ping of the dead man's switch.

The monitor's own state consists of checks like any other: ``monitor:beat`` and so on. The rules are pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from monitor.config import CheckSpec
from monitor.model.alerts import AlertsOverview
from monitor.model.checks import Outcome, Reason, State, Status
from monitor.policy.runtime_checks import CHILD, is_runtime_check, parent_checks

KIND = "monitor"
BEAT, SCHEDULE, RESULTS, QUEUE, ALERTS, STORE = (
    f"{KIND}:{name}" for name in ("beat", "schedule", "results", "queue", "alerts", "store")
)
OWN = (BEAT, SCHEDULE, RESULTS, QUEUE, ALERTS, STORE)

GAP_SECONDS = 2.0
"""Two self-checks further apart than this, and than two intervals, have a gap between them."""

GRACE_SECONDS = 2.0
"""Tolerance for the next result of a check."""

SILENT_SECONDS = 5.0
"""Time without a dispatch that is an error. One is expected every half second; the worker may be busy for a while."""

UNDELIVERABLE_SECONDS = 300.0
"""Age of the oldest waiting notice that is an error."""

SET_ASIDE_SECONDS = 300.0
"""Time for which values that were set aside are a warning."""

DEAD_SECONDS = 86_400.0
"""Time for which a dead letter is a warning."""

SERIES: Mapping[str, tuple[str, ...]] = {
    BEAT: ("tick_age_ms",),
    SCHEDULE: ("delay_ms",),
    RESULTS: ("overdue",),
    QUEUE: ("pending_tasks",),
    ALERTS: ("pending", "oldest_pending_seconds"),
    STORE: ("values_set_aside",),
}
"""Numbers of each check that history keeps."""


def specs(interval_seconds: float) -> dict[str, CheckSpec]:
    """Return the monitor's own checks, by name."""
    return {
        name: CheckSpec(name=name, kind=KIND, critical=False, interval=interval_seconds, valid_for=4 * interval_seconds)
        for name in OWN
    }


def ticking_since(last: State | None, now: float, interval_seconds: float) -> float:
    """Return the time since which self-checks have run without a gap. Older observations prove nothing.

    ``last`` is the state of ``monitor:beat``, which keeps that time.
    """
    since = last.result.data.get("ticking_since") if last is not None else None
    if last is None or not isinstance(since, int | float):
        return now
    gap = now - last.result.observed_at
    return now if gap > max(GAP_SECONDS, 2 * interval_seconds) or not 0 <= since <= now else float(since)


def is_expected(check: str, checks: Collection[str]) -> bool:
    """Return whether new results of a check are expected.

    Results are expected of configured checks, of their child checks, and of the checks that the workers' rounds create
    and delete. They are not expected of a check that was removed from the configuration, so that its last state raises
    no alarm. They are not expected of the monitor's own checks: the self-check, which would find them overdue, writes
    them itself.
    """
    if check.startswith(f"{CHILD}:"):
        return check in checks or bool(parent_checks(check, checks))
    return check in checks or (is_runtime_check(check) and check not in OWN)


def overdue(states: Iterable[State], now: float, since: float) -> list[State]:
    """Return the states whose next result is overdue.

    After a gap, in which no checks were dispatched or the store was not available, each check first gets the time of
    one more run. ``since`` is the end of the last gap.
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
    """Return the outcomes of the monitor's own checks that follow from the store.

    ``late`` are the states that `overdue` returns.
    """
    return {
        BEAT: judge_beat(dispatched_at, now, since),
        SCHEDULE: judge_schedule(checks, states),
        RESULTS: judge_results(checks, states, late),
        STORE: judge_store(set_aside, states.get(STORE), now),
    }


def judge_beat(dispatched_at: float | None, now: float, since: float) -> Outcome:
    """Return the outcome of ``monitor:beat``. A tick of beat shows in the store as a claimed window."""
    age = 0.0 if dispatched_at is None else max(0.0, now - dispatched_at)
    data = {"tick_age_ms": round(age * 1000), "ticking_since": since}
    if age > SILENT_SECONDS and now - since > SILENT_SECONDS:
        return Outcome(
            Status.ERROR, data, "not_dispatching", "checks are not dispatched although beat's messages arrive"
        )
    return Outcome(Status.OK, data)


def judge_schedule(checks: Mapping[str, CheckSpec], states: Mapping[str, State]) -> Outcome:
    """Return the outcome of ``monitor:schedule``: a warning when a run began more than half an interval late."""
    late = {name: states[name].result.late_ms or 0.0 for name in checks if name in states}
    worst = max(late, key=lambda name: late[name] / checks[name].interval_seconds, default=None)
    data = {"delay_ms": max(late.values(), default=0.0)}
    if worst is not None and late[worst] > 500 * checks[worst].interval_seconds:
        return Outcome(Status.WARNING, data, "late", f"{worst} began {late[worst] / 1000:.1f} s after it was due")
    return Outcome(Status.OK, data)


def judge_results(checks: Mapping[str, CheckSpec], states: Mapping[str, State], late: Iterable[State]) -> Outcome:
    """Return the outcome of ``monitor:results``: a warning when the result of a check is overdue."""
    missing = [name for name in checks if name not in states]
    old = [state.check for state in late]
    data = {"checks": len(checks), "overdue": len(old), "not_observed": len(missing)}
    if old:
        return Outcome(Status.WARNING, data, "overdue", f"no new result of {_some(old)}")
    return Outcome(Status.OK, data)


def judge_queue(waiting: int, limit: int) -> Outcome:
    """Return the outcome of ``monitor:queue``: a warning when more than ``limit`` messages wait."""
    data = {"pending_tasks": waiting}
    if waiting > limit:
        message = f"more than {limit} messages wait in the monitor's queue"
        return Outcome(Status.WARNING, data, Reason.ABOVE_THRESHOLD, message)
    return Outcome(Status.OK, data)


def judge_alerts(overview: AlertsOverview) -> Outcome:
    """Return the outcome of ``monitor:alerts``: an error when notices wait too long, a warning for dead letters."""
    oldest_at = overview.oldest_pending_at
    oldest_seconds = 0.0 if oldest_at is None else max(0.0, overview.read_at - oldest_at)
    dead = sum(letter.at > overview.read_at - DEAD_SECONDS for letter in overview.dead_letters)
    pending = sum(lane.pending for lane in overview.queues)
    data = {"pending": pending, "oldest_pending_seconds": round(oldest_seconds, 1), "dead": dead}
    if oldest_seconds > UNDELIVERABLE_SECONDS:
        return Outcome(Status.ERROR, data, "undelivered", "alerts have waited for minutes; see `monitor status`")
    if dead:
        return Outcome(Status.WARNING, data, "dead_letters", "alerts were given up; see `monitor status`")
    return Outcome(Status.OK, data)


def judge_store(total: Mapping[str, int], last: State | None, now: float) -> Outcome:
    """Return the outcome of ``monitor:store``: a warning for a while after values in the store were set aside.

    ``total`` counts these values by kind, ``last`` is the previous state of the check.
    """
    known = last.result.data if last is not None else {}
    count, before, at = sum(total.values()), known.get("values_set_aside"), known.get("set_aside_at")
    if count and count != (before if isinstance(before, int) else 0):
        at = now
    data = {"values_set_aside": count, "set_aside_at": at}
    if isinstance(at, int | float) and now - SET_ASIDE_SECONDS < at <= now:
        kinds = ", ".join(f"{kind} {total[kind]}" for kind in sorted(total) if total[kind])
        message = f"values in the store that are damaged or from another program were set aside, so far: {kinds}"
        return Outcome(Status.WARNING, data, "values_set_aside", message, dict(total))
    return Outcome(Status.OK, data, detail=dict(total))


def may_ping(own: Mapping[str, Outcome]) -> bool:
    """Return whether to ping the dead man's switch: checks are dispatched, results arrive, alerts are delivered."""
    return own[BEAT].status is Status.OK and own[RESULTS].status is Status.OK and own[ALERTS].status is not Status.ERROR


def _round_seconds(state: State) -> float:
    return state.result.valid_until - state.result.observed_at + GRACE_SECONDS


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
