"""Verdict of the sidecar: the overall status of the group of checks ``ready``, and its main check.

The numbers are those of the main check. The main check is the first check of the kind ``kafka_group`` that fails. If no
check of this kind fails, the main check is the first that lacks data. If none lacks data, it is the first of this kind.
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
"""Names of two rules in the body of ``/ready`` and in the metrics. The key is the reason code of the rule."""

_NO_RESULT_REASONS = (Reason.STALE, Reason.NOT_OBSERVED, Reason.FROM_THE_FUTURE)

RULE_REASONS = frozenset({*GroupReason, GroupProblem.SHARE_GROUP})
"""Reasons whose messages are public: they contain only numbers and names. Other messages may contain hosts."""


@dataclass(frozen=True)
class CheckVerdict:
    """Current verdict of one check.

    ``reading`` is its current status, derived from its last result and the time. ``state`` contains this result.
    A check that watches several consumer groups has one child check for each of them. ``has_hold`` is true if the group
    ``ready`` has ``stale = "hold"``.
    """

    check: CheckSpec
    reading: policy.Reading
    state: State | None
    children: tuple[State, ...] = ()
    has_hold: bool = False

    @property
    def fails(self) -> bool:
        """Return whether this check makes the group ``ready`` fail."""
        return self.check.critical and policy.fails(self.reading)

    @property
    def lacks_data(self) -> bool:
        """Return whether the last verdict cannot be held, because the numbers are too old.

        This is true in two cases: (1) the reason is ``no_data``; (2) the group holds verdicts, and the check has no
        result whose verdict can be held.
        """
        unknown = self.reading.status in (Status.STALE, Status.UNKNOWN)
        return self.reason == GroupReason.NO_DATA or (self.has_hold and unknown and self.reason in _NO_RESULT_REASONS)

    @property
    def reason(self) -> str | None:
        """Return the reason code of the current status."""
        return self.reading.reason

    @property
    def findings(self) -> tuple[str, ...]:
        """Return the reasons of all rules that found a problem."""
        return _findings(self.state) if self.state is not None else ()

    def number(self, *names: str) -> float | None:
        """Return the number with the first of these names that the state contains."""
        return _first_number(self.state, names)

    def numbers(self, *names: str) -> list[float]:
        """Return :meth:`number` of each child check, or of the check itself if it has no child checks."""
        numbers = (_first_number(state, names) for state in self.children or (self.state,))
        return [number for number in numbers if number is not None]

    def has_finding(self, reason: str) -> bool:
        """Return whether ``reason`` is the reason or a finding of the check, or of one of its child checks."""
        return any(_has_reason(state, reason) for state in (self.state, *self.children) if state is not None)


@dataclass(frozen=True)
class SidecarVerdict:
    """Current verdict of the sidecar.

    - ``main_check`` is None if no check has the kind ``kafka_group``.
    - ``problem`` is the configuration error, if the configuration is invalid.
    - ``lacks_data`` is true if at least one check lacks data, even if this check does not make the group fail.
    """

    healthy: bool
    failing: tuple[CheckVerdict, ...]
    main_check: CheckVerdict | None
    now: float
    problem: str | None = None
    lacks_data: bool = False

    @property
    def message(self) -> str:
        """Return one sentence about a failing check, and the number of other failing checks."""
        if self.problem:
            return f"Nothing is checked: {self.problem}"
        if self.healthy:
            return _sentence(self.main_check) if self.main_check is not None and self.main_check.lacks_data else HEALTHY
        first = self.main_check if self.main_check is not None and self.main_check.fails else self.failing[0]
        others = len(self.failing) - 1
        return _sentence(first) + (f" (and {others} more)" if others else "")


def current_verdict(roster: RosterReader, snapshot: CachedSnapshot) -> SidecarVerdict:
    """Return the current verdict, derived from the group ``ready`` and a snapshot."""
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
    overall = roster.overall(group, {verdict.check.name: verdict.reading for verdict in verdicts})
    group_checks = [verdict for verdict in verdicts if verdict.check.kind == KIND]
    first = next((verdict for verdict in group_checks if verdict.lacks_data), group_checks[0] if group_checks else None)
    main_check = next((verdict for verdict in group_checks if verdict.fails), first)
    failing = tuple(verdict for verdict in verdicts if verdict.fails)
    healthy, lacks_data = overall is not Overall.UNHEALTHY, any(verdict.lacks_data for verdict in verdicts)
    return SidecarVerdict(healthy, failing, main_check, snapshot.now, roster.problem, lacks_data)


def skew_ratio(verdict: CheckVerdict | None) -> float | None:
    """Return the skew that is judged: the highest in the window, of all groups. None if unknown."""
    return max(verdict.numbers("skew_ratio_max", "skew_ratio"), default=None) if _has_current_numbers(verdict) else None


def consumer_count(verdict: CheckVerdict | None) -> float | None:
    """Return the number of consumers that is judged: the lowest in the window, of all groups. None if unknown."""
    return min(verdict.numbers("consumers_min", "consumers"), default=None) if _has_current_numbers(verdict) else None


def _has_current_numbers(verdict: CheckVerdict | None) -> TypeGuard[CheckVerdict]:
    """Return whether the numbers are current. They are not if the check has had no result for too long."""
    return verdict is not None and not (verdict.lacks_data and verdict.reason != GroupReason.NO_DATA)


def hottest_value(verdict: CheckVerdict | None, name: str) -> float | None:
    """Return the highest value of the number ``name`` of all groups. None if unknown.

    The number is one that describes the partition with the most lag, such as ``lag_seconds``.
    """
    return max(verdict.numbers(name), default=None) if verdict else None


def failures(verdict: SidecarVerdict) -> list[tuple[str, str]]:
    """Return (check_type, reason) of each failing check. The check type is a name in `CHECK_TYPES` or the kind."""
    pairs = [(CHECK_TYPES.get(check.reason, check.check.kind), check.reason or "failed") for check in verdict.failing]
    return pairs or ([] if verdict.healthy else [("configuration", verdict.problem or "failed")])


def _sentence(verdict: CheckVerdict) -> str:
    result = verdict.state.result if verdict.state else None
    if verdict.check.kind != KIND:
        return f"{verdict.check.name}: {verdict.reason or verdict.reading.status.value}"
    if result is None or verdict.reason == Reason.STALE:
        return _missing_result_sentence(verdict)
    if verdict.reason in RULE_REASONS and result.message:
        return result.message.partition("; ")[0]  # one sentence, as the older probe; `findings` lists all reasons
    if result.status.severity < 2:
        return "Recovering: not yet confirmed"
    return f"Source failed: {verdict.reason or verdict.reading.status.value}"


def _missing_result_sentence(verdict: CheckVerdict) -> str:
    if verdict.lacks_data:
        return f"No data from the source ({verdict.reason})"
    if verdict.state is None:
        return "Not observed yet"
    return f"Last result is out of date (observed {iso_milliseconds(verdict.state.result.observed_at)})"


def _child_states(check: CheckSpec, snapshot: CachedSnapshot) -> tuple[State, ...]:
    state = snapshot.states.get(check.name)
    if check.kind != KIND or state is None or "groups" not in state.result.data:
        return ()
    return tuple(child for name, child in snapshot.states.items() if parent_checks(name, (check.name,)))


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
