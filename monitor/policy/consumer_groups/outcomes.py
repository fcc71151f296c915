"""What one run of a check comes to: its groups' verdicts, as parts where there are several, and its memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from monitor.model.checks import Outcome, Status
from monitor.model.consumer_groups import GroupObservation
from monitor.policy.consumer_groups.codec import GroupMemories, encode
from monitor.policy.consumer_groups.holding import kept, with_verdict
from monitor.policy.consumer_groups.judge import judge_gone, judge_measurement, judge_sight
from monitor.policy.consumer_groups.limits import Limits
from monitor.policy.consumer_groups.measurement import Measurement
from monitor.policy.consumer_groups.memory import GroupMemory, GroupVerdict, begin
from monitor.policy.consumer_groups.reasons import GroupProblem, GroupReason
from monitor.policy.consumer_groups.rules import unmatched_text
from monitor.policy.consumer_groups.summary import outcome, part, summary
from monitor.policy.consumer_groups.tables import tables
from monitor.policy.states import GroupHold

PROBLEMS: Mapping[str, str] = {
    GroupProblem.AUTHORIZATION: "we may not look at this group (it takes the right DESCRIBE on group and topics)",
    GroupProblem.COORDINATOR: "the group's coordinator does not answer",
    GroupProblem.SHARE_GROUP: "a share group (KIP-932): its lag is not looked at here (unknown)",
    GroupProblem.UNSUPPORTED: "a sort of group that cannot be looked at",
    GroupProblem.BROKER_ERROR: "the broker answers with an error",
}
"""Reasons why one group cannot be looked at, while the cluster answers."""

ADVERTISED = ": {}; is this address, which the broker advertises, right from here?"
HINT = "; nobody has joined under it or committed yet, its offsets have expired, or the name is another"


def is_pattern(name: str) -> bool:
    """Whether it stands for the groups that match it, by fnmatch."""
    return any(character in name for character in "*?[")


@dataclass(frozen=True, slots=True)
class WatchedGroups:
    """What a check is configured to: ``groups`` are names and patterns; ``hold`` keeps verdicts without a source."""

    groups: tuple[str, ...]
    limits: Limits
    hold: GroupHold | None = None

    @property
    def single(self) -> bool:
        """Whether the check is one group, rather than have groups as parts."""
        return len(self.groups) == 1 and not is_pattern(self.groups[0])

    def wants(self, group: str) -> bool:
        """Whether it is one of those that are to be watched."""
        return any(group == each or (is_pattern(each) and fnmatchcase(group, each)) for each in self.groups)


@dataclass(slots=True)
class GroupRound:
    """One run: what was remembered, and what is said of one group after the other."""

    wanted: WatchedGroups
    book: GroupMemories
    now: float
    verdicts: dict[str, GroupVerdict] = field(default_factory=dict)
    memories: dict[str, GroupMemory] = field(default_factory=dict)
    details: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    unmatched: tuple[str, ...] = ()
    """Names and patterns of topics of which none of several groups consumes any."""

    def look(self, sight: GroupObservation) -> None:
        """A group was looked at."""
        limits, name, before = self.wanted.limits, sight.group, self.book.groups.get(sight.group)
        if sight.unreached:
            self.details[name] = {"unreached": list(sight.unreached)}
        if sight.problem is not None:
            self._fail(name, sight.problem, sight.unreached)
            return
        if not sight.known and name not in self.wanted.groups:
            return  # it matched a pattern a moment ago
        judged = judge_sight(sight, before, self.now, limits, hint=HINT)
        self.details[name] = {**self.details.get(name, {}), **tables(sight, before.partitions if before else {})}
        self._say(name, judged.verdict, with_verdict(judged.memory, judged.verdict, self.now))

    def measure(self, name: str, measured: Measurement) -> None:
        """Somebody else told of a group."""
        before = self.book.groups.get(name)
        judged = judge_measurement(measured, before, self.now, self.wanted.limits, hold=self.wanted.hold)
        self._say(name, judged.verdict, judged.memory)

    def miss(self) -> None:
        """Groups that are remembered and were not seen: deleted, or not to be watched any more."""
        for name, memory in self.book.groups.items():
            if name in self.verdicts:
                continue
            judged = judge_gone(memory, self.now, self.wanted.limits) if self.wanted.wants(name) else None
            if judged is None or judged.verdict is None:
                self.gone.append(name)
            else:
                self._say(name, judged.verdict, with_verdict(judged.memory, judged.verdict, self.now))

    def outcome(self) -> Outcome:
        """What it all comes to."""
        memory = encode(GroupMemories(self.book.first_at, self.memories), self.now)
        if self.wanted.single and self.verdicts:
            [(name, verdict)] = self.verdicts.items()
            return replace(outcome(verdict, self.details.get(name)), children=dict.fromkeys(self.gone), memory=memory)
        parts = {name: part(name, verdict, self.details.get(name)) for name, verdict in self.verdicts.items()}
        whole = summary(self.verdicts) if self.verdicts else self._nothing()
        if self.unmatched and whole.status in (Status.OK, Status.WARNING):
            reason, text = GroupReason.UNKNOWN_TOPIC, unmatched_text(self.unmatched)
            whole = replace(whole, status=Status.UNKNOWN, reason=reason, message=text, grace=self._is_early)
        return replace(whole, children={**parts, **dict.fromkeys(self.gone)}, memory=memory)

    def _say(self, name: str, verdict: GroupVerdict | None, memory: GroupMemory) -> None:
        if verdict is None:
            return
        self.verdicts[name] = verdict
        # Kept where it may be needed: it is as long as all the rest.
        self.memories[name] = memory if self.wanted.hold else replace(memory, verdict=None, numbers_at=None)

    def _fail(self, name: str, problem: str, unreached: tuple[str, ...] = ()) -> None:
        limits, memory = self.wanted.limits, self.book.groups.get(name)
        since = memory.seen_at if memory else self.now
        if self.wanted.hold and problem != GroupProblem.SHARE_GROUP:
            self.verdicts[name] = kept(memory, problem, self.now, limits, since=since, hold=self.wanted.hold)
        else:
            # A coordinator moves: for a moment that says nothing of the group.
            early = problem == GroupProblem.COORDINATOR and self.now - since < limits.sustained_seconds
            status = Status.UNKNOWN if early or problem == GroupProblem.SHARE_GROUP else Status.ERROR
            text = PROBLEMS.get(problem, problem) + (ADVERTISED.format(", ".join(unreached)) if unreached else "")
            self.verdicts[name] = GroupVerdict(status, problem, text, {}, early)
        self.memories[name] = memory or begin(self.now, known=False)

    def _nothing(self) -> Outcome:
        text = "no group of the cluster matches"
        return Outcome(Status.UNKNOWN, {"groups": 0}, GroupReason.UNKNOWN_GROUP, text, grace=self._is_early)

    @property
    def _is_early(self) -> bool:
        return self.now - self.book.first_at < self.wanted.limits.start_grace_seconds


def run(wanted: WatchedGroups, book: GroupMemories, now: float, ask: Callable[[GroupRound], None]) -> Outcome:
    """The outcome of a run in which ``ask`` tells the round what it found. What that raises is not caught.

    ``book`` is what was remembered, as of ``now``: whole tenths of a second.
    """
    current = GroupRound(wanted, book, now)
    ask(current)
    current.miss()
    return current.outcome()


def held(wanted: WatchedGroups, book: GroupMemories, now: float, reason: str, message: str) -> Outcome:
    """Return the outcome of a run whose source did not answer, when verdicts are kept for a while."""
    hold = wanted.hold or GroupHold(0.0)
    names = [name for name in wanted.groups if not is_pattern(name)]
    names += [name for name in book.groups if name not in names and wanted.wants(name)]
    verdicts = {}
    for name in names:
        known = book.groups.get(name)
        since = known.seen_at if known else book.first_at
        verdicts[name] = kept(known, reason, now, wanted.limits, since=since, hold=hold)
    detail = {"source": message}
    remembered = None if book.groups else encode(book, now)
    if wanted.single:
        return replace(outcome(verdicts[names[0]], detail), memory=remembered)
    parts = {name: part(name, verdict) for name, verdict in verdicts.items()}
    if not verdicts:
        nothing = kept(None, reason, now, wanted.limits, since=now, hold=hold)
        return replace(outcome(nothing, detail), data={"groups": 0, **nothing.data}, memory=remembered)
    return replace(summary(verdicts), children=parts, detail=detail, memory=remembered)
