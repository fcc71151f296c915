"""Configured checks and groups, and their readings in a snapshot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from monitor import policy
from monitor.api.refresher import CachedSnapshot
from monitor.config import CheckSpec, Config
from monitor.config.model import DEFAULT_HOLD_SECONDS, READY, GroupSpec
from monitor.model.checks import Overall, State, Status
from monitor.policy.effective_status import HOST_METRICS, RuntimeStates, overlay
from monitor.policy.runtime_checks import check_names, is_runtime_check, runtime_spec
from monitor.policy.self_check import SCHEDULE

UNREADABLE = policy.Reading(Status.UNKNOWN, "unreadable")
UNREACHABLE = policy.Reading(Status.ERROR, "unreachable")
FULL = "out_of_memory"
_NOT_KNOWN = (Status.STALE, Status.UNKNOWN)
_OVERLAID = frozenset({"celery", *HOST_METRICS})


class Group:
    """Group of checks behind one probe, in roster order."""

    def __init__(
        self, checks: Iterable[CheckSpec], *, hold: policy.GroupHold | None = None, all_critical: bool = False
    ) -> None:
        self.checks = tuple(checks)
        self.hold = hold
        self.critical = frozenset(check.name for check in self.checks if check.critical or all_critical)
        self.names = frozenset(check.name for check in self.checks)


class RosterReader:
    """Reader of the configured checks and groups in a snapshot. Uses their common fields, never a kind's code.

    ``problem`` is the reason why the configuration cannot be used: then the process is alive, but not started or ready.
    """

    def __init__(self, config: Config, *, problem: str | None = None) -> None:
        self.checks: Mapping[str, CheckSpec] = dict(config.checks)
        self.all = Group(self.checks.values())
        self.groups = {name: Group(config.members(name), hold=_hold(spec)) for name, spec in config.groups.items()}
        self.ready = self.groups[READY]
        self.groups_of = config.groups_of
        self.problem = problem
        self._watching_store = frozenset(
            check.name for check in self.checks.values() if check.kind == "redis" and not check.options.get("url")
        )

        self._watches_workers = config.workers.enabled
        self._runtime_states = RuntimeStates({})
        self._everything: tuple[tuple[str, ...], Group] = (), self.all

    def find(self, check: str, snapshot: CachedSnapshot) -> CheckSpec | None:
        """Return a check of the roster, or one that was created at run time and still exists; None for any other.

        A check created at run time is also found by the name of its target, such as ``group:orders:a/b``. The name of
        such a check contains a digest.
        """
        if check in self.checks:
            return self.checks[check]
        if is_runtime_check(check) and check in snapshot.states:
            return runtime_spec(check)
        return next((runtime_spec(name) for name in check_names(check, self.checks) if name in snapshot.states), None)

    def single(self, check: CheckSpec) -> Group:
        """Return a group of one check, which is critical there."""
        return Group([check], all_critical=True)

    def fleet(self, snapshot: CachedSnapshot) -> RuntimeStates:
        """Return the states of workers' hosts and of the monitor itself in the snapshot."""
        known = self._runtime_states
        if known.states is not snapshot.states:
            known = self._runtime_states = RuntimeStates(snapshot.states)
        return known

    def everything(self, snapshot: CachedSnapshot) -> Group:
        """Return all checks of the roster, and the checks of the monitor itself, which are never critical."""
        own = tuple(state.check for state in self.fleet(snapshot).monitor if state.check not in self.checks)
        kept = self._everything
        if own != kept[0]:
            kept = self._everything = own, Group((*self.all.checks, *map(runtime_spec, own)))
        return kept[1]

    def read(
        self, check: CheckSpec, snapshot: CachedSnapshot, *, hold: policy.GroupHold | None = None
    ) -> tuple[policy.Reading, State | None]:
        """Return the reading of a check, and its state (None if it has none, or if the reading does not come from it).

        - A check that watches the store is an error as soon as the store does not answer this process, with the store's
          reason, and while the store's memory is full.
        - A store that refuses writes may be a replica that is read on purpose. So the refusal becomes the reason only
          when results are old.
        - Results of other checks are valid until they expire.
        - The broker's check also shows the workers' verdicts, and the checks of a host show the worst host.
        - A state that cannot be judged is ``unreadable``: a probe must answer even when stored values are damaged.
        """
        try:
            return self._read(check, snapshot, hold=hold)
        except Exception:  # noqa: BLE001
            return UNREADABLE, None

    def _read(
        self, check: CheckSpec, snapshot: CachedSnapshot, *, hold: policy.GroupHold | None
    ) -> tuple[policy.Reading, State | None]:
        if check.name in self._watching_store:
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
        if check.kind in _OVERLAID and self._watches_workers:
            return overlay(check, reading, state, self.fleet(snapshot), snapshot.now)
        return reading, state

    def _shows_refusal(self, check: CheckSpec) -> bool:
        return check.name in self._watching_store or check.name == SCHEDULE

    def overall(self, group: Group, readings: Mapping[str, policy.Reading]) -> Overall:
        """Return the verdict over the readings of a group."""
        return Overall.UNHEALTHY if self.problem else policy.overall(readings, group.critical)


def _hold(spec: GroupSpec) -> policy.GroupHold | None:
    if spec.stale != "hold":
        return None
    forever = spec.hold_for_seconds == math.inf
    return policy.GroupHold(DEFAULT_HOLD_SECONDS if forever else spec.hold_for_seconds, forever)
