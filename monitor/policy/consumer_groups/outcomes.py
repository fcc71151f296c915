"""Outcome of one run of a check of consumer groups: the verdicts, the child checks and the memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from monitor.model.checks import Outcome, Status
from monitor.model.consumer_groups import GroupObservation
from monitor.policy.consumer_groups.codec import GroupMemories, encode
from monitor.policy.consumer_groups.holding import held_verdict, with_verdict
from monitor.policy.consumer_groups.judge import judge_deleted_group, judge_measurement, judge_observation
from monitor.policy.consumer_groups.limits import Limits
from monitor.policy.consumer_groups.measurement import Measurement
from monitor.policy.consumer_groups.memory import GroupMemory, GroupVerdict, new_memory
from monitor.policy.consumer_groups.reasons import GroupProblem, GroupReason
from monitor.policy.consumer_groups.rules import unknown_topic_text
from monitor.policy.consumer_groups.summary import child_outcome, group_outcome, summarize
from monitor.policy.consumer_groups.tables import detail_tables
from monitor.policy.states import GroupHold

PROBLEMS: Mapping[str, str] = {
    GroupProblem.AUTHORIZATION: "the monitor lacks the permission DESCRIBE on the group and its topics",
    GroupProblem.COORDINATOR: "the group's coordinator does not answer",
    GroupProblem.SHARE_GROUP: "a share group (KIP-932), whose lag this check does not read: unknown",
    GroupProblem.UNSUPPORTED: "a type of group that this check cannot describe",
    GroupProblem.BROKER_ERROR: "the broker answers with an error",
}
"""Messages for a group that cannot be described although the cluster answers."""

UNREACHED_HINT = ": {}; check that this address, which the broker advertises, is reachable from here"
UNKNOWN_GROUP_HINT = "; either no consumer has joined or committed yet, its offsets have expired, or the name is wrong"


def is_pattern(name: str) -> bool:
    """Return whether the name is an fnmatch pattern and not the name of one group."""
    return any(character in name for character in "*?[")


@dataclass(frozen=True, slots=True)
class WatchedGroups:
    """Configured consumer groups of a check.

    ``groups`` are names and patterns. If ``hold`` is set, verdicts are held for this time while the source fails.
    """

    groups: tuple[str, ...]
    limits: Limits
    hold: GroupHold | None = None

    @property
    def single(self) -> bool:
        """Return whether the check watches exactly one group. Such a check has no child checks."""
        return len(self.groups) == 1 and not is_pattern(self.groups[0])

    def includes(self, group: str) -> bool:
        """Return whether this group is configured, by name or by pattern."""
        return any(group == each or (is_pattern(each) and fnmatchcase(group, each)) for each in self.groups)


@dataclass(slots=True)
class GroupRound:
    """One run of a check: the memories of the previous run, and the verdicts of this run so far."""

    watched: WatchedGroups
    previous: GroupMemories
    now: float
    verdicts: dict[str, GroupVerdict] = field(default_factory=dict)
    memories: dict[str, GroupMemory] = field(default_factory=dict)
    details: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    unmatched: tuple[str, ...] = ()
    """Topic names and patterns that match no topic of any group."""

    def add_observation(self, observation: GroupObservation) -> None:
        """Judge a group by an observation of the cluster."""
        limits, name, before = self.watched.limits, observation.group, self.previous.groups.get(observation.group)
        if observation.unreached:
            self.details[name] = {"unreached": list(observation.unreached)}
        if observation.problem is not None:
            self._set_problem(name, observation.problem, observation.unreached)
            return
        if not observation.known and name not in self.watched.groups:
            return  # the group was listed because it matched a pattern, and was then deleted
        judged = judge_observation(observation, before, self.now, limits, hint=UNKNOWN_GROUP_HINT)
        self.details[name] = {
            **self.details.get(name, {}),
            **detail_tables(observation, before.partitions if before else {}),
        }
        self._set_verdict(name, judged.verdict, with_verdict(judged.memory, judged.verdict, self.now))

    def add_measurement(self, name: str, measured: Measurement) -> None:
        """Judge a group by numbers from a Prometheus."""
        before = self.previous.groups.get(name)
        judged = judge_measurement(measured, before, self.now, self.watched.limits, hold=self.watched.hold)
        self._set_verdict(name, judged.verdict, judged.memory)

    def add_missing_groups(self) -> None:
        """Judge the groups that have a memory but no verdict in this run: deleted, or no longer configured."""
        for name, memory in self.previous.groups.items():
            if name in self.verdicts:
                continue
            judged = judge_deleted_group(memory, self.now, self.watched.limits) if self.watched.includes(name) else None
            if judged is None or judged.verdict is None:
                self.removed.append(name)
            else:
                self._set_verdict(name, judged.verdict, with_verdict(judged.memory, judged.verdict, self.now))

    def outcome(self) -> Outcome:
        """Return the outcome of the run."""
        memory = encode(GroupMemories(self.previous.first_at, self.memories), self.now)
        if self.watched.single and self.verdicts:
            [(name, verdict)] = self.verdicts.items()
            return replace(
                group_outcome(verdict, self.details.get(name)), children=dict.fromkeys(self.removed), memory=memory
            )
        children = {
            name: child_outcome(name, verdict, self.details.get(name)) for name, verdict in self.verdicts.items()
        }
        outcome = summarize(self.verdicts) if self.verdicts else self._outcome_without_groups()
        if self.unmatched and outcome.status in (Status.OK, Status.WARNING):
            reason, text = GroupReason.UNKNOWN_TOPIC, unknown_topic_text(self.unmatched)
            outcome = replace(outcome, status=Status.UNKNOWN, reason=reason, message=text, grace=self._is_early)
        return replace(outcome, children={**children, **dict.fromkeys(self.removed)}, memory=memory)

    def _set_verdict(self, name: str, verdict: GroupVerdict | None, memory: GroupMemory) -> None:
        if verdict is None:
            return
        self.verdicts[name] = verdict
        # The verdict takes as many bytes as the rest of the memory, so it is stored only if the check holds verdicts.
        self.memories[name] = memory if self.watched.hold else replace(memory, verdict=None, numbers_at=None)

    def _set_problem(self, name: str, problem: str, unreached: tuple[str, ...] = ()) -> None:
        limits, memory = self.watched.limits, self.previous.groups.get(name)
        since = memory.observed_at if memory else self.now
        if self.watched.hold and problem != GroupProblem.SHARE_GROUP:
            self.verdicts[name] = held_verdict(memory, problem, self.now, limits, since=since, hold=self.watched.hold)
        else:
            # While the coordinator moves to another broker, it does not answer for a moment.
            early = problem == GroupProblem.COORDINATOR and self.now - since < limits.sustained_seconds
            status = Status.UNKNOWN if early or problem == GroupProblem.SHARE_GROUP else Status.ERROR
            text = PROBLEMS.get(problem, problem) + (UNREACHED_HINT.format(", ".join(unreached)) if unreached else "")
            self.verdicts[name] = GroupVerdict(status, problem, text, {}, early)
        self.memories[name] = memory or new_memory(self.now, known=False)

    def _outcome_without_groups(self) -> Outcome:
        text = "no group in the cluster matches"
        return Outcome(Status.UNKNOWN, {"groups": 0}, GroupReason.UNKNOWN_GROUP, text, grace=self._is_early)

    @property
    def _is_early(self) -> bool:
        return self.now - self.previous.first_at < self.watched.limits.start_grace_seconds


def judge_groups(
    watched: WatchedGroups, previous: GroupMemories, now: float, collect: Callable[[GroupRound], None]
) -> Outcome:
    """Return the outcome of a run. ``collect`` adds the observations or measurements to the given `GroupRound`.

    Exceptions of ``collect`` are not caught. ``previous`` are the memories, decoded at ``now``. ``now`` is rounded to
    0.1 s.
    """
    current = GroupRound(watched, previous, now)
    collect(current)
    current.add_missing_groups()
    return current.outcome()


def held_outcome(watched: WatchedGroups, previous: GroupMemories, now: float, reason: str, message: str) -> Outcome:
    """Return the outcome of a run whose source did not answer: the held verdicts of all known groups."""
    hold = watched.hold or GroupHold(0.0)
    names = [name for name in watched.groups if not is_pattern(name)]
    names += [name for name in previous.groups if name not in names and watched.includes(name)]
    verdicts = {}
    for name in names:
        memory = previous.groups.get(name)
        since = memory.observed_at if memory else previous.first_at
        verdicts[name] = held_verdict(memory, reason, now, watched.limits, since=since, hold=hold)
    detail = {"source": message}
    encoded = None if previous.groups else encode(previous, now)
    if watched.single:
        return replace(group_outcome(verdicts[names[0]], detail), memory=encoded)
    children = {name: child_outcome(name, verdict) for name, verdict in verdicts.items()}
    if not verdicts:
        verdict_without_groups = held_verdict(None, reason, now, watched.limits, since=now, hold=hold)
        return replace(
            group_outcome(verdict_without_groups, detail),
            data={"groups": 0, **verdict_without_groups.data},
            memory=encoded,
        )
    return replace(summarize(verdicts), children=children, detail=detail, memory=encoded)
