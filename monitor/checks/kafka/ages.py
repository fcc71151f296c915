"""When the oldest record was written that a group has not committed: by bisection over times, without reading records.

ListOffsets returns the first record that is not older than a time. So of a record with a known offset one learns, with
every question, whether it is older than the time that was asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kafka.errors import KafkaError
from kafka.protocol.consumer import ListOffsetsRequest

from monitor.checks.kafka.client import ClusterClient, Node
from monitor.checks.kafka.offsets import TopicLayout
from monitor.model.consumer_groups import TopicPartition

REQUESTS = 10  # to each broker: with those for ends and beginnings, 12
PARTITIONS = 100  # in each of them, and in all: a broker may have to look into as many files
EXACT_SHARE, EXACT_MILLISECONDS = 0.02, 250.0  # of the age: then the search ends
GOOD_SHARE, GOOD_MILLISECONDS = 0.2, 2000.0  # what is less exact at the end is not told
_NONE = -1

Record = tuple[TopicPartition, int]


@dataclass(slots=True)
class TimestampSearch:
    """The search for the time of the first record at or after ``offset``: after ``low``, not after ``high``.

    Times are milliseconds since the Unix epoch. ``found`` is the time itself, when it was met.
    """

    offset: int
    now: float
    high: float
    low: float | None = None
    found: float | None = None
    given_up: bool = False

    @property
    def next_time(self) -> int | None:
        """The time to ask for next: first for the oldest record, then by halves of the age; None at the end."""
        if self.found is not None or self.given_up:
            return None
        if self.low is None:
            return 0
        oldest, youngest = self.now - self.low, max(self.now - self.high, EXACT_MILLISECONDS)
        if self.high - self.low <= max(EXACT_MILLISECONDS, EXACT_SHARE * oldest):
            return None
        middle = self.now - (oldest * youngest) ** 0.5
        return int(middle if self.low < int(middle) < self.high else (self.low + self.high) / 2)

    def learn(self, requested: int, offset: int, time: float) -> None:
        """Take in that ``offset``, written at ``time``, is the first record that is not older than ``asked``."""
        if self.found is not None:
            return  # another search in the same partition goes on
        if offset == self.offset or (self.low is None and offset > self.offset):
            self.found = time
        elif offset == _NONE and self.low is None:
            self.given_up = True  # no record has a time
        elif offset == _NONE or offset > self.offset:
            self.high = min(self.high, requested)
        else:
            self.low = max(self.low or 0.0, requested, min(time, self.high))

    @property
    def time(self) -> float | None:
        """The time, or the latest that it can be; None when that is too vague."""
        if self.found is not None or self.low is None or self.given_up:
            return self.found
        good = self.high - self.low <= max(GOOD_MILLISECONDS, GOOD_SHARE * (self.now - self.low))
        return self.high if good else None


async def read_times(
    client: ClusterClient, records: Iterable[Record], topics: TopicLayout, now: float, until: float
) -> Mapping[Record, float]:
    """When these records were written, in seconds since the Unix epoch, as far as the brokers tell it in time.

    ``now`` likewise: nothing is younger.
    """
    searches: defaultdict[TopicPartition, dict[int, TimestampSearch]] = defaultdict(dict)
    for partition, offset in records:
        if partition in searches or len(searches) < PARTITIONS:
            searches[partition][offset] = TimestampSearch(offset, now * 1000, now * 1000)
    for _ in range(REQUESTS):
        by_leader: defaultdict[Node, dict[TopicPartition, int]] = defaultdict(dict)
        for partition, some in searches.items():
            node, _problem = topics.leader(partition)
            time = next((each.next_time for each in some.values() if each.next_time is not None), None)
            if node is not None and time is not None:
                by_leader[node][partition] = time
        if not by_leader:
            break
        answers = await client.gather(
            _read_first_records(client, node, requested, until) for node, requested in by_leader.items()
        )
        for requested, answer in zip(by_leader.values(), answers, strict=True):
            for partition, time in requested.items():
                for search in searches[partition].values():
                    if partition in answer:
                        search.learn(time, *answer[partition])
                    else:
                        search.given_up = True
    found = {(at, each.offset): each.time for at, some in searches.items() for each in some.values()}
    return {record: time / 1000 for record, time in found.items() if time is not None}


async def _read_first_records(
    client: ClusterClient, node: Node, requested: Mapping[TopicPartition, int], until: float
) -> dict[TopicPartition, tuple[int, float]]:
    """The first record of each partition that is not older, with its time; nothing where the broker does not tell."""
    rows: defaultdict[str, list[Any]] = defaultdict(list)
    for (topic, number), time in requested.items():
        rows[topic].append(ListOffsetsRequest.ListOffsetsTopic.ListOffsetsPartition(number, timestamp=time))
    try:
        if ((await client.versions(node, until))(ListOffsetsRequest) or 0) < 1:
            return {}  # before 0.10.1 records have no times that one could ask for
        request = ListOffsetsRequest(
            isolation_level=0,
            topics=[ListOffsetsRequest.ListOffsetsTopic(name=topic, partitions=some) for topic, some in rows.items()],
            min_version=1,
            max_version=9,
        )
        answer = await client.send(node, request, until)
    except KafkaError:
        return {}
    return {
        TopicPartition(topic.name, row.partition_index): (row.offset, row.timestamp)
        for topic in answer.topics
        for row in topic.partitions
        if not row.error_code
    }
