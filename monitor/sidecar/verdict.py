"""Verdict of the Kafka probe: the overall status of the group ``ready``, and the check that supplies the numbers.

The numbers come from a check of the kind ``kafka_group``: the first that fails or, if none fails, the first one that
lacks data, or else the first one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from monitor import policy
from monitor.api.refresher import CachedSnapshot
from monitor.api.roster import RosterReader
from monitor.config import CheckSpec
from monitor.config.probe_environment import KIND
from monitor.model.checks import Overall, Reason, State, Status
from monitor.policy.consumer_groups.reasons import GroupProblem, GroupReason
from monitor.policy.runtime_checks import parent_checks
from monitor.presentation.states import iso_milliseconds

HEALTHY = "System healthy"
CHECK_TYPES: Mapping[str | None, str] = {
    GroupReason.SKEW: "skew_ratio",
    GroupReason.UNDER_REPLICATED: "consumer_count",
}
"""Names that the contract gives to the checks with these reasons."""

_NO_RESULT = (Reason.STALE, Reason.NOT_OBSERVED, Reason.FROM_THE_FUTURE)

RULE_REASONS = frozenset({*GroupReason, GroupProblem.SHARE_GROUP})
"""Reasons whose messages contain numbers and names only. Messages of a failed source may contain hosts."""


@dataclass(frozen=True)
class CheckVerdict:
    """Current verdict of one check of the group: its reading, its state and the states of its child checks.

    A check of several consumer groups has a child check for each. ``has_hold`` is true if the group of checks holds
    verdicts.
    """

    check: CheckSpec
    reading: policy.Reading
    state: State | None
    children: tuple[State, ...] = ()
    has_hold: bool = False

    @property
    def fails(self) -> bool:
        """Return whether this check makes the group fail."""
        return self.check.critical and policy.fails(self.reading)

    @property
    def lacks_data(self) -> bool:
        """Return whether there is no number that is recent enough, from the source or from the runs of the check."""
        unknown = self.reading.status in (Status.STALE, Status.UNKNOWN)
        return self.reason == GroupReason.NO_DATA or (self.has_hold and unknown and self.reason in _NO_RESULT)

    @property
    def reason(self) -> str | None:
        """Return the reason code of the reading."""
        return self.reading.reason

    @property
    def findings(self) -> tuple[str, ...]:
        """Return the reasons of all rules that found a problem."""
        return _findings(self.state) if self.state is not None else ()

    def number(self, *names: str) -> float | None:
        """Return the first of these numbers that the state has."""
        return _first_number(self.state, names)

    def numbers(self, *names: str) -> list[float]:
        """Return the first of these numbers of each child check, or of the check itself if it has no child checks."""
        found = (_first_number(state, names) for state in self.children or (self.state,))
        return [number for number in found if number is not None]

    def has_finding(self, reason: str) -> bool:
        """Return whether the check or a child check has this reason or finding."""
        return any(_has_reason(state, reason) for state in (self.state, *self.children) if state is not None)


@dataclass(frozen=True)
class SidecarVerdict:
    """Current verdict of the probe.

    ``main_check`` supplies the numbers. It is None without a check of the kind ``kafka_group``. ``lacks_data`` is true
    if a check lacks data, even if it does not make the group fail.
    """

    healthy: bool
    failing: tuple[CheckVerdict, ...]
    main_check: CheckVerdict | None
    now: float
    problem: str | None = None
    lacks_data: bool = False

    @property
    def message(self) -> str:
        """Return one sentence about the first failing check, and the number of other failing checks."""
        if self.problem:
            return f"Nothing is checked: {self.problem}"
        if self.healthy:
            return _sentence(self.main_check) if self.main_check is not None and self.main_check.lacks_data else HEALTHY
        first = self.main_check if self.main_check is not None and self.main_check.fails else self.failing[0]
        others = len(self.failing) - 1
        return _sentence(first) + (f" (and {others} more)" if others else "")


def current_verdict(roster: RosterReader, snapshot: CachedSnapshot) -> SidecarVerdict:
    """Return the current verdict of the group ``ready``."""
    group = roster.ready
    verdicts = [
        CheckVerdict(
            check,
            *roster.read(check, snapshot, hold=group.hold),
            _child_states(check, snapshot),
            group.hold is not None,
        )
        for check in group.checks
    ]
    overall = roster.overall(group, {each.check.name: each.reading for each in verdicts})
    group_checks = [each for each in verdicts if each.check.kind == KIND]
    first = next((each for each in group_checks if each.lacks_data), group_checks[0] if group_checks else None)
    main_check = next((each for each in group_checks if each.fails), first)
    failing = tuple(each for each in verdicts if each.fails)
    healthy, lacks_data = overall is not Overall.UNHEALTHY, any(each.lacks_data for each in verdicts)
    return SidecarVerdict(healthy, failing, main_check, snapshot.now, roster.problem, lacks_data)


def skew_ratio(verdict: CheckVerdict | None) -> float | None:
    """Return the judged skew: the maximum over the window. None if unknown."""
    return max(verdict.numbers("skew_ratio_max", "skew_ratio"), default=None) if _is_known(verdict) else None


def consumer_count(verdict: CheckVerdict | None) -> float | None:
    """Return the judged number of consumers: the minimum over the window. None if unknown."""
    return min(verdict.numbers("consumers_min", "consumers"), default=None) if _is_known(verdict) else None


def _is_known(verdict: CheckVerdict | None) -> TypeGuard[CheckVerdict]:
    """Return whether the numbers count. Those that were held for too long do not."""
    return verdict is not None and not (verdict.lacks_data and verdict.reason != GroupReason.NO_DATA)


def hottest_value(verdict: CheckVerdict | None, name: str) -> float | None:
    """Return the highest value of a number of the hottest partitions of all groups. None if unknown."""
    return max(verdict.numbers(name), default=None) if verdict else None


def failures(verdict: SidecarVerdict) -> list[tuple[str, str]]:
    """Return the failures as (check_type, reason): a check of the contract, ``kafka_group`` or another kind."""
    found = [(CHECK_TYPES.get(each.reason, each.check.kind), each.reason or "failed") for each in verdict.failing]
    return found or ([] if verdict.healthy else [("configuration", verdict.problem or "failed")])


def _sentence(verdict: CheckVerdict) -> str:
    result = verdict.state.result if verdict.state else None
    if verdict.check.kind != KIND:
        return f"{verdict.check.name}: {verdict.reason or verdict.reading.status.value}"
    if result is None or verdict.reason == Reason.STALE:
        return _missing_result(verdict)
    if verdict.reason in RULE_REASONS and result.message:
        return result.message.partition("; ")[0]  # the contract allows one sentence; `findings` lists the other reasons
    if result.status.severity < 2:
        return "Recovering: not yet confirmed"
    return f"Source failed: {verdict.reason or verdict.reading.status.value}"


def _missing_result(verdict: CheckVerdict) -> str:
    if verdict.lacks_data:
        return f"No data from the source ({verdict.reason})"
    if verdict.state is None:
        return "Not observed yet"
    return f"Last result is out of date (observed {iso_milliseconds(verdict.state.result.observed_at)})"


def _child_states(check: CheckSpec, snapshot: CachedSnapshot) -> tuple[State, ...]:
    state = snapshot.states.get(check.name)
    if check.kind != KIND or state is None or "groups" not in state.result.data:
        return ()
    return tuple(known for name, known in snapshot.states.items() if parent_checks(name, (check.name,)))


def _first_number(state: State | None, names: Iterable[str]) -> float | None:
    for name in names:
        value = state.result.data.get(name) if state is not None else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
    return None


def _has_reason(state: State, reason: str) -> bool:
    return state.result.reason == reason or reason in _findings(state)


def _findings(state: State) -> tuple[str, ...]:
    findings = state.result.data.get("findings")
    return tuple(findings) if isinstance(findings, list) else ()
