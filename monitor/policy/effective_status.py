"""Effective status of the roster's checks: when a check is read, the states of workers and hosts may make it worse."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from monitor.config import CheckSpec
from monitor.model.checks import Reason, State, Status
from monitor.policy.runtime_checks import SUMMARY, is_runtime_check
from monitor.policy.self_check import RESULTS
from monitor.policy.states import Reading, read_status

HOST_METRICS: Mapping[str, str] = {
    "cpu": "percent",
    "memory": "percent",
    "disk": "percent",
    "connections": "active_connections",
}
"""Kinds of checks of which each host has metrics. By kind, the number that compares hosts with the same status."""


class RuntimeStates:
    """States of the runtime checks, which the effective status of the roster's checks depends on."""

    def __init__(self, states: Mapping[str, State]) -> None:
        self.states = states

    @property
    def summary(self) -> State | None:
        """State of the check ``workers``, the summary of all workers and queues."""
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
    check: CheckSpec, reading: Reading, state: State | None, runtime_states: RuntimeStates, now: float
) -> tuple[Reading, State | None]:
    """Return the effective reading and state of a check of the roster. ``reading`` and ``state`` are its own.

    - The check of the workers' broker gets the status of the check ``workers`` if this is worse. If both are ok, it
      gets the reason of the check ``workers``, such as ``outdated``.
    - The checks ``cpu``, ``memory``, ``disk`` and ``connections`` get the status and the numbers of the worst host.
    - All other checks are unchanged.
    """
    if state is None:
        return reading, state
    if check.kind == "celery" and runtime_states.summary is not None and not check.options.get("broker_url"):
        return with_workers(reading, state, runtime_states.summary, now)
    if check.kind == check.name and check.kind in HOST_METRICS and runtime_states.hosts:
        return worst_host(check.kind, reading, state, runtime_states.hosts, now)
    return reading, state


def during_import(reading: Reading, states: Mapping[str, State], now: float) -> tuple[Reading, str | None]:
    """Return the reading of a check of the roster, and a message if the check processes still import the project.

    Until the end of the import no check runs. So the import is the reason of a check that is stale or unknown.
    """
    results = states.get(RESULTS)
    if reading.status not in (Status.STALE, Status.UNKNOWN) or results is None:
        return reading, None
    if read_status(results, now).reason != Reason.IMPORTING:
        return reading, None
    return reading._replace(reason=Reason.IMPORTING), results.result.message


def with_workers(reading: Reading, state: State, summary: State, now: float) -> tuple[Reading, State]:
    """Return the reading and state of the check of a broker, with the workers' summary: the worse status of both.

    A stale summary does not make the check fail. If the monitor has stopped, the check of the broker is stale itself.
    """
    result, summary_reading = state.result, read_status(summary, now)
    if summary_reading.status in (Status.STALE, Status.UNKNOWN):
        data = {**result.data, "workers_stale": True}
        return reading, dataclasses.replace(state, result=dataclasses.replace(result, data=data))
    summary_data = summary.result.data
    counts = {"workers": summary_data.get("workers"), "queue_verdicts": summary_data.get("queues")}
    if summary_data.get("suspended"):
        counts["workers_suspended"] = summary_data["suspended"]
    data = {**result.data, **{name: value for name, value in counts.items() if value is not None}}
    if summary_reading.status is reading.status is Status.OK and summary_reading.reason and not reading.reason:
        # A remark about workers that are ok: some are outdated.
        remark = dataclasses.replace(result, reason=summary_reading.reason, message=summary.result.message, data=data)
        return Reading(reading.status, remark.reason, reading.held), dataclasses.replace(state, result=remark)
    if summary_reading.status.severity <= reading.status.severity:
        return reading, dataclasses.replace(state, result=dataclasses.replace(result, data=data))
    worse = dataclasses.replace(
        result, status=summary_reading.status, reason=summary_reading.reason, message=summary.result.message, data=data
    )
    effective_state = dataclasses.replace(state, status=summary_reading.status, since=summary.since, result=worse)
    return Reading(summary_reading.status, summary_reading.reason, reading.held), effective_state


def worst_host(kind: str, reading: Reading, state: State, hosts: Iterable[State], now: float) -> tuple[Reading, State]:
    """Return the reading and state of the worst host. The hosts are the monitor's own host and those of the workers.

    Hosts are compared by status, then by the number in `HOST_METRICS`. ``detail`` names the worst host. Only authorised
    clients get ``detail``.
    """
    is_known = reading.status not in (Status.STALE, Status.UNKNOWN)
    worst, rank = None, _rank(reading.status, state.result.data.get(HOST_METRICS[kind]) if is_known else None)
    for host, metrics in _host_metrics(kind, hosts, now):
        host_rank = _rank(_status(metrics, host), metrics.get(HOST_METRICS[kind]))
        if host_rank > rank:
            worst, rank = (host, metrics), host_rank
    return (reading, state) if worst is None else _with_metrics_of_host(state, *worst)


def host_name(state: State) -> str:
    """Return the name of the host of a ``host:HOST`` state."""
    return str(state.result.detail.get("host") or state.result.data.get("host") or state.check.partition(":")[2])


def _host_metrics(kind: str, hosts: Iterable[State], now: float) -> Iterator[tuple[State, Mapping[str, Any]]]:
    for host in hosts:
        metrics = host.result.data.get(kind)
        if isinstance(metrics, Mapping) and read_status(host, now).status is not Status.STALE:
            yield host, metrics


def _with_metrics_of_host(state: State, host: State, metrics: Mapping[str, Any]) -> tuple[Reading, State]:
    status = _status(metrics, host)
    reason = None if status is Status.OK else metrics.get("reason") or Reason.ABOVE_THRESHOLD
    result = dataclasses.replace(
        host.result,
        status=status,
        data={name: value for name, value in metrics.items() if name not in ("status", "reason")},
        reason=reason,
        message=None,
        detail={"host": host_name(host)},
    )
    return Reading(status, reason), State(state.check, status, host.since, state.sequence, result)


def _status(metrics: Mapping[str, Any], host: State) -> Status:
    """Return the status of a metric of a host, but none worse than the status of the host.

    The status of the host gets worse only after the metric was high for a while. Each beacon has only the numbers of
    one moment.
    """
    try:
        status = Status(metrics.get("status", Status.OK))
    except ValueError:
        status = Status.OK
    return min(status, host.status, key=lambda each: each.severity)


def _rank(status: Status, number: Any) -> tuple[int, float]:
    return status.severity, float(number) if isinstance(number, int | float) else -1.0
