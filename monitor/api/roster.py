"""The roster as the endpoints need it, and what it says at one moment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from monitor import policy
from monitor.api.refresher import Moment
from monitor.config import CheckSpec, Config
from monitor.config.model import DEFAULT_HOLD_SECONDS, READY, GroupSpec
from monitor.model import Overall, State, Status
from monitor.policy.dynamic_checks import check_names, dynamic, is_dynamic
from monitor.policy.overlays import VITALS, Fleet, overlay
from monitor.policy.pulse import SCHEDULE

UNREADABLE = policy.Reading(Status.UNKNOWN, "unreadable")
UNREACHABLE = policy.Reading(Status.ERROR, "unreachable")
FULL = "out_of_memory"
_NOT_KNOWN = (Status.STALE, Status.UNKNOWN)
_OVERLAID = frozenset({"celery", *VITALS})


class Group:
    """Checks behind one probe, in roster order."""

    def __init__(
        self, checks: Iterable[CheckSpec], *, hold: policy.Hold | None = None, all_critical: bool = False
    ) -> None:
        self.checks = tuple(checks)
        self.hold = hold
        self.critical = frozenset(check.name for check in self.checks if check.critical or all_critical)
        self.names = frozenset(check.name for check in self.checks)


class Roster:
    """All checks and groups of a configuration. The common fields only: never a kind's code.

    ``problem`` is a reason why there is none: then the process is alive, but neither started nor ready.
    """

    def __init__(self, config: Config, *, problem: str | None = None) -> None:
        self.checks: Mapping[str, CheckSpec] = dict(config.checks)
        self.all = Group(self.checks.values())
        self.groups = {name: Group(config.members(name), hold=_hold(spec)) for name, spec in config.groups.items()}
        self.ready = self.groups[READY]
        self.problem = problem
        self._watching_store = frozenset(
            check.name for check in self.checks.values() if check.kind == "redis" and not check.options.get("url")
        )

        self._watches_workers = config.workers.enabled
        self._fleet = Fleet({})
        self._everything: tuple[tuple[str, ...], Group] = (), self.all

    def find(self, check: str, moment: Moment) -> CheckSpec | None:
        """A check of the roster, or one that came at run time and is there now; None for any other.

        What came at run time is found by the name of its target, too: ``group:orders:a/b``, whose check has a digest
        in its name.
        """
        if check in self.checks:
            return self.checks[check]
        if is_dynamic(check) and check in moment.states:
            return dynamic(check)
        return next((dynamic(name) for name in check_names(check, self.checks) if name in moment.states), None)

    def single(self, check: CheckSpec) -> Group:
        """A check by itself: asked for directly, it is critical."""
        return Group([check], all_critical=True)

    def fleet(self, moment: Moment) -> Fleet:
        """Workers' hosts and the monitor's own state, as known at that moment."""
        known = self._fleet
        if known.states is not moment.states:
            known = self._fleet = Fleet(moment.states)
        return known

    def everything(self, moment: Moment) -> Group:
        """All checks of the roster and, none of them critical, those of the monitor's own state."""
        own = tuple(state.check for state in self.fleet(moment).monitor if state.check not in self.checks)
        kept = self._everything
        if own != kept[0]:
            kept = self._everything = own, Group((*self.all.checks, *map(dynamic, own)))
        return kept[1]

    def read(
        self, check: CheckSpec, moment: Moment, *, hold: policy.Hold | None = None
    ) -> tuple[policy.Reading, State | None]:
        """What is known of a check, and the state it is known from (None when there is none, or when it is overruled).

        That the store does not answer, the reader knows first-hand: a check that watches the store is in
        error at once, and for the reason that the store gave. So is it while the store's memory is full. A replica
        may be read on purpose: its refusal of writes is the reason only once nothing new comes. What others have
        found keeps its word until it expires. The broker's check shows what became of the workers, too, and those of
        a host show the host that is worst off. What cannot be judged is ``unreadable``: whatever a store let through,
        a probe has to answer.
        """
        try:
            return self._read(check, moment, hold=hold)
        except Exception:  # noqa: BLE001
            return UNREADABLE, None

    def _read(
        self, check: CheckSpec, moment: Moment, *, hold: policy.Hold | None
    ) -> tuple[policy.Reading, State | None]:
        if check.name in self._watching_store:
            if moment.answering is False:
                return (UNREACHABLE if moment.refusal is None else UNREACHABLE._replace(reason=moment.refusal)), None
            if moment.refusal == FULL:
                return policy.Reading(Status.ERROR, FULL), None
        state = moment.states.get(check.name)
        reading = policy.read_status(state, moment.now, hold=hold)
        if moment.refusal is not None and self._tells_refusal(check) and reading.status in _NOT_KNOWN:
            return reading._replace(reason=moment.refusal), state
        if check.kind in _OVERLAID and self._watches_workers:
            return overlay(check, reading, state, self.fleet(moment), moment.now)
        return reading, state

    def _tells_refusal(self, check: CheckSpec) -> bool:
        return check.name in self._watching_store or check.name == SCHEDULE

    def overall(self, group: Group, readings: Mapping[str, policy.Reading]) -> Overall:
        """The verdict over the readings of a group."""
        return Overall.UNHEALTHY if self.problem else policy.overall(readings, group.critical)


def _hold(spec: GroupSpec) -> policy.Hold | None:
    if spec.stale != "hold":
        return None
    forever = spec.hold_for_seconds == math.inf
    return policy.Hold(DEFAULT_HOLD_SECONDS if forever else spec.hold_for_seconds, forever)
