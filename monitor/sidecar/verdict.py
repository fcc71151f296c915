"""What the Kafka probe says at a moment: the verdict over the group ``ready``, and where its numbers come from.

Checks of the kind ``kafka_group`` supply them: the first that fails or, when none does, the first.
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
from monitor.presentation.states import exact

HEALTHY = "System healthy"
CHECK_TYPES: Mapping[str | None, str] = {
    GroupReason.SKEW: "skew_ratio",
    GroupReason.UNDER_REPLICATED: "consumer_count",
}
"""The reasons of the two checks of the contract, and what they are called there."""

_UNHEARD = (Reason.STALE, Reason.NOT_OBSERVED, Reason.FROM_THE_FUTURE)

RULES = frozenset({*GroupReason, GroupProblem.SHARE_GROUP})
"""The reasons whose messages hold numbers and names only. Those of a source that failed may hold hosts."""


@dataclass(frozen=True)
class CheckVerdict:
    """What one check of the group says at a moment: its reading, the state that this is of, and those of its parts.

    A check of several consumer groups has a part for each. ``kept`` says that the group keeps verdicts for a while.
    """

    check: CheckSpec
    reading: policy.Reading
    state: State | None
    parts: tuple[State, ...] = ()
    kept: bool = False

    @property
    def fails(self) -> bool:
        """Whether it fails the group."""
        return self.check.critical and policy.fails(self.reading)

    @property
    def lacks_data(self) -> bool:
        """Whether there is no number, or none that is young enough: from its source, or from its runs."""
        unknown = self.reading.status in (Status.STALE, Status.UNKNOWN)
        return self.reason == GroupReason.NO_DATA or (self.kept and unknown and self.reason in _UNHEARD)

    @property
    def reason(self) -> str | None:
        """Why it is what it is."""
        return self.reading.reason

    @property
    def findings(self) -> tuple[str, ...]:
        """The reasons of all rules that have found something."""
        return _findings(self.state) if self.state is not None else ()

    def number(self, *names: str) -> float | None:
        """The first of these numbers that it has."""
        return _first_number(self.state, names)

    def numbers(self, *names: str) -> list[float]:
        """The same of each part; its own where there are none."""
        found = (_first_number(state, names) for state in self.parts or (self.state,))
        return [number for number in found if number is not None]

    def found(self, reason: str) -> bool:
        """Whether this is among what was found."""
        return any(_found(state, reason) for state in (self.state, *self.parts) if state is not None)


@dataclass(frozen=True)
class SidecarVerdict:
    """What the probe says at a moment. ``spoken`` is the check that supplies the numbers, where there is one.

    ``lacks_data``: one of the checks does, also where it fails nothing.
    """

    healthy: bool
    failing: tuple[CheckVerdict, ...]
    spoken: CheckVerdict | None
    now: float
    problem: str | None = None
    lacks_data: bool = False

    @property
    def message(self) -> str:
        """One sentence: of the first that fails, and how many fail besides."""
        if self.problem:
            return f"Nothing is checked: {self.problem}"
        if self.healthy:
            return _sentence(self.spoken) if self.spoken is not None and self.spoken.lacks_data else HEALTHY
        first = self.spoken if self.spoken is not None and self.spoken.fails else self.failing[0]
        others = len(self.failing) - 1
        return _sentence(first) + (f" (and {others} more)" if others else "")


def look(roster: RosterReader, snapshot: CachedSnapshot) -> SidecarVerdict:
    """What the group ``ready`` says at this moment."""
    group = roster.ready
    said = [
        CheckVerdict(
            check, *roster.read(check, snapshot, hold=group.hold), _parts(check, snapshot), group.hold is not None
        )
        for check in group.checks
    ]
    overall = roster.overall(group, {each.check.name: each.reading for each in said})
    ours = [each for each in said if each.check.kind == KIND]
    first = next((each for each in ours if each.lacks_data), ours[0] if ours else None)
    spoken = next((each for each in ours if each.fails), first)
    failing = tuple(each for each in said if each.fails)
    healthy, lacks_data = overall is not Overall.UNHEALTHY, any(each.lacks_data for each in said)
    return SidecarVerdict(healthy, failing, spoken, snapshot.now, roster.problem, lacks_data)


def skew_ratio(said: CheckVerdict | None) -> float | None:
    """The skew that is judged: the maximum over the window, as far as it is known."""
    return max(said.numbers("skew_ratio_max", "skew_ratio"), default=None) if _is_known(said) else None


def consumer_count(said: CheckVerdict | None) -> float | None:
    """The consumers that are judged: the minimum over the window, as far as it is known."""
    return min(said.numbers("consumers_min", "consumers"), default=None) if _is_known(said) else None


def _is_known(said: CheckVerdict | None) -> TypeGuard[CheckVerdict]:
    """Whether its numbers count: those that a group has kept for long enough do not."""
    return said is not None and not (said.lacks_data and said.reason != GroupReason.NO_DATA)


def hottest(said: CheckVerdict | None, name: str) -> float | None:
    """The highest of a number of the hottest partition of each group, as far as it is known."""
    return max(said.numbers(name), default=None) if said else None


def failures(verdict: SidecarVerdict) -> list[tuple[str, str]]:
    """What fails, as (check_type, reason): the two checks of the contract, ``kafka_group`` or another kind."""
    found = [(CHECK_TYPES.get(each.reason, each.check.kind), each.reason or "failed") for each in verdict.failing]
    return found or ([] if verdict.healthy else [("configuration", verdict.problem or "failed")])


def _sentence(said: CheckVerdict) -> str:
    result = said.state.result if said.state else None
    if said.check.kind != KIND:
        return f"{said.check.name}: {said.reason or said.reading.status.value}"
    if result is None or said.reason == Reason.STALE:
        return _unheard(said)
    if said.reason in RULES and result.message:
        return result.message.partition("; ")[0]  # the contract knows one sentence; `findings` name the others
    if result.status.severity < 2:
        return "Recovering: not yet confirmed"
    return f"Source failed: {said.reason or said.reading.status.value}"


def _unheard(said: CheckVerdict) -> str:
    if said.lacks_data:
        return f"No data from the source ({said.reason})"
    if said.state is None:
        return "Not observed yet"
    return f"Last result is out of date (observed {exact(said.state.result.observed_at)})"


def _parts(check: CheckSpec, snapshot: CachedSnapshot) -> tuple[State, ...]:
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


def _found(state: State, reason: str) -> bool:
    return state.result.reason == reason or reason in _findings(state)


def _findings(state: State) -> tuple[str, ...]:
    findings = state.result.data.get("findings")
    return tuple(findings) if isinstance(findings, list) else ()
