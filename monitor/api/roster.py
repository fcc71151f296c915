"""Configured checks and groups, and the reading of a check in a snapshot: its status and reason at that time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from monitor import policy
from monitor.api.refresher import CachedSnapshot
from monitor.config import CheckSpec, Config
from monitor.config.model import DEFAULT_HOLD_SECONDS, READY, GroupSpec
from monitor.model.checks import Overall, State, Status
from monitor.policy.effective_status import HOST_METRICS, RuntimeStates, during_import, overlay
from monitor.policy.runtime_checks import check_names, is_runtime_check, runtime_spec
from monitor.policy.self_check import SCHEDULE

UNREADABLE = policy.Reading(Status.UNKNOWN, "unreadable")
UNREACHABLE = policy.Reading(Status.ERROR, "unreachable")
FULL = "out_of_memory"
_NOT_KNOWN = (Status.STALE, Status.UNKNOWN)
_OVERLAID = frozenset({"celery", *HOST_METRICS})


class Group:
    """Group of checks behind one probe, in the order of the configuration.

    With ``all_critical``, checks count as critical in this group even if they are not.
    """

    def __init__(
        self, checks: Iterable[CheckSpec], *, hold: policy.GroupHold | None = None, all_critical: bool = False
    ) -> None:
        self.checks = tuple(checks)
        self.hold = hold
        self.critical = frozenset(check.name for check in self.checks if check.critical or all_critical)
        self.names = frozenset(check.name for check in self.checks)


class RosterReader:
    """Reader of the configured checks and groups in a snapshot. It imports no kind.

    ``problem`` is the reason why the configuration cannot be used. If it is set, ``startup`` and ``ready`` return 503.
    """

    def __init__(self, config: Config, *, problem: str | None = None) -> None:
        self.checks: Mapping[str, CheckSpec] = dict(config.checks)
        self.all = Group(self.checks.values())
        self.groups = {name: Group(config.members(name), hold=_hold(spec)) for name, spec in config.groups.items()}
        self.ready = self.groups[READY]
        self.groups_of = config.groups_of
        self.problem = problem
        self._store_checks = frozenset(
            check.name for check in self.checks.values() if check.kind == "redis" and not check.options.get("url")
        )

        self._watches_workers = config.workers.enabled
        self._cached_runtime_states = RuntimeStates({})
        self._everything: tuple[tuple[str, ...], Group] = (), self.all

    def find(self, check: str, snapshot: CachedSnapshot) -> CheckSpec | None:
        """Return a check of the roster, or a check that was created at run time and still exists; otherwise None.

        A check created at run time is found by its own name, and by the original name of its target, such as
        ``group:orders:a/b``, for which the name of the check contains a digest.
        """
        if check in self.checks:
            return self.checks[check]
        if is_runtime_check(check) and check in snapshot.states:
            return runtime_spec(check)
        return next((runtime_spec(name) for name in check_names(check, self.checks) if name in snapshot.states), None)

    def single(self, check: CheckSpec) -> Group:
        """Return a group of one check, which counts as critical."""
        return Group([check], all_critical=True)

    def runtime_states(self, snapshot: CachedSnapshot) -> RuntimeStates:
        """Return the states of checks that were created at run time."""
        cached = self._cached_runtime_states
        if cached.states is not snapshot.states:
            cached = self._cached_runtime_states = RuntimeStates(snapshot.states)
        return cached

    def everything(self, snapshot: CachedSnapshot) -> Group:
        """Return all checks of the roster, and the checks ``monitor:WHAT``, which are never critical."""
        names = tuple(state.check for state in self.runtime_states(snapshot).monitor if state.check not in self.checks)
        cached = self._everything
        if names != cached[0]:
            cached = self._everything = names, Group((*self.all.checks, *map(runtime_spec, names)))
        return cached[1]

    def read(
        self, check: CheckSpec, snapshot: CachedSnapshot, *, hold: policy.GroupHold | None = None
    ) -> tuple[policy.Reading, State | None]:
        """Return the reading of a check and its state. The state is None if the reading does not come from a state.

        - The check of the store is an error while the store does not answer this process, with the reason of the error
          reply if there is one. It is an error while the store's memory is full, too.
        - While the store refuses writes for another reason, this refusal is the reason of a stale or unknown check of
          the store. The refusal alone is no error, because a replica that is read on purpose refuses writes.
        - While the check processes import the project, this is the reason of a stale or unknown check.
        - Results of other checks are valid until they expire.
        - A check of the kind ``celery`` includes the summary of the workers. Checks of a host show the worst host.
        - A state that cannot be judged is ``unreadable``: a probe must answer even when stored values are damaged.
        """
        try:
            return self._read(check, snapshot, hold=hold)
        except Exception:  # noqa: BLE001
            return UNREADABLE, None

    def _read(
        self, check: CheckSpec, snapshot: CachedSnapshot, *, hold: policy.GroupHold | None
    ) -> tuple[policy.Reading, State | None]:
        if check.name in self._store_checks:
            if snapshot.answering is False:
                return (
                    UNREACHABLE if snapshot.refusal is None else UNREACHABLE._replace(reason=snapshot.refusal)
                ), None
            if snapshot.refusal == FULL:
                return policy.Reading(Status.ERROR, FULL), None
        state = snapshot.states.get(check.name)
        reading = policy.read_status(state, snapshot.now, hold=hold)
        if snapshot.refusal is not None and self._shows_refusal(check) and reading.status in _NOT_KNOWN:
            return reading._replace(reason=snapshot.refusal), state
        if reading.status in _NOT_KNOWN and check.name in self.checks:
            reading, _ = during_import(reading, snapshot.states, snapshot.now)
        if check.kind in _OVERLAID and self._watches_workers:
            return overlay(check, reading, state, self.runtime_states(snapshot), snapshot.now)
        return reading, state

    def _shows_refusal(self, check: CheckSpec) -> bool:
        return check.name in self._store_checks or check.name == SCHEDULE

    def overall(self, group: Group, readings: Mapping[str, policy.Reading]) -> Overall:
        """Return the overall verdict of a group: unhealthy, degraded or healthy."""
        return Overall.UNHEALTHY if self.problem else policy.overall(readings, group.critical)


def _hold(spec: GroupSpec) -> policy.GroupHold | None:
    if spec.stale != "hold":
        return None
    forever = spec.hold_for_seconds == math.inf
    return policy.GroupHold(DEFAULT_HOLD_SECONDS if forever else spec.hold_for_seconds, forever)
