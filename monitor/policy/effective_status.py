"""Effective status of the roster's checks when they are read: workers and hosts may make a check worse."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from monitor.config import CheckSpec
from monitor.model.checks import Reason, State, Status
from monitor.policy.runtime_checks import SUMMARY, is_runtime_check
from monitor.policy.states import Reading, read_status

HOST_METRICS: Mapping[str, str] = {
    "cpu": "percent",
    "memory": "percent",
    "disk": "percent",
    "connections": "active_connections",
}
"""Checks for which hosts have metrics, each with the number that ranks hosts of the same status."""


class RuntimeStates:
    """States of runtime checks that affect the effective status of the roster's checks."""

    def __init__(self, states: Mapping[str, State]) -> None:
        self.states = states

    @property
    def summary(self) -> State | None:
        """Summary of all workers and queues."""
        return self.states.get(SUMMARY)

    @cached_property
    def hosts(self) -> tuple[State, ...]:
        """States of the hosts, sorted by name."""
        return self._with_prefix("host:")

    @cached_property
    def monitor(self) -> tuple[State, ...]:
        """States of the monitor's own checks, sorted by name."""
        return self._with_prefix("monitor:")

    def _with_prefix(self, prefix: str) -> tuple[State, ...]:
        names = sorted(name for name in self.states if name.startswith(prefix) and is_runtime_check(name))
        return tuple(self.states[name] for name in names)


def overlay(
    check: CheckSpec, reading: Reading, state: State | None, known: RuntimeStates, now: float
) -> tuple[Reading, State | None]:
    """Return the effective reading and state of a check of the roster, given its own.

    A check of the workers' broker includes the summary of the workers. The checks ``cpu``, ``memory``, ``disk`` and
    ``connections`` show the worst host. All other checks are unchanged.
    """
    if state is None:
        return reading, state
    if check.kind == "celery" and known.summary is not None and not check.options.get("broker_url"):
        return with_workers(reading, state, known.summary, now)
    if check.kind == check.name and check.kind in HOST_METRICS and known.hosts:
        return worst_host(check.kind, reading, state, known.hosts, now)
    return reading, state


def with_workers(reading: Reading, state: State, summary: State, now: float) -> tuple[Reading, State]:
    """Return a broker's check with the workers' summary: the worse status with its reason.

    A summary that is out of date does not make the check fail: if the monitor has stopped, the check itself is stale.
    """
    found, other = state.result, read_status(summary, now)
    if other.status in (Status.STALE, Status.UNKNOWN):
        data = {**found.data, "workers_stale": True}
        return reading, dataclasses.replace(state, result=dataclasses.replace(found, data=data))
    numbers = summary.result.data
    counts = {"workers": numbers.get("workers"), "queue_verdicts": numbers.get("queues")}
    if numbers.get("suspended"):
        counts["workers_suspended"] = numbers["suspended"]
    data = {**found.data, **{name: value for name, value in counts.items() if value is not None}}
    if other.status.severity <= reading.status.severity:
        return reading, dataclasses.replace(state, result=dataclasses.replace(found, data=data))
    worse = dataclasses.replace(
        found, status=other.status, reason=other.reason, message=summary.result.message, data=data
    )
    shown = dataclasses.replace(state, status=other.status, since=summary.since, result=worse)
    return Reading(other.status, other.reason, reading.held), shown


def worst_host(kind: str, reading: Reading, state: State, hosts: Iterable[State], now: float) -> tuple[Reading, State]:
    """Return the reading and state of the worst host: the monitor's own, or a worker's host.

    Hosts are compared by status, then by number. The detail, which only authorised clients get, names the ``host``.
    """
    is_known = reading.status not in (Status.STALE, Status.UNKNOWN)
    worst, rank = None, _rank(reading.status, state.result.data.get(HOST_METRICS[kind]) if is_known else None)
    for host, metrics in _host_metrics(kind, hosts, now):
        other = _rank(_status(metrics), metrics.get(HOST_METRICS[kind]))
        if other > rank:
            worst, rank = (host, metrics), other
    return (reading, state) if worst is None else _shown(state, *worst)


def host_name(state: State) -> str:
    """Return the name of the host of a ``host:HOST`` state."""
    return str(state.result.detail.get("host") or state.result.data.get("host") or state.check.partition(":")[2])


def _host_metrics(kind: str, hosts: Iterable[State], now: float) -> Iterator[tuple[State, Mapping[str, Any]]]:
    for host in hosts:
        metrics = host.result.data.get(kind)
        if isinstance(metrics, Mapping) and read_status(host, now).status is not Status.STALE:
            yield host, metrics


def _shown(state: State, host: State, metrics: Mapping[str, Any]) -> tuple[Reading, State]:
    status = _status(metrics)
    reason = metrics.get("reason") or (None if status is Status.OK else Reason.ABOVE_THRESHOLD)
    result = dataclasses.replace(
        host.result,
        status=status,
        data={name: value for name, value in metrics.items() if name not in ("status", "reason")},
        reason=reason,
        message=None,
        detail={"host": host_name(host)},
    )
    return Reading(status, reason), State(state.check, status, host.since, state.sequence, result)


def _status(metrics: Mapping[str, Any]) -> Status:
    try:
        return Status(metrics.get("status", Status.OK))
    except ValueError:
        return Status.OK


def _rank(status: Status, number: Any) -> tuple[int, float]:
    return status.severity, float(number) if isinstance(number, int | float) else -1.0
