"""Everything that is known now, for a dashboard: of what the refresher knows, and asked for every two seconds.

Without ages: while nothing changes the body stays the same, and so does its ETag.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import metadata
from typing import Any

from monitor import documents, policy
from monitor.api import entries
from monitor.api.refresher import Moment
from monitor.api.roster import UNREADABLE, Roster
from monitor.chronicle import reaches_document
from monitor.config import CheckSpec, Config
from monitor.history.samples import RESPONSE_TIME
from monitor.model import Overall, State
from monitor.policy.dynamic_checks import PART, dynamic, is_dynamic
from monitor.ports import Reaches

_Kept = tuple[State | None, policy.Reading, str]


class SnapshotRenderer:
    """Renders snapshots of the present and of the past. What is said of a check is kept while it stays the same."""

    def __init__(self, config: Config, roster: Roster) -> None:
        self._config = config
        self._roster = roster
        self._kept: dict[str, _Kept] = {}

    def present(self, moment: Moment, reaches: Reaches) -> str:
        """The body of ``/api/health/snapshot/``."""
        verdict, checks = self._checks(self._roster.everything(moment).checks, moment)
        _, parts = self._checks(parts_of(moment.states), moment)
        fleet = documents.workers(moment.states, moment.now)
        head = {
            "status": verdict.value,
            "workers": fleet["workers"],
            "queues": fleet["queues"],
            "hosts": documents.hosts(self._roster.fleet(moment).hosts, moment.now),
            "reaches": reaches_document(reaches),
            "answering": moment.answering is not False,
            "version": _version(),
        } | ({"reason": self._roster.problem} if self._roster.problem else {})
        return entries.extended(entries.encode(head), entries.member("checks", checks), entries.member("groups", parts))

    def past(self, then: Mapping[str, State], at: float, now: Moment, reaches: Reaches) -> str:
        """The body of ``/api/health/detailed/?at=``. ``absent`` names the fields that are not kept."""
        moment = Moment(then, at, answering=True, tried=True)
        checks = {}
        readings = {}
        known = [*self._roster.checks.values(), *map(dynamic, sorted(then.keys() - self._roster.checks.keys()))]
        for check in known:
            reading, state = self._roster.read(check, moment)
            readings[check.name] = reading
            said = entries.fields(reading, state)
            said.pop("since", None)
            checks[check.name] = said | self._about(check) | {"absent": _absent(now.states.get(check.name), said)}
        critical = frozenset(check.name for check in self._roster.checks.values() if check.critical)
        listed = {name: reading for name, reading in readings.items() if not _is_of_fleet(name)}
        document = {
            "status": policy.overall(listed, critical).value,
            "at": at,
            "timestamp": documents.timestamp(at),
            "checks": checks,
            "reaches": reaches_document(reaches),
        }
        return entries.encode(document)

    def _checks(self, checks: Iterable[CheckSpec], moment: Moment) -> tuple[Overall, str]:
        readings, rendered = {}, []
        for check in checks:
            reading, state = self._roster.read(check, moment)
            readings[check.name] = reading
            kept = self._kept.get(check.name)
            if kept is None or kept[0] is not state or kept[1] != reading:
                kept = state, reading, self._entry(check, reading, state, moment)
                if check.name in self._roster.checks:  # what comes at run time goes again, and would stay here
                    self._kept[check.name] = kept
            rendered.append(entries.member(check.name, kept[2]))
        return self._roster.overall(self._roster.all, readings), entries.joined(rendered)

    def _entry(self, check: CheckSpec, reading: policy.Reading, state: State | None, moment: Moment) -> str:
        own = moment.states.get(check.name)
        series = [name for name in own.result.series if name != RESPONSE_TIME] if own else []
        try:
            said = entries.fields(reading, state, full=True)
            return entries.encode(said | self._about(check) | {"series": [RESPONSE_TIME, *series]})
        except Exception:  # noqa: BLE001 - whatever a store let through, there is an answer
            return entries.encode(entries.fields(UNREADABLE, None) | self._about(check) | {"series": []})

    def _about(self, check: CheckSpec) -> dict[str, Any]:
        groups = list(self._config.groups_of(check.name))
        return {"kind": check.kind, "critical": check.critical, "groups": groups}


def parts_of(states: Iterable[str]) -> list[CheckSpec]:
    """The checks that runs of other checks found, by name: consumer groups."""
    return [dynamic(name) for name in sorted(states) if name.startswith(f"{PART}:") and is_dynamic(name)]


def _is_of_fleet(name: str) -> bool:
    return name.startswith(("worker:", "queue:", "host:", f"{PART}:")) or name == "workers"


def _absent(now: State | None, said: Mapping[str, Any]) -> list[str]:
    """The fields that the check has now, and that are not kept of the past."""
    data = [] if now is None else [name for name in now.result.data if name not in said]
    return ["since", "message", "detail", *data]


@lru_cache(maxsize=1)
def _version() -> str:
    try:
        return metadata.version("celery-health-monitor")
    except metadata.PackageNotFoundError:
        return ""
