"""What workers, queues and hosts add to the checks of the roster when these are read: the worse of both is shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from monitor.config import CheckSpec
from monitor.model.checks import Reason, State, Status
from monitor.policy.runtime_checks import SUMMARY, is_dynamic
from monitor.policy.states import Reading, read_status

HOST_METRICS: Mapping[str, str] = {
    "cpu": "percent",
    "memory": "percent",
    "disk": "percent",
    "connections": "active_connections",
}
"""The checks that hosts have numbers for, and the number that says which host is worse off."""


class RuntimeStates:
    """The states that come and go at run time, as far as they have a part in what the roster's checks show."""

    def __init__(self, states: Mapping[str, State]) -> None:
        self.states = states

    @property
    def summary(self) -> State | None:
        """The summary of all workers and queues."""
        return self.states.get(SUMMARY)

    @cached_property
    def hosts(self) -> tuple[State, ...]:
        """The hosts, by name."""
        return self._of("host:")

    @cached_property
    def monitor(self) -> tuple[State, ...]:
        """The monitor's own state, by name."""
        return self._of("monitor:")

    def _of(self, prefix: str) -> tuple[State, ...]:
        names = sorted(name for name in self.states if name.startswith(prefix) and is_dynamic(name))
        return tuple(self.states[name] for name in names)


def overlay(
    check: CheckSpec, reading: Reading, state: State | None, known: RuntimeStates, now: float
) -> tuple[Reading, State | None]:
    """What a check of the roster shows, given its own reading and state.

    A check of the broker that the workers share shows what became of them, too. ``cpu``, ``memory``, ``disk`` and
    ``connections`` show the host that is worst off. Every other check is as it was.
    """
    if state is None:
        return reading, state
    if check.kind == "celery" and known.summary is not None and not check.options.get("broker_url"):
        return with_workers(reading, state, known.summary, now)
    if check.kind == check.name and check.kind in HOST_METRICS and known.hosts:
        return worst_host(check.kind, reading, state, known.hosts, now)
    return reading, state


def with_workers(reading: Reading, state: State, summary: State, now: float) -> tuple[Reading, State]:
    """A broker's check with the workers' summary: the worse status wins, and its reason is the one that is shown.

    A summary that is out of date fails nothing, for a pipeline that is dead makes the check itself stale.
    """
    found, theirs = state.result, read_status(summary, now)
    if theirs.status in (Status.STALE, Status.UNKNOWN):
        data = {**found.data, "workers_stale": True}
        return reading, dataclasses.replace(state, result=dataclasses.replace(found, data=data))
    said = summary.result.data
    counts = {"workers": said.get("workers"), "queue_verdicts": said.get("queues")}
    if said.get("suspended"):
        counts["workers_suspended"] = said["suspended"]
    data = {**found.data, **{name: value for name, value in counts.items() if value is not None}}
    if theirs.status.severity <= reading.status.severity:
        return reading, dataclasses.replace(state, result=dataclasses.replace(found, data=data))
    worse = dataclasses.replace(
        found, status=theirs.status, reason=theirs.reason, message=summary.result.message, data=data
    )
    shown = dataclasses.replace(state, status=theirs.status, since=summary.since, result=worse)
    return Reading(theirs.status, theirs.reason, reading.held), shown


def worst_host(kind: str, reading: Reading, state: State, hosts: Iterable[State], now: float) -> tuple[Reading, State]:
    """A check of our own host, or the same numbers of a worker's host that is worse off: by status, then by number.

    For the authorised, the detail says which ``host`` it is.
    """
    believed = reading.status not in (Status.STALE, Status.UNKNOWN)
    worst, place = None, _place(reading.status, state.result.data.get(HOST_METRICS[kind]) if believed else None)
    for host, vitals in _vitals(kind, hosts, now):
        theirs = _place(_status(vitals), vitals.get(HOST_METRICS[kind]))
        if theirs > place:
            worst, place = (host, vitals), theirs
    return (reading, state) if worst is None else _shown(state, *worst)


def host_name(state: State) -> str:
    """The host that a state of the kind ``host`` is about."""
    return str(state.result.detail.get("host") or state.result.data.get("host") or state.check.partition(":")[2])


def _vitals(kind: str, hosts: Iterable[State], now: float) -> Iterator[tuple[State, Mapping[str, Any]]]:
    for host in hosts:
        vitals = host.result.data.get(kind)
        if isinstance(vitals, Mapping) and read_status(host, now).status is not Status.STALE:
            yield host, vitals


def _shown(state: State, host: State, vitals: Mapping[str, Any]) -> tuple[Reading, State]:
    status = _status(vitals)
    reason = vitals.get("reason") or (None if status is Status.OK else Reason.ABOVE_THRESHOLD)
    result = dataclasses.replace(
        host.result,
        status=status,
        data={name: value for name, value in vitals.items() if name not in ("status", "reason")},
        reason=reason,
        message=None,
        detail={"host": host_name(host)},
    )
    return Reading(status, reason), State(state.check, status, host.since, state.sequence, result)


def _status(vitals: Mapping[str, Any]) -> Status:
    try:
        return Status(vitals.get("status", Status.OK))
    except ValueError:
        return Status.OK


def _place(status: Status, number: Any) -> tuple[int, float]:
    return status.severity, float(number) if isinstance(number, int | float) else -1.0
