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

    ``status`` and ``reason`` are taken from the check ``workers``. Before the first round, ``status`` is ``unknown``.
    An entry whose result has expired keeps its last verdict and has ``stale`` set. ``suspended`` is True while the
    monitor cannot observe the workers and therefore keeps the old verdicts.
    """
    summary = states.get(SUMMARY)
    reading = read_status(summary, now)
    return {
        "status": reading.status.value,
        "reason": reading.reason,
        "suspended": bool(summary and summary.result.data.get("suspended")),
        "workers": _entries("worker:", _WORKER_FIELDS, states, now),
        "queues": _entries("queue:", _QUEUE_FIELDS, states, now),
        "timestamp": iso_seconds(now),
    }


def alerts_document(overview: AlertsOverview) -> dict[str, Any]:
    """Return the state of alerting: the body of ``/api/health/alerts/``.

    It contains the silences, the queue of each channel, the dead letters, and three kinds of checks: failing checks,
    flapping checks, and checks whose failure was notified but whose recovery was not.
    """
    shown = (
        alert for alert in overview.alerts if alert.status.severity or alert.flapping_since is not None or alert.told
    )
    return {
        "alerts": [_alert_document(alert) for alert in shown],
        "silences": [_with_iso_times(asdict(silence), "since", "until") for silence in overview.silences],
        "channels": [_with_iso_times(asdict(queue), "oldest_at", "held_until") for queue in overview.queues],
        "dead_letters": [_dead_letter_document(letter) for letter in overview.dead_letters],
        "dead_letter_count": overview.dead_letter_count,
        "timestamp": iso_seconds(overview.read_at),
    }


def hosts_document(states: Iterable[State], now: float) -> dict[str, Any]:
    """Return the metrics of every host that runs a worker, by host name."""
    return {
        host_name(state): {
            **state.result.data,
            **({"stale": True} if read_status(state, now).status is Status.STALE else {}),
            "observed_at": iso_milliseconds(state.result.observed_at),
        }
        for state in states
    }


def iso_seconds(at: float) -> str:
    """Return the time in ISO 8601, in UTC, with seconds."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_milliseconds(at: float) -> str | None:
    """Return the time in ISO 8601, in UTC, with milliseconds; None if ``at`` is outside the range of `datetime`."""
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None


def rounded(value: float) -> float | int:
    """Return the number rounded to two decimals; an integer if the decimals are zero."""
    hundredths = round(value, 2)
    return int(hundredths) if hundredths == int(hundredths) else hundredths


def _alert_document(alert: Alert) -> dict[str, Any]:
    return {
        "check": alert.check,
        "status": alert.status.value,
        "reason": alert.reason,
        "since": iso_milliseconds(alert.since),
        "transition": alert.transition,
        "flapping": alert.flapping_since is not None,
        "held": alert.held,
        "held_by": alert.held_by,
        "deferred": list(alert.deferred),
        "told": {
            channel: {"status": last.status.value, "at": iso_milliseconds(last.at), "reminders": last.reminders}
            for channel, last in alert.told.items()
        },
    }


def _dead_letter_document(letter: DeadLetter) -> dict[str, Any]:
    notice = letter.notice
    return {
        "channel": letter.channel,
        "id": notice.id,
        "kind": notice.kind.value,
        "check": notice.check,
        "status": notice.status.value,
        "decided_at": iso_milliseconds(notice.at),
        "given_up_at": iso_milliseconds(letter.at),
        "attempts": letter.attempts,
        "reason": letter.reason,
    }


def _with_iso_times(value: dict[str, Any], *names: str) -> dict[str, Any]:
    return value | {name: None if value[name] is None else iso_milliseconds(value[name]) for name in names}


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
        "since": iso_milliseconds(state.since),
        "observed_at": iso_milliseconds(result.observed_at),
    }
    if reading.status in (Status.STALE, Status.UNKNOWN):
        entry["stale"] = True
    if result.message:
        entry["message"] = result.message
    entry |= {name: values.get(name) for name in fields}
    return entry | {name: value for name, value in values.items() if name not in _LEADING_FIELDS and name not in entry}
