"""Rules for the monitor's own checks, such as ``monitor:beat``, and for the ping of the dead man's switch.

The rules are pure: no IO, no clock; ``now`` is an argument.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from monitor.config import CheckSpec
from monitor.model.alerts import AlertsOverview
from monitor.model.checks import Outcome, Reason, State, Status
from monitor.policy.runtime_checks import CHILD, is_runtime_check, parent_checks
from monitor.ports.executor import importing_text

KIND = "monitor"
BEAT, SCHEDULE, RESULTS, QUEUE, ALERTS, STORE = (
    f"{KIND}:{name}" for name in ("beat", "schedule", "results", "queue", "alerts", "store")
)
OWN = (BEAT, SCHEDULE, RESULTS, QUEUE, ALERTS, STORE)

GAP_SECONDS = 2.0
"""A time between two self-checks is a gap if it is longer than this and longer than two intervals."""

GRACE_SECONDS = 2.0
"""Time that a check gets for its next result, in addition to the validity of the last one."""

NOT_DISPATCHING_SECONDS = 5.0
"""After this time without a dispatch, ``monitor:beat`` is an error.

Beat sends a dispatch every half second. The limit is longer, because the worker may be busy for a while.
"""

UNDELIVERED_SECONDS = 300.0
"""After a notice has waited this long for its delivery, ``monitor:alerts`` is an error."""

REJECTED_SECONDS = 300.0
"""For this time after the store rejected a value, ``monitor:store`` is a warning."""

DEAD_LETTER_SECONDS = 86_400.0
"""For this time after a notice became a dead letter, ``monitor:alerts`` is a warning."""

IMPORTING_SECONDS = 10.0
"""After the check processes have imported the project for this time, ``monitor:results`` reports the import."""

SERIES: Mapping[str, tuple[str, ...]] = {
    BEAT: ("tick_age_ms",),
    SCHEDULE: ("delay_ms",),
    RESULTS: ("overdue",),
    QUEUE: ("pending_tasks",),
    ALERTS: ("pending", "oldest_pending_seconds"),
    STORE: ("values_set_aside",),
}
"""By check, the numbers in its ``data`` that history keeps."""


def specs(interval_seconds: float) -> dict[str, CheckSpec]:
    """Return the monitor's own checks, by name."""
    return {
        name: CheckSpec(name=name, kind=KIND, critical=False, interval=interval_seconds, valid_for=4 * interval_seconds)
        for name in OWN
    }


def ticking_since(last: State | None, now: float, interval_seconds: float) -> float:
    """Return the time since which self-checks have run without a gap.

    ``last`` is the last state of ``monitor:beat``: its ``data`` keeps this time for the next self-check.
    """
    since = last.result.data.get("ticking_since") if last is not None else None
    if last is None or not isinstance(since, int | float):
        return now
    gap = now - last.result.observed_at
    return now if gap > max(GAP_SECONDS, 2 * interval_seconds) or not 0 <= since <= now else float(since)


def is_expected(check: str, checks: Collection[str]) -> bool:
    """Return whether new results of a check are expected.

    New results are expected of configured checks, of their child checks, and of the checks of workers, queues and
    hosts. Two other kinds of states may be in the store. No new results of these are expected:

    - The state of a check that was removed from the configuration. It must raise no alarm.
    - The states of the monitor's own checks. The self-check writes them itself.
    """
    if check.startswith(f"{CHILD}:"):
        return check in checks or bool(parent_checks(check, checks))
    return check in checks or (is_runtime_check(check) and check not in OWN)


def overdue(states: Iterable[State], now: float, since: float) -> list[State]:
    """Return the states whose next result is overdue.

    ``since`` is the end of the last gap. In a gap no checks were dispatched, or the store was not available. So a check
    is overdue only if it has also had the time for one run since the gap.
    """
    return [state for state in states if now > max(state.result.valid_until, since + _next_result_seconds(state))]


def judge(
    checks: Mapping[str, CheckSpec],
    states: Mapping[str, State],
    *,
    now: float,
    since: float,
    overdue_states: Iterable[State],
    dispatched_at: float | None,
    set_aside: Mapping[str, int],
    importing_seconds: float | None = None,
) -> dict[str, Outcome]:
    """Return the outcomes of those of the monitor's own checks that are judged by the content of the store.

    ``overdue_states`` is the return value of `overdue`. ``set_aside`` counts the rejected values, by kind of value.
    ``importing_seconds`` is the time for which the check processes have been importing the project, if they are.
    """
    return {
        BEAT: judge_beat(dispatched_at, now, since),
        SCHEDULE: judge_schedule(checks, states),
        RESULTS: judge_results(checks, states, overdue_states, importing_seconds),
        STORE: judge_store(set_aside, states.get(STORE), now),
    }


