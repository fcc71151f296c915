"""Artificial consumer groups, observed every few seconds by a clock of the test."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from monitor.model.consumer_groups import GroupMember, GroupObservation, PartitionObservation, TopicPartition
from monitor.policy.consumer_groups.codec import GroupMemories, decode, encode
from monitor.policy.consumer_groups.judge import judge_observation
from monitor.policy.consumer_groups.limits import Limits
from monitor.policy.consumer_groups.memory import GroupMemory, GroupVerdict
from tests.support.builders import NOW

LIMITS = Limits()


def tp(partition: int, topic: str = "orders") -> TopicPartition:
    return TopicPartition(topic, partition)


def members(count: int, partitions: int = 6, topic: str = "orders") -> tuple[GroupMember, ...]:
    """Return so many members, which share the partitions."""
    return tuple(
        GroupMember(f"m{i}", f"client-{i}", "10.0.0.1", frozenset(tp(p, topic) for p in range(i, partitions, count)))
        for i in range(count)
    )


def sight(
    lags: list[int | None] | None = None,
    consumers: int = 2,
    state: str = "Stable",
    committed: int = 1000,
    **fields: Any,
) -> GroupObservation:
    """Return the observation of a group whose partitions have these lags. None: no committed offset."""
    lags = [0] * 6 if lags is None else lags
    partitions = {
        tp(i): PartitionObservation(1000 if lag is None else committed + lag, None if lag is None else committed, 0)
        for i, lag in enumerate(lags)
    }
    values: dict[str, Any] = {"members": members(consumers, len(lags)) if consumers else (), "partitions": partitions}
    return GroupObservation("g", known=True, state=state, **{**values, **fields})


class Watch:
    """Repeated observation of a group, as by a check: its memory is encoded and decoded each time."""

    def __init__(self, limits: Limits = LIMITS, **changes: Any) -> None:
        self.limits = dataclasses.replace(limits, **changes)
        self.now = NOW
        self.text: str | None = None

    @property
    def memory(self) -> GroupMemory | None:
        return decode(self.text, self.now).groups.get("g")

    def look(self, seen: GroupObservation, after: float = 10.0) -> GroupVerdict:
        """Return the verdict so many seconds after the last observation."""
        self.now = round(self.now + after, 1)
        verdict, memory = judge_observation(seen, self.memory, self.now, self.limits)
        self.text = encode(GroupMemories(NOW, {"g": memory}), self.now)
        assert verdict is not None
        return verdict

    def during(self, seconds: float, seen: GroupObservation, every: float = 10.0) -> list[GroupVerdict]:
        """Return the verdicts while nothing changes."""
        return [self.look(seen, every) for _ in range(round(seconds / every))]


@dataclasses.dataclass
class Traffic:
    """Group with producers and consumers: rates in messages per second, by partition."""

    produce: list[float]
    consume: list[float]
    commit_every: float = 0.0
    consumers: int = 3
    state: str = "Stable"
    ends: list[float] = dataclasses.field(default_factory=list)
    done: list[float] = dataclasses.field(default_factory=list)
    committed: list[int] = dataclasses.field(default_factory=list)
    clock: float = 0.0
    committed_at: float = 0.0

    def __post_init__(self) -> None:
        count = len(self.produce)
        self.ends, self.done, self.committed = [1000.0] * count, [1000.0] * count, [1000] * count

    def after(self, seconds: float) -> GroupObservation:
        """Return the observation of it so many seconds later."""
        self.clock += seconds
        for i, (speed, capacity) in enumerate(zip(self.produce, self.consume, strict=True)):
            self.ends[i] += speed * seconds
            self.done[i] = min(self.ends[i], self.done[i] + capacity * seconds)
        if self.clock - self.committed_at >= self.commit_every:
            self.committed, self.committed_at = [int(done) for done in self.done], self.clock
        partitions = {tp(i): PartitionObservation(int(end), self.committed[i], 0) for i, end in enumerate(self.ends)}
        shared = members(self.consumers, len(self.ends)) if self.consumers else ()
        return GroupObservation("g", known=True, state=self.state, members=shared, partitions=partitions)

    def every(self, seconds: float, times: int) -> Iterator[GroupObservation]:
        for _ in range(times):
            yield self.after(seconds)
