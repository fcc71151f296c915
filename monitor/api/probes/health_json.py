"""Response format of draft-inadarei-api-health-check (``Accept: application/health+json``): pass, warn and fail."""

from __future__ import annotations

from typing import Any

from monitor import policy
from monitor.api.entries import encode
from monitor.api.refresher import CachedSnapshot
from monitor.api.roster import UNREADABLE, Group, RosterReader
from monitor.config import CheckSpec
from monitor.model.checks import Overall, State, Status
from monitor.presentation.states import iso_milliseconds, rounded

MEDIA_TYPE = "application/health+json"
_WORDS = {Overall.HEALTHY: "pass", Overall.DEGRADED: "warn", Overall.UNHEALTHY: "fail"}
_DATASTORES = frozenset({"database", "redis"})
_SYSTEM = frozenset({"cpu", "memory", "disk", "connections"})
_MEASURES = {
    "percent": ("utilization", "percent"),
    "active_connections": ("connections", "count"),
    "pending_tasks": ("pendingTasks", "count"),
}
"""Fields of checks that are measurements in this format, with the name (the draft's, if it has one) and the unit."""


def group_document(roster: RosterReader, members: Group, snapshot: CachedSnapshot) -> tuple[bool, str]:
    """Return whether a group passes, and its JSON document."""
    checks: dict[str, list[dict[str, Any]]] = {}
    readings = {}
    for check in members.checks:
        reading, state = roster.read(check, snapshot, hold=members.hold)
        readings[check.name] = reading
        checks |= _readable_component(check, reading, state)
    overall = roster.overall(members, readings)
    return overall is not Overall.UNHEALTHY, encode({"status": _WORDS[overall], "checks": checks})


def status_document(passes: bool) -> str:
    """Return a JSON document that contains only the status."""
    return encode({"status": "pass" if passes else "fail"})


def _readable_component(
    check: CheckSpec, reading: policy.Reading, state: State | None
) -> dict[str, list[dict[str, Any]]]:
    try:
        component = _component(check, reading, state)
        encode(component)  # raises for values that are no JSON
    except Exception:  # noqa: BLE001 - a probe must answer, even when stored values are damaged
        return _component(check, UNREADABLE, None)
    return component


def _component(check: CheckSpec, reading: policy.Reading, state: State | None) -> dict[str, list[dict[str, Any]]]:
    common: dict[str, Any] = {"componentId": check.name, "componentType": _type(check.kind), "status": _word(reading)}
    if common["status"] != "pass" and reading.reason:
        common["output"] = reading.reason
    # In a key, a colon separates the name of the component from the name of the measurement.
    escaped_name = check.name.replace(":", "%3A")
    if state is None:
        return {escaped_name: [common]}
    common["time"] = iso_milliseconds(state.result.observed_at)
    measured = {"responseTime": ("ms", rounded(state.result.response_time_ms))}
    for field, (name, unit) in _MEASURES.items():
        if field in state.result.data:
            measured[name] = (unit, state.result.data[field])
    return {
        f"{escaped_name}:{name}": [common | {"observedValue": value, "observedUnit": unit}]
        for name, (unit, value) in measured.items()
    }


def _type(kind: str) -> str:
    return "datastore" if kind in _DATASTORES else "system" if kind in _SYSTEM else "component"


def _word(reading: policy.Reading) -> str:
    if policy.fails(reading):
        return "fail"
    return "pass" if reading.status is Status.OK else "warn"