def judge_beat(dispatched_at: float | None, now: float, since: float) -> Outcome:
    """Return the outcome of ``monitor:beat``: an error when checks have not been dispatched for some seconds.

    ``dispatched_at`` is the time of the last dispatch. ``since`` is the end of the last gap.
    """
    age = 0.0 if dispatched_at is None else max(0.0, now - dispatched_at)
    data = {"tick_age_ms": round(age * 1000), "ticking_since": since}
    if age > NOT_DISPATCHING_SECONDS and now - since > NOT_DISPATCHING_SECONDS:
        return Outcome(
            Status.ERROR, data, "not_dispatching", "checks are not dispatched although beat's messages arrive"
        )
    return Outcome(Status.OK, data)


def judge_schedule(checks: Mapping[str, CheckSpec], states: Mapping[str, State]) -> Outcome:
    """Return the outcome of ``monitor:schedule``: a warning when a run began late by half an interval."""
    delays_ms = {name: states[name].result.late_ms or 0.0 for name in checks if name in states}
    worst = max(delays_ms, key=lambda name: delays_ms[name] / checks[name].interval_seconds, default=None)
    data = {"delay_ms": max(delays_ms.values(), default=0.0)}
    if worst is not None and delays_ms[worst] > 500 * checks[worst].interval_seconds:
        return Outcome(Status.WARNING, data, "late", f"{worst} began {delays_ms[worst] / 1000:.1f} s after it was due")
    return Outcome(Status.OK, data)


def judge_results(
    checks: Mapping[str, CheckSpec],
    states: Mapping[str, State],
    overdue_states: Iterable[State],
    importing_seconds: float | None = None,
) -> Outcome:
    """Return the outcome of ``monitor:results``: a warning when the result of a check is overdue.

    If the check processes import the project meanwhile, the import is the reason, and checks without a result count as
    overdue too.
    """
    not_observed = [name for name in checks if name not in states]
    names = [state.check for state in overdue_states]
    data = {"checks": len(checks), "overdue": len(names), "not_observed": len(not_observed)}
    if (names or not_observed) and importing_seconds is not None and importing_seconds >= IMPORTING_SECONDS:
        data["importing_seconds"] = round(importing_seconds)
        return Outcome(Status.WARNING, data, Reason.IMPORTING, importing_text(importing_seconds))
    if names:
        return Outcome(Status.WARNING, data, "overdue", f"no new result of {_first_names(names)}")
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
    dead = sum(letter.at > overview.read_at - DEAD_LETTER_SECONDS for letter in overview.dead_letters)
    pending = sum(queue.pending for queue in overview.queues)
    data = {"pending": pending, "oldest_pending_seconds": round(oldest_seconds, 1), "dead": dead}
    if oldest_seconds > UNDELIVERED_SECONDS:
        return Outcome(Status.ERROR, data, "undelivered", "alerts have waited for minutes; see `monitor status`")
    if dead:
        return Outcome(Status.WARNING, data, "dead_letters", "alerts were given up; see `monitor status`")
    return Outcome(Status.OK, data)


def judge_store(counts: Mapping[str, int], last: State | None, now: float) -> Outcome:
    """Return the outcome of ``monitor:store``: a warning for a while after the store rejected a value.

    ``counts`` is the number of values rejected so far, by kind of value. ``last`` is the last state of this check.
    """
    last_data = last.result.data if last is not None else {}
    total, total_before, rejected_at = (
        sum(counts.values()),
        last_data.get("values_set_aside"),
        last_data.get("set_aside_at"),
    )
    if total and total != (total_before if isinstance(total_before, int) else 0):
        rejected_at = now
    data = {"values_set_aside": total, "set_aside_at": rejected_at}
    if isinstance(rejected_at, int | float) and now - REJECTED_SECONDS < rejected_at <= now:
        kinds = ", ".join(f"{kind} {counts[kind]}" for kind in sorted(counts) if counts[kind])
        message = f"values in the store that are damaged or from another program were set aside, so far: {kinds}"
        return Outcome(Status.WARNING, data, "values_set_aside", message, dict(counts))
    return Outcome(Status.OK, data, detail=dict(counts))


def may_ping(own: Mapping[str, Outcome]) -> bool:
    """Return whether to ping the dead man's switch: checks are dispatched, results arrive, notices are delivered."""
    return own[BEAT].status is Status.OK and own[RESULTS].status is Status.OK and own[ALERTS].status is not Status.ERROR


def _next_result_seconds(state: State) -> float:
    return state.result.valid_until - state.result.observed_at + GRACE_SECONDS


def _first_names(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
