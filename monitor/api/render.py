"""JSON bodies of the endpoints that show states: probes, the snapshot, and the state at a past moment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from monitor import policy
from monitor.api import entries
from monitor.api.refresher import CachedSnapshot
from monitor.api.roster import UNREADABLE, Group, RosterReader
from monitor.config import CheckSpec
from monitor.history.samples import RESPONSE_TIME
from monitor.lib.version import UNKNOWN, installed_version
from monitor.model.checks import Overall, State
from monitor.policy.runtime_checks import CHILD, is_runtime_check, runtime_spec
from monitor.ports.history import HistoryBounds
from monitor.presentation.history import reaches_document
from monitor.presentation.states import hosts_document, iso_seconds, workers_document

YIELD_EVERY = 256
"""Number of checks after which the rendering thread lets other threads run."""
_Form = Literal["public", "full", "snapshot"]


class _Rendered(NamedTuple):
    """Reading of a check, its state, and the JSON entry that shows both, without the age."""

    reading: policy.Reading
    state: State | None
    entry: str


class Renderer:
    """Renderer of bodies for a roster.

    The JSON entry of a check is kept while its state and reading stay the same. A new body consists of kept entries, to
    which only the age is added. So a body of ten thousand checks is cheap.
    """

    def __init__(self, roster: RosterReader) -> None:
        self._roster = roster
        self._cache: dict[tuple[str, _Form], _Rendered] = {}

    def group(self, group: Group, snapshot: CachedSnapshot) -> tuple[bool, str]:
        """Return whether a group passes, and its body. The body has ``held`` if a check of the group is held."""
        readings, checks = self._entries(group, snapshot, full=False)
        passes = self._roster.overall(group, readings) is not Overall.UNHEALTHY
        held = {"held": True} if any(reading.held for reading in readings.values()) else {}
        head = self._head("ready" if passes else "not_ready", snapshot, **held)
        return passes, entries.with_members(head, entries.member("checks", checks))

    def detailed(self, snapshot: CachedSnapshot, *, full: bool) -> str:
        """Return the body with the overall verdict and all checks; with ``full``, also messages, details and hosts."""
        everything = self._roster.everything(snapshot)
        readings, checks = self._entries(everything, snapshot, full=full)
        head = self._head(self._roster.overall(everything, readings), snapshot)
        members = [entries.member("checks", checks)]
        if full and (hosts := self._roster.runtime_states(snapshot).hosts):
            members.append(entries.member("hosts", entries.encode(hosts_document(hosts, snapshot.now))))
        return entries.with_members(head, *members)

    def check(self, check: CheckSpec, snapshot: CachedSnapshot, *, full: bool) -> tuple[bool, str]:
        """Return whether a check passes, and its body."""
        reading, entry = self._entry(check, snapshot, hold=None, full=full)
        head = entries.encode({"name": check.name, "timestamp": iso_seconds(snapshot.now)})
        return not policy.fails(reading), entries.with_members(head, entry[1:-1])

    def startup(self, snapshot: CachedSnapshot) -> tuple[bool, str]:
        """Return whether the process has its configuration and has tried to read the store, and the body."""
        started = snapshot.tried and not self._roster.problem
        return started, self._head("started" if started else "starting", snapshot)

    def snapshot(self, snapshot: CachedSnapshot, reaches: HistoryBounds) -> str:
        """Return the body of ``/api/health/snapshot/``.

        The body contains no ages, so that its ETag stays the same while nothing changes.
        """
        everything = self._roster.everything(snapshot)
        checks = {check.name: self._rendered(check, snapshot, "snapshot") for check in everything.checks}
        children = [(check.name, self._rendered(check, snapshot, "snapshot")) for check in child_checks(snapshot)]
        readings = {name: rendered.reading for name, rendered in checks.items()}
        watched = workers_document(snapshot.states, snapshot.now)
        head = {
            "status": self._roster.overall(everything, readings).value,
            "workers": watched["workers"],
            "queues": watched["queues"],
            "hosts": hosts_document(self._roster.runtime_states(snapshot).hosts, snapshot.now),
            "reaches": reaches_document(reaches),
            "answering": snapshot.answering is not False,
            "version": _version(),
        } | ({"reason": self._roster.problem} if self._roster.problem else {})
        members = (
            entries.member(key, entries.json_object(entries.member(name, check.entry) for name, check in rendered))
            for key, rendered in (("checks", checks.items()), ("groups", children))
        )
        return entries.with_members(entries.encode(head), *members)

    def past(self, states: Mapping[str, State], at: float, current: CachedSnapshot, reaches: HistoryBounds) -> str:
        """Return the body of ``/api/health/detailed/?at=`` from the ``states`` at that moment.

        ``absent`` names the fields that a check has in the ``current`` snapshot and that history does not keep.
        """
        snapshot = CachedSnapshot(states, at, answering=True, tried=True)
        checks: dict[str, Any] = {}
        readings = {}
        others = sorted(states.keys() - self._roster.checks.keys())
        for check in (*self._roster.checks.values(), *map(runtime_spec, others)):
            reading, state = self._roster.read(check, snapshot)
            if _affects_overall(check.name):
                readings[check.name] = reading
            fields = entries.fields(reading, state)
            fields.pop("since", None)
            absent = _absent(current.states.get(check.name), fields)
            checks[check.name] = fields | self._about(check) | {"absent": absent}
        document = {
            "status": policy.overall(readings, self._roster.all.critical).value,
            "at": at,
            "timestamp": iso_seconds(at),
            "checks": checks,
            "reaches": reaches_document(reaches),
        }
        return entries.encode(document)

    def _head(self, status: str, snapshot: CachedSnapshot, **more: Any) -> str:
        problem = {"reason": self._roster.problem} if self._roster.problem else {}
        return _head(status, snapshot.now, **problem, **more)

    def _entries(
        self, group: Group, snapshot: CachedSnapshot, *, full: bool
    ) -> tuple[Mapping[str, policy.Reading], str]:
        readings: dict[str, policy.Reading] = {}
        rendered = []
        for number, check in enumerate(group.checks, 1):
            readings[check.name], entry = self._entry(check, snapshot, hold=group.hold, full=full)
            rendered.append(entries.member(check.name, entry))
            if number % YIELD_EVERY == 0:
                time.sleep(0)  # releases the interpreter lock, so that other threads need not wait for a long roster
        return readings, entries.json_object(rendered)

    def _entry(
        self, check: CheckSpec, snapshot: CachedSnapshot, *, hold: policy.GroupHold | None, full: bool
    ) -> tuple[policy.Reading, str]:
        try:
            reading, state, entry = self._rendered(check, snapshot, "full" if full else "public", hold)
            if state is None:
                return reading, entry
            return reading, entries.with_members(entry, f'"age_ms":{entries.age_ms(state, snapshot.now)}')
        except Exception:  # noqa: BLE001 - a probe must answer, even when stored values are damaged
            return UNREADABLE, entries.encode(entries.fields(UNREADABLE, None))

    def _rendered(
        self, check: CheckSpec, snapshot: CachedSnapshot, form: _Form, hold: policy.GroupHold | None = None
    ) -> _Rendered:
        reading, state = self._roster.read(check, snapshot, hold=hold)
        cached = self._cache.get((check.name, form))
        if cached is None or cached.state is not state or cached.reading != reading:
            if form == "snapshot":
                entry = self._snapshot_entry(check, reading, state, snapshot)
            else:
                entry = entries.encode(entries.fields(reading, state, full=form == "full"))
            cached = _Rendered(reading, state, entry)
            if check.name in self._roster.checks:  # entries of checks created at run time would never be deleted
                self._cache[check.name, form] = cached
        return cached

    def _snapshot_entry(
        self, check: CheckSpec, reading: policy.Reading, state: State | None, snapshot: CachedSnapshot
    ) -> str:
        series = [RESPONSE_TIME, *own_series(snapshot.states.get(check.name))]
        try:
            fields = entries.fields(reading, state, full=True)
            return entries.encode(fields | self._about(check) | {"series": series})
        except Exception:  # noqa: BLE001 - the dashboard must get a response, even when stored values are damaged
            return entries.encode(entries.fields(UNREADABLE, None) | self._about(check) | {"series": []})

    def _about(self, check: CheckSpec) -> dict[str, Any]:
        return {"kind": check.kind, "critical": check.critical, "groups": list(self._roster.groups_of(check.name))}


def live(now: float) -> str:
    """Return the body of ``/api/health/live/``."""
    return _head("alive", now)


def child_checks(snapshot: CachedSnapshot) -> list[CheckSpec]:
    """Return the child checks in a snapshot, sorted by name. These are consumer groups."""
    return [
        runtime_spec(name)
        for name in sorted(snapshot.states)
        if name.startswith(f"{CHILD}:") and is_runtime_check(name)
    ]


def own_series(state: State | None) -> list[str]:
    """Return the names of the series of a state, without the response time, which every check has."""
    return [name for name in state.result.series if name != RESPONSE_TIME] if state else []


def _head(status: str, now: float, **more: Any) -> str:
    return entries.encode({"status": status, "timestamp": iso_seconds(now), **more})


def _affects_overall(name: str) -> bool:
    return not name.startswith(("worker:", "queue:", "host:", f"{CHILD}:")) and name != "workers"


def _absent(current: State | None, kept: Mapping[str, Any]) -> list[str]:
    """Return the names of the fields that the ``current`` state has and that are not ``kept`` in history."""
    data = [] if current is None else [name for name in current.result.data if name not in kept]
    return ["since", "message", "detail", *data]


def _version() -> str:
    version = installed_version()
    return "" if version == UNKNOWN else version
