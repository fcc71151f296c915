"""Compact text of a check's memory: JSON rows with offsets, and with times as ages in tenths of a second.

A group of ten partitions takes 0.7 kB, and up to 1 kB while it works. Larger offsets take more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from monitor.lib import decoding
from monitor.model.checks import Status
from monitor.model.consumer_groups import TopicPartition
from monitor.policy.consumer_groups.memory import (
    GroupMemory,
    GroupVerdict,
    PartitionMark,
    RecentValues,
    RememberedLoss,
    RememberedRewind,
    WindowBucket,
)

VERSION = 2
TICK = 10  # per second
ALWAYS_BUSY = -1
MAX_NUMBER = 2**70  # offsets have 63 bits, and some numbers are sums of offsets
MAX_AGE_TICKS = 10**12  # upper limit of an age
TEXT_CHARACTERS = 8 * 1024 * 1024
GROUP_BYTES = 32_767
"""Maximum length of a group's name. Kafka has no limit but that of its short string type."""
CONTAINERS = 500_000
"""Maximum number of JSON lists and objects. In memory, each takes far more than its two characters of text."""


@dataclass(frozen=True, slots=True)
class GroupMemories:
    """Memories of all groups of a check, and the time of its first run."""

    first_at: float
    groups: Mapping[str, GroupMemory] = field(default_factory=dict)


def encode(memories: GroupMemories, now: float) -> str:
    """Return the memories as text. Times are stored as ages at ``now``."""
    writer = _Clock(now)
    groups = {name: _group(memory, writer) for name, memory in memories.groups.items()}
    document = {
        "v": VERSION,
        "at": writer.at,
        "first": writer.age(memories.first_at),
        "groups": groups,
    }
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def decode(text: str | None, now: float) -> GroupMemories:
    """Return the memories. They are empty for text that :func:`encode` does not produce; an invalid group is left out.

    If the clock was set back since, the ages do not change.
    """
    try:
        document = _load(text or "")
        if document["v"] != VERSION:
            return GroupMemories(now)
        reader = _Clock(now, max(0, _Clock(now).at - _integer(document["at"])))
        first = reader.time(document["first"])
        groups = dict(document["groups"])
    except decoding.BROKEN:
        return GroupMemories(now)
    known: dict[str, GroupMemory] = {}
    for name, fields in groups.items():
        try:
            known[decoding.object_name(name, max_bytes=GROUP_BYTES)] = _memory(fields, reader)
        except decoding.BROKEN:
            continue
    return GroupMemories(first, known)


def _load(text: str) -> Any:
    if text.count("[") + text.count("{") > CONTAINERS:
        raise ValueError("too many lists and objects")
    return decoding.load(text, max_bytes=TEXT_CHARACTERS)


class _Clock:
    """Conversion of times to ages and back. ``passed`` is the number of ticks since the ages were stored."""

    def __init__(self, now: float, passed: int = 0) -> None:
        self.at = round(now * TICK)
        self._passed = passed

    def age(self, moment: float | None) -> int | None:
        return None if moment is None else max(0, self.at - round(moment * TICK))

    def time(self, age: Any) -> float:
        if not 0 <= _integer(age) <= MAX_AGE_TICKS:
            raise ValueError(age)
        return (self.at - self._passed - int(age)) / TICK

    def moment(self, age: Any) -> float | None:
        return None if age is None else self.time(age)


def _group(memory: GroupMemory, clock: _Clock) -> list[Any]:
    rewound, lost, verdict = memory.rewound, memory.lost, memory.verdict
    return [
        clock.age(memory.first_at),
        clock.age(memory.observed_at),
        clock.age(memory.last_commit_at),
        clock.age(memory.last_member_at),
        round(memory.usual_interval_seconds * TICK),
        int(memory.known),
        clock.age(memory.settled_at),
        clock.age(memory.rebalanced_at),
        clock.age(memory.deleted_at),
        [clock.age(rewound.when), *rewound.at, rewound.records] if rewound else None,
        [clock.age(lost.when), *lost.at, lost.records] if lost else None,
        {name: clock.age(since) for name, since in memory.condition_since.items()},
        _marks(memory.partitions, clock),
        [[clock.age(each.start), _hundredths(each.skew), each.consumers] for each in memory.recent],
        [_bucket(each, clock) for each in memory.buckets],
        [*verdict[:3], dict(verdict.data), int(verdict.early), clock.age(memory.numbers_at)] if verdict else None,
    ]


