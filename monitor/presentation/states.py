"""Documents of states, workers and alerts that endpoints and commands share, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from monitor.model.alerts import Alert, AlertsOverview, DeadLetter
from monitor.model.checks import State, Status
from monitor.policy import Reading, read_status
from monitor.policy.effective_status import host_name
from monitor.policy.runtime_checks import SUMMARY

_WORKER_FIELDS = (
    "queues",
    "latency_ms",
    "slots",
    "active",
    "oldest_task_seconds",
    "reserved",
    "loop_lag_seconds",
    "pool",
    "host",
    "versions",
)
_QUEUE_FIELDS = ("latency_ms", "pending_tasks", "workers")
_LEADING_FIELDS = frozenset(
    {"name", "check", "verdict", "status", "reason", "since", "stale", "observed_at", "message"}
)


def workers_document(states: Mapping[str, State], now: float) -> dict[str, Any]:
    """Return all workers and queues with their verdicts: the body of ``/api/health/workers/``.

    ``status`` and ``reason`` are those of the summary, ``unknown`` before the first round. An expired entry keeps its
    last verdict and is marked ``stale``. ``suspended`` means that nothing can be judged now.
    """
    summary = states.get(SUMMARY)
    reading = read_status(summary, now)
    return {
        "status": reading.status.value,
        "reason": reading.reason,
        "suspended": bool(summary and summary.result.data.get("suspended")),
        "workers": _entries("worker:", _WORKER_FIELDS, states, now),
        "queues": _entries("queue:", _QUEUE_FIELDS, states, now),
        "timestamp": timestamp(now),
    }


def alerts_document(overview: AlertsOverview) -> dict[str, Any]:
    """Return the state of alerting: the body of ``/api/health/alerts/``.

    It contains the checks that fail, flap or have an open notification, the silences, the queue of each channel, and
    the dead letters.
    """
    shown = (each for each in overview.alerts if each.status.severity or each.flapping_since is not None or each.told)
    return {
        "alerts": [_alert(each) for each in shown],
        "silences": [_times(asdict(each), "since", "until") for each in overview.silences],
        "channels": [_times(asdict(each), "oldest_at", "held_until") for each in overview.queues],
        "dead_letters": [_dead_letter(each) for each in overview.dead_letters],
        "dead_letter_count": overview.dead_letter_count,
        "timestamp": timestamp(overview.read_at),
    }


def hosts_document(states: Iterable[State], now: float) -> dict[str, Any]:
    """Return the metrics of every host that runs a worker, by host name."""
    return {
        host_name(state): {
            **state.result.data,
            **({"stale": True} if read_status(state, now).status is Status.STALE else {}),
            "observed_at": exact(state.result.observed_at),
        }
        for state in states
    }


def timestamp(at: float) -> str:
    """Return an ISO 8601 time in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exact(at: float) -> str | None:
    """Return an ISO 8601 time in UTC, to the millisecond; None for a number outside the range of dates."""
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None


def number(value: float) -> float | int:
    """Return a number rounded to hundredths, as an integer if it is integral."""
    rounded = round(value, 2)
    return int(rounded) if rounded == int(rounded) else rounded


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "check": alert.check,
        "status": alert.status.value,
        "reason": alert.reason,
        "since": exact(alert.since),
        "transition": alert.transition,
        "flapping": alert.flapping_since is not None,
        "held": alert.held,
        "held_by": alert.held_by,
        "deferred": list(alert.deferred),
        "told": {
            channel: {"status": last.status.value, "at": exact(last.at), "reminders": last.reminders}
            for channel, last in alert.told.items()
        },
    }


def _dead_letter(letter: DeadLetter) -> dict[str, Any]:
    notice = letter.notice
    return {
        "channel": letter.channel,
        "id": notice.id,
        "kind": notice.kind.value,
        "check": notice.check,
        "status": notice.status.value,
        "decided_at": exact(notice.at),
        "given_up_at": exact(letter.at),
        "attempts": letter.attempts,
        "reason": letter.reason,
    }


def _times(value: dict[str, Any], *names: str) -> dict[str, Any]:
    return value | {name: None if value[name] is None else exact(value[name]) for name in names}


def _entries(prefix: str, fields: tuple[str, ...], states: Mapping[str, State], now: float) -> list[dict[str, Any]]:
    names = sorted(name for name in states if name.startswith(prefix))
    return [_entry(states[name], read_status(states[name], now), fields, name[len(prefix) :]) for name in names]


def _entry(state: State, reading: Reading, fields: tuple[str, ...], target: str) -> dict[str, Any]:
    result = state.result
    values = {**result.data, **result.detail}
    entry = {
        "name": values.get("name") or target,
        "check": state.check,
        "verdict": values.get("verdict") or result.reason,
        "status": reading.status.value,
        "reason": reading.reason,
        "since": exact(state.since),
        "observed_at": exact(result.observed_at),
    }
    if reading.status in (Status.STALE, Status.UNKNOWN):
        entry["stale"] = True
    if result.message:
        entry["message"] = result.message
    entry |= {name: values.get(name) for name in fields}
    return entry | {name: value for name, value in values.items() if name not in _LEADING_FIELDS and name not in entry}
