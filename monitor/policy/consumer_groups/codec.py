"""Codec for a check's memory: compact JSON. Times are stored as ages in tenths of a second.

A group of ten partitions takes 0.7 kB, and up to 1 kB while it consumes. Larger offsets take more.
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
TICKS_PER_SECOND = 10  # one tick is a tenth of a second
ALWAYS_BUSY = -1  # stored for `busy` if records waited during the entire bucket
MAX_NUMBER = 2**70  # offsets have 63 bits, and some numbers are sums of offsets
MAX_AGE_TICKS = 10**12  # upper limit of an age
TEXT_CHARACTERS = 8 * 1024 * 1024
GROUP_BYTES = 32_767
"""Maximum length of a group's name. Kafka's only limit is the length of a short string."""
CONTAINERS = 500_000
"""Maximum number of JSON lists and objects in a text. A decoded list takes far more memory than its text."""


@dataclass(frozen=True, slots=True)
class GroupMemories:
    """Memories of all groups of a check, and the time of its first run."""

    first_at: float
    groups: Mapping[str, GroupMemory] = field(default_factory=dict)


def encode(memories: GroupMemories, now: float) -> str:
    """Return the memories as text. Ages are relative to ``now``."""
    converter = _AgeConverter(now)
    groups = {name: _encode_group(memory, converter) for name, memory in memories.groups.items()}
    document = {
        "v": VERSION,
        "at": converter.now_ticks,
        "first": converter.age(memories.first_at),
        "groups": groups,
    }
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def decode(text: str | None, now: float) -> GroupMemories:
    """Return the memories of a text from :func:`encode`.

    For any other text they are empty. An invalid group is left out.
    If the clock was set back since ``encode``, all ages stay the same.
    """
    try:
        document = _load(text or "")
        if document["v"] != VERSION:
            return GroupMemories(now)
        converter = _AgeConverter(now, max(0, _AgeConverter(now).now_ticks - _integer(document["at"])))
        first = converter.time(document["first"])
        groups = dict(document["groups"])
    except decoding.BROKEN:
        return GroupMemories(now)
    known: dict[str, GroupMemory] = {}
    for name, fields in groups.items():
        try:
            known[decoding.object_name(name, max_bytes=GROUP_BYTES)] = _decode_group(fields, converter)
        except decoding.BROKEN:
            continue
    return GroupMemories(first, known)


def _load(text: str) -> Any:
    if text.count("[") + text.count("{") > CONTAINERS:
        raise ValueError("too many lists and objects")
    return decoding.load(text, max_bytes=TEXT_CHARACTERS)


class _AgeConverter:
    """Converter of times to ages in ticks, and back. ``passed_ticks`` is the time since the ages were stored."""

    def __init__(self, now: float, passed_ticks: int = 0) -> None:
        self.now_ticks = round(now * TICKS_PER_SECOND)
        self._passed_ticks = passed_ticks

    def age(self, moment: float | None) -> int | None:
        return None if moment is None else max(0, self.now_ticks - round(moment * TICKS_PER_SECOND))

    def time(self, age: Any) -> float:
        if not 0 <= _integer(age) <= MAX_AGE_TICKS:
            raise ValueError(age)
        return (self.now_ticks - self._passed_ticks - int(age)) / TICKS_PER_SECOND

    def optional_time(self, age: Any) -> float | None:
        return None if age is None else self.time(age)


def _encode_group(memory: GroupMemory, converter: _AgeConverter) -> list[Any]:
    rewound, lost, verdict = memory.rewound, memory.lost, memory.verdict
    return [
        converter.age(memory.first_at),
        converter.age(memory.observed_at),
        converter.age(memory.last_commit_at),
        converter.age(memory.last_member_at),
        round(memory.usual_interval_seconds * TICKS_PER_SECOND),
        int(memory.known),
        converter.age(memory.settled_at),
        converter.age(memory.rebalanced_at),
        converter.age(memory.deleted_at),
        [converter.age(rewound.when), *rewound.tp, rewound.records] if rewound else None,
        [converter.age(lost.when), *lost.tp, lost.records] if lost else None,
        {name: converter.age(since) for name, since in memory.condition_since.items()},
        _encode_marks(memory.partitions, converter),
        [[converter.age(each.start), _encode_ratio(each.skew), each.consumers] for each in memory.recent],
        [_encode_bucket(each, converter) for each in memory.buckets],
        [*verdict[:3], dict(verdict.data), int(verdict.early), converter.age(memory.numbers_at)] if verdict else None,
    ]


def _decode_group(fields: list[Any], converter: _AgeConverter) -> GroupMemory:
    first, observed, moved, member, usual_interval, known, settled, rebalanced, deleted, *rest = fields
    rewound, lost, condition_since, marks, recent, buckets, verdict = rest
    return GroupMemory(
        first_at=converter.time(first),
        observed_at=converter.time(observed),
        last_commit_at=converter.time(moved),
        last_member_at=converter.time(member),
        usual_interval_seconds=_integer(usual_interval) / TICKS_PER_SECOND,
        known=bool(_integer(known)),
        settled_at=converter.optional_time(settled),
        rebalanced_at=converter.optional_time(rebalanced),
        deleted_at=converter.optional_time(deleted),
        rewound=RememberedRewind(*_decode_event(rewound, converter)) if rewound else None,
        lost=RememberedLoss(*_decode_event(lost, converter)) if lost else None,
        condition_since={decoding.object_name(name): converter.time(since) for name, since in condition_since.items()},
        partitions={
            TopicPartition(decoding.object_name(topic), _integer(mark[0])): _decode_mark(mark, converter)
            for topic, rows in marks.items()
            for mark in rows
        },
        recent=tuple(
            RecentValues(converter.time(start), _decode_ratio(skew), _decode_count(count))
            for start, skew, count in recent
        ),
        buckets=tuple(_decode_bucket(each, converter) for each in buckets),
        verdict=_decode_verdict(verdict) if verdict else None,
        numbers_at=converter.optional_time(verdict[5]) if verdict else None,
    )


def _encode_marks(partitions: Mapping[TopicPartition, PartitionMark], converter: _AgeConverter) -> dict[str, list[Any]]:
    def row(tp: TopicPartition, mark: PartitionMark) -> list[Any]:
        known = mark.committed is not None and mark.end is not None
        end = (mark.end or 0) - (mark.committed or 0) if known else mark.end
        # A row has one place for both times: `passed_over_since` without a commit, `still_since` with a commit.
        since = mark.passed_over_since if mark.committed is None else mark.still_since
        next_record = None if mark.next_record is None or mark.committed is None else mark.next_record - mark.committed
        more = [converter.age(since)] if next_record is None else [converter.age(since), next_record]
        return [tp.partition, mark.committed, end, *([] if more == [None] else more)]

    ordered = sorted(partitions.items())
    return {topic: [row(*item) for item in rows] for topic, rows in groupby(ordered, key=lambda item: item[0].topic)}


def _decode_mark(row: list[Any], converter: _AgeConverter) -> PartitionMark:
    _, committed, end, *more = row
    end = _decode_count(end, negative=committed is not None)
    since = converter.optional_time(more[0]) if more else None
    if _decode_count(committed) is None:
        return PartitionMark(None, end, passed_over_since=since)
    next_record = _decode_count(more[1], negative=True) if len(more) > 1 else None
    return PartitionMark(
        committed,
        None if end is None else end + committed,
        since,
        None if next_record is None else committed + next_record,
    )


def _encode_bucket(bucket: WindowBucket, converter: _AgeConverter) -> list[Any]:
    end = converter.age(bucket.end) or 0
    seconds = (converter.age(bucket.since) or 0) - end
    always_busy = round(bucket.busy * TICKS_PER_SECOND) == seconds and bucket.drained == bucket.consumed
    row = [
        end,
        (converter.age(bucket.start) or 0) - end,
        seconds,
        bucket.observations,
        bucket.rebalancing,
        bucket.consumed,
        bucket.produced,
        ALWAYS_BUSY if always_busy else round(bucket.busy * TICKS_PER_SECOND),
        0 if always_busy else bucket.drained,
        _encode_ratio(bucket.skew_worst),
        _encode_ratio(bucket.skew_held),
        bucket.consumers_worst,
        bucket.consumers_held,
    ]
    while row[-1] is None:
        row.pop()
    return row


def _decode_bucket(row: list[Any], converter: _AgeConverter) -> WindowBucket:
    end, start, since, observations, rebalancing, consumed, produced, busy, drained, *values = row
    values += [None] * (4 - len(values))
    if busy == ALWAYS_BUSY:
        busy, drained = since, consumed
    worst, held, fewest, fewest_held = values
    return WindowBucket(
        converter.time(_integer(since) + end),
        converter.time(_integer(start) + end),
        converter.time(end),
        max(1, _integer(observations)),
        _integer(rebalancing),
        max(0, _integer(consumed)),
        max(0, _integer(produced)),
        max(0, _integer(busy)) / TICKS_PER_SECOND,
        max(0, _integer(drained)),
        _decode_ratio(worst),
        _decode_ratio(held),
        _decode_count(fewest),
        _decode_count(fewest_held),
    )


def _decode_event(row: list[Any], converter: _AgeConverter) -> tuple[float, TopicPartition, int]:
    age, topic, partition, records = row
    return converter.time(age), TopicPartition(decoding.object_name(topic), _integer(partition)), _integer(records)


def _decode_verdict(row: list[Any]) -> GroupVerdict:
    status, reason, message, data, early, _ = row
    return GroupVerdict(
        Status(status), decoding.optional_text(reason), decoding.text(message), decoding.mapping(data), bool(early)
    )


def _encode_ratio(ratio: float | None) -> int | None:
    return None if ratio is None else round(ratio * 100)


def _decode_ratio(hundredths: Any) -> float | None:
    return None if hundredths is None else _integer(hundredths) / 100


def _decode_count(number: Any, *, negative: bool = False) -> int | None:
    if number is None:
        return None
    if _integer(number) < 0 and not negative:
        raise ValueError(number)
    return int(number)


def _integer(number: Any) -> int:
    if type(number) is not int or abs(number) > MAX_NUMBER:
        raise TypeError(number)
    return number