def _memory(fields: list[Any], clock: _Clock) -> GroupMemory:
    first, observed, moved, member, usual_interval, known, settled, rebalanced, deleted, *rest = fields
    rewound, lost, condition_since, marks, recent, buckets, verdict = rest
    return GroupMemory(
        first_at=clock.time(first),
        observed_at=clock.time(observed),
        last_commit_at=clock.time(moved),
        last_member_at=clock.time(member),
        usual_interval_seconds=_integer(usual_interval) / TICK,
        known=bool(_integer(known)),
        settled_at=clock.moment(settled),
        rebalanced_at=clock.moment(rebalanced),
        deleted_at=clock.moment(deleted),
        rewound=RememberedRewind(*_event(rewound, clock)) if rewound else None,
        lost=RememberedLoss(*_event(lost, clock)) if lost else None,
        condition_since={decoding.object_name(name): clock.time(since) for name, since in condition_since.items()},
        partitions={
            TopicPartition(decoding.object_name(topic), _integer(mark[0])): _mark(mark, clock)
            for topic, some in marks.items()
            for mark in some
        },
        recent=tuple(RecentValues(clock.time(start), _ratio(skew), _count(count)) for start, skew, count in recent),
        buckets=tuple(_read_bucket(each, clock) for each in buckets),
        verdict=_verdict(verdict) if verdict else None,
        numbers_at=clock.moment(verdict[5]) if verdict else None,
    )


def _marks(partitions: Mapping[TopicPartition, PartitionMark], clock: _Clock) -> dict[str, list[Any]]:
    def row(at: TopicPartition, mark: PartitionMark) -> list[Any]:
        known = mark.committed is not None and mark.end is not None
        end = (mark.end or 0) - (mark.committed or 0) if known else mark.end
        # `passed_over_since` is set only without a commit, and `still_since` only with one: they share a place.
        since = mark.passed_over_since if mark.committed is None else mark.still_since
        read = None if mark.next_record is None or mark.committed is None else mark.next_record - mark.committed
        more = [clock.age(since)] if read is None else [clock.age(since), read]
        return [at.partition, mark.committed, end, *([] if more == [None] else more)]

    ordered = sorted(partitions.items())
    return {topic: [row(*item) for item in some] for topic, some in groupby(ordered, key=lambda item: item[0].topic)}


def _mark(row: list[Any], clock: _Clock) -> PartitionMark:
    _, committed, end, *more = row
    end = _count(end, negative=committed is not None)
    since = clock.moment(more[0]) if more else None
    if _count(committed) is None:
        return PartitionMark(None, end, passed_over_since=since)
    read = _count(more[1], negative=True) if len(more) > 1 else None
    return PartitionMark(
        committed, None if end is None else end + committed, since, None if read is None else committed + read
    )


def _bucket(bucket: WindowBucket, clock: _Clock) -> list[Any]:
    end = clock.age(bucket.end) or 0
    seconds = (clock.age(bucket.since) or 0) - end
    always = round(bucket.busy * TICK) == seconds and bucket.drained == bucket.consumed
    row = [
        end,
        (clock.age(bucket.start) or 0) - end,
        seconds,
        bucket.observations,
        bucket.rebalancing,
        bucket.consumed,
        bucket.produced,
        ALWAYS_BUSY if always else round(bucket.busy * TICK),
        0 if always else bucket.drained,
        _hundredths(bucket.skew_worst),
        _hundredths(bucket.skew_held),
        bucket.consumers_worst,
        bucket.consumers_held,
    ]
    while row[-1] is None:
        row.pop()
    return row


def _read_bucket(row: list[Any], clock: _Clock) -> WindowBucket:
    end, start, since, observations, rebalancing, consumed, produced, busy, drained, *values = row
    values += [None] * (4 - len(values))
    if busy == ALWAYS_BUSY:
        busy, drained = since, consumed
    worst, held, fewest, fewest_held = values
    return WindowBucket(
        clock.time(_integer(since) + end),
        clock.time(_integer(start) + end),
        clock.time(end),
        max(1, _integer(observations)),
        _integer(rebalancing),
        max(0, _integer(consumed)),
        max(0, _integer(produced)),
        max(0, _integer(busy)) / TICK,
        max(0, _integer(drained)),
        _ratio(worst),
        _ratio(held),
        _count(fewest),
        _count(fewest_held),
    )


def _event(row: list[Any], clock: _Clock) -> tuple[float, TopicPartition, int]:
    age, topic, partition, records = row
    return clock.time(age), TopicPartition(decoding.object_name(topic), _integer(partition)), _integer(records)


def _verdict(row: list[Any]) -> GroupVerdict:
    status, reason, message, data, early, _ = row
    return GroupVerdict(
        Status(status), decoding.optional_text(reason), decoding.text(message), decoding.mapping(data), bool(early)
    )


def _hundredths(ratio: float | None) -> int | None:
    return None if ratio is None else round(ratio * 100)


def _ratio(hundredths: Any) -> float | None:
    return None if hundredths is None else _integer(hundredths) / 100


def _count(number: Any, *, negative: bool = False) -> int | None:
    if number is None:
        return None
    if _integer(number) < 0 and not negative:
        raise ValueError(number)
    return int(number)


def _integer(number: Any) -> int:
    if type(number) is not int or abs(number) > MAX_NUMBER:
        raise TypeError(number)
    return number
